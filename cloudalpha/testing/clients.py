"""What the tests of a manager need of a client: the interface, and adapters for ftplib and paramiko.

Write an adapter for the protocol of your manager by subclassing `Client`; its errors must all become ClientError.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cloudalpha.manager import Endpoint

if TYPE_CHECKING:
    import ftplib

SSH_FXP_CLOSE = 4

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
    """

    abort_ways: ClassVar[tuple[str, ...]] = ("reset",)

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


def reset_connection(connection: socket.socket) -> None:
    """Close a connection as a machine does that lost power: by a reset, with nothing more sent."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class FTPClient(Client):
    """ftplib, with data connections in passive mode. tls: None, `explicit` or `implicit`; the certificate is not verified."""

    abort_ways = ("reset", "abor", "control_lost")
    tls: ClassVar[str | None] = None

    def __init__(self, endpoint: Endpoint, user_name: str, password: str) -> None:
        import ftplib

        self._errors: tuple[type[Exception], ...] = (*ftplib.all_errors, ssl.SSLError, ValueError)
        self._data: socket.socket | None = None
        self._received = b""
        with self._translated():
            self._ftp = self._connect(endpoint)
        try:
            with self._translated():
                self._ftp.login(user_name, password)
                if isinstance(self._ftp, ftplib.FTP_TLS):
                    self._ftp.prot_p()
        except ClientError:
            self.close()
            raise

    def begin_put(self, path: str, data: bytes, offset: int = 0, append: bool = False) -> None:
        command = "APPE" if append else "STOR"
        with self._translated():
            self._ftp.voidcmd("TYPE I")
            self._data = self._ftp.transfercmd(f"{command} {path}", offset or None)
            with self._explained():
                self._data.sendall(data)

    def finish_put(self) -> None:
        with self._translated():
            self._end_data()

    def begin_get(self, path: str, num_bytes: int, offset: int = 0) -> bytes:
        with self._translated():
            self._ftp.voidcmd("TYPE I")
            self._data = self._ftp.transfercmd(f"RETR {path}", offset or None)
            with self._explained():
                return self._receive(num_bytes)

    def finish_get(self) -> bytes:
        with self._translated():
            with self._explained():
                received = self._receive(None)
            self._end_data()
            return received

    def abort(self, way: str) -> None:
        assert self._data is not None, "nothing is under way"
        if way == "abor":
            with contextlib.suppress(*self._errors):
                self._ftp.abort()
            reset_connection(self._data)
        elif (
            way == "control_lost"
        ):  # the data connection stays, so that its end cannot be taken for the end of the file
            self._reset_control()
            return
        else:
            reset_connection(self._data)
        self._data = None
        self._reset_control()

    def list_dir(self, path: str) -> list[Entry]:
        with self._translated():
            self._ftp.voidcmd("TYPE A")
            self._data = self._ftp.transfercmd(f"MLSD {path}")
        lines = self.finish_get().decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        return [entry for line in lines if (entry := self._parse_entry(line)) is not None]

    def stat(self, path: str) -> Entry:
        with self._translated():
            line = self._ftp.sendcmd(f"MLST {path}").split("\n")[1].lstrip()
        entry = self._parse_entry(line)
        if entry is None:
            raise ClientError(f"not an entry: {line}")
        return entry._replace(name=entry.name.rpartition("/")[2])

    def rename(self, old_path: str, new_path: str) -> None:
        with self._translated():
            self._ftp.rename(old_path, new_path)

    def delete(self, path: str) -> None:
        with self._translated():
            self._ftp.delete(path)

    def make_dir(self, path: str) -> None:
        with self._translated():
            self._ftp.mkd(path)

    def delete_dir(self, path: str) -> None:
        with self._translated():
            self._ftp.rmd(path)

    def set_modified(self, path: str, modified: datetime) -> None:
        with self._translated():
            self._ftp.voidcmd(f"MFMT {modified.astimezone(UTC):%Y%m%d%H%M%S} {path}")

    def close(self) -> None:
        if self._data is not None:
            reset_connection(self._data)
            self._data = None
        self._ftp.close()

    def _connect(self, endpoint: Endpoint) -> ftplib.FTP:
        import ftplib

        if self.tls is None:
            ftp = ftplib.FTP(timeout=TIMEOUT, encoding="utf-8")  # noqa: S321 - a client of the manager under test
            ftp.connect(endpoint.host, endpoint.port)
            return ftp
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        ftps = ftplib.FTP_TLS(timeout=TIMEOUT, encoding="utf-8", context=context)  # noqa: S321
        if self.tls == "implicit":
            raw = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT)
            ftps.af, ftps.host = raw.family, endpoint.host
            ftps.sock = context.wrap_socket(raw)
            ftps.file = ftps.sock.makefile("r", encoding=ftps.encoding)
            ftps.welcome = ftps.getresp()
        else:
            ftps.connect(endpoint.host, endpoint.port)
            ftps.auth()
        return ftps

    def _receive(self, num_bytes: int | None) -> bytes:
        assert self._data is not None, "nothing is under way"
        received = bytearray()
        while num_bytes is None or len(received) < num_bytes:
            piece = self._data.recv(262144 if num_bytes is None else num_bytes - len(received))
            if not piece:
                break
            received += piece
        return bytes(received)

    def _end_data(self) -> None:
        """End the data connection in order, and read the reply that says how it went."""
        assert self._data is not None, "nothing is under way"
        data, self._data = self._data, None
        with contextlib.suppress(OSError), data:
            if isinstance(data, ssl.SSLSocket):
                data.unwrap()
        self._ftp.voidresp()

    def _reset_control(self) -> None:
        if self._ftp.sock is not None:
            if self._ftp.file is not None:
                self._ftp.file.close()
            reset_connection(self._ftp.sock)
        self._ftp.sock = None
        self._ftp.file = None

    def _parse_entry(self, line: str) -> Entry | None:
        """One line of MLSD or MLST (RFC 3659 section 7.2); None for the folder itself and the one above."""
        text, _, name = line.partition(" ")
        facts = {key.lower(): value for key, _, value in (fact.partition("=") for fact in text.rstrip(";").split(";"))}
        kind, modify = facts.get("type", "").lower(), facts.get("modify")
        if kind in ("cdir", "pdir") and "/" not in name:
            return None
        modified = None if modify is None else datetime.strptime(modify[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return Entry(name, kind in ("dir", "cdir", "pdir"), int(facts.get("size", 0)), modified)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """When the data connection breaks, the reply on the other one says why: it is the error then."""
        try:
            yield
        except OSError:
            self._end_data()
            raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise ClientError(str(error)) from error


class ExplicitFTPSClient(FTPClient):
    """FTP with AUTH TLS and encrypted data connections."""

    tls = "explicit"


class ImplicitFTPSClient(FTPClient):
    """FTP inside TLS from the first byte."""

    tls = "implicit"


class SFTPClient(Client):
    """paramiko (of the extra `cloudalpha[dev]`). The host key is not verified."""

    abort_ways = ("reset", "disconnect")

    def __init__(self, endpoint: Endpoint, user_name: str, password: str) -> None:
        paramiko: Any = importlib.import_module("paramiko")
        self._errors: tuple[type[Exception], ...] = (paramiko.SSHException, OSError, EOFError)
        self._file: Any = None
        with self._translated():
            self._socket = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT)
            self._transport = paramiko.Transport(self._socket)
            self._transport.banner_timeout = self._transport.auth_timeout = TIMEOUT
        try:
            with self._translated():
                self._transport.connect(username=user_name, password=password)
                self._sftp: Any = paramiko.SFTPClient.from_transport(self._transport)
                self._sftp.get_channel().settimeout(TIMEOUT)
        except ClientError:
            self.close()
            raise

    def begin_put(self, path: str, data: bytes, offset: int = 0, append: bool = False) -> None:
        mode = "ab" if append else "r+b" if offset else "wb"
        with self._translated():
            self._file = self._sftp.open(path, mode)
            if offset:
                self._file.seek(offset)
            self._file.write(data)
            self._file.flush()

    def finish_put(self) -> None:
        file, self._file = self._file, None
        file._closed = True
        with self._translated():
            self._sftp._request(SSH_FXP_CLOSE, file.handle)  # paramiko's own close hides the server's answer

    def begin_get(self, path: str, num_bytes: int, offset: int = 0) -> bytes:
        with self._translated():
            self._file = self._sftp.open(path, "rb")
            self._file.seek(offset)
            return bytes(self._file.read(num_bytes))

    def finish_get(self) -> bytes:
        file, self._file = self._file, None
        with self._translated(), file:
            return bytes(file.read())

    def abort(self, way: str) -> None:
        assert self._file is not None, "nothing is under way"
        self._file._closed = True  # or paramiko would send a close when the object is deleted
        self._file = None
        if way == "reset":
            reset_connection(self._socket)
        self.close()

    def list_dir(self, path: str) -> list[Entry]:
        with self._translated():
            return [self._entry(attributes) for attributes in self._sftp.listdir_attr(path)]

    def stat(self, path: str) -> Entry:
        with self._translated():
            attributes = self._sftp.stat(path)
        attributes.filename = path.rpartition("/")[2]
        return self._entry(attributes)

    def rename(self, old_path: str, new_path: str) -> None:
        with self._translated():
            self._sftp.rename(old_path, new_path)

    def delete(self, path: str) -> None:
        with self._translated():
            self._sftp.remove(path)

    def make_dir(self, path: str) -> None:
        with self._translated():
            self._sftp.mkdir(path)

    def delete_dir(self, path: str) -> None:
        with self._translated():
            self._sftp.rmdir(path)

    def set_modified(self, path: str, modified: datetime) -> None:
        seconds = int(modified.timestamp())
        with self._translated():
            self._sftp.utime(path, (seconds, seconds))

    def close(self) -> None:
        self._transport.close()
        self._transport.join(TIMEOUT)
        self._socket.close()

    def _entry(self, attributes: Any) -> Entry:
        is_dir = (attributes.st_mode or 0) & 0o170000 == 0o040000
        modified = None if attributes.st_mtime is None else datetime.fromtimestamp(attributes.st_mtime, UTC)
        return Entry(attributes.filename, is_dir, attributes.st_size or 0, modified)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise ClientError(str(error)) from error
