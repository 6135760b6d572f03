"""The one table from errors to replies (RFC 959, section 4.2)."""

from __future__ import annotations

import logging
import uuid

from cloudalpha import exceptions as e
from cloudalpha.logs import log_event

logger = logging.getLogger("cloudalpha.ftp")


class Refusal(Exception):
    """A command is answered with this reply, and nothing else happens."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


# Most specific first. The codes: when repeating is no use, and when it may help. No text: the error's own message is sent; it is made for people.
REPLIES: tuple[tuple[type[e.CloudAlphaError], int, int, str | None], ...] = (
    (e.InvalidPathFileSystemError, 553, 553, None),
    (e.NotFoundFileSystemError, 550, 450, None),
    (e.AlreadyExistsFileSystemError, 550, 450, None),
    (e.NotADirectoryFileSystemError, 550, 450, None),
    (e.IsADirectoryFileSystemError, 550, 450, None),
    (e.DirectoryNotEmptyFileSystemError, 550, 450, None),
    (e.PermissionDeniedFileSystemError, 550, 450, None),
    (e.InsufficientSpaceFileSystemError, 552, 452, None),
    (e.RevisionMismatchFileSystemError, 450, 450, None),
    (e.UnsupportedOperationFileSystemError, 504, 504, None),
    (e.AccessFailedFileSystemError, 451, 451, None),
    (e.FileSystemError, 550, 451, None),
    (e.RefusedManagerError, 530, 530, None),
    (e.AccountError, 451, 451, "the account behind this path is not available"),
    (e.CloudAlphaError, 451, 451, "the gateway could not do that"),
)


def get_reply(error: BaseException) -> str:
    """The reply line to an error. What is not made for people is told by a number alone, under which the log has it."""
    if isinstance(error, Refusal):
        return error.reply
    for error_class, code, temporary_code, text in REPLIES:
        if isinstance(error, error_class):
            if isinstance(error, e.FileSystemError):
                return f"{temporary_code if error.temporary else code} {_sentence(error.message)}"
            if isinstance(error, e.RefusedManagerError):
                return f"{code} {_sentence(str(error) or 'not let in')}"
            log_event(logger, "error", logging.WARNING, exc_info=error)
            return f"{code} {_sentence(text or '')}"
    number = uuid.uuid4().hex[:8]
    log_event(logger, "internal error", logging.ERROR, exc_info=error, id=number)
    return f"451 Internal error; the log has it as {number}."


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return (line[:1].upper() + line[1:]).rstrip(".") + "."
