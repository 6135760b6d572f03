"""Every error that CloudAlpha raises on purpose.

    CloudAlphaError
    ├── FileSystemError                      (path, message, temporary, retry_after)
    │   ├── InvalidPathFileSystemError           the name cannot exist here: too long, a control character, outside the root
    │   ├── NotFoundFileSystemError              nothing is there, or its folder is missing
    │   ├── AlreadyExistsFileSystemError         something is there already
    │   ├── NotADirectoryFileSystemError         a file stands where a folder is needed
    │   ├── IsADirectoryFileSystemError          a folder stands where a file is needed
    │   ├── DirectoryNotEmptyFileSystemError     only an empty folder can be deleted
    │   ├── PermissionDeniedFileSystemError      the user, or the gateway itself, may not
    │   ├── InsufficientSpaceFileSystemError     the storage, a quota or a bound of the gateway is full
    │   ├── RevisionMismatchFileSystemError      somebody changed the file meanwhile
    │   ├── UnsupportedOperationFileSystemError  this storage cannot do that
    │   └── AccessFailedFileSystemError          the storage did not answer, or not properly: an outage, never "no such file"
    ├── AccountError                         an account cannot be used
    │   ├── AuthenticationFailedAccountError     the storage refused the credentials
    │   └── AuthorizationNeededAccountError      a person must authorize the account first
    ├── ManagerError                         a manager cannot start or go on
    │   ├── AddressInUseManagerError             its port is taken
    │   └── RefusedManagerError                  a connection or a log-in is not let in
    ├── SettingError                         a setting is wrong; names the section and the key
    │   ├── UnknownSettingError                  no setting has that name
    │   └── InvalidSettingError                  the value is not one that the setting takes
    ├── PlugInError                          a service, layer or manager is not installed, or broken
    └── DataStoreError                       the DataStore cannot be read or written

Messages are one line for people: what happened and, where something can be done, what to do. They hold no secret and no path of
the gateway's own machine, because managers send them to clients.
"""

from __future__ import annotations


class CloudAlphaError(Exception):
    """The base of every error below."""


class FileSystemError(CloudAlphaError):
    """An operation on a path failed; what was there before is as it was, unless the operation says otherwise.

    path: the path that the error is about, in the coordinates of whoever receives it.
    message: one line for people.
    temporary: repeating the same call later may succeed.
    retry_after: seconds to wait before that, where the storage said so.
    """

    default_message = "the operation failed"

    def __init__(
        self, path: str, message: str | None = None, temporary: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(path, message or self.default_message, temporary, retry_after)
        self.path = path
        self.message = message or self.default_message
        self.temporary = temporary
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"

    def at(self, path: str) -> FileSystemError:
        """The same error for another path: for whoever translates paths (a mount, an account cut at a prefix)."""
        return type(self)(path, self.message, self.temporary, self.retry_after)


class InvalidPathFileSystemError(FileSystemError):
    default_message = "not a valid name"


class NotFoundFileSystemError(FileSystemError):
    default_message = "no such file or directory"


class AlreadyExistsFileSystemError(FileSystemError):
    default_message = "already exists"


class NotADirectoryFileSystemError(FileSystemError):
    default_message = "not a directory"


class IsADirectoryFileSystemError(FileSystemError):
    default_message = "is a directory"


class DirectoryNotEmptyFileSystemError(FileSystemError):
    default_message = "the directory is not empty"


class PermissionDeniedFileSystemError(FileSystemError):
    default_message = "permission denied"


class InsufficientSpaceFileSystemError(FileSystemError):
    default_message = "not enough space"


class RevisionMismatchFileSystemError(FileSystemError):
    default_message = "changed by somebody else meanwhile"


class UnsupportedOperationFileSystemError(FileSystemError):
    default_message = "not supported by this storage"


class AccessFailedFileSystemError(FileSystemError):
    default_message = "the storage could not be reached"


class AccountError(CloudAlphaError):
    """An account cannot be used."""


class AuthenticationFailedAccountError(AccountError):
    """The storage refused the account's credentials."""


class AuthorizationNeededAccountError(AccountError):
    """A person must authorize the account before it can be used."""


class ManagerError(CloudAlphaError):
    """A manager cannot start or go on."""


class AddressInUseManagerError(ManagerError):
    """The address that the manager is to listen on is taken."""


class RefusedManagerError(ManagerError):
    """A connection or a log-in is not let in: banned, too many, expired. The message may be shown to the client."""


class SettingError(CloudAlphaError):
    """A setting is wrong."""


class UnknownSettingError(SettingError):
    """No setting has that name."""


class InvalidSettingError(SettingError):
    """The value is not one that the setting takes."""


class PlugInError(CloudAlphaError):
    """A service, layer or manager is not installed, or broken."""


class DataStoreError(CloudAlphaError):
    """The DataStore cannot be read or written."""
