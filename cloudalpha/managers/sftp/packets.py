"""The bytes of SFTP version 3: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL file for its extensions.

Bytes that follow a request's last field are ignored, because real clients send some; a request that ends before its last field is a
`BadMessageError`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MAX_PACKET_BYTES = 256 * 1024
"""The longest packet taken or sent, without its length field: the bound of OpenSSH and most others."""

MAX_DATA_BYTES = MAX_PACKET_BYTES - 1024
"""The most bytes that one READ or WRITE moves."""

VERSION = 3


class Kind(IntEnum):
    """What a packet is (section 3)."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(IntEnum):
    """The outcome of a request (section 7): all that version 3 knows."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


class OpenFlag(IntFlag):
    """How a file is to be opened (section 6.3)."""

    READ = 0x01
    WRITE = 0x02
    APPEND = 0x04
    CREATE = 0x08
    TRUNCATE = 0x10
    EXCLUSIVE = 0x20


class AttrFlag(IntFlag):
    """Which attributes follow (section 5)."""

    SIZE = 0x01
    USER_AND_GROUP = 0x02
    PERMISSIONS = 0x04
    TIMES = 0x08
    EXTENDED = 0x80000000


class BadMessageError(Exception):
    """A request is shorter than its fields; the message may be shown to the client."""


class StatusError(Exception):
    """A request is answered by this status and this short text."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Attrs:
    """The attributes of a request that mean something here; None where the client did not send them.

    size: bytes. modified: seconds since 1970.
    """

    size: int | None = None
    modified: int | None = None


class Reader:
    """Takes a request's fields one after the other."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self._position = position

    def _take(self, num_bytes: int) -> bytes:
        end = self._position + num_bytes
        if end > len(self._data):
            raise BadMessageError("the request is too short")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def get_uint32(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def get_uint64(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def get_string(self) -> bytes:
        return self._take(self.get_uint32())

    def get_attrs(self) -> Attrs:
        flags = self.get_uint32()
        size = self.get_uint64() if flags & AttrFlag.SIZE else None
        if flags & AttrFlag.USER_AND_GROUP:
            self._take(8)
        if flags & AttrFlag.PERMISSIONS:
            self._take(4)
        modified = None
        if flags & AttrFlag.TIMES:
            self._take(4)
            modified = self.get_uint32()
        if flags & AttrFlag.EXTENDED:
            for _ in range(self.get_uint32()):
                self.get_string()
                self.get_string()
        return Attrs(size, modified)


_HEAD = struct.Struct(">IBI")
_DATA_HEAD = struct.Struct(">IBII")
_STATUS_HEAD = struct.Struct(">IBIII")


def string(data: bytes) -> bytes:
    """A field of any bytes, with its length before it."""
    return len(data).to_bytes(4, "big") + data


def make_packet(kind: Kind, request_id: int, body: bytes) -> bytes:
    """A whole reply."""
    return _HEAD.pack(len(body) + 5, kind, request_id) + body


def make_data(request_id: int, data: bytes) -> bytes:
    """The reply that carries a file's bytes."""
    return _DATA_HEAD.pack(len(data) + 9, Kind.DATA, request_id, len(data)) + data


def make_status(request_id: int, status: Status, text: str = "") -> bytes:
    """The reply that says how a request ended."""
    message = text.encode("utf-8", "replace")
    return _STATUS_HEAD.pack(len(message) + 17, Kind.STATUS, request_id, status, len(message)) + message + b"\0\0\0\0"
