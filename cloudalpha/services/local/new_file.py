"""LocalNewFile: a temporary file that takes its name at commit."""

from __future__ import annotations

import errno
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from io import FileIO
from typing import BinaryIO, cast

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    IsADirectoryFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.file_system import NOTHING, NewFile, WriteOptions
from cloudalpha.services.local.beneath import Place
from cloudalpha.services.local.errors import NOT_A_FILE, translate, translated
from cloudalpha.services.local.temporary_file import TemporaryFile
from cloudalpha.services.local.tree import Tree

_COPY_SIZE = 1 << 20
_NO_COPY_FILE_RANGE = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACL = "system.posix_acl_access"


class LocalNewFile(NewFile):
    """After an error of the storage the space is free at once, and every further call raises that error again.

    One error comes too late to leave the path as it was: when the disk does not confirm the folder after the file has its name. Then
    `commit` raises, and nobody knows which of the two contents a power cut would leave; each is whole.
    """

    def __init__(self, tree: Tree, path: str, options: WriteOptions) -> None:
        self.path = path
        self._tree = tree
        self._options = options
        self._num_written = 0
        self._is_native = False
        self._is_over = False
        self._failure: FileSystemError | None = None
        self._source: FileIO | None = None
        self._kept: tuple[str, tuple[int, int]] | None = None
        if options.resume is not None:
            raise UnsupportedOperationFileSystemError(path, "an upload that was broken off cannot be resumed here")
        with translated(path), tree.root.find(path, follow=True) as place:
            self._check_target(place)
            mode = 0o666 if tree.file_mode is None else tree.file_mode
            self._temporary = TemporaryFile(place.dir_fd, mode, tree.has_unnamed)

    @property
    def offset(self) -> int:  # type: ignore[override]  # grows also through the native file
        if self._is_native and not self._is_over:
            return os.fstat(self._temporary.file.fileno()).st_size
        return self._num_written

    def write(self, data: bytes) -> None:
        self._check_usable()
        try:
            with memoryview(data) as view, view.cast("B") as rest:
                num_bytes = 0
                while num_bytes < len(rest):
                    num_bytes += os.write(self._temporary.file.fileno(), rest[num_bytes:])
                self._num_written += num_bytes
        except OSError as error:
            raise self._fail(error) from error

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self._check_usable()
        try:
            source = self._open_source(start_byte + num_bytes)
            self.append_range(source.fileno(), start_byte, num_bytes)
            self._check_source()
        except OSError as error:
            raise self._fail(error) from error

    def append_range(self, source_fd: int, start_byte: int, num_bytes: int) -> None:
        """Append a range of an open file. Raises OSError; RevisionMismatchFileSystemError when the file ends before the range does."""
        target_fd = self._temporary.file.fileno()
        end = start_byte + num_bytes
        in_kernel = True
        while start_byte < end:
            copied = 0
            if in_kernel:
                copied = _copy_in_kernel(source_fd, target_fd, end - start_byte, start_byte)
                in_kernel = copied > 0
            else:
                data = os.pread(source_fd, min(_COPY_SIZE, end - start_byte), start_byte)
                if not data:
                    raise RevisionMismatchFileSystemError(self.path)
                copied = os.write(target_fd, data)
            start_byte += copied
            self._num_written += copied

    def commit(self) -> FileMetadata:
        self._check_usable()
        if self._options.size not in (None, self.offset):
            raise FileSystemError(self.path, f"{self.offset} bytes came instead of {self._options.size}")
        try:
            status = self._publish()
        except FileExistsError as error:
            raise AlreadyExistsFileSystemError(self.path) from error
        except OSError as error:
            raise self._fail(error) from error
        self._num_written = status.st_size
        self._close()
        revision = self._tree.revisions.get(status)
        return FileMetadata(self.path, False, status.st_size, utc(status.st_mtime), revision=revision)

    def discard(self) -> None:
        if not self._is_over:
            self._close()

    def get_native_file(self) -> BinaryIO | None:
        self._check_usable()
        self._is_native = True
        return cast(BinaryIO, self._temporary.file)

    # Publishing

    def _publish(self) -> os.stat_result:
        fd = self._temporary.file.fileno()
        with self._tree.root.find(self.path, follow=True) as place:
            existing = self._check_target(place)
            self._set_attributes(fd, place, existing)
            if self._tree.fsync:
                os.fsync(fd)
            with self._tree.lock(place):
                self._check_target(place)
                self._temporary.publish(place, replace=self._options.expected is not NOTHING)
            status = os.fstat(fd)
            self._tree.sync_dir(place.dir_fd)
            return status

    def _check_target(self, place: Place) -> os.stat_result | None:
        """What is at the path, if a file may be put there as far as is known now."""
        existing = place.get_stat()
        revision = None
        if existing is not None:
            if stat.S_ISDIR(existing.st_mode):
                raise IsADirectoryFileSystemError(self.path)
            if self._options.expected is NOTHING:
                raise AlreadyExistsFileSystemError(self.path)
            if not stat.S_ISREG(existing.st_mode):
                raise PermissionDeniedFileSystemError(self.path, NOT_A_FILE)
            if not os.access(place.name, os.W_OK, dir_fd=place.dir_fd, effective_ids=True):
                raise PermissionDeniedFileSystemError(self.path)
            revision = self._tree.revisions.get(existing)
        if isinstance(self._options.expected, str) and revision != self._options.expected:
            raise RevisionMismatchFileSystemError(self.path)
        if self._kept is not None and revision != self._kept[0]:
            raise RevisionMismatchFileSystemError(self.path)
        return existing

    def _set_attributes(self, fd: int, place: Place, existing: os.stat_result | None) -> None:
        """Permissions and owner of the file that is replaced, and the time."""
        if existing is not None:
            own = os.fstat(fd)
            if os.geteuid() == 0 and (own.st_uid, own.st_gid) != (existing.st_uid, existing.st_gid):
                os.fchown(fd, existing.st_uid, existing.st_gid)
            _copy_acl(place, fd)
            os.fchmod(fd, stat.S_IMODE(existing.st_mode) & 0o777)
        elif self._tree.file_mode is not None:
            os.fchmod(fd, self._tree.file_mode)
        modified = self._options.modified_datetime
        # The kernel's own time of the last write may be milliseconds old, and so equal for two contents.
        now_ns = time.time_ns()
        os.utime(fd, ns=(now_ns, now_ns if modified is None else to_ns(modified)))

    # Keeping

    def _open_source(self, end: int) -> FileIO:
        if self._source is None:
            fd, status = self._tree.open_file(self.path)
            self._source = FileIO(fd, "rb")
            revision = self._tree.revisions.get(status)
            if isinstance(self._options.expected, str) and revision != self._options.expected:
                raise RevisionMismatchFileSystemError(self.path)
            self._kept = revision, (status.st_size, status.st_mtime_ns)
        if end > os.fstat(self._source.fileno()).st_size:
            raise RevisionMismatchFileSystemError(self.path)
        return self._source

    def _check_source(self) -> None:
        """The open file changes when somebody writes into it in place."""
        assert self._source is not None and self._kept is not None  # noqa: S101 - for the type checker
        status = os.fstat(self._source.fileno())
        if (status.st_size, status.st_mtime_ns) != self._kept[1] and self._tree.revisions.get(status) != self._kept[0]:
            raise RevisionMismatchFileSystemError(self.path)

    # State

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._failure.at(self.path) from self._failure
        if self._is_over:
            raise ValueError("the file is committed or discarded already")

    def _fail(self, error: OSError) -> FileSystemError:
        self._failure = translate(error, self.path)
        self._close()
        return self._failure

    def _close(self) -> None:
        self._is_over = True
        self._temporary.close()
        if self._source is not None:
            self._source.close()


def to_ns(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware datetime, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _copy_in_kernel(source_fd: int, target_fd: int, num_bytes: int, start_byte: int) -> int:
    """Bytes that copy_file_range(2) moved; 0 where it cannot."""
    try:
        return os.copy_file_range(source_fd, target_fd, min(num_bytes, 1 << 30), start_byte)
    except OSError as error:
        if error.errno in _NO_COPY_FILE_RANGE:
            return 0
        raise


def _copy_acl(place: Place, fd: int) -> None:
    """Take over an access control list: without it, the group's permission bits, which then stand for its mask, would mean more than before."""
    existing_fd = os.open(place.name, os.O_PATH | os.O_NOFOLLOW, dir_fd=place.dir_fd)
    try:
        os.setxattr(fd, _ACL, os.getxattr(f"/proc/self/fd/{existing_fd}", _ACL))
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOENT):
            raise
    finally:
        os.close(existing_fd)
