"""The one table: error -> reply."""

from cloudalpha import exceptions

CODES = {
    exceptions.NotFoundFileSystemError: "not-found",
    exceptions.AlreadyExistsFileSystemError: "exists",
    exceptions.NotADirectoryFileSystemError: "not-a-directory",
    exceptions.IsADirectoryFileSystemError: "is-a-directory",
    exceptions.DirectoryNotEmptyFileSystemError: "not-empty",
    exceptions.PermissionDeniedFileSystemError: "denied",
    exceptions.InvalidPathFileSystemError: "invalid-path",
    exceptions.RevisionMismatchFileSystemError: "changed",
    exceptions.UnsupportedOperationFileSystemError: "unsupported",
    exceptions.AccessFailedFileSystemError: "unavailable",
    exceptions.InsufficientSpaceFileSystemError: "full",
    exceptions.RefusedManagerError: "refused",
}


def to_reply(error):
    message = error.message if isinstance(error, exceptions.FileSystemError) else str(error)
    return {"error": CODES.get(type(error), "failed"), "message": message}
