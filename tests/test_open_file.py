from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.layer import Layer, NewFileLayer
from cloudalpha.open_file import OpenFile, OpenFileSettings
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.spool import Spool
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.faulty_layer import Fault, FaultyLayer, outage
from cloudalpha.testing.waiting import wait_until
from tests.counting_spool import CountingSpool
from tests.local_files import make_local_file_system

KIB = 1 << 10
MIB = 1 << 20
WHEN = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
SMALL = OpenFileSettings(read_ahead=64 * KIB, jump=4 * KIB, write_buffer=1, write_window=64 * KIB)


class Recorder(Layer):
    """Remembers how files are read and made."""

    def __init__(self, inner: FileSystem) -> None:
        super().__init__(inner)
        self.reads: list[tuple[int, int | None, Expected]] = []
        self.made: list[list[tuple[str, int]]] = []
        self.expected: list[Expected] = []

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        self.reads.append((start_byte, num_bytes, expected))
        return super().read(path, start_byte, num_bytes, expected)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        self.made.append([])
        self.expected.append(options.expected)
        return _RecordedFile(super().create_new_file(path, options), self.made[-1])


class _RecordedFile(NewFileLayer):
    def __init__(self, inner_file: NewFile, calls: list[tuple[str, int]]) -> None:
        super().__init__(inner_file)
        self.calls = calls

    def write(self, data: bytes) -> None:
        self.calls.append(("write", len(data)))
        super().write(data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.calls.append(("keep", num_bytes))
        super().keep(start_byte, num_bytes)


def _view(files: FileSystem, spool_size: int = 64 * MIB, settings: OpenFileSettings = SMALL) -> FileSystemView:
    return FileSystemView(files, spool=Spool(None, spool_size), settings=settings)


def _pattern(num_bytes: int) -> bytes:
    return b"".join(index.to_bytes(8, "big") for index in range(num_bytes // 8))


# Reading


def test_reading_forward_is_one_stream() -> None:
    files = Recorder(MemoryFileSystem())
    content = _pattern(2 * MIB)
    revision = files.write_all("/a", content).revision
    file = _view(files).open("/a", read=True)
    parts = [file.read_at(offset, 32 * KIB) for offset in range(0, len(content) + 1, 32 * KIB)]
    assert b"".join(parts) == content and parts[-1] == b""
    assert files.reads == [(0, None, revision)]
    file.finish()


def test_requests_slightly_out_of_order_are_one_stream() -> None:
    files = Recorder(MemoryFileSystem())
    content = _pattern(2 * MIB)
    files.write_all("/a", content)
    settings = OpenFileSettings(read_ahead=MIB)
    file = _view(files, settings=settings).open("/a", read=True)
    size = 32 * KIB
    for first in range(0, 64, 8):
        for index in (first, *(first + each for each in (3, 1, 2, 7, 6, 5, 4))):
            offset = index * size
            data = file.try_read_at(offset, size)
            assert (data or file.read_at(offset, size)) == content[offset : offset + size]
    assert len(files.reads) == 1


def test_the_tail_of_a_huge_file_is_one_ranged_request() -> None:
    class Huge(Recorder):
        def get_metadata(self, path: str) -> Any:
            return super().get_metadata(path)._replace(size=10 << 30)

        def read(
            self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
        ) -> Iterator[bytes]:
            self.reads.append((start_byte, num_bytes, expected))
            assert num_bytes is not None
            return iter([b"x" * num_bytes])

    files = Huge(MemoryFileSystem())
    files.write_all("/a", b"")
    file = _view(files, settings=OpenFileSettings()).open("/a", read=True)
    end = 10 << 30
    assert file.read_at(end - 4096, 4096) == b"x" * 4096
    assert file.read_at(end - 100, 4096) == b"x" * 100
    assert file.read_at(end, 4096) == b"" == file.read_at(end + 5, 1)
    assert [each[:2] for each in files.reads] == [(end - 4096, 4096)]


def test_reading_on_after_a_jump_becomes_a_stream() -> None:
    files = Recorder(MemoryFileSystem())
    content = _pattern(MIB)
    files.write_all("/a", content)
    file = _view(files).open("/a", read=True)
    start = MIB // 2
    for offset in range(start, MIB, 4 * KIB):
        assert file.read_at(offset, 4 * KIB) == content[offset : offset + 4 * KIB]
    assert [each[:2] for each in files.reads] == [(start, 4 * KIB), (start + 4 * KIB, None)]


def test_a_glance_elsewhere_does_not_cost_the_stream() -> None:
    files = Recorder(MemoryFileSystem())
    content = _pattern(4 * MIB)
    files.write_all("/a", content)
    file = _view(files).open("/a", read=True)
    file.read_at(0, 32 * KIB)
    assert file.read_at(4 * MIB - 1000, 1000) == content[-1000:]
    for offset in range(32 * KIB, MIB, 32 * KIB):
        assert file.read_at(offset, 32 * KIB) == content[offset : offset + 32 * KIB]
    assert [each[:2] for each in files.reads] == [(0, None), (4 * MIB - 1000, 1000)]


def test_read_ahead_is_bounded() -> None:
    content = _pattern(4 * MIB)
    files = MemoryFileSystem()
    files.write_all("/a", content)
    file = _view(files, settings=OpenFileSettings(read_ahead=300 * KIB)).open("/a", read=True)
    for offset in range(0, len(content), 32 * KIB):
        file.read_at(offset, 32 * KIB)
    kept = sum(file.try_read_at(offset, 8) is not None for offset in range(0, len(content), 8 * KIB)) * 8 * KIB
    assert kept <= 600 * KIB, "the setting and one chunk"


def test_one_version_even_when_the_file_is_replaced() -> None:
    for files in (MemoryFileSystem(),):
        files.write_all("/a", b"1" * MIB)
        file = _view(files).open("/a", read=True)
        file.read_at(0, 10)
        files.write_all("/a", b"2" * MIB)
        assert file.read_at(300 * KIB, 10) == b"1" * 10, "the stream goes on"
        with pytest.raises(RevisionMismatchFileSystemError):
            file.read_at(900 * KIB, 10)


def test_a_native_file_is_one_version(tmp_path: Path) -> None:
    files = make_local_file_system(tmp_path)
    files.write_all("/a", b"1" * 100)
    file = _view(files).open("/a", read=True)
    files.write_all("/a", b"2" * 200)
    assert file.read_at(50, 100) == b"1" * 50
    assert file.try_read_at(99, 100) in (b"1", None)
    native_file = file.get_native_file()
    assert native_file is not None
    file.count_read(7)
    file.finish()
    assert native_file.closed


@pytest.mark.parametrize("after", [0, 1, 100 * KIB])
def test_a_torn_stream_is_an_error_and_then_goes_on(after: int) -> None:
    content = _pattern(MIB)
    files = FaultyLayer(MemoryFileSystem())
    files.write_all("/a", content)
    files.plan(Fault("read", after=after))
    file = _view(files).open("/a", read=True)
    data = b""
    errors = 0
    while len(data) < len(content):
        try:
            data += file.read_at(len(data), 32 * KIB)
        except AccessFailedFileSystemError:
            errors += 1
    assert data == content and errors == 1


def test_a_stream_that_ends_early_is_never_a_short_file() -> None:
    class Short(Layer):
        def read(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
            return iter(list(super().read(*args, **kwargs))[:1])

    files = Short(MemoryFileSystem())
    files.write_all("/a", _pattern(MIB))
    file = _view(files).open("/a", read=True)
    with pytest.raises(AccessFailedFileSystemError, match="less than the whole file"):
        for offset in range(0, MIB, 32 * KIB):
            assert len(file.read_at(offset, 32 * KIB)) == 32 * KIB


# Writing


@given(st.permutations(range(16)))
def test_writes_within_the_window_are_put_in_order(order: list[int]) -> None:
    for spool_size in (0, MIB):
        files = Recorder(MemoryFileSystem())
        file = _view(files, spool_size).open("/a", write=True, create=True, truncate=True)
        for index in order:
            file.write_at(index * 100, bytes([index]) * 100)
        file.finish()
        assert files.read_all("/a") == b"".join(bytes([index]) * 100 for index in range(16))
        assert len(files.made) == 1, "nothing was sent twice"


def test_forward_writes_stream() -> None:
    """An upload larger than any buffer or spool is sent while it comes, with bounded memory."""
    sent: list[int] = []

    class Sink(Layer):
        def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
            return _SinkFile(super().create_new_file(path, options), sent)

    class _SinkFile(NewFileLayer):
        def __init__(self, inner_file: NewFile, sent: list[int]) -> None:
            super().__init__(inner_file)
            self.sent = sent

        def write(self, data: bytes) -> None:
            self.sent.append(len(data))

    spool = Spool(None, 300 * KIB)
    view = FileSystemView(Sink(MemoryFileSystem()), spool=spool, settings=SMALL)
    file = view.open("/a", write=True, create=True, truncate=True)
    data = bytes(32 * KIB)
    for index in range(1024):
        file.write_at(index * len(data), data)
        assert sum(sent) >= index * len(data)
        assert spool.used_bytes <= spool.max_bytes
    assert spool.used_bytes == 0, "a file that outgrows the spool gives its share back"
    file.finish()
    assert sum(sent) == 32 * MIB


def test_a_rewrite_behind_what_was_sent_is_right() -> None:
    files = MemoryFileSystem()
    file = _view(files).open("/a", read=True, write=True, create=True, truncate=True)
    for index in range(100):
        file.write_at(index * KIB, b"x" * KIB)
    file.write_at(10, b"header")
    assert file.read_at(8, 10) == b"xxheaderxx"
    file.append(b"end")
    file.finish()
    assert files.read_all("/a") == b"x" * 10 + b"header" + b"x" * (100 * KIB - 16) + b"end"


@pytest.mark.parametrize(
    ("spool_size", "error", "reason"),
    [
        (0, UnsupportedOperationFileSystemError, "there is no spool"),
        (10 * KIB, InsufficientSpaceFileSystemError, "the spool is full"),
    ],
)
def test_a_rewrite_that_cannot_be_had_is_refused(spool_size: int, error: type[FileSystemError], reason: str) -> None:
    files = MemoryFileSystem()
    files.write_all("/a", b"old")
    view = _view(files, spool_size)
    file = view.open("/a", read=True, write=True, truncate=True)
    for index in range(100):
        file.write_at(index * KIB, b"x" * KIB)
    with pytest.raises(error, match=reason):
        file.read_at(0, 10)
    file.append(b"still fine")
    with pytest.raises(error, match=reason):
        file.write_at(10, b"header")
    for call in (lambda: file.append(b"x"), file.publish, file.finish, file.finish):
        with pytest.raises(error, match=reason):
            call()
    assert not file.try_write_at(0, b"x")
    assert files.read_all("/a") == view.read_all("/a") == b"old"
    assert files.get_space().free == MIB * KIB - 3, "the space is free again"


SENT_CANNOT = "keeps no copy"


def _sequential(files: FileSystem, spool: Spool) -> tuple[FileSystemView, OpenFile]:
    """A view with an upload from start to end that is half-way."""
    view = FileSystemView(files, spool=spool, settings=SMALL)
    file = view.open("/a", write=True, create=True, truncate=True, is_sequential=True)
    for index in range(100):
        file.write_at(index * KIB, b"x" * KIB)
    return view, file


def test_a_sequential_upload_is_sent_as_it_comes_without_a_copy() -> None:
    files = Recorder(MemoryFileSystem())
    spool = CountingSpool(10 * KIB)
    view, file = _sequential(files, spool)
    assert files.made == [[("write", KIB)] * 100]
    assert [entry.size for entry in view.list_dir("/")] == [100 * KIB]
    assert file.finish().size == 100 * KIB
    assert spool.num_files == 0


@pytest.mark.parametrize("offset", [0, 1, 3 * KIB, 8 * KIB])
def test_a_sequential_upload_into_a_file_keeps_the_rest(offset: int) -> None:
    files = Recorder(MemoryFileSystem())
    old = _pattern(8 * KIB)
    files.write_all("/a", old)
    files.made.clear()
    spool = CountingSpool(MIB)
    file = FileSystemView(files, spool=spool, settings=SMALL).open("/a", write=True, is_sequential=True)
    file.write_at(offset, b"y" * KIB)
    file.write_at(offset + KIB, b"z" * KIB)
    sent = [("keep", offset)] * bool(offset) + [("write", KIB)] * 2
    assert files.made == [sent], "nothing waits for what might come before it"
    file.finish()
    rest = max(6 * KIB - offset, 0)
    assert files.made == [sent + [("keep", rest)] * bool(rest)]
    assert files.read_all("/a") == old[:offset] + b"y" * KIB + b"z" * KIB + old[offset + 2 * KIB :]
    assert spool.num_files == 0


@given(
    old=st.none() | st.binary(max_size=60),
    start=st.integers(0, 60),
    chunks=st.lists(st.binary(max_size=30), max_size=8),
    appends=st.booleans(),
    truncates=st.booleans(),
)
def test_any_sequential_upload(
    old: bytes | None, start: int, chunks: list[bytes], appends: bool, truncates: bool
) -> None:
    files = MemoryFileSystem()
    if old is not None:
        files.write_all("/a", old)
    before = b"" if truncates or old is None else old
    start = len(before) if appends else min(start, len(before))
    spool = CountingSpool(MIB)
    view = FileSystemView(files, spool=spool, settings=OpenFileSettings(write_buffer=20))
    file = view.open("/a", write=True, append=appends, create=True, truncate=truncates, is_sequential=True)
    content = before
    offset = start
    for chunk in chunks:
        if not file.try_write_at(offset, chunk):
            file.write_at(offset, chunk)
        content = content[:offset] + chunk + content[offset + len(chunk) :]
        offset += len(chunk)
        assert file.get_metadata().size == len(content)
        assert old is None or files.read_all("/a") == old
    file.finish()
    assert files.read_all("/a") == content
    assert spool.num_files == 0


def test_what_a_sequential_upload_cannot_do_is_refused_with_the_reason() -> None:
    files = MemoryFileSystem()
    files.write_all("/a", b"old")
    view, file = _sequential(files, CountingSpool(MIB))
    reader = view.open("/a", read=True)
    with pytest.raises(UnsupportedOperationFileSystemError, match=SENT_CANNOT):
        reader.read_at(0, 10)
    with pytest.raises(UnsupportedOperationFileSystemError, match=SENT_CANNOT):
        file.truncate(5)
    assert (reader.get_metadata().size, reader.read_at(100 * KIB, 10)) == (100 * KIB, b"")
    file.append(b"still fine")
    file.finish()
    assert reader.read_at(0, 10) == b"x" * 10, "what is published is read from the storage"
    reader.finish()
    view, file = _sequential(files, CountingSpool(MIB))
    with pytest.raises(UnsupportedOperationFileSystemError, match=SENT_CANNOT):
        file.write_at(5, b"changed")
    with pytest.raises(UnsupportedOperationFileSystemError, match=SENT_CANNOT):
        file.finish()
    assert files.read_all("/a") == b"x" * 100 * KIB + b"still fine"


@pytest.mark.parametrize("is_first", [True, False])
def test_another_writer_of_the_session_gets_a_spool(is_first: bool) -> None:
    files = MemoryFileSystem()
    spool = CountingSpool(MIB)
    view = FileSystemView(files, spool=spool, settings=SMALL)
    file = view.open("/a", write=True, create=True, truncate=True, is_sequential=is_first)
    file.append(b"first")
    other = view.open("/a", read=True, write=True, create=True, truncate=True, is_sequential=not is_first)
    other.append(b"0123456789")
    other.write_at(0, b"second")
    assert other.read_at(0, 100) == b"second6789"
    file.finish()
    other.finish()
    assert files.read_all("/a") == b"second6789"
    assert spool.num_files == 2 - is_first


def test_a_sequential_upload_follows_a_rename() -> None:
    files = MemoryFileSystem()
    view, file = _sequential(files, CountingSpool(MIB))
    view.rename("/a", "/b")
    file.append(b"end")
    file.finish()
    assert files.read_all("/b") == b"x" * 100 * KIB + b"end"
    assert not files.exists("/a")


def test_a_time_that_is_set_before_the_content_goes_with_it() -> None:
    files = CountingLayer(MemoryFileSystem())
    file = _view(files).open("/a", write=True, create=True, truncate=True)
    file.set_modified_datetime(WHEN)
    file.append(b"content")
    assert file.finish().modified_datetime == WHEN
    assert not files.calls["set_modified_datetime"]
    assert files.calls["NewFile.commit"] == 1


def test_one_byte_of_a_large_object_keeps_the_rest() -> None:
    files = Recorder(MemoryFileSystem())
    content = _pattern(8 * MIB)
    revision = files.write_all("/a", content).revision
    files.made.clear()
    file = _view(files).open("/a", write=True)
    file.write_at(5 * MIB, b"!")
    file.finish()
    assert files.made == [[("keep", 5 * MIB), ("write", 1), ("keep", 3 * MIB - 1)]]
    assert files.expected[-1] == revision and files.reads == []
    assert files.read_all("/a") == content[: 5 * MIB] + b"!" + content[5 * MIB + 1 :]


def test_appending_keeps_what_is_there() -> None:
    files = Recorder(MemoryFileSystem())
    files.write_all("/a", _pattern(MIB))
    files.made.clear()
    file = _view(files, 0).open("/a", append=True)
    for index in range(100):
        file.write_at(index, b"y" * KIB)
    file.finish()
    assert files.made[0][0] == ("keep", MIB)
    assert sum(count for name, count in files.made[0] if name == "write") == 100 * KIB
    assert files.read_all("/a") == _pattern(MIB) + b"y" * 100 * KIB


def test_a_cut_and_an_extension() -> None:
    files = MemoryFileSystem()
    files.write_all("/a", b"0123456789")
    file = _view(files).open("/a", read=True, write=True)
    file.truncate(4)
    file.truncate(6)
    file.write_at(8, b"!")
    assert file.read_at(0, 100) == b"0123\0\0\0\0!"
    file.finish()
    assert files.read_all("/a") == b"0123\0\0\0\0!"


@pytest.mark.parametrize("native", [False, True])
def test_a_file_opened_and_closed_is_left_alone(native: bool, tmp_path: Path) -> None:
    files = Recorder(make_local_file_system(tmp_path) if native else MemoryFileSystem())
    before = files.write_all("/a", b"abc")
    view = _view(files)
    view.open("/a", write=True, create=True).finish()
    assert view.open("/a", read=True, append=True).finish() == files.get_metadata("/a")
    assert files.get_metadata("/a").revision == before.revision
    view.open("/a", write=True, truncate=True).finish()
    assert files.read_all("/a") == b"" and files.get_metadata("/a").revision != before.revision
    view.open("/b", write=True, create=True).finish()
    assert files.read_all("/b") == b""


@pytest.mark.parametrize("spool_size", [0, MIB])
def test_an_edit_of_a_file_that_is_renamed_meanwhile(spool_size: int) -> None:
    files = MemoryFileSystem()
    content = _pattern(200 * KIB)
    files.write_all("/a", content)
    view = _view(files, spool_size)
    file = view.open("/a", write=True)
    file.write_at(100 * KIB, b"!")
    view.rename("/a", "/b")
    file.write_at(101 * KIB, bytes(90 * KIB))
    file.finish()
    assert (
        files.read_all("/b")
        == content[: 100 * KIB] + b"!" + content[100 * KIB + 1 : 101 * KIB] + bytes(90 * KIB) + content[191 * KIB :]
    )
    assert not files.exists("/a")


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("is_taken", [False, True])
def test_a_new_file_that_is_renamed_and_cannot_be_sent_again(exclusive: bool, is_taken: bool) -> None:
    """Without a spool it is published by the old name, unless another session has a file there by then."""
    files = MemoryFileSystem()
    view = _view(files, 0)
    content = _pattern(200 * KIB)
    file = view.open("/a", write=True, create=True, exclusive=exclusive)
    file.write_at(0, content)
    view.rename("/a", "/b")
    file.write_at(len(content), b"!")
    if is_taken:
        files.write_all("/a", b"of another session")
        with pytest.raises(UnsupportedOperationFileSystemError):
            file.finish()
        assert files.read_all("/a") == b"of another session" and not files.exists("/b")
    else:
        file.finish()
        assert files.read_all("/b") == content + b"!" and not files.exists("/a")


def test_two_writers_last_commit_wins_both_whole() -> None:
    files = MemoryFileSystem()
    one, other = (_view(files).open("/a", write=True, create=True, truncate=True) for _ in range(2))
    for index in range(50):
        one.write_at(index * KIB, b"1" * KIB)
        other.write_at(index * KIB, b"2" * KIB)
    one.finish()
    assert files.read_all("/a") == b"1" * 50 * KIB
    other.finish()
    assert files.read_all("/a") == b"2" * 50 * KIB


@pytest.mark.parametrize("native", [False, True])
def test_an_edit_never_mixes_two_versions(native: bool, tmp_path: Path) -> None:
    files: FileSystem = make_local_file_system(tmp_path) if native else MemoryFileSystem()
    files.write_all("/a", b"1" * 100)
    file = _view(files).open("/a", write=True)
    file.write_at(50, b"edit")
    files.write_all("/a", b"2" * 200)
    with pytest.raises(RevisionMismatchFileSystemError):
        file.finish()
    assert files.read_all("/a") == b"2" * 200
    again = _view(files).open("/a", write=True)
    files.write_all("/a", b"3" * 200)
    again.truncate(0)
    again.append(b"a whole new content")
    again.finish()
    assert files.read_all("/a") == b"a whole new content", "a rewrite of everything mixes nothing"


def test_exclusive_is_refused_at_the_end_too() -> None:
    files = MemoryFileSystem()
    file = _view(files).open("/a", write=True, create=True, exclusive=True)
    file.append(b"mine")
    files.write_all("/a", b"theirs")
    with pytest.raises(AlreadyExistsFileSystemError):
        file.finish()
    assert files.read_all("/a") == b"theirs"


@pytest.mark.parametrize("native", [False, True])
def test_publish_goes_on(native: bool, tmp_path: Path) -> None:
    files: FileSystem = make_local_file_system(tmp_path) if native else MemoryFileSystem()
    file = _view(files).open("/a", read=True, write=True, create=True)
    for index in range(5):
        file.append(b"%d" % index)
        assert file.publish().size == index + 1
        assert files.read_all("/a") == b"01234"[: index + 1]
    file.write_at(0, b"not published")
    assert file.read_at(0, 100) == b"not published"
    file.discard()
    assert files.read_all("/a") == b"01234"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("offset", [(1 << 63) - 2, 1 << 63, (1 << 64) - 1, 1 << 80, -1])
def test_absurd_offsets_are_clear_errors(native: bool, offset: int, tmp_path: Path) -> None:
    files: FileSystem = make_local_file_system(tmp_path) if native else MemoryFileSystem()
    view = _view(files)
    file = view.open("/a", read=True, write=True, create=True)
    if offset >= 0:
        assert file.read_at(offset, 10) == b""
    else:
        with pytest.raises(FileSystemError):
            file.read_at(offset, 10)
    with pytest.raises(InsufficientSpaceFileSystemError):
        file.truncate(offset)
    with pytest.raises(InsufficientSpaceFileSystemError):
        if not file.try_write_at(offset, b"abc"):
            file.write_at(offset, b"abc")
        file.finish()
    file.discard()
    assert not files.exists("/a")


def test_a_hole_is_bounded_where_zeros_must_be_sent() -> None:
    view = FileSystemView(MemoryFileSystem(), settings=OpenFileSettings(max_hole=MIB))
    file = view.open("/a", write=True, create=True)
    file.truncate(MIB)
    with pytest.raises(InsufficientSpaceFileSystemError):
        file.truncate(2 * MIB + 1)
    file.append(b"x")
    assert file.finish().size == MIB + 1


def test_one_handle_may_not_do_what_it_was_not_opened_for() -> None:
    files = MemoryFileSystem()
    files.write_all("/a", b"abc")
    view = _view(files)
    reader, writer = view.open("/a", read=True), view.open("/a", write=True)
    forbidden: list[Callable[[], object]] = [
        lambda: reader.write_at(0, b"x"),
        lambda: reader.append(b"x"),
        lambda: reader.truncate(0),
        lambda: writer.read_at(0, 1),
        lambda: writer.try_read_at(0, 1),
    ]
    for call in forbidden:
        with pytest.raises(PermissionDeniedFileSystemError):
            call()
    assert not reader.try_write_at(0, b"x")
    reader.finish()
    writer.finish()
    assert files.read_all("/a") == b"abc"


def test_a_closed_handle_is_closed() -> None:
    files = MemoryFileSystem()
    view = _view(files)
    for end in ("finish", "discard"):
        file = view.open("/a", read=True, write=True, create=True)
        getattr(file, end)()
        calls: list[Callable[[], object]] = [
            lambda file=file: file.read_at(0, 1),  # type: ignore[misc]
            lambda file=file: file.write_at(0, b"x"),  # type: ignore[misc]
            lambda file=file: file.truncate(0),  # type: ignore[misc]
            lambda file=file: file.publish(),  # type: ignore[misc]
            lambda file=file: file.set_modified_datetime(WHEN),  # type: ignore[misc]
        ]
        for call in calls:
            with pytest.raises(AccessFailedFileSystemError, match="closed"):
                call()
        assert not file.try_write_at(0, b"x")
        file.discard()
        assert file.path == "/a"
    assert files.read_all("/a") == b""
    with pytest.raises(AccessFailedFileSystemError):
        file.finish()


# Times


@pytest.mark.parametrize("native", [False, True])
def test_the_time_is_set_with_the_commit(native: bool, tmp_path: Path) -> None:
    files: FileSystem = make_local_file_system(tmp_path) if native else MemoryFileSystem()
    view = _view(files)
    file = view.open("/a", write=True, create=True)
    file.append(b"abc")
    file.set_modified_datetime(WHEN)
    file.append(b"def")
    metadata = file.finish()
    assert files.get_metadata("/a") == metadata and metadata.modified_datetime == WHEN
    later = datetime(2002, 1, 1, tzinfo=UTC)
    file = view.open("/a", write=True)
    file.set_modified_datetime(later)
    file.finish()
    assert files.get_metadata("/a").modified_datetime == later
    file = view.open("/a", read=True)
    file.set_modified_datetime(WHEN)
    assert files.get_metadata("/a").modified_datetime == WHEN
    file.finish()


@pytest.mark.expects_warnings
@pytest.mark.parametrize("error", [UnsupportedOperationFileSystemError, outage])
def test_a_time_that_cannot_be_set_does_not_fail_the_transfer(error: Any) -> None:
    files = FaultyLayer(MemoryFileSystem(), [Fault("set_modified_datetime", error=error)])
    file = _view(files).open("/a", write=True, create=True)
    file.append(b"abc")
    file.set_modified_datetime(WHEN)
    assert file.finish().size == 3
    assert len(files.raised) == 1


@pytest.mark.parametrize("error", [UnsupportedOperationFileSystemError, PermissionDeniedFileSystemError, outage])
def test_a_time_that_is_all_there_is_to_set_must_be_set(error: Any) -> None:
    inner = MemoryFileSystem()
    inner.write_all("/a", b"abc")
    view = _view(FaultyLayer(inner, [Fault("set_modified_datetime", error=error)]))
    file = view.open("/a", write=True)
    file.set_modified_datetime(WHEN)
    with pytest.raises(type(error("/a"))):
        file.finish()
    assert inner.read_all("/a") == b"abc"


# Errors


STEPS = [
    Fault("create_new_file"),
    Fault("NewFile.write"),
    Fault("NewFile.write", on=3),
    Fault("NewFile.write", after=1000),
    Fault("NewFile.keep"),
    Fault("NewFile.keep", on=2),
    Fault("NewFile.commit"),
    Fault("get_metadata"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.call}-{step.on}-{step.after}")
@pytest.mark.parametrize("spool_size", [0, MIB])
def test_a_failure_anywhere_publishes_nothing(step: Fault, spool_size: int) -> None:
    inner = MemoryFileSystem()
    inner.write_all("/a", b"0123456789" * 1000)
    files = FaultyLayer(inner, [step])
    spool = Spool(None, spool_size)
    view = FileSystemView(files, spool=spool, settings=SMALL)
    with pytest.raises(AccessFailedFileSystemError):
        file = view.open("/a", write=True)
        for offset in (100, 3000, 7000):
            file.write_at(offset, b"x" * 700)
        file.finish()
    view.close()
    assert files.raised == [step]
    assert inner.read_all("/a") == b"0123456789" * 1000
    assert inner.get_space().free == MIB * KIB - 10000 and spool.used_bytes == 0
    file = view.open("/a", write=True)
    file.discard()


def test_a_commit_whose_answer_is_lost_is_an_error() -> None:
    inner = MemoryFileSystem()
    view = _view(FaultyLayer(inner, [Fault("NewFile.commit", takes_effect=True)]))
    file = view.open("/a", write=True, create=True)
    file.append(b"abc")
    with pytest.raises(AccessFailedFileSystemError):
        file.finish()
    assert inner.read_all("/a") == b"abc", "whole, or not at all"


def test_a_full_storage_in_the_middle() -> None:
    files = MemoryFileSystem(max_size=100 * KIB)
    files.write_all("/a", b"old")
    view = _view(files)
    file = view.open("/a", write=True, truncate=True)
    with pytest.raises(InsufficientSpaceFileSystemError):
        for _ in range(200):
            file.append(bytes(KIB))
    assert files.get_space().free == 100 * KIB - 3, "its space is free before the client closes it"
    with pytest.raises(InsufficientSpaceFileSystemError):
        file.finish()
    assert files.read_all("/a") == view.read_all("/a") == b"old"
    again = view.open("/a", write=True, truncate=True)
    again.append(b"new")
    again.finish()
    assert files.read_all("/a") == b"new"


def test_another_writer_lost_means_nothing_of_it_is_published() -> None:
    files = MemoryFileSystem()
    view = _view(files)
    one, other = (view.open("/a", write=True, create=True) for _ in range(2))
    one.append(b"half a fil")
    one.discard()
    with pytest.raises(AccessFailedFileSystemError):
        other.finish()
    assert not files.exists("/a")


# Threads


def test_neither_metadata_nor_small_reads_and_writes_wait_for_the_storage() -> None:
    hold = threading.Event()
    inner = MemoryFileSystem()
    inner.write_all("/other", b"")
    files = FaultyLayer(inner)
    view = _view(files, settings=OpenFileSettings(write_buffer=KIB))
    file = view.open("/a", read=True, write=True, create=True)
    files.plan(Fault("NewFile.write", error=None, hold=hold))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(file.write_at, 0, b"x" * KIB)
        try:
            wait_until(lambda: files.raised)
            assert file.try_write_at(KIB, b"y" * 100)
            assert not file.try_write_at(KIB, b"y" * KIB), "the buffer is bounded"
            assert file.get_metadata().size == view.get_size("/a") == KIB + 100
            assert {entry.path for entry in view.list_dir("/")} == {"/other", "/a"}
            assert file.try_read_at(0, 10) is None
            assert not writing.done()
        finally:
            hold.set()
        writing.result()
    file.finish()
    assert inner.read_all("/a") == b"x" * KIB + b"y" * 100


@pytest.mark.parametrize("end", ["discard", "close"])
def test_a_lost_client_does_not_wait_for_a_write_under_way(end: str) -> None:
    hold = threading.Event()
    inner = MemoryFileSystem()
    files = FaultyLayer(inner)
    spool = Spool(None, MIB)
    view = FileSystemView(files, spool=spool)
    file = view.open("/a", write=True, create=True)
    files.plan(Fault("NewFile.write", error=None, hold=hold))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(file.write_at, 0, b"x" * MIB)
        try:
            wait_until(lambda: files.raised)
            file.discard() if end == "discard" else view.close()
            assert not writing.done()
        finally:
            hold.set()
        writing.exception()
    assert spool.used_bytes == 0 and inner.get_space().free == MIB * KIB
    assert not inner.exists("/a")


@pytest.mark.parametrize("native", [False, True])
def test_many_threads_write_and_read_one_handle(native: bool, tmp_path: Path) -> None:
    files: FileSystem = make_local_file_system(tmp_path) if native else MemoryFileSystem()
    file = _view(files, settings=OpenFileSettings(write_buffer=8 * KIB)).open("/a", read=True, write=True, create=True)
    content = _pattern(512 * KIB)

    def work(start: int) -> None:
        for offset in range(start * KIB, len(content), 8 * KIB):
            data = content[offset : offset + KIB]
            if not file.try_write_at(offset, data):
                file.write_at(offset, data)
            assert file.read_at(offset, KIB) == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    file.finish()
    assert files.read_all("/a") == content


# What is left behind, and what is told


def test_nothing_is_left_open(tmp_path: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    for files in (make_local_file_system(tmp_path), MemoryFileSystem()):
        files.write_all("/a", b"abc")
        spool = Spool(tmp_path / "spool", MIB)
        view = FileSystemView(files, spool=spool, settings=SMALL)
        before = count()
        for end in ("finish", "discard", "close"):
            opened: list[OpenFile] = []
            for path in ("/a", "/b"):
                file = view.open(path, read=True, write=True, create=True)
                file.write_at(1, b"xyz")
                assert file.read_at(1, 3) == b"xyz"
                opened += [file, view.open(path, read=True)]
            for file in opened:
                view.close() if end == "close" else getattr(file, end)()
            assert count() <= before and spool.used_bytes == 0
            view = FileSystemView(files, spool=spool, settings=SMALL)


def test_one_line_a_transfer(caplog: pytest.LogCaptureFixture) -> None:
    files = MemoryFileSystem()
    view = FileSystemView(files, user_name="alice", session_id="7", manager="sftp", address="192.0.2.1")
    with caplog.at_level(logging.INFO, "cloudalpha.transfer"):
        file = view.open("/a", write=True, create=True)
        file.append(b"abc")
        file.try_write_at(3, b"de")
        file.finish()
        file.discard()
        file = view.open("/a", read=True)
        file.read_at(0, 4)
        file.finish()
        view.open("/a", read=True, write=True).finish()
        view.open("/b", write=True, create=True).discard("the client hung up")
        files.make_dir("/c")
        file = view.open("/d", write=True, create=True)
        files.make_dir("/d")
        with pytest.raises(FileSystemError) as caught:
            file.finish()
    fields = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    told = [(r.getMessage(), f["path"], f["bytes"], f["result"]) for r, f in zip(caplog.records, fields, strict=True)]
    assert told == [
        ("upload", "/a", 5, "ok"),
        ("download", "/a", 4, "ok"),
        ("upload", "/b", 0, "discarded"),
        ("upload", "/d", 0, caught.value.message),
    ]
    assert {(f["user"], f["session"], f["manager"], f["address"]) for f in fields} == {
        ("alice", "7", "sftp", "192.0.2.1")
    }
    assert fields[2]["reason"] == "the client hung up"
    assert all(f["seconds"] >= 0 for f in fields)


def test_an_upload_costs_three_requests() -> None:
    files = CountingLayer(MemoryFileSystem())
    file = _view(files, settings=OpenFileSettings()).open("/a", write=True, create=True, truncate=True)
    file.append(b"abc")
    file.finish()
    calls = {name: count for name, count in files.calls.items() if not name.endswith(("native_file", "discard"))}
    assert calls == {"create_new_file": 1, "NewFile.write": 1, "NewFile.commit": 1}
