"""Nobody waits for others, and nothing grows without bound: threats 20, 22, 24; law 8."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from cloudalpha.capabilities import Capabilities
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.slow_layer import SlowLayer
from cloudalpha.testing.waiting import wait_until
from tests.managers.sftp.conftest import Serve
from tests.managers.sftp.raw_client import RawClient, uint32, uint64

Connect = Callable[..., RawClient]


def test_slow_sessions_do_not_stop_others(serve: Serve, connect: Connect, files: MemoryFileSystem) -> None:
    """Eight sessions wait for a storage, with as many requests as they can send; another one's `ls` answers in 0.1 s."""
    files.make_dir("/fast")
    files.write_all("/fast/file", b"")

    class SlowFolder(SlowLayer):
        def intercept(self, call: str, path: str, action):  # type: ignore[no-untyped-def]
            if path.startswith("/slow"):
                return super().intercept(call, path, action)
            return action()

    slow = SlowFolder(files, seconds=60)
    manager = serve(OpenGate(slow))
    try:
        waiting = [connect(manager) for _ in range(8)]
        quick = connect(manager)
        assert quick.list_names(b"/fast") == [b"file"]
        for client in waiting:
            for number in range(50):
                client.send(Kind.STAT, string(b"/slow/%d" % number))
        wait_until(lambda: slow.waiting >= 8 * 2)
        times = []
        for _ in range(5):
            start = time.monotonic()
            assert quick.list_names(b"/fast") == [b"file"]
            times.append(time.monotonic() - start)
        assert min(times) < 0.1, times  # the bound; the least, for a machine that is busy with other tests
        newcomer = connect(manager)
        assert newcomer.list_names(b"/fast") == [b"file"]
    finally:
        slow.release()
    for client in waiting:
        assert {client.receive().status for _ in range(50)} == {Status.NO_SUCH_FILE}


class EndlessFolder(MemoryFileSystem):
    """A root with as many entries as a test wants, made while they are listed."""

    capabilities = Capabilities()
    num_entries = 500_000
    num_listed = 0
    is_closed = False

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        try:
            for number in range(self.num_entries):
                self.num_listed = number + 1
                yield FileMetadata(f"/a-rather-long-name-for-a-file-{number:07}.dat", False, number)
        finally:
            self.is_closed = True


def test_huge_folder(serve: Serve, connect: Connect) -> None:
    """500,000 names: the first ones at once, and memory that does not grow (threat 24)."""
    folder = EndlessFolder()
    client = connect(serve(OpenGate(folder)))
    start = time.monotonic()
    handle = client.ask(Kind.OPENDIR, string(b"/")).handle
    count = len(client.ask(Kind.READDIR, string(handle)).names)
    assert time.monotonic() - start < 0.3  # the bound
    assert 0 < count < 10_000
    process = psutil.Process()
    before = process.memory_info().rss
    while (reply := client.ask(Kind.READDIR, string(handle))).kind == Kind.NAME:
        count += int.from_bytes(reply.body[:4], "big")
    assert count == folder.num_entries
    assert process.memory_info().rss - before < 40 * 1024 * 1024
    assert client.close_handle(handle).status == Status.OK


def test_listing_can_be_left(serve: Serve, connect: Connect, gate: OpenGate) -> None:
    folder = EndlessFolder()
    client = connect(serve(OpenGate(folder)))
    handle = client.ask(Kind.OPENDIR, string(b"/")).handle
    assert client.ask(Kind.READDIR, string(handle)).names
    assert client.close_handle(handle).status == Status.OK
    assert folder.is_closed
    assert folder.num_listed < 100_000
    folder.is_closed = False
    handle = client.ask(Kind.OPENDIR, string(b"/")).handle
    assert client.ask(Kind.READDIR, string(handle)).names
    client.reset()
    wait_until(lambda: folder.is_closed)


def test_a_client_that_does_not_read_is_held_back(serve: Serve, connect: Connect, files: MemoryFileSystem) -> None:
    """It asks for 2 GB at once and takes none of it: the gateway keeps some megabytes, not all."""
    files.write_all("/file", bytes(1_000_000))
    client = connect(serve())
    handle = client.open(b"/file", OpenFlag.READ).handle
    process = psutil.Process()
    before = process.memory_info().rss
    client.transport.packetizer.set_keepalive(0, None)
    client.channel.settimeout(1.0)
    with pytest.raises(TimeoutError):
        for _ in range(200_000):
            client.send(Kind.READ, string(handle) + uint64(0) + uint32(250_000))
    assert process.memory_info().rss - before < 64 * 1024 * 1024


def test_writes_wait_for_a_slow_storage(serve: Serve, connect: Connect, files: MemoryFileSystem) -> None:
    """Back-pressure reaches the client; what it could send is a few megabytes."""
    slow = SlowLayer(files, seconds=60, calls={"NewFile.write"})
    client = connect(serve(OpenGate(slow)))
    handle = client.create(b"/file")
    client.channel.settimeout(1.0)
    num_sent = 0
    try:
        with pytest.raises(TimeoutError):
            for number in range(2000):
                client.send(Kind.WRITE, string(handle) + uint64(number * 32_000) + string(bytes(32_000)))
                num_sent += 32_000
        assert num_sent < 32 * 1024 * 1024
    finally:
        slow.release()


def test_idle_connections_are_closed(serve: Serve, connect: Connect) -> None:
    manager = serve(idle_timeout=0.4)
    client = connect(manager)
    wait_until(lambda: manager.count_sessions() == 0)
    wait_until(lambda: not client.transport.is_active())


def test_silent_connections_do_not_stop_a_log_in(serve: Serve, connect: Connect) -> None:
    manager = serve()
    silent = []
    try:
        for _ in range(500):
            silent.append(socket.create_connection(("127.0.0.1", manager.get_endpoints()[0].port), 10))
        start = time.monotonic()
        client = connect(manager)
        assert time.monotonic() - start < 1.0  # threat 20
        assert client.stat(b"/").kind == Kind.ATTRS
    finally:
        for connection in silent:
            connection.close()
