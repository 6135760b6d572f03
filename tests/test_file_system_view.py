from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import NOTHING, FileSystem, NewFile, WriteOptions
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.layer import Layer
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.faulty_layer import Fault, FaultyLayer
from tests.local_files import make_local_file_system

WHEN = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(params=["memory", "local"])
def file_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileSystem]:
    files = MemoryFileSystem() if request.param == "memory" else make_local_file_system(tmp_path)
    yield files
    files.close()


@pytest.fixture
def view(file_system: FileSystem) -> Iterator[FileSystemView]:
    view = FileSystemView(file_system)
    yield view
    view.close()


def _names(view: FileSystemView, path: str = "/") -> list[str]:
    return sorted(entry.path for entry in view.list_dir(path))


# Paths


def test_working_directory(view: FileSystemView) -> None:
    assert view.working_dir == "/"
    view.make_dirs("a/b")
    view.change_dir("a")
    view.change_dir(b"b/")
    assert view.working_dir == "/a/b"
    view.write_all("../../../c", b"123")
    assert view.read_all("/c") == b"123"
    view.change_dir("..")
    view.make_dirs("x/y")
    assert view.is_dir("/a/x/y")
    assert view.resolve("b/../c") == "/a/c"


def test_a_directory_must_be_one(view: FileSystemView) -> None:
    view.write_all("/file", b"")
    with pytest.raises(NotADirectoryFileSystemError):
        view.change_dir("/file")
    with pytest.raises(NotFoundFileSystemError):
        view.change_dir("missing")
    assert view.working_dir == "/"


def test_a_directory_must_be_one_that_may_be_listed() -> None:
    files = FaultyLayer(MemoryFileSystem(), [Fault("list_dir", error=PermissionDeniedFileSystemError)])
    with pytest.raises(PermissionDeniedFileSystemError):
        FileSystemView(files).change_dir("/")


def test_sessions_have_working_directories_of_their_own(file_system: FileSystem) -> None:
    file_system.make_dir("/a")
    one, other = FileSystemView(file_system), FileSystemView(file_system, home="/a")
    assert (one.working_dir, other.working_dir) == ("/", "/a")
    one.change_dir("/a")
    other.change_dir("/")
    assert (one.working_dir, other.working_dir) == ("/a", "/")


METHODS = [
    name
    for name, value in inspect.getmembers(FileSystemView, inspect.isfunction)
    if not name.startswith("_") and name not in ("close", "get_space", "get_open_files")
]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("raw", ["a\nb", b"\0", "", "x" * 256])
def test_every_method_resolves(name: str, raw: str | bytes) -> None:
    parameters = list(inspect.signature(getattr(FileSystemView, name)).parameters)[1:]
    others: dict[str, Any] = {
        "num_bytes": 1, "options": WriteOptions(), "modified_datetime": WHEN, "size": 0, "data": b"", "start_byte": 0,
        "expected": NOTHING, "overwrite": True,
    }  # fmt: skip
    for bad in (each for each in parameters if "path" in each):
        values = {each: raw if each == bad else "ok" for each in parameters if "path" in each}
        values |= {each: others[each] for each in parameters if each in others}
        with pytest.raises(InvalidPathFileSystemError):
            result = getattr(FileSystemView(MemoryFileSystem()), name)(**values)
            list(result)


def test_relative_paths_everywhere(view: FileSystemView) -> None:
    view.make_dir("d")
    view.change_dir("d")
    view.write_all(b"a", b"abc")
    view.copy("a", "b")
    view.rename(b"b", "c")
    view.set_modified_datetime("c", WHEN)
    view.truncate("c", 2)
    assert view.get_metadata("c").path == "/d/c"
    assert b"".join(view.read("c", 1)) == b"b"
    assert _names(view, ".") == ["/d/a", "/d/c"]
    view.delete("a")
    view.delete_tree(".")
    assert _names(view) == []


