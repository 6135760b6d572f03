"""sqlite3's errors as CloudAlpha's: the one place."""

import contextlib
import sqlite3

from cloudalpha.exceptions import AccessFailedFileSystemError, InsufficientSpaceFileSystemError


@contextlib.contextmanager
def translated_errors(path):
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorname in ("SQLITE_FULL", "SQLITE_TOOBIG"):
            raise InsufficientSpaceFileSystemError(path) from error
        raise AccessFailedFileSystemError(path, "the database did not answer properly") from error
