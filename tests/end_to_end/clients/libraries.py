"""Python's client libraries, ftplib, paramiko and asyncssh, each in a process of its own, so that it can be killed like any client."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from tests.end_to_end.clients.base import Client, Command

ROOT = Path(__file__).parent.parent.parent.parent


class Library(Client):
    """One of the libraries, by the program `library_program`."""

    has_trees = True
    has_resume_put = True
    has_resume_get = True
    library: ClassVar[str]

    def _make(self, operation: str, local: Path, remote: str) -> Command:
        end = self.endpoint
        log_in = {"host": end.host, "user": end.user_name, "password": end.password}
        ports = {"ftp_port": end.ftp_port, "sftp_port": end.sftp_port}
        words = (self.library, json.dumps(log_in | ports), operation, str(local), remote)
        return Command(
            (sys.executable, "-m", "tests.end_to_end.clients.library_program", *words),
            environ={"PYTHONPATH": str(ROOT)},
        )

    def put(self, local: Path, remote: str) -> Command:
        return self._make("put", local, remote)

    def get(self, remote: str, local: Path) -> Command:
        return self._make("get", local, remote)

    def slow_put(self, local: Path, remote: str) -> Command:
        return self._make("held_put", local, remote)

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._make("put_tree", local, remote)

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._make("get_tree", local, remote)

    def resume_put(self, local: Path, remote: str) -> Command:
        return self._make("resume_put", local, remote)

    def resume_get(self, remote: str, local: Path) -> Command:
        return self._make("resume_get", local, remote)


class Ftplib(Library):
    name = library = "ftplib"


class FtplibTLS(Library):
    name = library = "ftplib-tls"


class Paramiko(Library):
    name = library = "paramiko"


class AsyncSSH(Library):
    name = library = "asyncssh"
    keeps_times = True


LIBRARY_CLIENTS: tuple[type[Client], ...] = (Ftplib, FtplibTLS, Paramiko, AsyncSSH)