def test_delete_tree_takes_open_files_along(file_system: FileSystem) -> None:
    files = CountingLayer(file_system)
    view = FileSystemView(files)
    view.make_dirs("/d/e")
    view.write_all("/d/published", b"x")
    file = view.open("/d/e/new", write=True, create=True)
    file.append(b"half")
    view.change_dir("d")
    files.reset()
    view.delete_tree(b".")
    assert not files.calls["delete_tree"], "the storage does not know the new file"
    assert _names(view, "/") == []
    file.finish()
    assert list(file_system.list_dir("/")) == [], "a deleted file is not published"
    view.make_dir("/f")
    files.reset()
    view.delete_tree("/f")
    assert files.calls == {"delete_tree": 1}
    view.close()


# Listings


def test_a_listing_is_one_listing() -> None:
    inner = MemoryFileSystem()
    for index in range(1000):
        inner.write_all(f"/{index}", b"")
    files = CountingLayer(inner)
    view = FileSystemView(files)
    open_file = view.open("/new", write=True, create=True, truncate=True)
    files.reset()
    assert len(list(view.list_dir("/"))) == 1001
    assert files.calls == {"list_dir": 1}
    open_file.discard()


def test_a_listing_is_lazy_and_released() -> None:
    state: list[str] = []

    class Endless(Layer):
        def list_dir(self, path: str) -> Iterator[FileMetadata]:
            try:
                for index in range(1 << 60):
                    yield FileMetadata(f"/{index}", False)
            finally:
                state.append("released")

    entries = FileSystemView(Endless(MemoryFileSystem())).list_dir("/")
    assert next(entries).path == "/0"
    entries.close()  # type: ignore[attr-defined]
    assert state == ["released"]


def test_names_that_nobody_can_ask_for_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    bad = ["a\nb", "a\x7f", "x" * 256, "\ud800", "ä" * 130]
    good = ["a", "\u00a0", "\udcff\udcfe", "ä" * 127, "日本", "x" * 255]

    class Odd(Layer):
        def list_dir(self, path: str) -> Iterator[FileMetadata]:
            return (FileMetadata(f"/d/{name}", False) for name in (*good, *bad))

    with caplog.at_level(logging.INFO, "cloudalpha.view"):
        assert [entry.name for entry in FileSystemView(Odd(MemoryFileSystem())).list_dir("/d")] == good
    assert [record.fields for record in caplog.records] == [{"path": "/d", "count": len(bad)}]  # type: ignore[attr-defined]


def test_open_writes_replace_and_add_entries(view: FileSystemView) -> None:
    view.write_all("/old", b"12345")
    view.make_dir("/folder")
    old = view.open("/old", write=True)
    new = view.open("/folder/new", write=True, create=True)
    old.append(b"678")
    new.append(b"1")
    assert {entry.path: entry.size for entry in view.list_dir("/")} == {"/folder": 0, "/old": 8}
    assert {entry.path: entry.size for entry in view.list_dir("/folder")} == {"/folder/new": 1}
    assert {entry.path for entry in view.walk("/")} == {"/folder", "/old", "/folder/new"}


# The session's own open writes


def test_the_others_see_nothing_before_the_end(file_system: FileSystem) -> None:
    view, other = FileSystemView(file_system), FileSystemView(file_system)
    file_system.write_all("/a", b"old")
    for path in ("/a", "/b"):
        file = view.open(path, read=True, write=True, create=True, truncate=True)
        file.write_at(0, b"new content")
        assert view.read_all(path) == file.read_at(0, 100) == b"new content"
        assert view.get_size(path) == 11 and view.get_native_file(path) is None
        assert list(view.read(path, 4, 3)) == [b"con"]
        if path == "/a":
            assert other.read_all(path) == b"old"
        else:
            assert not other.exists(path) and path not in _names(other)
        file.finish()
        assert other.read_all(path) == view.read_all(path) == b"new content"


