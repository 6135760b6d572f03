"""OSError -> FileSystemError."""

from __future__ import annotations

import errno
import os

import pytest

from cloudalpha import exceptions
from cloudalpha.services.local.errors import _TABLE, _TEMPORARY, translate, translated


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_code_has_an_error_without_a_path_of_the_machine(code: int) -> None:
    error = translate(OSError(code, "text", "/host/path"), "/path")
    assert error.path == "/path"
    assert error.message
    assert "/host" not in str(error)
    assert error.temporary == (code in _TEMPORARY)
    if code not in _TABLE:
        assert type(error) is exceptions.AccessFailedFileSystemError


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (errno.ENOENT, "NotFound"),
        (errno.EEXIST, "AlreadyExists"),
        (errno.ENOTDIR, "NotADirectory"),
        (errno.EISDIR, "IsADirectory"),
        (errno.ENOTEMPTY, "DirectoryNotEmpty"),
        (errno.EACCES, "PermissionDenied"),
        (errno.EROFS, "PermissionDenied"),
        (errno.EXDEV, "PermissionDenied"),
        (errno.ENAMETOOLONG, "InvalidPath"),
        (errno.ENOSPC, "InsufficientSpace"),
        (errno.EDQUOT, "InsufficientSpace"),
        (errno.EFBIG, "InsufficientSpace"),
        (errno.EOPNOTSUPP, "UnsupportedOperation"),
        (errno.EIO, "AccessFailed"),
        (errno.EMFILE, "AccessFailed"),
    ],
)
def test_well_known_ones(code: int, name: str) -> None:
    assert type(translate(OSError(code, os.strerror(code)), "/path")).__name__ == name + "FileSystemError"


def test_cause_is_kept_and_other_errors_pass() -> None:
    cause = PermissionError(errno.EACCES, "text")
    with pytest.raises(exceptions.PermissionDeniedFileSystemError) as caught, translated("/path"):
        raise cause
    assert caught.value.__cause__ is cause
    with pytest.raises(ZeroDivisionError), translated("/path"):
        raise ZeroDivisionError
    inner = exceptions.NotFoundFileSystemError("/other")
    with pytest.raises(exceptions.NotFoundFileSystemError) as caught_inner, translated("/path"):
        raise inner
    assert caught_inner.value is inner


def test_error_without_a_code() -> None:
    assert type(translate(OSError("text"), "/path")) is exceptions.AccessFailedFileSystemError
