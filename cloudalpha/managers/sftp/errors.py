"""The one table from errors to SFTP statuses and texts, used by SFTP and SCP alike.

Version 3 has few codes (draft-ietf-secsh-filexfer-02, section 7); what they cannot tell, the text does. A text is a FileSystemError's
message, which is written for clients, or a fixed sentence: never a path, never Python's words.
"""

from __future__ import annotations

import logging
import secrets

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AccountError,
    AddressInUseManagerError,
    AlreadyExistsFileSystemError,
    AuthenticationFailedAccountError,
    AuthorizationNeededAccountError,
    CloudAlphaError,
    DataStoreError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    InvalidPathFileSystemError,
    InvalidSettingError,
    IsADirectoryFileSystemError,
    ManagerError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    PlugInError,
    RefusedManagerError,
    RevisionMismatchFileSystemError,
    SettingError,
    UnknownSettingError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.logs import log_event
from cloudalpha.managers.sftp.packets import BadMessageError, Status, StatusError

_log = logging.getLogger("cloudalpha.managers.sftp")

_ACCOUNT_TEXT = "the storage behind this folder is not available"
_INTERNAL_TEXT = "internal error of the gateway"

TABLE: dict[type[CloudAlphaError], tuple[Status, str | None]] = {
    InvalidPathFileSystemError: (Status.FAILURE, None),
    NotFoundFileSystemError: (Status.NO_SUCH_FILE, None),
    AlreadyExistsFileSystemError: (Status.FAILURE, None),
    NotADirectoryFileSystemError: (Status.NO_SUCH_FILE, None),
    IsADirectoryFileSystemError: (Status.FAILURE, None),
    DirectoryNotEmptyFileSystemError: (Status.FAILURE, None),
    PermissionDeniedFileSystemError: (Status.PERMISSION_DENIED, None),
    InsufficientSpaceFileSystemError: (Status.FAILURE, None),
    RevisionMismatchFileSystemError: (Status.FAILURE, None),
    UnsupportedOperationFileSystemError: (Status.OP_UNSUPPORTED, None),
    AccessFailedFileSystemError: (Status.FAILURE, None),
    FileSystemError: (Status.FAILURE, None),
    AuthenticationFailedAccountError: (Status.FAILURE, _ACCOUNT_TEXT),
    AuthorizationNeededAccountError: (Status.FAILURE, _ACCOUNT_TEXT),
    AccountError: (Status.FAILURE, _ACCOUNT_TEXT),
    AddressInUseManagerError: (Status.FAILURE, _INTERNAL_TEXT),
    RefusedManagerError: (Status.PERMISSION_DENIED, "not allowed"),
    ManagerError: (Status.FAILURE, _INTERNAL_TEXT),
    UnknownSettingError: (Status.FAILURE, _INTERNAL_TEXT),
    InvalidSettingError: (Status.FAILURE, _INTERNAL_TEXT),
    SettingError: (Status.FAILURE, _INTERNAL_TEXT),
    PlugInError: (Status.FAILURE, _INTERNAL_TEXT),
    DataStoreError: (Status.FAILURE, _INTERNAL_TEXT),
    CloudAlphaError: (Status.FAILURE, _INTERNAL_TEXT),
}
"""Error class -> status, and the text that the client sees; None stands for the error's own message. The nearest base class counts."""


def get_status(error: Exception) -> tuple[Status, str]:
    """The status and the text that a client gets for an error. One that nobody foresaw is logged, and the client gets the log line's id."""
    if isinstance(error, StatusError):
        return error.status, error.text
    if isinstance(error, BadMessageError):
        return Status.BAD_MESSAGE, str(error)
    for error_class in type(error).__mro__:
        if error_class in TABLE:
            status, text = TABLE[error_class]
            if text is None:
                text = error.message if isinstance(error, FileSystemError) else _INTERNAL_TEXT
            elif text in (_INTERNAL_TEXT, _ACCOUNT_TEXT):
                text = f"{text} (error {_log_error(error)})"
            return status, text
    return Status.FAILURE, f"{_INTERNAL_TEXT} (error {_log_error(error)})"


def _log_error(error: Exception) -> str:
    error_id = secrets.token_hex(4)
    log_event(_log, "error", logging.ERROR, exc_info=error, id=error_id, kind=type(error).__name__)
    return error_id
