"""What storages do by themselves: whole folders in one call, with a bar that shows how far they are."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cloudalpha.cli.local_files import LocalFiles
from cloudalpha.cli.locations import Location
from cloudalpha.cli.progress import Progress
from cloudalpha.cli.transfers import Transfers
from cloudalpha.exceptions import PermissionDeniedFileSystemError
from cloudalpha.progress import report
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing import CountingLayer, Fault, FaultyLayer


@pytest.fixture
def files() -> MemoryFileSystem:
    files = MemoryFileSystem()
    files.make_dirs("/d/sub")
    for path in ("/d/a", "/d/b", "/d/sub/c"):
        files.write_all(path, path.encode())
    return files


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def transfers(reports: list[str]) -> Transfers:
    return Transfers(Progress(wanted=False), report=reports.append)


def _list(files: MemoryFileSystem) -> list[str]:
    return sorted(entry.path for entry in files.walk("/"))


def test_a_folder_is_deleted_by_its_storage(files: MemoryFileSystem, transfers: Transfers) -> None:
    counted = CountingLayer(files)
    transfers.delete(Location(counted, "/d", "notes"), recursive=True)
    assert counted.calls == {"get_metadata": 1, "delete_tree": 1}
    assert _list(files) == []


def test_what_cannot_be_deleted_is_told_by_name_and_the_rest_is_deleted(
    files: MemoryFileSystem, transfers: Transfers, reports: list[str]
) -> None:
    faults = [Fault("delete_tree"), Fault("delete", path="/d/a", times=None, error=PermissionDeniedFileSystemError)]
    transfers.delete(Location(FaultyLayer(files, faults), "/d", "notes"), recursive=True)
    assert _list(files) == ["/d", "/d/a", "/d/sub"]
    assert len(reports) == 1 and "notes:/d/a" in reports[0]


def test_a_folder_is_copied_by_its_storage(files: MemoryFileSystem, transfers: Transfers) -> None:
    counted = CountingLayer(files)
    transfers.copy([Location(counted, "/d", "notes")], Location(counted, "/e", "notes"), recursive=True)
    assert counted.calls["copy"] == 1
    assert not counted.calls["create_new_file"] and not counted.calls["list_dir"]
    assert files.read_all("/e/sub/c") == b"/d/sub/c"


def test_what_cannot_be_copied_is_told_by_name_and_the_rest_is_copied(
    files: MemoryFileSystem, transfers: Transfers, reports: list[str]
) -> None:
    faults = [Fault("copy", path="/d"), Fault("copy", path="/d/a", times=None)]
    faulty = FaultyLayer(files, faults)
    transfers.copy([Location(faulty, "/d", "notes")], Location(faulty, "/e", "notes"), recursive=True)
    assert [path for path in _list(files) if path.startswith("/e")] == ["/e", "/e/b", "/e/sub", "/e/sub/c"]
    assert len(reports) == 1 and "notes:/d/a" in reports[0]


def test_a_folder_that_is_there_gets_what_it_lacks(files: MemoryFileSystem, transfers: Transfers) -> None:
    files.make_dirs("/e/d")
    files.write_all("/e/d/own", b"own")
    counted = CountingLayer(files)
    transfers.copy([Location(counted, "/d", "notes")], Location(counted, "/e", "notes"), recursive=True)
    assert sorted(entry.name for entry in files.list_dir("/e/d")) == ["a", "b", "own", "sub"]
    assert not counted.calls["create_new_file"], "the files are copied by the storage"


def test_a_bar_follows_what_a_storage_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress()
    bars = progress._bars
    assert bars is not None
    shown = Console(file=io.StringIO(), width=120)
    with progress.following("/photos/2024"):
        report(1234)
        shown.print(bars.get_renderable())
        report(3, 7)
        shown.print(bars.get_renderable())
    progress.begin("/photos/big", 4 << 20)
    progress.advance(1 << 20)
    shown.print(bars.get_renderable())
    progress.end()
    assert not bars.tasks
    assert isinstance(shown.file, io.StringIO)
    first, second, third = shown.file.getvalue().splitlines()
    assert "2024" in first and " 1234 " in first
    assert "2024" in second and " 3/7 " in second and "/s" not in second
    assert "big" in third and "1.0/4.0 MiB" in third


def test_nobody_listens_where_no_bar_is_shown() -> None:
    progress = Progress(wanted=False)
    with progress.following("/a"):
        report(1, 2)
    assert progress._bars is None


def test_a_local_folder_is_deleted_without_what_its_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"x")
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    files = LocalFiles()
    for name in ("tree", "link"):
        files.delete_tree(str(tmp_path / name))
    with pytest.raises(PermissionDeniedFileSystemError):
        files.delete_tree("/")
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept" / "file").read_bytes() == b"x"
