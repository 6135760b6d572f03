"""PublishedFile: one version of what a path holds, read at any offset."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    IsADirectoryFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, close_stream
from cloudalpha.native_io import CachedReader, native_errors, read_range
from cloudalpha.open_file_settings import OpenFileSettings


class PublishedFile:
    """Reads a published file, for any number of threads.

    Where the FileSystem gives a descriptor, everything is read from that. Otherwise reading forward keeps one stream, with a bounded buffer
    around the place where it is, so that requests slightly out of order are served from it; a jump asks for a bounded range, and becomes the
    stream when reading goes on from there.

    All bytes are of the version that metadata tells of; when that is gone, reading raises RevisionMismatchFileSystemError.
    """

    def __init__(self, file_system: FileSystem, metadata: FileMetadata, settings: OpenFileSettings) -> None:
        if metadata.is_dir:
            raise IsADirectoryFileSystemError(metadata.path)
        self.path = metadata.path
        self.metadata = metadata
        self._file_system = file_system
        self._settings = settings
        self._source: _NativeSource | _StreamSource | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def expected(self) -> Expected:
        """What a write that builds upon this version expects."""
        return self.metadata.revision or ANYTHING

    def open(self) -> _NativeSource | _StreamSource:
        """Find out how to read; done on first use otherwise. Raises what the FileSystem says of reading the path. Blocks."""
        source = self._source
        if source is None:
            source = self._choose_source()
            with self._lock:
                if self._source is None and not self._is_closed:
                    self._source = source
                    return source
            source.close()
            source = self._source
            if source is None:
                raise AccessFailedFileSystemError(self.path, "the file is closed")
        return source

    def _choose_source(self) -> _NativeSource | _StreamSource:
        native_file = self._file_system.get_native_file(self.path)
        if native_file is not None:
            return _NativeSource(native_file, self.path)
        return _StreamSource(self._file_system, self, self._settings)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        return self.open().read_at(offset, num_bytes)

    def try_read_at(self, offset: int, num_bytes: int) -> bytes | None:
        return self._source.try_read_at(offset, num_bytes) if self._source is not None else None

    def get_metadata(self) -> FileMetadata:
        metadata = self.metadata if self.metadata.path == self.path else self.metadata.at(self.path)
        source = self._source
        size = source.get_size() if source is not None else None
        return metadata if size is None else metadata._replace(size=size)

    def get_native_file(self) -> BinaryIO | None:
        source = self.open()
        return source.native_file if isinstance(source, _NativeSource) else None

    def close(self) -> None:
        """Release what reading holds. Does not wait for a read that is under way. Harmless when repeated."""
        with self._lock:
            self._is_closed = True
            source, self._source = self._source, None
        if source is not None:
            source.close()


class _NativeSource:
    """Reads a descriptor. It stays open until the last reader has left."""

    def __init__(self, native_file: BinaryIO, path: str) -> None:
        self.native_file = native_file
        self._path = path
        self._fd = native_file.fileno()
        self._cached_reader = CachedReader(self._fd)
        self._cached_lock = threading.Lock()
        self._lock = threading.Lock()
        self._num_readers = 0
        self._is_closed = False

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        self._enter()
        try:
            with native_errors(self._path):
                return read_range(self._fd, offset, num_bytes)
        finally:
            self._leave()

    def try_read_at(self, offset: int, num_bytes: int) -> bytes | None:
        if not self._cached_lock.acquire(blocking=False):
            return None
        try:
            self._enter()
            try:
                with native_errors(self._path):
                    return self._cached_reader.try_read(offset, num_bytes)
            finally:
                self._leave()
        finally:
            self._cached_lock.release()

    def get_size(self) -> int | None:
        with self._lock:
            return None if self._is_closed else os.fstat(self._fd).st_size

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._num_readers:
                return
        self.native_file.close()

    def _enter(self) -> None:
        with self._lock:
            if self._is_closed:
                raise AccessFailedFileSystemError(self._path, "the file is closed")
            self._num_readers += 1

    def _leave(self) -> None:
        with self._lock:
            self._num_readers -= 1
            if self._num_readers or not self._is_closed:
                return
        self.native_file.close()


class _Segment:
    """An unbroken part of the content in memory, in chunks, and the stream that continues it, if there is one."""

    def __init__(self, start: int, stream: Iterator[bytes] | None = None) -> None:
        self.start = self.end = start
        self.stream = stream
        self._chunks: list[bytes] = []
        self._offsets: list[int] = []

    def append(self, chunk: bytes) -> None:
        self._offsets.append(self.end)
        self._chunks.append(chunk if type(chunk) is bytes else bytes(chunk))
        self.end += len(chunk)

    def get(self, offset: int, end: int) -> bytes | None:
        """[offset, end), when all of it is here."""
        if offset < self.start or end > self.end:
            return None
        first = bisect_right(self._offsets, offset) - 1
        begin = offset - self._offsets[first]
        data = self._chunks[first][begin : begin + end - offset]
        if len(data) == end - offset:
            return data
        parts = [data]
        missing = end - offset - len(data)
        while missing:
            first += 1
            parts.append(self._chunks[first][:missing])
            missing -= len(parts[-1])
        return b"".join(parts)

    def trim(self, num_bytes: int, needed: int) -> None:
        """Forget the oldest chunks while more than num_bytes remain, but nothing from `needed` on."""
        count = 0
        while count < len(self._chunks) - 1 and self._offsets[count + 1] <= min(needed, self.end - num_bytes):
            count += 1
        if count:
            self.start = self._offsets[count]
            del self._chunks[:count], self._offsets[:count]


class _StreamSource:
    """Reads by the FileSystem's streams. `_lock` guards the buffers and is held shortly; `_io_lock` is held over calls of the FileSystem,
    because a stream belongs to one thread at a time."""

    def __init__(self, file_system: FileSystem, file: PublishedFile, settings: OpenFileSettings) -> None:
        self._file_system = file_system
        self._file = file
        self._settings = settings
        self._size = file.metadata.size
        self._lock = threading.Lock()
        self._io_lock = threading.Lock()
        self._stream = _Segment(0)
        self._jump = _Segment(0)
        self._is_closed = False

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        end = min(offset + num_bytes, self._size)
        if offset >= end:
            return b""
        data = self._find(offset, end)
        if data is None:
            with self._io_lock:
                if self._is_closed:
                    raise AccessFailedFileSystemError(self._file.path, "the file is closed")
                data = self._find(offset, end)
                if data is None:
                    data = self._fetch(offset, end)
            if self._is_closed:
                self.close()
        return data

    def try_read_at(self, offset: int, num_bytes: int) -> bytes | None:
        end = min(offset + num_bytes, self._size)
        return self._find(offset, end) if offset < end else b""

    def get_size(self) -> int | None:
        return self._size

    def close(self) -> None:
        self._is_closed = True
        if self._io_lock.acquire(blocking=False):  # else the reader under way does it
            try:
                self._drop_stream()
            finally:
                self._io_lock.release()

    def _find(self, offset: int, end: int) -> bytes | None:
        with self._lock:
            data = self._stream.get(offset, end)
            return data if data is not None else self._jump.get(offset, end)

    def _fetch(self, offset: int, end: int) -> bytes:
        near = self._settings.read_ahead
        if self._stream.stream is not None and self._stream.start <= offset <= self._stream.end + near:
            return self._pull(offset, end)
        if self._jump.end > self._jump.start and self._jump.start <= offset <= self._jump.end + near // 4:
            return self._go_on_from(self._jump, offset, end)
        if offset == 0:
            return self._go_on_from(_Segment(0), offset, end)
        return self._read_range(offset, end)

    def _go_on_from(self, segment: _Segment, offset: int, end: int) -> bytes:
        self._drop_stream()
        segment.stream = self._file_system.read(self._file.path, segment.end, None, self._file.expected)
        with self._lock:
            self._stream, self._jump = segment, _Segment(0)
        return self._pull(offset, end)

    def _pull(self, offset: int, end: int) -> bytes:
        segment = self._stream
        try:
            while segment.end < end:
                chunk = next(segment.stream or iter(()), None)
                if chunk is None:
                    raise self._ended_early()
                with self._lock:
                    segment.append(chunk)
                    segment.trim(self._settings.read_ahead, offset)
        except BaseException:
            self._drop_stream()
            raise
        if segment.end >= self._size and segment.stream is not None:
            close_stream(segment.stream)
            segment.stream = None
        data = self._find(offset, end)
        if data is None:
            raise AssertionError("what was just read is in the buffer")
        return data

    def _read_range(self, offset: int, end: int) -> bytes:
        wanted = max(end, min(offset + self._settings.jump, self._size)) - offset
        segment = _Segment(offset)
        for chunk in self._file_system.read(self._file.path, offset, wanted, self._file.expected):
            segment.append(chunk)
        data = segment.get(offset, end)
        if data is None:
            raise self._ended_early()
        with self._lock:
            self._jump = segment
        return data

    def _drop_stream(self) -> None:
        with self._lock:
            segment, self._stream = self._stream, _Segment(0)
        if segment.stream is not None:
            close_stream(segment.stream)

    def _ended_early(self) -> Exception:
        if self._file.metadata.revision is None:
            return RevisionMismatchFileSystemError(self._file.path, "the file became shorter meanwhile")
        return AccessFailedFileSystemError(self._file.path, "the storage sent less than the whole file", temporary=True)
