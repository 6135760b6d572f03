"""Folders: CWD CDUP PWD MKD RMD, and listings: LIST NLST MLSD MLST STAT."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from itertools import chain

from cloudalpha import paths
from cloudalpha.exceptions import CloudAlphaError, NotADirectoryFileSystemError, NotFoundFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.engine import AsyncChat
from cloudalpha.managers.ftp.errors import Refusal, get_reply
from cloudalpha.managers.ftp.listing import Format, make_chunks, make_facts_format, make_list_format, make_name_line
from cloudalpha.managers.ftp.transfers import Listing

COMMANDS.update(
    {
        "CWD": Command(True, "CWD <folder>"),
        "XCWD": Command(True, "XCWD <folder>"),
        "CDUP": Command(False, "CDUP"),
        "XCUP": Command(False, "XCUP"),
        "PWD": Command(False, "PWD"),
        "XPWD": Command(False, "XPWD"),
        "MKD": Command(True, "MKD <folder>"),
        "XMKD": Command(True, "XMKD <folder>"),
        "RMD": Command(True, "RMD <folder>"),
        "XRMD": Command(True, "XRMD <folder>"),
        "LIST": Command(None, "LIST [<path>]"),
        "NLST": Command(None, "NLST [<path>]"),
        "MLSD": Command(None, "MLSD [<folder>]"),
        "MLST": Command(None, "MLST [<path>]"),
        "STAT": Command(None, "STAT [<path>]", False),
    }
)
_OPTIONS = re.compile(r"(?:-[A-Za-z1]+(?: +|\Z))+")  # `LIST -la`, which many clients send
_WILD = re.compile(r"[*?\[]")


class FolderCommands(Channel):
    """Where the session stands, and what is there."""

    def ftp_CWD(self, path: str) -> None:
        self.view.change_dir(path)
        self.respond(f"250 {_quote(self.view.working_dir)} is the working directory.")

    def ftp_CDUP(self, text: str) -> None:
        self.ftp_CWD("..")

    def ftp_PWD(self, text: str) -> None:
        self.respond(f"257 {_quote(self.view.working_dir)} is the working directory.")

    def ftp_MKD(self, path: str) -> None:
        path = self.view.resolve(path)
        self.view.make_dir(path)
        self.respond(f"257 {_quote(path)} is made.")

    def ftp_RMD(self, path: str) -> None:
        with self.keeping_alive("250"):
            self.view.delete_dir(path)
        self.respond("250 The folder is deleted.")

    ftp_XCWD, ftp_XCUP, ftp_XPWD, ftp_XMKD, ftp_XRMD = ftp_CWD, ftp_CDUP, ftp_PWD, ftp_MKD, ftp_RMD

    def ftp_LIST(self, text: str) -> None:
        self.check_data_connection()
        self._begin_listing(self._find(_without_options(text)), make_list_format())

    def ftp_NLST(self, text: str) -> None:
        self.check_data_connection()
        path = _without_options(text)
        entries = self._find(path)
        folder = path[: path.rfind("/") + 1]
        wild = _WILD.search(path) is not None  # `mget folder/*` wants names that it can ask for
        self._begin_listing(entries, (lambda entry: folder + entry.name) if wild and folder else make_name_line)

    def ftp_MLSD(self, path: str) -> None:
        """RFC 3659, section 7: of a folder alone. A missing one is 550, which clients tell from 501."""
        self.check_data_connection()
        try:
            entries = _peeked(self.view.list_dir(path or "."))
        except NotADirectoryFileSystemError:
            raise Refusal("501 MLSD is for folders; use MLST.") from None
        self._begin_listing(entries, make_facts_format(self.facts))

    def ftp_MLST(self, path: str) -> None:
        metadata = self.view.get_metadata(path or ".")
        name = metadata.name
        line = make_facts_format(self.facts)(metadata)
        self.respond_lines("250-Facts:", [line[: len(line) - len(name)] + metadata.path], "250 End.")

    def ftp_STAT(self, text: str) -> None:
        """RFC 959, section 4.1.3: of the session, or a listing over the control connection."""
        if not text:
            self._respond_status()
            return
        if self.transferring:
            raise Refusal("450 A transfer runs; ask again when it is over.")
        entries = self._find(_without_options(text))
        self.push("213-Status:\r\n")
        AsyncChat.push_with_producer(self, _Producer(make_chunks(entries, make_list_format())))

    def _respond_status(self) -> None:
        lines = ["TLS protects this connection." if self.is_encrypted else "This connection is in clear."]
        if self.session is not None:
            lines += [f"Type {'A' if self.ascii_mode else 'I'}.", self.get_transfer_status()]
        self.respond_lines("211-Status:", lines, "211 End.")

    def _begin_listing(self, entries: Iterator[FileMetadata], make_line: Format) -> None:
        self.begin_transfer(Listing(make_chunks(entries, make_line)))

    def _find(self, path: str) -> Iterator[FileMetadata]:
        """The entries of a folder, a file by itself, or what a pattern in the last name matches. One listing, and no more."""
        try:
            return _peeked(self.view.list_dir(path or "."))
        except NotADirectoryFileSystemError:
            return iter([self.view.get_metadata(path)])
        except NotFoundFileSystemError:
            folder, _, pattern = path.rpartition("/")
            if not _WILD.search(pattern):
                raise
            if path.startswith("/"):
                folder = "/" + folder
            entries = self.view.list_dir(folder or ".")
            return _peeked(entry for entry in entries if fnmatch.fnmatchcase(entry.name, pattern))


class _Producer:
    """A listing for pyftpdlib's queue of replies: chunks, made when the client has taken those before."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chain(chunks, [b"213 End.\r\n"])

    def more(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except CloudAlphaError as error:
            self._chunks = chain(())
            return paths.encode(get_reply(error).replace(get_reply(error)[:4], "213 ", 1) + "\r\n")


def _peeked(entries: Iterator[FileMetadata]) -> Iterator[FileMetadata]:
    """The same entries; the listing's errors come here, while there is still a reply to tell them with."""
    first = next(entries, None)
    return iter(()) if first is None else _prepended(first, entries)


def _prepended(first: FileMetadata, entries: Iterator[FileMetadata]) -> Iterator[FileMetadata]:
    yield first
    yield from entries


def _without_options(text: str) -> str:
    match = _OPTIONS.match(text)
    return text[match.end() :] if match else text


def _quote(path: str) -> str:
    """RFC 959, appendix II: a quotation mark in a path is doubled."""
    return '"' + path.replace('"', '""') + '"'
