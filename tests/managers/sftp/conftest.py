from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cloudalpha.manager import Gate
from cloudalpha.managers.sftp.manager import SFTPManager
from cloudalpha.managers.sftp.settings import SFTPSettings
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.gate import OpenGate
from tests.managers.sftp.raw_client import RawClient

Serve = Callable[..., SFTPManager]


@pytest.fixture
def files() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture(scope="session")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key whose public half every gate of these tests knows."""
    path = tmp_path_factory.mktemp("key") / "id"
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    path.chmod(0o600)
    key.write_public_key(f"{path}.pub")
    return path


@pytest.fixture
def gate(files: MemoryFileSystem, user_key: Path) -> OpenGate:
    public_key = " ".join(Path(f"{user_key}.pub").read_text().split()[:2])
    return OpenGate(files, public_keys={"demo": public_key})


@pytest.fixture
def serve(tmp_path: Path, gate: OpenGate) -> Iterator[Serve]:
    """Starts a manager with the given settings on a free port, and stops it after the test."""
    managers: list[SFTPManager] = []

    def start(own_gate: Gate | None = None, **settings: Any) -> SFTPManager:
        manager = SFTPManager("sftp", SFTPSettings(port=0, **settings), own_gate or gate, tmp_path / "state")
        manager.start()
        managers.append(manager)
        return manager

    yield start
    for manager in managers:
        manager.stop()


@pytest.fixture
def connect(serve: Serve) -> Iterator[Callable[..., RawClient]]:
    """A logged-in client that speaks bare SFTP packets, of a manager or of a new one with these settings."""
    clients: list[RawClient] = []

    def make(manager: SFTPManager | None = None, **settings: Any) -> RawClient:
        client = RawClient((manager or serve(**settings)).get_endpoints()[0].port)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., RawClient]) -> RawClient:
    return connect()
