"""RangeSource: what a service supplies of reading, and the stream over one range of it that survives broken connections."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import Expected, close_stream
from cloudalpha.toolkit.retry import Retry

PROGRESS_BYTES = 64 << 10
"""A connection that brought so much was of use: attempts are counted anew."""


@dataclass(frozen=True, slots=True)
class RangeResponse:
    """An answer to a request for a range.

    size: of the whole file. revision: its version; None where the service has none. chunks: the bytes; closed if they have a `close`.
    """

    size: int
    revision: str | None
    chunks: Iterator[bytes]


class RangeSource(ABC):
    """Reads ranges of one file, for several threads at once."""

    @abstractmethod
    def open(self, start_byte: int, num_bytes: int | None, expected: Expected) -> RangeResponse:
        """Ask for a range, once: fewer bytes where the file ends, none beyond or when num_bytes is 0. The chunks may fail in the middle.

        Raises NotFound-, IsADirectoryFileSystemError; RevisionMismatch- when the file is not of the expected version.
        """


class FileVersion:
    """The version that all ranges of one reader have to be of: the first one that was met. Safe for threads.

    size: of the whole file; None until the first answer.
    """

    def __init__(self, path: str, source: RangeSource, expected: Expected, retry: Retry) -> None:
        self.path = path
        self.size: int | None = None
        self._source = source
        self._expected = expected
        self._retry = retry
        self._lock = threading.Lock()

    def stream(self, start: int, end: int | None, stop: threading.Event) -> Iterator[bytes]:
        """The bytes of a range, in chunks as they come; when the connection breaks, it goes on from the byte reached.

        end: None for the end of the file. stop: ends the pauses between attempts.
        """
        attempts = self._retry.begin(stop)
        position = counted_from = start
        while True:
            response = None
            try:
                wanted = None if end is None else end - position
                response = self._source.open(position, wanted, self._expected)
                size = self._check(response)
                end = size if end is None else min(end, size)
                for chunk in response.chunks:
                    piece = chunk[: max(0, end - position)]
                    if piece:
                        position += len(piece)
                        yield piece
                if position >= end:
                    return
                raise AccessFailedFileSystemError(self.path, "the content was cut off", temporary=True)
            except FileSystemError as error:
                if position - counted_from >= PROGRESS_BYTES:
                    attempts.reset()
                    counted_from = position
                if self.size is not None and isinstance(error, NotFoundFileSystemError):
                    raise RevisionMismatchFileSystemError(self.path) from error
                attempts.wait_after(error)
            finally:
                if response is not None:
                    close_stream(response.chunks)

    def _check(self, response: RangeResponse) -> int:
        with self._lock:
            if self.size is None:
                self.size = response.size
                if response.revision is not None:
                    self._expected = response.revision
            is_same = response.revision in (None, self._expected) and response.size == self.size
        if not is_same:
            raise RevisionMismatchFileSystemError(self.path)
        return response.size
