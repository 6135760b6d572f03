"""Fixtures of the local service's tests."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudalpha.services.local import system_calls
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree


@pytest.fixture
def old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """No openat2, no O_TMPFILE, no renameat2, no copy_file_range."""

    def missing(*args: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    real_open = os.open

    def open_named(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        return real_open(path, flags, mode, dir_fd=dir_fd)  # type: ignore[arg-type]

    monkeypatch.setattr(system_calls, "open_beneath", missing)
    monkeypatch.setattr(system_calls, "_renameat2", None)
    monkeypatch.setattr(os, "open", open_named)
    monkeypatch.setattr(os, "copy_file_range", missing)


@pytest.fixture(params=["new kernel", "old kernel"])
def any_kernel(request: pytest.FixtureRequest) -> None:
    """Both with and without the newer system calls."""
    if request.param == "old kernel":
        request.getfixturevalue("old_kernel")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that is served; beside it there is room for what must not be reached."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def file_system(root: Path, any_kernel: None) -> Iterator[LocalFileSystem]:
    """The files beneath `root`, on each kind of kernel."""
    file_system = LocalFileSystem(Tree(root))
    yield file_system
    file_system.close()


@pytest.fixture
def other_device(root: Path) -> Iterator[Path]:
    """A folder beneath the root that is a small file system of its own: 1 MiB."""
    folder = root / "mounted"
    folder.mkdir()
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounting.returncode:
        pytest.skip("this sandbox mounts nothing")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
