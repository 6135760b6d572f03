"""RawClient: SFTP packets as a test wants them, well-formed or not, over paramiko's SSH."""

from __future__ import annotations

import itertools
import socket
import struct
from typing import NamedTuple

import paramiko

from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from cloudalpha.testing.clients import reset_connection

TIMEOUT = 30.0


class Reply(NamedTuple):
    kind: int
    id: int
    body: bytes

    @property
    def status(self) -> int:
        assert self.kind == Kind.STATUS, self
        return int.from_bytes(self.body[:4], "big")

    @property
    def text(self) -> str:
        assert self.kind == Kind.STATUS, self
        return self.body[8 : 8 + int.from_bytes(self.body[4:8], "big")].decode()

    @property
    def handle(self) -> bytes:
        assert self.kind == Kind.HANDLE, self
        return self.body[4:]

    @property
    def data(self) -> bytes:
        assert self.kind == Kind.DATA, self
        return self.body[4:]

    @property
    def size(self) -> int:
        assert self.kind == Kind.ATTRS, self
        return struct.unpack_from(">IQ", self.body)[1]

    @property
    def modified(self) -> int:
        assert self.kind == Kind.ATTRS, self
        return struct.unpack_from(">IQIII", self.body)[4]

    @property
    def names(self) -> list[bytes]:
        assert self.kind == Kind.NAME, self
        count, position, names = int.from_bytes(self.body[:4], "big"), 4, []
        for _ in range(count):
            strings = []
            for _ in range(2):
                length = int.from_bytes(self.body[position : position + 4], "big")
                strings.append(self.body[position + 4 : position + 4 + length])
                position += 4 + length
            names.append(strings[0])
            flags = int.from_bytes(self.body[position : position + 4], "big")
            position += 4 + 8 * bool(flags & 1) + 4 * bool(flags & 4) + 8 * bool(flags & 8)
        assert position == len(self.body)
        return names


def uint32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def uint64(value: int) -> bytes:
    return value.to_bytes(8, "big")


NO_ATTRS = uint32(0)


class RawClient:
    def __init__(self, port: int, version: int | None = 3) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.transport = paramiko.Transport(self.socket)
        self.transport.connect(username="demo", password="secret")
        self.channel = self.transport.open_session(timeout=TIMEOUT)
        self.channel.settimeout(TIMEOUT)
        self.channel.invoke_subsystem("sftp")
        self.ids = itertools.count(1)
        self.version = b""
        if version is not None:
            self.send_packet(bytes((Kind.INIT,)) + uint32(version))
            self.version = self.receive_packet()

    def send_packet(self, packet: bytes) -> None:
        self.channel.sendall(uint32(len(packet)) + packet)

    def receive_packet(self) -> bytes:
        return self._receive(int.from_bytes(self._receive(4), "big"))

    def _receive(self, num_bytes: int) -> bytes:
        received = b""
        while len(received) < num_bytes:
            piece = self.channel.recv(num_bytes - len(received))
            if not piece:
                raise EOFError
            received += piece
        return received

    def send(self, kind: int, body: bytes) -> int:
        request_id = next(self.ids)
        self.send_packet(bytes((kind,)) + uint32(request_id) + body)
        return request_id

    def receive(self) -> Reply:
        packet = self.receive_packet()
        return Reply(packet[0], int.from_bytes(packet[1:5], "big"), packet[5:])

    def ask(self, kind: int, body: bytes) -> Reply:
        request_id = self.send(kind, body)
        reply = self.receive()
        assert reply.id == request_id
        return reply

    def ask_extended(self, name: bytes, body: bytes) -> Reply:
        return self.ask(Kind.EXTENDED, string(name) + body)

    def open(self, path: bytes, flags: OpenFlag) -> Reply:
        return self.ask(Kind.OPEN, string(path) + uint32(flags) + NO_ATTRS)

    def create(self, path: bytes) -> bytes:
        return self.open(path, OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.TRUNCATE).handle

    def write(self, handle: bytes, offset: int, data: bytes) -> Reply:
        return self.ask(Kind.WRITE, string(handle) + uint64(offset) + string(data))

    def read(self, handle: bytes, offset: int, num_bytes: int) -> Reply:
        return self.ask(Kind.READ, string(handle) + uint64(offset) + uint32(num_bytes))

    def close_handle(self, handle: bytes) -> Reply:
        return self.ask(Kind.CLOSE, string(handle))

    def stat(self, path: bytes) -> Reply:
        return self.ask(Kind.STAT, string(path))

    def list_names(self, path: bytes) -> list[bytes]:
        handle = self.ask(Kind.OPENDIR, string(path)).handle
        names: list[bytes] = []
        while (reply := self.ask(Kind.READDIR, string(handle))).kind == Kind.NAME:
            names += reply.names
        assert reply.status == Status.EOF
        assert self.close_handle(handle).status == Status.OK
        return names

    def reset(self) -> None:
        """Be gone, as a machine that lost power."""
        reset_connection(self.socket)

    def close(self) -> None:
        self.transport.close()
        self.transport.join(TIMEOUT)
        self.socket.close()
