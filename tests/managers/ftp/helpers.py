"""A client that says exactly what a test wants, and a file system that a test can hold up."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator

from cloudalpha.exceptions import InsufficientSpaceFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import NewFile, WriteOptions
from cloudalpha.services.memory.file_system import MemoryFileSystem


class Client:
    """The control connection, line by line."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        self.context = context
        self.protected = False
        if context is not None:
            self.secure()
        self.file = self.sock.makefile("rb")

    def secure(self) -> None:
        assert self.context is not None
        self.sock = self.context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def send(self, line: bytes | str) -> None:
        self.sock.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def read_reply(self) -> bytes:
        """A whole reply, with its lines between; empty when the connection is closed."""
        try:
            lines = [self.file.readline()]
            code = lines[0][:3]
            while lines[-1] and not (lines[-1].startswith(code + b" ")):
                lines.append(self.file.readline())
        except ConnectionError:
            return b""
        return b"".join(lines)

    def do(self, line: bytes | str) -> bytes:
        self.send(line)
        return self.read_reply()

    def code(self, line: bytes | str) -> int:
        return int(self.do(line)[:3] or 0)

    def log_in(self, user: str = "demo", password: str = "secret") -> None:  # noqa: S107
        assert self.read_reply().startswith(b"220")
        assert self.code(f"USER {user}") == 331
        assert self.code(f"PASS {password}") == 230
        assert self.code("TYPE I") == 200

    def start_tls(self, context: ssl.SSLContext) -> None:
        assert self.read_reply().startswith(b"220")
        assert self.code("AUTH TLS") == 234
        self.context = context
        self.secure()

    def protect(self) -> None:
        assert self.code("PBSZ 0") == 200
        assert self.code("PROT P") == 200
        self.protected = True

    def get_passive_port(self) -> int:
        reply = self.do("EPSV")
        assert reply.startswith(b"229"), reply
        return int(reply.split(b"|")[3])

    def open_data(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.get_passive_port()), 20, (source, 0))

    def begin(self, line: bytes | str) -> socket.socket:
        """Open a data connection, have the command accepted, and secure it where it must be."""
        data = self.open_data()
        reply = self.do(line)
        assert reply.startswith(b"150"), reply
        if self.protected:
            assert self.context is not None
            session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
            return self.context.wrap_socket(data, server_hostname="localhost", session=session)
        return data

    def get(self, line: bytes | str) -> bytes:
        data = self.begin(line)
        content = read_all(data)
        data.close()
        reply = self.read_reply()
        assert reply.startswith(b"226"), reply
        return content

    def put(self, line: bytes | str, content: bytes) -> bytes:
        data = self.begin(line)
        data.sendall(content)
        finish(data)
        return self.read_reply()

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def finish(sock: socket.socket) -> None:
    """The clean end of an upload."""
    if isinstance(sock, ssl.SSLSocket):
        sock.unwrap().close()
    else:
        sock.close()


def reset(sock: socket.socket) -> None:
    """Close with RST, as a dying machine or a firewall does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(sock, ssl.SSLSocket):
        sock = socket.socket(fileno=sock.detach())
    sock.close()


def make_client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class HeldFileSystem(MemoryFileSystem):
    """Commits wait until the test lets them; uploads beyond `room` fail; listings count their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.committing = threading.Event()
        self.room: int | None = None
        self.metadata_calls = 0
        self.listed = 0

    def get_metadata(self, path: str) -> FileMetadata:
        self.metadata_calls += 1
        return super().get_metadata(path)

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        for entry in super().list_dir(path):
            self.listed += 1
            yield entry

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        return _HeldFile(self, super().create_new_file(path, options))


class _HeldFile(NewFile):
    def __init__(self, file_system: HeldFileSystem, inner: NewFile) -> None:
        self.file_system = file_system
        self.inner = inner
        self.path = inner.path
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)
        if self.file_system.room is not None and self.written > self.file_system.room:
            raise InsufficientSpaceFileSystemError(self.path)
        self.inner.write(data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.inner.keep(start_byte, num_bytes)

    def commit(self) -> FileMetadata:
        self.file_system.committing.set()
        assert self.file_system.may_commit.wait(30)
        return self.inner.commit()

    def discard(self) -> None:
        self.inner.discard()
