"""Hashes of files: HASH (draft-bryan-ftpext-hash-02), XCRC, XMD5, XSHA1, XSHA256, XSHA512."""

from __future__ import annotations

import re
from typing import get_args

from cloudalpha.exceptions import IsADirectoryFileSystemError
from cloudalpha.file_system import ANYTHING, close_stream
from cloudalpha.hashes import make_hash
from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.managers.ftp.settings import Algorithm

COMMANDS.update(
    {
        "HASH": Command(True, "HASH <file>"),
        "XCRC": Command(True, 'XCRC "<file>" [<start> [<end>]]'),
        "XMD5": Command(True, 'XMD5 "<file>" [<start> [<end>]]'),
        "XSHA1": Command(True, 'XSHA1 "<file>" [<start> [<end>]]'),
        "XSHA256": Command(True, 'XSHA256 "<file>" [<start> [<end>]]'),
        "XSHA512": Command(True, 'XSHA512 "<file>" [<start> [<end>]]'),
    }
)
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
_QUOTED = re.compile(r'"([^"]+)"(?: ([0-9]{1,18})(?: ([0-9]{1,18}))?)?')


class HashCommands(Channel):
    """A hash that the storage knows is served from there; any other is computed by reading, up to a bound."""

    def ftp_HASH(self, path: str) -> None:
        value, start, end = self._hash(self.hash_algorithm, path, 0, None)
        self.respond(f"213 {self.hash_algorithm} {start}-{max(start, end - 1)} {value} {path}")

    def ftp_XCRC(self, text: str) -> None:
        self._respond_hash("CRC32", text)

    def ftp_XMD5(self, text: str) -> None:
        self._respond_hash("MD5", text)

    def ftp_XSHA1(self, text: str) -> None:
        self._respond_hash("SHA-1", text)

    def ftp_XSHA256(self, text: str) -> None:
        self._respond_hash("SHA-256", text)

    def ftp_XSHA512(self, text: str) -> None:
        self._respond_hash("SHA-512", text)

    def _respond_hash(self, algorithm: str, text: str) -> None:
        path, start, end = text, 0, None
        if match := _QUOTED.fullmatch(text):
            path, start = match[1], int(match[2] or 0)
            end = int(match[3]) if match[3] else None
        self.respond(f"250 {self._hash(algorithm, path, start, end)[0].upper()}")

    def _hash(self, algorithm: str, path: str, start: int, end: int | None) -> tuple[str, int, int]:
        """The hash of bytes from start up to end, not included (None: the file's end), and both offsets."""
        metadata = self.view.get_metadata(path)
        if metadata.is_dir:
            raise IsADirectoryFileSystemError(metadata.path)
        end = metadata.size if end is None else min(end, metadata.size)
        if start > end:
            raise Refusal(f"554 The file ends at {metadata.size}.")
        name = algorithm.replace("-", "").lower()
        known = metadata.get_hash(name)
        if known is not None and (start, end) == (0, metadata.size):
            return known, start, end
        if end - start > self.settings.max_hash_size:
            raise Refusal(f"552 Hashes are computed of at most {self.settings.max_hash_size} bytes.")
        digest = make_hash(name)
        stream = self.view.read(path, start, end - start, metadata.revision or ANYTHING)
        try:
            for chunk in stream:
                digest.update(chunk)
        finally:
            close_stream(stream)
        return digest.hexdigest(), start, end
