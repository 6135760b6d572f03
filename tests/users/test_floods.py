"""Connections that say nothing (threats.md 20): whoever means it still comes in, and memory of them is bounded."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.waiting import wait_until
from cloudalpha.users.defence import DefenceOptions
from cloudalpha.users.gate import Gatekeeper
from tests.users.helpers import make_user
from tests.users.test_over_protocols import PROTOCOLS, StartManager, connect, start  # noqa: F401 - a fixture

HONEST = "127.0.0.1"


@pytest.fixture
def sockets() -> Iterator[contextlib.ExitStack]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (hard if hard == resource.RLIM_INFINITY else max(soft, min(hard, 4096)), hard)
    )
    with contextlib.ExitStack() as stack:
        yield stack
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_silent(stack: contextlib.ExitStack, port: int, source: str) -> socket.socket:
    """A connection that never says anything; the server may close it at once."""
    sock = stack.enter_context(socket.socket())
    sock.settimeout(20)
    sock.bind((source, 0))
    with contextlib.suppress(ConnectionError):
        sock.connect(("127.0.0.1", port))
    return sock


def make_gate(**options: object) -> Gatekeeper:
    return Gatekeeper({"alice": make_user()}, lambda name: MemoryFileSystem(), DefenceOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_thousand_silent_connections_of_one_origin(
    protocol: str,
    start: StartManager,  # noqa: F811
    sockets: contextlib.ExitStack,
) -> None:
    gate = make_gate()
    manager = start(protocol, gate)
    port = manager.get_endpoints()[0].port
    for _ in range(1000):
        open_silent(sockets, port, "127.0.0.2")
    client = connect(protocol, manager, "alice")
    assert client.try_to("upload", "/file")
    client.close()
    counts = gate.connections.get_counts()
    assert counts["unauthenticated"] <= 20 and counts["connections"] <= 21
    sockets.close()
    wait_until(lambda: gate.connections.get_counts()["connections"] == 0, 20)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_silent_connections_of_many_origins(
    protocol: str,
    start: StartManager,  # noqa: F811
    sockets: contextlib.ExitStack,
) -> None:
    """They fill every place there is for those without a log-in; who has been here before still comes in."""
    gate = make_gate(max_unauthenticated=60, early_drop_start=30)
    manager = start(protocol, gate)
    port = manager.get_endpoints()[0].port
    connect(protocol, manager, "alice").close()
    for number in range(400):
        open_silent(sockets, port, f"127.0.1.{number % 100 + 1}")
    wait_until(lambda: gate.connections.get_counts()["unauthenticated"] >= 30, 20)
    client = connect(protocol, manager, "alice")
    assert client.try_to("upload", "/file")
    client.close()
    assert gate.connections.get_counts()["unauthenticated"] <= 60
    sockets.close()
    wait_until(lambda: gate.connections.get_counts() == {"connections": 0, "unauthenticated": 0, "origins": 0}, 20)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_silent_connections_are_closed_in_time(
    protocol: str,
    start: StartManager,  # noqa: F811
    sockets: contextlib.ExitStack,
) -> None:
    gate = make_gate(log_in_timeout=0.2)
    manager = start(protocol, gate)
    port = manager.get_endpoints()[0].port
    silent = [open_silent(sockets, port, HONEST) for _ in range(10)]
    for sock in silent:
        assert sock.recv(100)  # let in, and greeted
    for sock in silent:
        with contextlib.suppress(ConnectionError):
            while sock.recv(4096):  # to the end; a time-out of the socket fails the test
                pass
    wait_until(lambda: gate.connections.get_counts()["connections"] == 0, 20)