def test_reading_follows_the_file_that_grows(view: FileSystemView) -> None:
    writer = view.open("/a", write=True, create=True)
    reader = view.open("/a", read=True)
    assert reader.read_at(0, 10) == b""
    writer.append(b"abc")
    assert reader.read_at(0, 10) == b"abc"
    writer.append(b"def")
    writer.finish()
    assert reader.read_at(0, 10) == b"abcdef"
    reader.finish()


def test_a_lost_session_leaves_everything_as_it_was(file_system: FileSystem) -> None:
    file_system.write_all("/a", b"old")
    view = FileSystemView(file_system)
    for path in ("/a", "/b", "/c"):
        view.open(path, write=True, create=True, truncate=True).append(b"half")
    assert len(view.get_open_files()) == 3
    view.close()
    view.close()
    assert view.get_open_files() == []
    assert file_system.read_all("/a") == b"old"
    assert [entry.path for entry in file_system.list_dir("/")] == ["/a"]
    late = view.open("/d", write=True, create=True)
    with pytest.raises(FileSystemError):
        late.append(b"x")
    assert view.get_open_files() == [] and not file_system.exists("/d")


def test_what_own_writes_stand_in_the_way_of(view: FileSystemView) -> None:
    view.make_dir("/d")
    file = view.open("/d/a", write=True, create=True)
    with pytest.raises(DirectoryNotEmptyFileSystemError):
        view.delete_dir("/d")
    with pytest.raises(AlreadyExistsFileSystemError):
        view.make_dir("/d/a")
    with pytest.raises(AlreadyExistsFileSystemError):
        view.create_new_file("/d/a", WriteOptions(expected=NOTHING))
    with pytest.raises(RevisionMismatchFileSystemError):
        view.create_new_file("/d/a", WriteOptions(expected="7"))
    with pytest.raises(RevisionMismatchFileSystemError):
        view.read("/d/a", expected="7")
    with pytest.raises(AlreadyExistsFileSystemError):
        view.open("/d/a", write=True, create=True, exclusive=True)
    file.discard()
    view.delete_dir("/d")


@pytest.mark.parametrize("path", ["/", "/d"])
@pytest.mark.parametrize("write", [False, True])
def test_a_folder_is_not_opened(view: FileSystemView, path: str, write: bool) -> None:
    view.make_dir("/d")
    for truncate in (False, True):
        with pytest.raises(IsADirectoryFileSystemError):
            view.open(path, read=not write, write=write, create=write, truncate=truncate)
    assert view.get_open_files() == []


def test_missing_things_are_not_opened(view: FileSystemView) -> None:
    for flags in ({"read": True}, {"write": True}, {"write": True, "truncate": True}, {"append": True}):
        with pytest.raises(NotFoundFileSystemError):
            view.open("/missing", **flags)
    for truncate in (False, True):
        with pytest.raises(NotFoundFileSystemError):
            view.open("/missing/file", write=True, create=True, truncate=truncate)
    assert _names(view) == []


# Names of open files


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("target", [False, True])
def test_rename_before_close(file_system: FileSystem, view: FileSystemView, published: bool, target: bool) -> None:
    """sshfs renames before its CLOSE arrives: at the end the content is at the new path alone."""
    if published:
        file_system.write_all("/tmp", b"before")
    if target:
        file_system.write_all("/final", b"old")
    file = view.open("/tmp", read=True, write=True, create=True)
    file.write_at(2, b"new content")
    view.rename("/tmp", "/final", overwrite=target)
    assert file.path == "/final" and _names(view) == ["/final"]
    if not published:
        assert file_system.exists("/final") == target, "nothing is published by renaming"
    file.append(b"!")
    file.finish()
    start = b"be" if published else b"\0\0"
    assert file_system.read_all("/final") == start + b"new content!"
    assert [entry.path for entry in file_system.list_dir("/")] == ["/final"]


