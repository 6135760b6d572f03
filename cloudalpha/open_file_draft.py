"""Draft: the unpublished content of one path in one session, shared by the session's open files of that path."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    FileSystemError,
    NotFoundFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.file_system import FileSystem
from cloudalpha.native_io import too_large
from cloudalpha.open_file_content import DraftContent, NativeContent, WriteBuffer
from cloudalpha.open_file_publication import Publication
from cloudalpha.open_file_reader import PublishedFile
from cloudalpha.open_file_settings import OpenFileSettings
from cloudalpha.open_file_streamed import StreamedContent
from cloudalpha.spool import Spool

MAX_FILE_SIZE = (1 << 63) - 1
_T = TypeVar("_T")


class Draft:
    """What a session has written to a path and not yet published. All methods are safe for threads.

    `_lock` guards the small state and is held shortly, never over a call of the FileSystem; `_io_lock` is held over those calls, because they
    must come one after the other. Whoever only asks for metadata, or hands in bytes that fit the buffer, waits for neither.

    An error in writing poisons the draft: nothing of it will be published, and every later call but `close` raises the error again.

    num_writers, num_users: how many open files may write to it, and use it at all; the view keeps them.
    """

    def __init__(self, file_system: FileSystem, path: str, spool: Spool, settings: OpenFileSettings) -> None:
        self.num_writers = 0
        self.num_users = 0
        self.is_deleted = False
        self._file_system = file_system
        self._spool = spool
        self._settings = settings
        self._lock = threading.Lock()
        self._io_lock = threading.Lock()
        self._max_size = min(file_system.capabilities.max_file_size or MAX_FILE_SIZE, MAX_FILE_SIZE)
        self._is_open = False
        self._is_closed = False
        self._is_sequential = False  # one writer, which goes from the beginning to the end
        self._error: FileSystemError | None = None
        # the published content that it builds upon, and how much of its beginning is still part of it
        self._base: PublishedFile | None = None
        self._kept = 0
        # what is new
        self._size = 0
        self._is_visible = False  # the session sees the draft in place of what is published
        self._is_changed = False
        self._changed_at = 0.0
        self._buffer = WriteBuffer(settings.write_buffer)
        # where it goes
        self._publication = Publication(file_system, path)
        self._content: DraftContent | None = None

    # Seen by the session

    @property
    def path(self) -> str:
        """Where the draft is for the session, and will be published; follows the session's renames."""
        return self._publication.path

    @property
    def is_visible(self) -> bool:
        """Whether the session sees this in place of what is published at the path."""
        return self._is_visible and self._error is None and not self.is_deleted

    @property
    def has_failed(self) -> bool:
        """Whether nothing of this will be published, because of an error or of a writer that was lost."""
        return self._error is not None

    @property
    def was_changed(self) -> bool:
        """Whether anything was ever written to it, an emptied or empty new file included."""
        return self._changed_at > 0

    @property
    def size(self) -> int:
        """Bytes that the file has for the session."""
        return self._size

    def get_metadata(self) -> FileMetadata:
        """What the session sees; never waits."""
        base = self._base
        if not self._is_visible and base is not None:
            return base.metadata.at(self.path)
        created = base.metadata.created_datetime if base is not None else None
        return FileMetadata(
            self.path, False, self._size, self._publication.modified_datetime or utc(self._changed_at), created
        )

    # Opening

    def open(self, create: bool, exclusive: bool, truncate: bool, is_sequential: bool) -> None:
        """Prepare for one more open file that writes; the meaning of the flags is that of `FileSystemView.open`. Blocks."""

        def run() -> None:
            self._is_sequential = is_sequential and not self._is_open
            if not self._is_open:
                self._begin(create, exclusive, truncate)
                self._is_open = True
            elif exclusive and create:
                raise AlreadyExistsFileSystemError(self.path)
            elif truncate:
                self._truncate(0)

        self._locked(run)

    def _begin(self, create: bool, exclusive: bool, truncate: bool) -> None:
        metadata: FileMetadata | None = None
        if not (create and truncate) or exclusive:
            try:
                metadata = self._file_system.get_metadata(self.path)
            except NotFoundFileSystemError:
                if not create:
                    raise
        self._base = None if metadata is None else PublishedFile(self._file_system, metadata, self._settings)
        if metadata is not None:
            if create and exclusive:
                raise AlreadyExistsFileSystemError(self.path)
            if not truncate:
                self._kept = self._size = metadata.size
        self._publication.is_exclusive = create and exclusive
        self._publication.kept_version = self._base.expected if self._kept and self._base is not None else None
        self._publication.begin()
        if truncate or metadata is None:
            self._changed_at = time.time()
            self._is_visible = self._is_changed = True

    # Writing

    def try_write_at(self, offset: int | None, data: bytes) -> bool:
        """Take bytes without waiting, if the buffer has room; never raises. offset None means the end."""
        return self._take(offset, data) or (self._try_flush() and self._take(offset, data))

    def _take(self, offset: int | None, data: bytes) -> bool:
        with self._lock:
            if not self._buffer.has_room(len(data)) or self._error is not None or self._is_closed:
                return False
            if offset is None:
                offset = self._size
            if not 0 <= offset <= self._max_size - len(data):
                return False
            self._put(offset, data)
            return True

    def _try_flush(self) -> bool:
        """Empty the buffer, if that never waits."""
        content = self._content
        if content is None or not content.writes_at_once or not self._io_lock.acquire(blocking=False):
            return False
        try:
            if self._error is None and not self._is_closed:
                self._flush()
            return self._error is None
        except FileSystemError:  # whoever calls `write_at` next is told
            return False
        finally:
            self._release_io()

    def write_at(self, offset: int | None, data: bytes) -> None:
        """Write bytes, and those that wait in the buffer; waits for the storage. offset None means the end."""
        self.write_pieces(offset, [data])

    def write_pieces(self, offset: int | None, pieces: list[bytes]) -> None:
        """Write pieces one behind the other; as `write_at`."""
        num_bytes = sum(map(len, pieces))
        with self._lock:
            self._check()
            if offset is None:
                offset = self._size
            if 0 <= offset <= self._max_size - num_bytes:
                for piece in pieces:
                    self._put(offset, piece)
                    offset += len(piece)
            else:
                self._error = too_large(self.path, offset + num_bytes)
        self.flush()

    def takes_pipe(self) -> bool:
        """Whether `write_from_pipe` can be called: the content is in a descriptor of the storage's own. Blocks."""
        return isinstance(self._locked(self._get_content), NativeContent)

    def write_from_pipe(self, offset: int | None, pipe_fd: int, num_bytes: int) -> None:
        """Write bytes that a pipe holds, without a copy of them in this process. offset None means the end. Blocks."""

        def run() -> None:
            self._flush()
            content = self._get_content()
            assert isinstance(content, NativeContent)  # noqa: S101 - for the type checker
            start = self._size if offset is None else offset
            try:
                content.write_from_pipe(start, pipe_fd, num_bytes)
            except BaseException as error:
                self._fail(error)
                raise
            with self._lock:
                self._note_change(start + num_bytes)

        self._locked(run)

    def _put(self, offset: int, data: bytes) -> None:
        if not data:
            return
        self._buffer.put(offset, data)
        self._note_change(offset + len(data))

    def _note_change(self, end: int) -> None:
        self._size = max(self._size, end)
        self._changed_at = time.time()
        self._is_changed = self._is_visible = True

    def flush(self) -> None:
        """Hand what waits in the buffer to the storage, as far as it takes it before the commit. Blocks."""
        self._locked(self._flush)

    def truncate(self, size: int) -> None:
        """Cut, or extend by zeros. A size that cannot be had is refused, and everything stays as it was. Blocks."""
        if not 0 <= size <= self._max_size:
            raise too_large(self.path, size)

        self._locked(lambda: self._truncate(size))

    def _flush(self) -> None:
        with self._lock:
            runs = self._buffer.take()
        if runs:
            try:
                content = self._get_content()
                for offset, pieces in runs:
                    content.write(offset, pieces)
            except BaseException as error:
                self._fail(error)
                raise

    def _truncate(self, size: int) -> None:
        if size == 0 < self._size:
            self._drop_content()
            self._kept = 0
            self._publication.kept_version = None
        else:
            self._flush()
            if size == self._size:
                return
            self._get_content().truncate(size)
        with self._lock:
            self._size = max(size, self._buffer.get_end())
            self._changed_at = time.time()
            self._is_changed = self._is_visible = True

    def _get_content(self) -> DraftContent:
        if self._content is None:
            new_file = self._publication.get_new_file()
            if new_file.get_native_file() is not None:
                self._content = NativeContent(self.path, new_file, self._base, self._kept)
            else:
                self._content = StreamedContent(
                    self.path,
                    new_file,
                    self._publication.begin,
                    self._base,
                    self._kept,
                    self._spool,
                    self._settings,
                    self._is_sequential,
                )
        return self._content

    # Reading

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """A range of what the session sees; shorter only at the end. Blocks."""

        def run() -> bytes:
            self._flush()
            if self._content is not None:
                return self._content.read(offset, num_bytes)
            if self._base is not None and self._kept:
                return self._base.read_at(offset, num_bytes)
            return b""

        return self._locked(run)

    def try_read_at(self, offset: int, num_bytes: int) -> bytes | None:
        """A range, if it can be had without blocking."""
        if not self._io_lock.acquire(blocking=False):
            return None
        try:
            if self._buffer or self._error is not None or self._is_closed:
                return None
            if self._content is not None:
                return self._content.try_read(offset, num_bytes)
            return self._base.try_read_at(offset, num_bytes) if self._base is not None and self._kept else None
        finally:
            self._release_io()

    # Publishing

    def set_modified_datetime(self, modified_datetime: datetime) -> None:
        """The time of the last change that the file gets when it is committed."""
        self._publication.modified_datetime = modified_datetime

    def publish(self) -> FileMetadata:
        """Commit what is written so far; writing may go on. When it raises, nothing is published, now or later. Blocks."""
        return self._locked(self._publish)

    def _publish(self) -> FileMetadata:
        if self.is_deleted:
            return self.get_metadata()
        self._flush()
        if not (self._is_changed or self._publication.modified_datetime):
            return self.get_metadata()
        try:
            publication = self._publication
            is_changed = self._is_changed
            metadata = (
                publication.commit(self._get_content()) if is_changed else self._file_system.get_metadata(self.path)
            )
            metadata = publication.set_time(metadata, is_changed)
        except BaseException as error:
            self._fail(error)
            raise
        self._build_upon(metadata)
        return metadata

    def _build_upon(self, metadata: FileMetadata) -> None:
        old_base, old_content = self._base, self._content
        base = PublishedFile(self._file_system, metadata, self._settings)
        with self._lock:
            self._base = base
            self._kept = metadata.size
            self._size = max(metadata.size, self._buffer.get_end())
            self._is_visible = self._is_changed = bool(self._buffer)
            self._content = None
        self._publication.is_exclusive = False
        self._publication.kept_version = base.expected if self._kept else None
        if old_content is not None:
            old_content.discard()
        self._publication.discard()
        if old_base is not None:
            old_base.close()

    # Moving and ending

    def move(self, path: str, is_folder_moved: bool = False, is_exclusive: bool = False) -> None:
        """The path was renamed; what is committed from now on goes to the new one. Only while `hold` is entered.

        is_folder_moved: with a folder above it. is_exclusive: nothing may be at the new path.
        """
        with self._lock:
            self._publication.move(path, is_folder_moved, is_exclusive)
            if self._base is not None:
                self._base.path = path
        if self._content is not None and (self._publication.kept_version is not None or is_folder_moved):
            self._content.leave_path()

    def fail(self, message: str) -> None:
        """Nothing of this is to be published: a writer was lost. Does not wait for a call under way."""
        with self._lock:
            if self._error is None:
                self._error = AccessFailedFileSystemError(self.path, message)
        self._clean_up()

    def close(self) -> None:
        """Forget what is not published and free all space. Does not wait for a call under way, which does it then. Harmless when repeated."""
        self._is_closed = True
        self._clean_up()

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, FileSystemError):
            error = AccessFailedFileSystemError(self.path, "the gateway failed while it wrote the file")
        with self._lock:
            self._error = self._error or error
        self._drop_content()

    def _drop_content(self) -> None:
        with self._lock:
            content, self._content = self._content, None
            self._buffer.take()
        if content is not None:
            content.discard()
        self._publication.discard()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error.at(self.path) from self._error
        if self._is_closed:
            raise AccessFailedFileSystemError(self.path, "the file is closed")

    def _locked(self, run: Callable[[], _T]) -> _T:
        with self.hold():
            self._check()
            return run()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps every call of the FileSystem for this draft away meanwhile: for whoever renames or deletes the path. Blocks."""
        self._io_lock.acquire()
        try:
            yield
        finally:
            self._release_io()

    def _release_io(self) -> None:
        self._io_lock.release()
        self._clean_up()

    def _clean_up(self) -> None:
        """Free what an ended draft still holds, unless a call is under way: whoever makes that does it on leaving."""
        while self._has_leftovers() and self._io_lock.acquire(blocking=False):
            try:
                self._drop_content()
                if self._is_closed and self._base is not None:
                    self._base.close()
                    self._base = None
            finally:
                self._io_lock.release()

    def _has_leftovers(self) -> bool:
        if self._is_closed and self._base is not None:
            return True
        has_content = self._content is not None or self._publication.new_file is not None or bool(self._buffer)
        return has_content and (self._is_closed or self._error is not None)
