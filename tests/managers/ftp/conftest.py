from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.testing.gate import OpenGate
from tests.managers.ftp.helpers import Client, HeldFileSystem


@pytest.fixture
def files() -> HeldFileSystem:
    return HeldFileSystem()


@pytest.fixture
def gate(files: HeldFileSystem) -> OpenGate:
    return OpenGate(files)


@pytest.fixture
def serve(tmp_path: Path, gate: OpenGate) -> Iterator[Callable[..., FTPManager]]:
    """Starts a manager on a free port with the given settings, and stops it after the test."""
    managers: list[FTPManager] = []

    def start(file_system: FileSystem | None = None, **settings: Any) -> FTPManager:
        values = {"port": 0, "passive_ports": "0", **settings}
        own_gate = gate if file_system is None else OpenGate(file_system)
        manager = FTPManager("ftp", FTPSettings(**values), own_gate, tmp_path / f"state{len(managers)}")
        manager.start()
        managers.append(manager)
        return manager

    yield start
    for manager in managers:
        manager.stop()


def port_of(manager: FTPManager) -> int:
    return manager.get_endpoints()[0].port


@pytest.fixture
def connect(serve: Callable[..., FTPManager]) -> Iterator[Callable[..., Client]]:
    """A logged-in client of a manager, or of a new one with these settings."""
    clients: list[Client] = []

    def make(manager: FTPManager | None = None, log_in: bool = True, **settings: Any) -> Client:
        client = Client(port_of(manager or serve(**settings)))
        clients.append(client)
        if log_in:
            client.log_in()
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()


@pytest.fixture
def free_ports() -> str:
    """A range of a few ports that nobody uses now."""
    for first in random.SystemRandom().sample(range(40000, 60000, 8), 100):
        try:
            for port in range(first, first + 8):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return f"{first}-{first + 7}"
    raise AssertionError("no free ports")
