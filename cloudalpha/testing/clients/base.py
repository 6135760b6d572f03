"""Client: what the tests of a manager need of a client, whatever the protocol."""

from __future__ import annotations

import contextlib
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, NamedTuple

from cloudalpha.manager import Endpoint

TIMEOUT = 30.0
"""Seconds after which a client gives up: a server that does not answer fails a test instead of stopping it."""


class ClientError(Exception):
    """The server refused something, or the connection broke; the message is what the client was told."""


class Entry(NamedTuple):
    """What a client sees of a file or folder; `modified` is None where the protocol does not tell."""

    name: str
    is_dir: bool
    size: int
    modified: datetime | None


class Client(ABC):
    """One connection of one user, logged in. One upload or download at a time, which may be left in the middle.

    abort_ways: the ways in which a client of this protocol can leave in mid-transfer without having finished: what `abort` takes.
    errors: what the protocol's library raises; set in `__init__`, where the library is imported.
    """

    abort_ways: ClassVar[tuple[str, ...]] = ("reset",)
    errors: tuple[type[Exception], ...] = (OSError,)

    @abstractmethod
    def __init__(self, endpoint: Endpoint, user_name: str, password: str) -> None:
        """Connect and log in. Raises ClientError, with the connection closed."""

    @abstractmethod
    def begin_put(self, path: str, data: bytes, offset: int = 0, append: bool = False) -> None:
        """Open a file for writing and send data. offset: where to begin, in a file that is there; 0 means a new content."""

    @abstractmethod
    def finish_put(self) -> None:
        """End the upload as the protocol wants it, and wait for the server's word that it is done."""

    @abstractmethod
    def begin_get(self, path: str, num_bytes: int, offset: int = 0) -> bytes:
        """Open a file for reading; the first bytes from the offset on, at most so many."""

    @abstractmethod
    def finish_get(self) -> bytes:
        """The rest of the download, with the server's word that it was all."""

    @abstractmethod
    def abort(self, way: str) -> None:
        """Leave in the middle of an upload or a download, and be gone."""

    @abstractmethod
    def list_dir(self, path: str) -> list[Entry]:
        """The entries of a folder, without "." and ".."."""

    @abstractmethod
    def stat(self, path: str) -> Entry:
        """One file or folder."""

    @abstractmethod
    def rename(self, old_path: str, new_path: str) -> None: ...

    @abstractmethod
    def delete(self, path: str) -> None: ...

    @abstractmethod
    def make_dir(self, path: str) -> None: ...

    @abstractmethod
    def delete_dir(self, path: str) -> None: ...

    @abstractmethod
    def set_modified(self, path: str, modified: datetime) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Say good-bye, or just go. Harmless when repeated; raises nothing."""

    def put(self, path: str, data: bytes, offset: int = 0, append: bool = False) -> None:
        """Write a whole file, or its rest from an offset on, or its end."""
        self.begin_put(path, data, offset, append)
        self.finish_put()

    def get(self, path: str, offset: int = 0) -> bytes:
        """A whole file, or its rest."""
        return self.begin_get(path, 65536, offset) + self.finish_get()

    def list_names(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        return sorted(entry.name for entry in self.list_dir(path))

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turns `errors` into ClientError."""
        try:
            yield
        except self.errors as error:
            raise ClientError(str(error)) from error


def reset_connection(connection: socket.socket) -> None:
    """Close a connection as a machine does that lost power: by a reset, with nothing more sent."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
