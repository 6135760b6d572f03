"""An SFTP client made of paramiko."""

from __future__ import annotations

import importlib
import socket
from datetime import UTC, datetime
from typing import Any

from cloudalpha.manager import Endpoint
from cloudalpha.testing.clients.base import TIMEOUT, Client, ClientError, Entry, reset_connection

SSH_FXP_CLOSE = 4


class SFTPClient(Client):
    """paramiko (of the extra `cloudalpha[dev]`). The host key is not verified."""

    abort_ways = ("reset", "disconnect")

    def __init__(self, endpoint: Endpoint, user_name: str, password: str) -> None:
        paramiko: Any = importlib.import_module("paramiko")
        self.errors = (paramiko.SSHException, OSError, EOFError)
        self._file: Any = None
        with self.translated():
            self._socket = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT)
            self._transport = paramiko.Transport(self._socket)
            self._transport.banner_timeout = self._transport.auth_timeout = TIMEOUT
        try:
            with self.translated():
                self._transport.connect(username=user_name, password=password)
                self._sftp: Any = paramiko.SFTPClient.from_transport(self._transport)
                self._sftp.get_channel().settimeout(TIMEOUT)
        except ClientError:
            self.close()
            raise

    def begin_put(self, path: str, data: bytes, offset: int = 0, append: bool = False) -> None:
        mode = "ab" if append else "r+b" if offset else "wb"
        with self.translated():
            self._file = self._sftp.open(path, mode)
            if offset:
                self._file.seek(offset)
            self._file.write(data)
            self._file.flush()

    def finish_put(self) -> None:
        file, self._file = self._file, None
        file._closed = True
        with self.translated():
            self._sftp._request(SSH_FXP_CLOSE, file.handle)  # paramiko's own close hides the server's answer

    def begin_get(self, path: str, num_bytes: int, offset: int = 0) -> bytes:
        with self.translated():
            self._file = self._sftp.open(path, "rb")
            self._file.seek(offset)
            return bytes(self._file.read(num_bytes))

    def finish_get(self) -> bytes:
        file, self._file = self._file, None
        with self.translated(), file:
            return bytes(file.read())

    def abort(self, way: str) -> None:
        assert self._file is not None, "nothing is under way"
        self._file._closed = True  # or paramiko would send a close when the object is deleted
        self._file = None
        if way == "reset":
            reset_connection(self._socket)
        self.close()

    def list_dir(self, path: str) -> list[Entry]:
        with self.translated():
            return [self._entry(attributes) for attributes in self._sftp.listdir_attr(path)]

    def stat(self, path: str) -> Entry:
        with self.translated():
            attributes = self._sftp.stat(path)
        attributes.filename = path.rpartition("/")[2]
        return self._entry(attributes)

    def rename(self, old_path: str, new_path: str) -> None:
        with self.translated():
            self._sftp.rename(old_path, new_path)

    def delete(self, path: str) -> None:
        with self.translated():
            self._sftp.remove(path)

    def make_dir(self, path: str) -> None:
        with self.translated():
            self._sftp.mkdir(path)

    def delete_dir(self, path: str) -> None:
        with self.translated():
            self._sftp.rmdir(path)

    def set_modified(self, path: str, modified: datetime) -> None:
        seconds = int(modified.timestamp())
        with self.translated():
            self._sftp.utime(path, (seconds, seconds))

    def close(self) -> None:
        self._transport.close()
        self._transport.join(TIMEOUT)
        self._socket.close()

    def _entry(self, attributes: Any) -> Entry:
        is_dir = (attributes.st_mode or 0) & 0o170000 == 0o040000
        modified = None if attributes.st_mtime is None else datetime.fromtimestamp(attributes.st_mtime, UTC)
        return Entry(attributes.filename, is_dir, attributes.st_size or 0, modified)
