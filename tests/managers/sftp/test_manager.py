"""The contract of managers, and what is SFTP's own about starting and stopping."""

from __future__ import annotations

import contextlib
import gc
import socket
import stat
import warnings
from pathlib import Path

import pytest

from cloudalpha.exceptions import AddressInUseManagerError, ManagerError
from cloudalpha.manager import Endpoint, Gate, Manager
from cloudalpha.managers.sftp.manager import SFTPManager
from cloudalpha.managers.sftp.settings import SFTPSettings
from cloudalpha.testing import ManagerTests
from cloudalpha.testing.clients import Client, SFTPClient
from cloudalpha.testing.gate import OpenGate
from tests.managers.sftp.conftest import Serve


class TestSFTPManager(ManagerTests):
    def make_manager(self, gate: Gate, state_dir: Path) -> Manager:
        return SFTPManager("sftp", SFTPSettings(port=0), gate, state_dir)

    def make_client(self, endpoint: Endpoint, user_name: str, password: str) -> Client:
        return SFTPClient(endpoint, user_name, password)


def test_host_key_is_kept_and_private(serve: Serve, tmp_path: Path) -> None:
    first = serve().get_endpoints()[0]
    second = serve().get_endpoints()[0]
    assert first.fingerprint is not None
    assert first.fingerprint.startswith("SHA256:")
    assert first.fingerprint == second.fingerprint
    files = list((tmp_path / "state").iterdir())
    assert [file.name for file in files] == ["host_key_ed25519"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700


def test_port_in_use(gate: OpenGate, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        manager = SFTPManager("sftp", SFTPSettings(port=taken.getsockname()[1]), gate, tmp_path)
        with pytest.raises(AddressInUseManagerError, match=str(taken.getsockname()[1])):
            manager.start()
    assert manager.get_endpoints() == []
    manager.stop()


def test_broken_host_key(gate: OpenGate, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("not a key")
    with pytest.raises(ManagerError, match="no private key"):
        SFTPManager("sftp", SFTPSettings(port=0, host_keys=[key]), gate, tmp_path).start()
    with pytest.raises(ManagerError, match="cannot be used"):
        SFTPManager("sftp", SFTPSettings(port=0, host_keys=[tmp_path / "none"]), gate, tmp_path).start()


def test_unknown_algorithm(gate: OpenGate, tmp_path: Path) -> None:
    with pytest.raises(ManagerError, match="algorithms"):
        SFTPManager("sftp", SFTPSettings(port=0, ciphers=["rot13"]), gate, tmp_path).start()


def test_foreign_address(gate: OpenGate, tmp_path: Path) -> None:
    with pytest.raises(ManagerError, match="cannot listen"):
        SFTPManager("sftp", SFTPSettings(host="192.0.2.1", port=0), gate, tmp_path).start()


def test_reload_reads_the_host_keys_again(serve: Serve, tmp_path: Path) -> None:
    manager = serve()
    (tmp_path / "state" / "host_key_ed25519").unlink()
    old = manager.get_endpoints()[0].fingerprint
    manager.reload()
    new = manager.get_endpoints()[0].fingerprint
    assert new is not None
    assert new != old


def test_stop_closes_connections_that_are_just_coming_in(serve: Serve, gate: OpenGate) -> None:
    """Whatever asyncio has accepted, and not yet handed over: no socket is left to the garbage collector, and no visit open."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(10):
            manager = serve()
            endpoint = manager.get_endpoints()[0]
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(socket.create_connection((endpoint.host, endpoint.port), 10))
                manager.stop()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    assert all(visit.closed for visit in gate.visits)
