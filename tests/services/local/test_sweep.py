"""Leftovers of a crash go; files in use stay."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cloudalpha.services.local import sweep as module
from cloudalpha.services.local import temporary_file
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.sweep import Sweep
from cloudalpha.services.local.temporary_file import TemporaryFile
from cloudalpha.services.local.tree import Tree

HIDDEN = ".cloudalpha-0123456789abcdef.tmp"
UPLOADER = """
import sys, pathlib
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree
tree = Tree(pathlib.Path(sys.argv[1]))
tree.has_unnamed = sys.argv[2] == "unnamed"
file_system = LocalFileSystem(tree)
new_file = file_system.create_new_file("/sub/file")
new_file.write(b"x" * 1000)
print("ready", flush=True)
sys.stdin.read()
new_file.commit()
"""


def sweep(folder: Path) -> int:
    """One whole pass; how many leftovers were removed."""
    fd = os.open(folder, os.O_RDONLY)
    sweep = Sweep(fd)
    os.close(fd)
    sweep.wait()
    return sweep.num_removed


def start_uploader(root: Path, kind: str) -> subprocess.Popen[bytes]:
    (root / "sub").mkdir()
    (root / "sub" / "file").write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-c", UPLOADER, root, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("kind", ["unnamed", "named"])
def test_killed_uploader(root: Path, kind: str) -> None:
    process = start_uploader(root, kind)
    in_use = os.listdir(root / "sub")
    assert len(in_use) == (1 if kind == "unnamed" else 2)
    assert sweep(root) == 0
    assert os.listdir(root / "sub") == in_use  # it is still at work
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sweep(root) == len(in_use) - 1
    assert os.listdir(root / "sub") == ["file"]
    assert (root / "sub" / "file").read_bytes() == b"old"


@pytest.mark.parametrize("kind", ["unnamed", "named"])
def test_sweep_of_another_process_does_no_harm(root: Path, kind: str) -> None:
    process = start_uploader(root, kind)
    assert sweep(root) == 0
    process.communicate()
    assert process.returncode == 0
    assert (root / "sub" / "file").read_bytes() == b"x" * 1000
    assert os.listdir(root / "sub") == ["file"]


def test_only_leftovers_go(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    for name in ("a/b/" + HIDDEN, "a/" + HIDDEN, HIDDEN):
        (root / name).write_bytes(b"left")
    for name in ("a/b/.cloudalpha-x.tmp", "a/.hidden", "file"):
        (root / name).write_bytes(b"kept")
    (root.parent / "elsewhere").mkdir()
    (root.parent / "elsewhere" / HIDDEN).touch()
    (root / "link").symlink_to("../elsewhere")
    (root / HIDDEN.replace("0", "1")).symlink_to("file")
    (root / HIDDEN.replace("0", "2")).mkdir()
    os.mkfifo(root / HIDDEN.replace("0", "3"))
    assert sweep(root) == 3
    remaining = sorted(str(path.relative_to(root)) for path in root.rglob("*") if HIDDEN in str(path))
    assert remaining == []
    assert (root.parent / "elsewhere" / HIDDEN).exists()
    assert len(list(root.iterdir())) == 6


def test_folder_too_deep_is_left_to_listings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DEPTH", 2)
    folder = root
    for _ in range(4):
        (folder / HIDDEN).touch()
        folder = folder / "sub"
        folder.mkdir()
    assert sweep(root) == 3
    assert (root / "sub" / "sub" / "sub" / HIDDEN).exists()


def test_stop_ends_a_pass(root: Path) -> None:
    for number in range(50):
        (root / str(number)).mkdir()
    before = threading.active_count()
    file_system = LocalFileSystem(Tree(root))
    file_system.start_sweep()
    file_system.close()
    assert threading.active_count() == before


def test_folder_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").mkdir()
    (root / "a" / HIDDEN).touch()
    (root / "b").mkdir()
    real = os.open

    def refuse(path: object, *args: int, **options: int) -> int:
        if path == "b":
            raise PermissionError(errno.EACCES, "text")
        return real(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    assert sweep(root) == 1


class TestCreation:
    """A sweep may come between the making of a named file and its lock."""

    @pytest.fixture
    def dir_fd(self, root: Path) -> object:
        fd = os.open(root, os.O_PATH)
        yield fd
        os.close(fd)

    @pytest.mark.parametrize("race", ["swept", "being swept"])
    def test_sweep_in_between(self, root: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch, race: str) -> None:
        real = fcntl.flock
        swept: list[str] = []

        def flock(fd: int, operation: int) -> None:
            if not swept:
                (name,) = os.listdir(root)
                swept.append(name)
                if race == "being swept":
                    raise BlockingIOError(errno.EAGAIN, "text")
                os.unlink(root / name)
            real(fd, operation)

        monkeypatch.setattr(fcntl, "flock", flock)
        file = TemporaryFile(dir_fd, 0o600, unnamed=False)
        monkeypatch.undo()
        names = os.listdir(root)
        assert len(set(names) - set(swept)) == 1
        assert sweep(root) == len(names) - 1
        file.close()
        assert os.listdir(root) == []

    def test_disk_without_locks(self, root: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then nobody can tell a leftover from a file in use, and none is removed."""

        def flock(fd: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, "text")

        monkeypatch.setattr(fcntl, "flock", flock)
        file = TemporaryFile(dir_fd, 0o600, unnamed=False)
        assert sweep(root) == 0
        assert len(os.listdir(root)) == 1
        file.close()
        assert os.listdir(root) == []

    def test_all_names_taken(self, root: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
        (root / HIDDEN).touch()
        monkeypatch.setattr(temporary_file, "_new_name", lambda: HIDDEN.encode())
        with pytest.raises(OSError):
            TemporaryFile(dir_fd, 0o600, unnamed=False)
        assert os.listdir(root) == [HIDDEN]
