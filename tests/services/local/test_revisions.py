"""Revisions change with the content, and with nothing else where that can be avoided."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudalpha.file_system import WriteOptions
from cloudalpha.services.local import revisions as module
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.revisions import Revisions

MOMENT = datetime(2020, 1, 1, tzinfo=UTC)


def get_revision(file_system: LocalFileSystem, path: str = "/file") -> str:
    revision = file_system.get_metadata(path).revision
    assert revision is not None
    return revision


CHANGES: dict[str, Callable[[Path], object]] = {
    "as long": lambda path: path.write_bytes(b"new"),
    "longer": lambda path: path.write_bytes(b"old and new"),
    "appended": lambda path: os.truncate(path, 5),
}


@pytest.mark.parametrize("put_back", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_change_from_outside(file_system: LocalFileSystem, root: Path, change: str, put_back: bool) -> None:
    path = root / "file"
    file_system.write_all("/file", b"old")
    before, status = get_revision(file_system), path.stat()
    CHANGES[change](path)
    if put_back:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert get_revision(file_system) != before


def test_each_upload_has_its_own(file_system: LocalFileSystem) -> None:
    """Also when the client chooses the same time for all, and the disk the same inode."""
    revisions = set()
    for number in range(50):
        file_system.write_all("/file", b"%3d" % number, WriteOptions(modified_datetime=MOMENT))
        revisions.add(get_revision(file_system))
        file_system.delete("/file")
    assert len(revisions) == 50


@pytest.mark.parametrize("change", ["read", "rename", "rename over", "set time", "twice", "list", "copy"])
def test_what_leaves_the_content(file_system: LocalFileSystem, change: str) -> None:
    file_system.write_all("/file", b"content")
    file_system.write_all("/other", b"")
    before = get_revision(file_system)
    path = "/file"
    if change == "read":
        file_system.read_all(path)
    elif change in ("rename", "rename over"):
        path = "/new" if change == "rename" else "/other"
        file_system.rename("/file", path, overwrite=True)
    elif change == "set time":
        file_system.set_modified_datetime(path, MOMENT)
    elif change == "twice":
        file_system.set_modified_datetime(path, MOMENT)
        file_system.rename(path, "/new")
        file_system.set_modified_datetime("/new", datetime(2021, 1, 1, tzinfo=UTC))
        file_system.rename("/new", path)
    elif change == "list":
        list(file_system.list_dir("/"))
    else:
        file_system.copy(path, "/copy")
        assert get_revision(file_system, "/copy") != before
    assert get_revision(file_system, path) == before
    assert {entry.path: entry.revision for entry in file_system.list_dir("/")}[path] == before
    assert b"".join(file_system.read(path, expected=before)) == b"content"


def test_change_after_a_rename(file_system: LocalFileSystem, root: Path) -> None:
    file_system.write_all("/file", b"content")
    before = get_revision(file_system)
    file_system.rename("/file", "/new")
    with open(root / "new", "r+b") as file:
        file.write(b"C")
    assert get_revision(file_system, "/new") != before


def test_nothing_is_carried_over_when_somebody_wrote_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = path.stat()
    path.write_bytes(b"newer")
    after = path.stat()
    revisions = Revisions()
    own = revisions.get(after)
    revisions.carry_over(before, after)
    revisions.carry_over(before, after, after.st_mtime_ns)
    assert revisions.get(after) == own != revisions.get(before)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CARRIED", 3)
    revisions = Revisions()
    path = tmp_path / "0"
    path.touch()
    first = revisions.get(path.stat())
    for number in range(5):
        before = path.stat()
        path = path.rename(tmp_path / str(number + 1))
        revisions.carry_over(before, path.stat())
        assert revisions.get(path.stat()) == first
    assert len(revisions._carried) == 3
