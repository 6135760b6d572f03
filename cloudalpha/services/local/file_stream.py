"""FileStream: the content of one version of a file, in chunks."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cloudalpha.exceptions import RevisionMismatchFileSystemError
from cloudalpha.services.local.errors import translate
from cloudalpha.services.local.revisions import Revisions

CHUNK_SIZE = 256 * 1024


class FileStream(Iterator[bytes]):
    """Reads from a descriptor that it owns.

    A file that is replaced or deleted meanwhile is read to its end as it was; one that somebody writes into in place cannot be:
    RevisionMismatchFileSystemError.

    revision: what the file had when the stream began.
    """

    def __init__(self, path: str, fd: int, status: os.stat_result, revisions: Revisions) -> None:
        self.revision = revisions.get(status)
        self._path = path
        self._fd: int | None = fd
        self._status = status
        self._revisions = revisions
        self._position = 0
        self._end = status.st_size

    def seek(self, start_byte: int, num_bytes: int | None) -> None:
        """Choose the range: all that follows start_byte, or num_bytes of it."""
        self._position = start_byte
        self._end = self._status.st_size
        if num_bytes is not None:
            self._end = min(self._end, start_byte + num_bytes)

    def __next__(self) -> bytes:
        if self._fd is None:
            raise StopIteration
        if self._position >= self._end:
            self.close()
            raise StopIteration
        try:
            data = os.pread(self._fd, min(CHUNK_SIZE, self._end - self._position), self._position)
            is_same = bool(data) and self._is_same(os.fstat(self._fd))
        except OSError as error:
            self.close()
            raise translate(error, self._path) from error
        if not is_same:
            self.close()
            raise RevisionMismatchFileSystemError(self._path)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Release the file. Harmless when repeated."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def _is_same(self, status: os.stat_result) -> bool:
        # A rename or deletion changes ctime, and leaves this file's content as it is.
        same = (status.st_size, status.st_mtime_ns) == (self._status.st_size, self._status.st_mtime_ns)
        return same or self._revisions.get(status) == self.revision