def test_a_reader_that_outlives_the_writer_follows_a_rename(view: FileSystemView) -> None:
    writer = view.open("/a", write=True, create=True)
    writer.append(b"0123456789")
    reader = view.open("/a", read=True)
    writer.finish()
    view.rename("/a", "/b")
    assert reader.path == "/b" and reader.read_at(3, 3) == b"345"
    view.make_dir("/d")
    view.rename("/b", "/d/b")
    view.rename("/d", "/e")
    assert reader.path == "/e/b" and reader.read_at(0, 3) == b"012"
    reader.finish()
    view.delete_tree("/e")


def test_rename_of_an_open_file_that_is_lost_then(file_system: FileSystem, view: FileSystemView) -> None:
    file_system.write_all("/final", b"old")
    view.open("/tmp", write=True, create=True).append(b"half")
    view.rename("/tmp", "/final", overwrite=True)
    view.close()
    assert file_system.read_all("/final") == b"old"
    assert [entry.path for entry in file_system.list_dir("/")] == ["/final"]


def test_the_old_name_may_be_used_again(file_system: FileSystem, view: FileSystemView) -> None:
    first = view.open("/log", write=True, create=True)
    first.append(b"first")
    view.rename("/log", "/log.1")
    second = view.open("/log", write=True, create=True, exclusive=True)
    second.append(b"second")
    second.finish()
    first.finish()
    assert (file_system.read_all("/log"), file_system.read_all("/log.1")) == (b"second", b"first")


class _Intruder(Layer):
    """Another session makes the file /tmp just before each commit."""

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file = self.inner.create_new_file(path, options)
        commit = new_file.commit

        def intrude() -> FileMetadata:
            self.inner.write_all("/tmp", b"of another session")
            return commit()

        new_file.commit = intrude  # type: ignore[method-assign]
        return new_file


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_another_session_puts_under_the_old_name_stays(file_system: FileSystem, exclusive: bool) -> None:
    view = FileSystemView(_Intruder(file_system))
    file = view.open("/tmp", read=True, write=True, create=True, exclusive=exclusive)
    file.append(b"content")
    assert file.read_at(0, 7) == b"content", "it is no longer in a buffer"
    view.rename("/tmp", "/final")
    file.finish()
    view.close()
    assert file_system.read_all("/final") == b"content"
    assert file_system.read_all("/tmp") == b"of another session"


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("is_sent", [False, True])
def test_what_another_session_puts_under_the_new_name_stays(
    file_system: FileSystem, exclusive: bool, is_sent: bool
) -> None:
    """A rename that may replace nothing says so for the commit too."""
    view = FileSystemView(file_system)
    file = view.open("/tmp", read=True, write=True, create=True, exclusive=exclusive)
    file.append(b"content")
    if is_sent:
        assert file.read_at(0, 7) == b"content", "it is no longer in a buffer"
    view.rename("/tmp", "/final")
    file_system.write_all("/final", b"of another session")
    with pytest.raises(AlreadyExistsFileSystemError):
        file.finish()
    view.close()
    assert _names(FileSystemView(file_system)) == ["/final"]
    assert file_system.read_all("/final") == b"of another session"


def test_rename_of_an_open_file_follows_the_rules(view: FileSystemView) -> None:
    view.write_all("/there", b"")
    view.make_dir("/folder")
    file = view.open("/a", write=True, create=True)
    other = view.open("/b", write=True, create=True)
    for new in ("/there", "/b"):
        with pytest.raises(AlreadyExistsFileSystemError):
            view.rename("/a", new)
    with pytest.raises(IsADirectoryFileSystemError):
        view.rename("/a", "/folder", overwrite=True)
    with pytest.raises(NotFoundFileSystemError):
        view.rename("/a", "/missing/a")
    with pytest.raises(NotFoundFileSystemError):
        view.rename("/nothing", "/c")
    view.rename("/a", "/a")
    assert file.path == "/a"
    view.rename("/a", "/b", overwrite=True)
    other.append(b"this file is gone")
    other.finish()
    assert not view.inner.exists("/b")
    file.append(b"a")
    file.finish()
    assert view.read_all("/b") == b"a"


