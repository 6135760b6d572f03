"""StreamedContent: a Draft's content on its way to a storage that has no descriptors."""

from __future__ import annotations

from collections.abc import Iterator

from cloudalpha.exceptions import (
    FileSystemError,
    InsufficientSpaceFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_system import NewFile
from cloudalpha.native_io import COPY_BYTES, native_errors
from cloudalpha.open_file_content import Begin, DraftContent, Window
from cloudalpha.open_file_reader import PublishedFile
from cloudalpha.open_file_settings import OpenFileSettings
from cloudalpha.spool import Spool, SpoolFile


class StreamedContent(DraftContent):
    """Sends what is written in order at once, and keeps a copy of everything in the spool.

    With the copy, a write behind what was sent is possible: the stream is given up, and all is sent at the end. When the spool takes no more,
    the copy is given back, and from then on the content is *forward only*: a bounded window of pieces waits in memory for what comes
    before it, and whoever wants to change or read what was sent is refused.

    is_sequential: its one writer goes from the beginning to the end, so that the content is forward only from the start, without any copy, and
    nothing needs to wait for what comes before it.
    """

    def __init__(
        self,
        path: str,
        new_file: NewFile,
        begin: Begin,
        base: PublishedFile | None,
        kept: int,
        spool: Spool,
        settings: OpenFileSettings,
        is_sequential: bool = False,
    ) -> None:
        self.size = kept
        self._path = path
        self._new_file: NewFile | None = new_file
        self._begin = begin
        self._base = base
        self._kept = kept
        self._spool = spool
        self._settings = settings
        self._sent = 0
        self._sent_written = 0  # how much of `_sent` was written, not kept
        self._window = Window()
        self._is_sequential = is_sequential
        self._spool_file: SpoolFile | None = None
        if not is_sequential:
            with native_errors(path):
                self._spool_file = spool.create_file()

    def write(self, offset: int, pieces: list[bytes]) -> None:
        num_bytes = sum(map(len, pieces))
        if offset - self.size > self._settings.max_hole:
            raise InsufficientSpaceFileSystemError(self._path, "too far behind the end of the file for this storage")
        if self._spool_file is not None and not self._write_to_spool(self._spool_file, offset, pieces, num_bytes):
            self._go_forward_only(self._spool_file)
        if self._spool_file is None:
            self._write_forward(offset, b"".join(pieces) if len(pieces) > 1 else pieces[0])
        self.size = max(self.size, offset + num_bytes)

    def truncate(self, size: int) -> None:
        if size - self.size > self._settings.max_hole:
            raise InsufficientSpaceFileSystemError(self._path, "too far behind the end of the file for this storage")
        if size < self.size:
            if self._spool_file is not None:
                with native_errors(self._path):
                    self._spool_file.cut(size)
                if size < self._sent:
                    self._give_up_stream()
            elif size < self._sent:
                raise self._refuse("cut")
            self._window.cut(size)
            self._kept = min(self._kept, size)
        self.size = size

    def read(self, offset: int, num_bytes: int) -> bytes:
        end = min(offset + num_bytes, self.size)
        if offset >= end:
            return b""
        if self._spool_file is None and offset < self._sent:
            raise self._refuse("read")
        return b"".join(self._read_parts(offset, end))

    def prepare(self) -> NewFile:
        new_file = self._get_new_file()
        self._send_until(self.size)
        return new_file

    def can_send_again(self) -> bool:
        return self._spool_file is not None or not self._sent

    def leave_path(self) -> None:
        if self.can_send_again():
            self._give_up_stream()

    def send_again(self, begin: Begin) -> NewFile:
        self._give_up_stream()
        self._begin = begin
        return self.prepare()

    def discard(self) -> None:
        self._give_up_stream()
        self._window = Window()
        if self._spool_file is not None:
            self._spool_file.close()

    # While all is in the spool

    def _write_to_spool(self, spool_file: SpoolFile, offset: int, pieces: list[bytes], num_bytes: int) -> bool:
        with native_errors(self._path):
            if not spool_file.write(offset, pieces, num_bytes):
                return False
        if self._new_file is None:
            return True
        if offset < self._sent:
            self._give_up_stream()
            return True
        if offset == self._sent:
            self._send(b"".join(pieces) if len(pieces) > 1 else pieces[0])
        self._send_until(spool_file.ranges.get_end(self._sent))
        while spool_file.ranges.num_bytes - self._sent_written > self._settings.write_window:
            next_start = spool_file.ranges.get_next(self._sent)
            if (
                next_start is None or next_start > self._kept
            ):  # zeros may still be written over; what is kept, hardly any more
                break
            self._send_until(spool_file.ranges.get_end(next_start))
        return True

    def _give_up_stream(self) -> None:
        if self._new_file is not None:
            self._new_file.discard()
        self._new_file = None
        self._sent = self._sent_written = 0

    # Forward only

    def _go_forward_only(self, spool_file: SpoolFile) -> None:
        """The spool takes no more: send what cannot wait in memory."""
        self._get_new_file()
        ranges = spool_file.ranges
        end = ranges.get_end(self._sent)
        excess = ranges.num_bytes - self._sent_written - self._settings.write_window
        for start, part_end, is_written in ranges.split(self._sent, self.size):
            if excess <= 0:
                break
            if is_written:
                end = max(end, part_end)
                excess -= part_end - start
        self._send_until(end)
        for start, part_end, is_written in ranges.split(self._sent, self.size):
            if is_written:
                for data in self._read_spool(spool_file, start, part_end):
                    self._window.put(start, data)
                    start += len(data)
        spool_file.close()
        self._spool_file = None

    def _write_forward(self, offset: int, data: bytes) -> None:
        if offset < self._sent:
            raise self._refuse("rewritten")
        self._window.put(offset, data)
        while (start := self._window.get_start()) is not None:
            if start > self._sent:
                if self._window.cost <= self._settings.write_window and not self._is_sequential:
                    return
                self._send_gap(start)
            self._send(self._window.pop())

    def _refuse(self, what: str) -> FileSystemError:
        if self._is_sequential:
            return UnsupportedOperationFileSystemError(
                self._path,
                f"what was sent to the storage cannot be {what} before the file is closed: an upload from start to end keeps no copy",
            )
        if not self._spool.max_bytes:
            return UnsupportedOperationFileSystemError(
                self._path,
                f"what was sent to the storage cannot be {what} before the file is closed: there is no spool",
            )
        return InsufficientSpaceFileSystemError(
            self._path, f"what was sent to the storage cannot be {what} before the file is closed: the spool is full"
        )

    # Sending

    def _get_new_file(self) -> NewFile:
        if self._new_file is None:
            self._new_file = self._begin()
        return self._new_file

    def _send(self, data: bytes) -> None:
        self._get_new_file().write(data)
        self._sent += len(data)
        self._sent_written += len(data)

    def _send_gap(self, end: int) -> None:
        """Send what was never written: kept bytes, then zeros."""
        new_file = self._get_new_file()
        kept_end = min(end, self._kept)
        if self._sent < kept_end:
            new_file.keep(self._sent, kept_end - self._sent)
            self._sent = kept_end
        while self._sent < end:
            count = min(COPY_BYTES, end - self._sent)
            new_file.write(bytes(count))
            self._sent += count

    def _send_until(self, end: int) -> None:
        """Send what is in the spool, or waits in the window, up to `end`."""
        if self._spool_file is None:
            while (start := self._window.get_start()) is not None and start < end:
                self._send_gap(start)
                self._send(self._window.pop())
        elif self._sent < end:
            for start, part_end, is_written in list(self._spool_file.ranges.split(self._sent, end)):
                if is_written:
                    for data in self._read_spool(self._spool_file, start, part_end):
                        self._send(data)
                else:
                    self._send_gap(part_end)
        self._send_gap(end)

    def _read_spool(self, spool_file: SpoolFile, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            with native_errors(self._path):
                data = spool_file.read(start, min(COPY_BYTES, end - start))
            yield data
            start += len(data)

    def _read_parts(self, start: int, end: int) -> Iterator[bytes]:
        if self._spool_file is not None:
            for part_start, part_end, is_written in self._spool_file.ranges.split(start, end):
                if is_written:
                    yield from self._read_spool(self._spool_file, part_start, part_end)
                else:
                    yield from self._read_gap(part_start, part_end)
            return
        for part_start, part_end, data in self._window.split(start, end):
            if data is not None:
                yield data
            else:
                yield from self._read_gap(part_start, part_end)

    def _read_gap(self, start: int, end: int) -> Iterator[bytes]:
        kept_end = min(end, self._kept)
        if self._base is not None and start < kept_end:
            data = self._base.read_at(start, kept_end - start)
            if len(data) < kept_end - start:
                raise RevisionMismatchFileSystemError(self._path)
            yield data
            start = kept_end
        yield bytes(end - start)
