"""The SCP protocol byte by byte: only what came whole, and what the client calls whole, is published."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Generator, Iterator
from functools import partial

import paramiko
import pytest

from cloudalpha.file_metadata import utc
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.managers.sftp.manager import SFTPManager
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.faulty_layer import Fault, FaultyLayer
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.waiting import wait_until
from tests.counting_spool import CountingSpool
from tests.managers.sftp.conftest import Serve

MIB = 1 << 20
TIMEOUT = 30.0
Execute = Callable[..., paramiko.Channel]


@pytest.fixture
def faulty(files: MemoryFileSystem) -> FaultyLayer:
    return FaultyLayer(files)


@pytest.fixture
def execute(serve: Serve, faulty: FaultyLayer) -> Iterator[Execute]:
    """Runs a command in a channel of one connection."""
    yield from _execute(serve(OpenGate(faulty)))


def _execute(manager: SFTPManager) -> Generator[Execute]:
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", manager.get_endpoints()[0].port), TIMEOUT))
    transport.connect(username="demo", password="secret")

    def run(command: str) -> paramiko.Channel:
        channel = transport.open_session(timeout=TIMEOUT)
        channel.settimeout(TIMEOUT)
        channel.exec_command(command)
        return channel

    try:
        yield run
    finally:
        transport.close()
        transport.join(TIMEOUT)


def receive(channel: paramiko.Channel, num_bytes: int) -> bytes:
    received = b""
    while len(received) < num_bytes and (piece := channel.recv(num_bytes - len(received))):
        received += piece
    return received


def receive_rest(channel: paramiko.Channel) -> bytes:
    received = b""
    while piece := channel.recv(65536):
        received += piece
    return received


def list_names(files: MemoryFileSystem) -> list[str]:
    return sorted(entry.name for entry in files.list_dir("/"))


def test_upload(execute: Execute, files: MemoryFileSystem) -> None:
    channel = execute("scp -p -t /target")
    assert receive(channel, 1) == b"\0"
    channel.sendall(b"T1000000000 0 1 0\n")
    assert receive(channel, 1) == b"\0"
    channel.sendall(b"C0644 7 name\n")
    assert receive(channel, 1) == b"\0"
    channel.sendall(b"content\0")
    assert receive(channel, 1) == b"\0"
    channel.shutdown_write()
    assert channel.recv_exit_status() == 0
    assert files.read_all("/target") == b"content"
    assert files.get_metadata("/target").modified_datetime == utc(1_000_000_000)


def test_an_upload_costs_its_content_and_no_more(serve: Serve, files: MemoryFileSystem) -> None:
    """The time goes with it; the spool, which could hold none of it, is not asked for a file."""
    counted = CountingLayer(files)
    spool = CountingSpool(MIB)
    channels = _execute(serve(OpenGate(counted, make_view=partial(FileSystemView, spool=spool))))
    channel = next(channels)("scp -p -t /target")
    channel.sendall(b"T1000000000 0 1 0\n" + b"C0644 %d name\n" % (3 * MIB) + b"x" * (3 * MIB) + b"\0")
    assert receive(channel, 4) == bytes(4)
    channels.close()
    assert files.get_metadata("/target").modified_datetime == utc(1_000_000_000)
    assert counted.bytes_written == files.get_size("/target") == 3 * MIB
    assert counted.calls["NewFile.commit"] == 1 and not counted.calls["set_modified_datetime"]
    assert spool.num_files == 0


@pytest.mark.parametrize("sent", [b"", b"cont", b"content", b"content\1scp: read error\n", b"content\2gone\n"])
def test_what_is_not_whole_is_not_published(execute: Execute, files: MemoryFileSystem, sent: bytes) -> None:
    files.write_all("/old", b"old content")
    for target in ("/old", "/new"):
        channel = execute(f"scp -t {target}")
        channel.sendall(b"C0644 7 name\n" + sent)
        channel.shutdown_write()
        assert channel.recv_exit_status() != 0
    assert list_names(files) == ["old"]
    assert files.read_all("/old") == b"old content"


def test_a_failed_commit_is_told(execute: Execute, files: MemoryFileSystem, faulty: FaultyLayer) -> None:
    faulty.plan(Fault("NewFile.commit"))
    channel = execute("scp -t /target")
    channel.sendall(b"C0644 7 name\ncontent\0")
    channel.shutdown_write()
    answer = receive_rest(channel)
    assert answer.startswith(b"\0\0\1scp: /target: ")
    assert channel.recv_exit_status() == 1
    assert list_names(files) == []


def test_an_error_of_one_file_leaves_the_others(execute: Execute, files: MemoryFileSystem, faulty: FaultyLayer) -> None:
    files.make_dir("/folder")
    faulty.plan(Fault("NewFile.write", path="/folder/a"))
    channel = execute("scp -r -t /folder")
    channel.sendall(b"C0644 3 a\nxxx\0C0644 3 b\nyyy\0")
    channel.shutdown_write()
    assert b"\1scp: /folder/a: " in receive_rest(channel)
    assert channel.recv_exit_status() == 1
    assert files.read_all("/folder/b") == b"yyy"
    assert not files.exists("/folder/a")


@pytest.mark.parametrize(
    "line",
    [
        b"C0644 5 ../name\n",
        b"C0644 5 ..\n",
        b"C0644 5 .\n",
        b"C0644 5 \n",
        b"C0644 -5 name\n",
        b"C0644 99999999999999999999 name\n",
        b"C0644\n",
        b"D0755 0 /etc\n",
        b"Tnever\n",
        b"E\n",
        b"X\n",
        b"\n",
        b"C0644 5 " + b"x" * 10_000 + b"\n",
        b"x" * 100_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_lines_that_are_not_scp(execute: Execute, files: MemoryFileSystem, line: bytes) -> None:
    channel = execute("scp -r -t /")
    with contextlib.suppress(OSError):  # the manager may have hung up before all of it is sent
        channel.sendall(line)
        channel.shutdown_write()
    receive_rest(channel)
    assert channel.recv_exit_status() != 0
    assert list_names(files) == []


def test_names_with_control_characters_are_refused(execute: Execute, files: MemoryFileSystem) -> None:
    channel = execute("scp -t /")
    channel.sendall(b"C0644 5 na\x1b[2Jme\n")
    assert receive(channel, 2) == b"\0\1"
    answer = receive(channel, 10)
    assert b"\x1b" not in answer
    channel.sendall(b"C0644 2 good\nok\0")
    channel.shutdown_write()
    assert b"\x1b" not in receive_rest(channel)
    assert list_names(files) == ["good"]


def test_download(execute: Execute, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"content")
    files.set_modified_datetime("/file", utc(1_000_000_000))
    channel = execute("scp -p -f /file /none")
    channel.sendall(b"\0\0\0\0")
    channel.shutdown_write()
    answer = receive_rest(channel)
    assert answer.startswith(b"T1000000000 0 1000000000 0\nC0644 7 file\ncontent\0\1scp: /none: ")
    assert channel.recv_exit_status() == 1


def test_a_broken_read_is_told_behind_the_announced_bytes(
    execute: Execute, files: MemoryFileSystem, faulty: FaultyLayer
) -> None:
    files.write_all("/file", b"content" * 100_000)
    faulty.plan(Fault("read", after=1000, times=None))
    channel = execute("scp -f /file")
    channel.sendall(b"\0\0")
    answer = receive(channel, len(b"C0644 700000 file\n") + 700_000 + 2)
    assert answer[-2:-1] == b"\1"
    channel.close()


def test_transfers_are_bounded(serve: Serve, gate: OpenGate, files: MemoryFileSystem) -> None:
    manager = serve(max_scp_transfers=2)
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", manager.get_endpoints()[0].port), TIMEOUT))
    try:
        transport.connect(username="demo", password="secret")
        channels = []
        for _ in range(3):
            channel = transport.open_session(timeout=TIMEOUT)
            channel.settimeout(TIMEOUT)
            channel.exec_command("scp -t /file")
            channels.append(channel)
            if len(channels) < 3:
                assert receive(channel, 1) == b"\0"
        assert b"too many" in receive_rest(channels[2])
        assert channels[2].recv_exit_status() == 1
        channels[0].shutdown_write()
        assert channels[0].recv_exit_status() == 0
    finally:
        transport.close()
        transport.join(TIMEOUT)
    wait_until(lambda: gate.visits[0].closed)


def test_scp_can_be_switched_off(serve: Serve) -> None:
    manager = serve(scp=False)
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", manager.get_endpoints()[0].port), TIMEOUT))
    try:
        transport.connect(username="demo", password="secret")
        channel = transport.open_session(timeout=TIMEOUT)
        with pytest.raises(paramiko.SSHException):
            channel.exec_command("scp -t /")
    finally:
        transport.close()
        transport.join(TIMEOUT)
