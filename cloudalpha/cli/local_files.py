"""LocalFiles: the caller's own files as a FileSystem, the other side of `cloudalpha cp`.

Not the `local` service: here a person works with their own rights and umask on the whole machine, links are followed as in `cp`, and
paths need not be valid for clients of a gateway.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, FileSystem, NewFile, WriteOptions

CHUNK_BYTES = 1 << 20

_ERRORS: dict[int, type[FileSystemError]] = {
    errno.ENOENT: NotFoundFileSystemError,
    errno.EEXIST: AlreadyExistsFileSystemError,
    errno.ENOTDIR: NotADirectoryFileSystemError,
    errno.EISDIR: IsADirectoryFileSystemError,
    errno.ENOTEMPTY: DirectoryNotEmptyFileSystemError,
    errno.EACCES: PermissionDeniedFileSystemError,
    errno.EPERM: PermissionDeniedFileSystemError,
    errno.EROFS: PermissionDeniedFileSystemError,
    errno.ENOSPC: InsufficientSpaceFileSystemError,
    errno.EDQUOT: InsufficientSpaceFileSystemError,
    errno.ENAMETOOLONG: InvalidPathFileSystemError,
    errno.ELOOP: InvalidPathFileSystemError,
    errno.EINVAL: InvalidPathFileSystemError,
}


@contextlib.contextmanager
def _translated_errors(path: str) -> Iterator[None]:
    """The one place where an OSError of the local machine becomes a FileSystemError."""
    try:
        yield
    except OSError as error:
        kind = _ERRORS.get(error.errno or 0, AccessFailedFileSystemError)
        raise kind(path, (error.strerror or str(error)).lower()) from error
    except ValueError as error:  # an embedded NUL
        raise InvalidPathFileSystemError(paths.printable(path)) from error


def make_local_path(raw: str, working_dir: str = "") -> str:
    """The absolute path that a person means, relative to working_dir (or to the process's own)."""
    return "/" + os.path.abspath(os.path.join(working_dir, os.path.expanduser(raw))).lstrip("/")


class LocalFiles(FileSystem):
    """Every file of this machine, as the caller may use it. A file replaces another in one step, when it is whole."""

    capabilities = Capabilities(atomic_rename=True, sets_modified=True)

    def get_metadata(self, path: str) -> FileMetadata:
        with _translated_errors(path):
            return _make_metadata(path, os.stat(path))

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        with _translated_errors(path):
            if os.path.islink(path) and _is_above(path):
                raise InvalidPathFileSystemError(path, "a link to a folder that it lies in")
            entries = os.scandir(path)
        with entries, _translated_errors(path):
            for entry in entries:
                try:
                    yield _make_metadata(paths.join(path, entry.name), entry.stat())
                except OSError as error:
                    if entry.is_symlink():  # to nowhere: shown, so that whoever copies it learns of it
                        yield FileMetadata(paths.join(path, entry.name), is_dir=False)
                    elif error.errno != errno.ENOENT:  # not merely deleted meanwhile
                        raise

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        left = num_bytes
        with _translated_errors(path), open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            metadata = _make_metadata(path, os.fstat(file.fileno()))
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise (
                    IsADirectoryFileSystemError(path)
                    if metadata.is_dir
                    else PermissionDeniedFileSystemError(path, "neither a file nor a folder")
                )
            if expected is not ANYTHING and expected != metadata.revision:
                raise RevisionMismatchFileSystemError(path)
            file.seek(start_byte)
            while left is None or left > 0:
                chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
                if not chunk:
                    break
                left = None if left is None else left - len(chunk)
                yield chunk

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        return _NewLocalFile(path, options)

    def delete(self, path: str) -> None:
        with _translated_errors(path):
            if os.path.isdir(path) and not os.path.islink(path):
                raise IsADirectoryFileSystemError(path)
            os.unlink(path)

    def make_dir(self, path: str) -> None:
        with _translated_errors(path):
            os.mkdir(path)

    def delete_dir(self, path: str) -> None:
        with _translated_errors(path):
            os.rmdir(path)

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        if not self._check_move(old_path, new_path, overwrite):
            return
        try:
            with _translated_errors(new_path):
                os.rename(old_path, new_path)
        except AccessFailedFileSystemError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EXDEV:
                raise
            super().rename(old_path, new_path, overwrite)  # to another disk: copied, then deleted

    def delete_tree(self, path: str) -> None:
        """As every `delete_tree`; what links lead to stays."""
        if path == paths.ROOT:
            raise PermissionDeniedFileSystemError(path)
        with _translated_errors(path):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


class _NewLocalFile(NewFile):
    """A temporary file beside the target (beside what a link leads to), which takes its name when it is whole."""

    def __init__(self, path: str, options: WriteOptions) -> None:
        self.path = path
        self._options = options
        self._target = os.path.realpath(path)
        self._temporary: str | None = None
        self._descriptor = -1
        with _translated_errors(path):
            if os.path.isdir(self._target):
                raise IsADirectoryFileSystemError(path)
            self._mode = _get_mode(path, self._target)
            self._check_expected()
            temporary = os.path.join(os.path.dirname(self._target), f".cloudalpha-{secrets.token_hex(8)}.tmp")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(temporary, flags, 0o666 if self._mode is None else 0o600)
            self._temporary = temporary

    def write(self, data: bytes) -> None:
        with _translated_errors(self.path):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self.offset += len(data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        kept = 0
        for chunk in LocalFiles().read(self.path, start_byte, num_bytes):
            self.write(chunk)
            kept += len(chunk)
        if kept < num_bytes:
            raise RevisionMismatchFileSystemError(self.path)

    def commit(self) -> FileMetadata:
        if self._temporary is None:
            raise ValueError("committed or discarded before")
        if self._options.size not in (None, self.offset):
            raise RevisionMismatchFileSystemError(
                self.path, f"{self._options.size} bytes were announced, and {self.offset} came"
            )
        with _translated_errors(self.path):
            if self._mode is not None:
                os.fchmod(self._descriptor, self._mode)
            os.fsync(self._descriptor)
            self._close()
            if self._options.modified_datetime is not None:
                timestamp = self._options.modified_datetime.timestamp()
                os.utime(self._temporary, (timestamp, timestamp))
            self._publish(self._temporary)
            return _make_metadata(self.path, os.stat(self._target))

    def _publish(self, temporary: str) -> None:
        if self._options.expected is NOTHING:
            try:
                os.link(temporary, self._target)  # unlike a rename, refused where something is
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP):  # a disk without hard links
                    raise
            else:
                self.discard()
                return
        self._check_expected()
        os.replace(temporary, self._target)
        self._temporary = None

    def discard(self) -> None:
        if self._temporary is not None:
            self._close()
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _check_expected(self) -> None:
        expected = self._options.expected
        if expected is ANYTHING:
            return
        found = _make_metadata(self.path, os.stat(self._target)) if os.path.lexists(self._target) else None
        if expected is NOTHING and found is not None:
            raise AlreadyExistsFileSystemError(self.path)
        if expected is not NOTHING and (found is None or found.revision != expected):
            raise RevisionMismatchFileSystemError(self.path)


def _get_mode(path: str, target: str) -> int | None:
    """The mode of the file to be replaced; None where there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise PermissionDeniedFileSystemError(path, "neither a file nor a folder")
    if not os.access(target, os.W_OK):
        raise PermissionDeniedFileSystemError(path)
    return stat.S_IMODE(status.st_mode)


def _is_above(path: str) -> bool:
    """Whether a link leads to one of the folders that it lies in."""
    status = os.stat(path)
    parent = path
    while parent != paths.ROOT:
        parent = paths.get_parent(parent)
        if os.path.samestat(status, os.stat(parent)):
            return True
    return False


def _make_metadata(path: str, status: os.stat_result) -> FileMetadata:
    is_dir = stat.S_ISDIR(status.st_mode)
    return FileMetadata(
        path,
        is_dir,
        0 if is_dir else status.st_size,
        modified_datetime=utc(status.st_mtime),
        revision=f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}",
    )
