"""OpenFile: reading and writing one file at any offset; what `FileSystemView.open` returns."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cloudalpha.exceptions import AccessFailedFileSystemError, FileSystemError, PermissionDeniedFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import FileSystem
from cloudalpha.logs import log_event
from cloudalpha.open_file_draft import Draft
from cloudalpha.open_file_reader import PublishedFile
from cloudalpha.open_file_settings import OpenFileSettings

__all__ = ["OpenFile", "OpenFileSettings", "Transfer"]

_logger = logging.getLogger("cloudalpha.transfer")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Who transfers, for the log."""

    user_name: str = ""
    manager: str = ""
    address: str = ""
    session_id: str = ""


class OpenFile:
    """One open file of a session. Its methods are safe for threads.

    A handle ends in one of two ways: `finish`, when the client said that it is done, publishes what was written; `discard`, when the client
    was lost or broke off, publishes nothing. Each writes one line a transfer to the log `cloudalpha.transfer`.

    Every method raises FileSystemError; after the end, all but `finish`, `discard` and `get_metadata` raise AccessFailedFileSystemError.
    """

    def __init__(
        self,
        file_system: FileSystem,
        content: PublishedFile | Draft,
        can_read: bool,
        can_write: bool,
        is_append: bool,
        transfer: Transfer,
        release: Callable[[OpenFile, bool], None],
    ) -> None:
        self.can_read = can_read
        self.can_write = can_write
        self._file_system = file_system
        self._content = content
        self._draft = content if isinstance(content, Draft) and can_write else None
        self._is_append = is_append
        self._transfer = transfer
        self._release = release
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._num_read = 0
        self._num_written = 0
        self._is_open = True
        self._result: FileMetadata | None = None
        self._error: FileSystemError | None = None

    @property
    def path(self) -> str:
        """Where the file is for the session; follows the session's renames."""
        return self._content.path

    @property
    def content(self) -> PublishedFile | Draft:
        """What the handle reads and writes; for the view."""
        return self._content

    # Reading

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """A range of the content; shorter only at the end, b"" at or behind it. Blocks.

        All of it is of one version, but for what the session itself writes to the path meanwhile.
        """
        content = self._get_readable(offset, num_bytes)
        data = content.read_at(offset, num_bytes)
        self.count_read(len(data))
        return data

    def try_read_at(self, offset: int, num_bytes: int) -> bytes | None:
        """As `read_at`, when the range can be had without blocking; None otherwise. Never blocks: for event loops."""
        content = self._get_readable(offset, num_bytes)
        data = content.try_read_at(offset, num_bytes)
        if data is not None:
            self.count_read(len(data))
        return data

    def _get_readable(self, offset: int, num_bytes: int) -> PublishedFile | Draft:
        if not self._is_open:
            raise self._closed_error()
        if not self.can_read:
            raise PermissionDeniedFileSystemError(self.path, "the file is not open for reading")
        if offset < 0 or num_bytes < 0:
            raise FileSystemError(self.path, "there is no such range of bytes")
        return self._content

    def get_native_file(self) -> BinaryIO | None:
        """The descriptor of a published file that is open for reading alone, where the storage has one: for sendfile.

        The OpenFile keeps owning it; tell what is sent by `count_read`.
        """
        content = self._get_readable(0, 0)
        return content.get_native_file() if isinstance(content, PublishedFile) else None

    def count_read(self, num_bytes: int) -> None:
        """Tell of bytes that were sent from the native file, for the log."""
        with self._lock:
            self._num_read += num_bytes

    # Writing

    def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes; those behind the end leave zeros between. A handle open for appending ignores offset. Waits for the storage.

        Writes of one handle take effect in the order of the calls. An error means that nothing will be published: `finish` raises it too.
        """
        draft = self._get_writable()
        draft.write_at(None if self._is_append else offset, data)
        self._count_written(len(data))

    def try_write_at(self, offset: int, data: bytes) -> bool:
        """As `write_at`, when a bounded buffer has room; False otherwise, and then `write_at` is to be called, which also raises what is wrong.

        Never blocks. data must not change afterwards.
        """
        draft = self._draft
        if draft is None or not self._is_open or not draft.try_write_at(None if self._is_append else offset, data):
            return False
        self._count_written(len(data))
        return True

    def append(self, data: bytes) -> None:
        """Write bytes at the end. Waits for the storage."""
        draft = self._get_writable()
        if not draft.try_write_at(None, data):
            draft.write_at(None, data)
        self._count_written(len(data))

    def write_pieces(self, offset: int | None, pieces: list[bytes]) -> None:
        """Write pieces one behind the other, without putting them together first; offset None appends. As `write_at`."""
        self._get_writable().write_pieces(None if self._is_append else offset, pieces)
        self._count_written(sum(map(len, pieces)))

    def takes_pipe(self) -> bool:
        """Whether `write_from_pipe` can be called: what is written goes to a descriptor of the storage's own. Blocks."""
        return self._get_writable().takes_pipe()

    def write_from_pipe(self, offset: int | None, pipe_fd: int, num_bytes: int) -> None:
        """Write bytes that a pipe holds already, without a copy of them in this process; offset None appends. As `write_at`."""
        self._get_writable().write_from_pipe(None if self._is_append else offset, pipe_fd, num_bytes)
        self._count_written(num_bytes)

    def truncate(self, size: int) -> None:
        """Cut, or extend by zeros. Raises InsufficientSpace- for a size that no file can have; a refusal changes nothing. Blocks."""
        self._get_writable().truncate(size)

    def _count_written(self, num_bytes: int) -> None:
        with self._lock:
            self._num_written += num_bytes

    def _get_writable(self) -> Draft:
        if not self._is_open:
            raise self._closed_error()
        if self._draft is None:
            raise PermissionDeniedFileSystemError(self.path, "the file is not open for writing")
        return self._draft

    # Metadata

    def get_metadata(self) -> FileMetadata:
        """What the session sees of the file now; its size grows while it is written. Does not block."""
        return self._content.get_metadata()

    def set_modified_datetime(self, modified_datetime: datetime) -> None:
        """Set the time of the last change (aware); of a file open for writing it takes effect with the commit, where the storage keeps times."""
        if not self._is_open:
            raise self._closed_error()
        if isinstance(self._content, Draft):
            self._content.set_modified_datetime(modified_datetime)
        else:
            self._file_system.set_modified_datetime(self.path, modified_datetime)

    # The end

    def publish(self) -> FileMetadata:
        """Commit what is written so far, in one step, and go on. When it raises, nothing is published, now or later. Blocks."""
        if not self._is_open:
            raise self._closed_error()
        return self._draft.publish() if self._draft is not None else self.get_metadata()

    def finish(self) -> FileMetadata:
        """Publish what was written, and close. When it raises, the path holds what it held before. Blocks.

        A file that nothing was written to is left as it is. A repeated call gives the same answer.
        """
        if not self._end():
            if self._error is not None:
                raise self._error.at(self.path) from self._error
            if self._result is None:
                raise self._closed_error()
            return self._result
        outcome = "the gateway failed"
        try:
            self._result = self._draft.publish() if self._draft is not None else self.get_metadata()
            outcome = "ok"
        except FileSystemError as error:
            self._error = error
            outcome = error.message
            raise
        finally:
            self._release(self, self._result is None)
            self._log(outcome)
        return self._result

    def discard(self, reason: str = "") -> None:
        """Close and publish nothing: the client was lost, or broke off. Harmless after finish() and when repeated.

        reason: for the log. Waits for no call that is under way.
        """
        if self._end():
            self._release(self, True)
            self._log("discarded", reason)

    def _end(self) -> bool:
        with self._lock:
            was_open, self._is_open = self._is_open, False
            return was_open

    def _closed_error(self) -> FileSystemError:
        return AccessFailedFileSystemError(self.path, "the file is closed")

    def _log(self, result: str, reason: str = "") -> None:
        seconds = time.monotonic() - self._started
        if self._draft is not None and (self._num_written or self._draft.was_changed):
            self._log_transfer("upload", self._num_written, seconds, result, reason)
        if self.can_read and (self._num_read or not self.can_write):
            self._log_transfer("download", self._num_read, seconds, result, reason)

    def _log_transfer(self, event: str, num_bytes: int, seconds: float, result: str, reason: str) -> None:
        log_event(
            _logger,
            event,
            user=self._transfer.user_name,
            manager=self._transfer.manager,
            address=self._transfer.address,
            session=self._transfer.session_id,
            path=self.path,
            bytes=num_bytes,
            seconds=seconds,
            result=result,
            reason=reason,
        )
