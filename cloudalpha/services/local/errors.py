"""OSError -> FileSystemError: the one place. Messages are our own: the system's hold paths of this machine."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

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
    UnsupportedOperationFileSystemError,
)

NOT_A_FILE = "neither a file nor a folder"

_TABLE: dict[int, tuple[type[FileSystemError], str | None]] = {
    errno.ENOENT: (NotFoundFileSystemError, None),
    errno.EEXIST: (AlreadyExistsFileSystemError, None),
    errno.ENOTDIR: (NotADirectoryFileSystemError, None),
    errno.EISDIR: (IsADirectoryFileSystemError, None),
    errno.ENOTEMPTY: (DirectoryNotEmptyFileSystemError, None),
    errno.EACCES: (PermissionDeniedFileSystemError, None),
    errno.EPERM: (PermissionDeniedFileSystemError, None),
    errno.EROFS: (PermissionDeniedFileSystemError, "the storage is read-only"),
    errno.EXDEV: (PermissionDeniedFileSystemError, "a symbolic link leads out of this storage"),
    errno.ELOOP: (PermissionDeniedFileSystemError, "a symbolic link that is not followed"),
    errno.EBUSY: (PermissionDeniedFileSystemError, "in use"),
    errno.ETXTBSY: (PermissionDeniedFileSystemError, "in use"),
    errno.ENXIO: (PermissionDeniedFileSystemError, NOT_A_FILE),
    errno.ENODEV: (PermissionDeniedFileSystemError, NOT_A_FILE),
    errno.ENAMETOOLONG: (InvalidPathFileSystemError, "the name is too long"),
    errno.EINVAL: (InvalidPathFileSystemError, None),
    errno.EILSEQ: (InvalidPathFileSystemError, "the storage takes no name of these bytes"),
    errno.ENOSPC: (InsufficientSpaceFileSystemError, None),
    errno.EDQUOT: (InsufficientSpaceFileSystemError, "the quota is used up"),
    errno.EFBIG: (InsufficientSpaceFileSystemError, "larger than a file can be here"),
    errno.EMLINK: (InsufficientSpaceFileSystemError, "the directory cannot hold more"),
    errno.EOPNOTSUPP: (UnsupportedOperationFileSystemError, None),
}
_TEMPORARY = frozenset(
    {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EINTR, errno.ESTALE}
)


def translate(error: OSError, path: str) -> FileSystemError:
    """The FileSystemError of what the system reported for a path; to be raised `from` it."""
    code = error.errno or 0
    if code in _TABLE:
        error_class, message = _TABLE[code]
        return error_class(path, message)
    name = errno.errorcode.get(code, "unknown error")
    return AccessFailedFileSystemError(path, f"the storage failed ({name})", temporary=code in _TEMPORARY)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raises what the system reports within as the FileSystemError of a path."""
    try:
        yield
    except OSError as error:
        raise translate(error, path) from error
