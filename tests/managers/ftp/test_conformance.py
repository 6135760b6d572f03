from __future__ import annotations

from pathlib import Path

from cloudalpha.manager import Endpoint, Gate, Manager
from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.testing.clients import Client, ExplicitFTPSClient, FTPClient
from cloudalpha.testing.manager_tests import ManagerTests


class TestFTP(ManagerTests):
    def make_manager(self, gate: Gate, state_dir: Path) -> Manager:
        return FTPManager("ftp", FTPSettings(port=0, passive_ports="0"), gate, state_dir)

    def make_client(self, endpoint: Endpoint, user_name: str, password: str) -> Client:
        return FTPClient(endpoint, user_name, password)


class TestFTPS(ManagerTests):
    def make_manager(self, gate: Gate, state_dir: Path) -> Manager:
        return FTPManager("ftp", FTPSettings(port=0, passive_ports="0", tls="required"), gate, state_dir)

    def make_client(self, endpoint: Endpoint, user_name: str, password: str) -> Client:
        return ExplicitFTPSClient(endpoint, user_name, password)
