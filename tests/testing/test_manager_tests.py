"""The tests for managers, run over the built-in managers as a third party would run them over its own."""

from __future__ import annotations

from pathlib import Path

from cloudalpha.manager import Endpoint, Gate, Manager
from cloudalpha.testing import ManagerTests
from cloudalpha.testing.clients import Client, FTPClient, SFTPClient


class TestFTP(ManagerTests):
    def make_manager(self, gate: Gate, state_dir: Path) -> Manager:
        from cloudalpha.managers.ftp.manager import FTPManager, FTPSettings

        return FTPManager("ftp", FTPSettings(port=0, passive_ports="0", tls="off"), gate, state_dir)

    def make_client(self, endpoint: Endpoint, user_name: str, password: str) -> Client:
        return FTPClient(endpoint, user_name, password)


class TestSFTP(ManagerTests):
    def make_manager(self, gate: Gate, state_dir: Path) -> Manager:
        from cloudalpha.managers.sftp.manager import SFTPManager, SFTPSettings

        return SFTPManager("sftp", SFTPSettings(port=0), gate, state_dir)

    def make_client(self, endpoint: Endpoint, user_name: str, password: str) -> Client:
        return SFTPClient(endpoint, user_name, password)