def test_rename_of_the_folder_above(file_system: FileSystem, view: FileSystemView) -> None:
    view.make_dirs("/d/e")
    view.write_all("/d/e/old", b"0123456789")
    new = view.open("/d/e/new", write=True, create=True)
    old = view.open("/d/e/old", read=True, write=True)
    reader = view.open("/d/e/old", read=True)
    new.append(b"abc")
    old.write_at(3, b"---")
    view.rename("/d", "/f")
    assert _names(view, "/f/e") == ["/f/e/new", "/f/e/old"]
    assert reader.path == "/f/e/old" and reader.read_at(0, 20) == b"0123456789"
    new.finish()
    old.finish()
    reader.finish()
    assert file_system.read_all("/f/e/new") == b"abc"
    assert file_system.read_all("/f/e/old") == b"012---6789"
    assert not file_system.exists("/d")


@pytest.mark.parametrize("published", [False, True])
def test_deleted_while_open(file_system: FileSystem, view: FileSystemView, published: bool) -> None:
    if published:
        file_system.write_all("/a", b"old")
    file = view.open("/a", read=True, write=True, create=True, truncate=True)
    file.append(b"abc")
    view.delete("/a")
    assert not view.exists("/a") and not file_system.exists("/a")
    with pytest.raises(NotFoundFileSystemError):
        view.delete("/a")
    file.append(b"def")
    assert file.read_at(0, 10) == b"abcdef"
    again = view.open("/a", write=True, create=True, exclusive=True)
    again.append(b"again")
    again.finish()
    file.finish()
    assert file_system.read_all("/a") == b"again"


def test_a_rename_of_fuse_and_a_delete(file_system: FileSystem, view: FileSystemView) -> None:
    file = view.open("/a", write=True, create=True)
    file.append(b"abc")
    view.rename("/a", "/.fuse_hidden1")
    view.delete("/.fuse_hidden1")
    file.finish()
    assert list(file_system.list_dir("/")) == []


def test_copy_of_what_is_being_written(file_system: FileSystem, view: FileSystemView) -> None:
    view.make_dir("/d")
    view.write_all("/d/other", b"other")
    file = view.open("/d/a", write=True, create=True)
    file.append(b"abc")
    view.copy("/d/a", "/b")
    view.copy("/d", "/e")
    assert file_system.read_all("/b") == file_system.read_all("/e/a") == b"abc"
    assert file_system.read_all("/e/other") == b"other"
    assert not file_system.exists("/d/a")


def test_truncate_by_path(file_system: FileSystem, view: FileSystemView) -> None:
    view.write_all("/a", b"12345")
    view.truncate("/a", 3)
    assert file_system.read_all("/a") == b"123"
    view.truncate("/a", 5)
    assert file_system.read_all("/a") == b"123\0\0"
    with pytest.raises(NotFoundFileSystemError):
        view.truncate("/b", 3)
    with pytest.raises(FileSystemError):
        view.truncate("/a", 1 << 63)
    file = view.open("/a", write=True)
    file.write_at(0, b"x")
    view.truncate("/a", 1)
    assert view.get_size("/a") == 1 and file_system.read_all("/a") == b"123\0\0"
    file.finish()
    assert file_system.read_all("/a") == b"x"
    assert view.get_open_files() == []


def test_times_by_path(file_system: FileSystem, view: FileSystemView) -> None:
    file = view.open("/a", write=True, create=True)
    file.append(b"abc")
    view.set_modified_datetime("/a", WHEN)
    assert view.get_metadata("/a").modified_datetime == WHEN
    file.finish()
    assert file_system.get_metadata("/a").modified_datetime == WHEN


def test_close_leaves_the_shared_file_system_open() -> None:
    files = CountingLayer(MemoryFileSystem())
    FileSystemView(files).close()
    assert files.calls["close"] == 0
