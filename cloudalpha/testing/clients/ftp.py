"""FTP and FTPS clients made of ftplib."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from cloudalpha.manager import Endpoint
from cloudalpha.testing.clients.base import TIMEOUT, Client, ClientError, Entry, reset_connection

if TYPE_CHECKING:
    import ftplib


class FTPClient(Client):
    """ftplib, with data connections in passive mode. tls: None, `explicit` or `implicit`; the certificate is not verified."""

    abort_ways = ("reset", "abor", "control_lost")
    tls: ClassVar[str | None] = None

    def __init__(self, endpoint: Endpoint, user_name: str, password: str) -> None:
        import ftplib

        self.errors = (*ftplib.all_errors, ssl.SSLError, ValueError)
        self._data: socket.socket | None = None
        self._received = b""
        with self.translated():
            self._ftp = self._connect(endpoint)
        try:
            with self.translated():
                self._ftp.login(user_name, password)
                if isinstance(self._ftp, ftplib.FTP_TLS):
                    self._ftp.prot_p()
        except ClientError:
            self.close()
            raise

    def begin_put(self, path: str, data: bytes, offset: int = 0, append: bool = False) -> None:
        command = "APPE" if append else "STOR"
        with self.translated():
            self._ftp.voidcmd("TYPE I")
            self._data = self._ftp.transfercmd(f"{command} {path}", offset or None)
            with self._explained():
                self._data.sendall(data)

    def finish_put(self) -> None:
        with self.translated():
            self._end_data()

    def begin_get(self, path: str, num_bytes: int, offset: int = 0) -> bytes:
        with self.translated():
            self._ftp.voidcmd("TYPE I")
            self._data = self._ftp.transfercmd(f"RETR {path}", offset or None)
            with self._explained():
                return self._receive(num_bytes)

    def finish_get(self) -> bytes:
        with self.translated():
            with self._explained():
                received = self._receive(None)
            self._end_data()
            return received

    def abort(self, way: str) -> None:
        assert self._data is not None, "nothing is under way"
        if way == "abor":
            with contextlib.suppress(*self.errors):
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
        with self.translated():
            self._ftp.voidcmd("TYPE A")
            self._data = self._ftp.transfercmd(f"MLSD {path}")
        lines = self.finish_get().decode("utf-8", "surrogateescape").split("\r\n")[:-1]
        return [entry for line in lines if (entry := self._parse_entry(line)) is not None]

    def stat(self, path: str) -> Entry:
        with self.translated():
            line = self._ftp.sendcmd(f"MLST {path}").split("\n")[1].lstrip()
        entry = self._parse_entry(line)
        if entry is None:
            raise ClientError(f"not an entry: {line}")
        return entry._replace(name=entry.name.rpartition("/")[2])

    def rename(self, old_path: str, new_path: str) -> None:
        with self.translated():
            self._ftp.rename(old_path, new_path)

    def delete(self, path: str) -> None:
        with self.translated():
            self._ftp.delete(path)

    def make_dir(self, path: str) -> None:
        with self.translated():
            self._ftp.mkd(path)

    def delete_dir(self, path: str) -> None:
        with self.translated():
            self._ftp.rmd(path)

    def set_modified(self, path: str, modified: datetime) -> None:
        with self.translated():
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


class ExplicitFTPSClient(FTPClient):
    """FTP with AUTH TLS and encrypted data connections."""

    tls = "explicit"


class ImplicitFTPSClient(FTPClient):
    """FTP inside TLS from the first byte."""

    tls = "implicit"
