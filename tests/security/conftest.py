"""The whole gateway, as a configuration makes it, over a real folder: what the tests of this room attack."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.configurator.gateway import Gateway
from cloudalpha.configurator.loader import load_values
from cloudalpha.logs import LogfmtFormatter
from tests.managers.ftp.helpers import Client
from tests.managers.sftp.raw_client import RawClient

# "secret", with the least work that argon2id allows: what is attacked here is not the hash.
PASSWORD_HASH = "$argon2id$v=19$m=8,t=1,p=1$PTEfj98yjLn4Wm0ZzBeBNw$oV7/25ayRdqLK5RMHv7SZ6jBR6z6vcg9tgddY/WbmAo"
MARK = "zanzibar"
"""Part of every path of the machine that the gateway uses here: a reply that holds it tells too much."""


class Target:
    """A gateway that runs over `root`, whose users `demo` and `other` have the password `secret`."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir(exist_ok=True)
        user = {"password_hash": PASSWORD_HASH, "mounts": {"/": "files:/"}}
        values = {
            "state_dir": str(folder / "state"),
            "managers": {
                "ftp": {"port": 0, "passive_ports": "0", **sections.pop("ftp", {})},
                "sftp": {"port": 0, **sections.pop("sftp", {})},
            },
            "accounts": {"files": {"service": "local", "root": str(self.root), "fsync": False}},
            "users": {"demo": user, "other": user},
            **sections,
        }
        self.gateway = Gateway(load_values(values, "test", environ={}))
        self._clients = contextlib.ExitStack()

    def get_port(self, scheme: str) -> int:
        managers = self.gateway.managers.values()
        return next(e.port for manager in managers for e in manager.get_endpoints() if e.scheme == scheme)

    def ftp(self, source: str = "127.0.0.1", log_in: bool = True) -> Client:
        client = Client(self.get_port("ftp"), source=source)
        self._clients.callback(client.close)
        if log_in:
            client.log_in()
        return client

    def sftp(self) -> RawClient:
        client = RawClient(self.get_port("sftp"))
        self._clients.callback(client.close)
        return client

    def start(self) -> None:
        self.gateway.start()
        assert not self.gateway.failures, self.gateway.failures

    def stop(self) -> None:
        self._clients.close()
        self.gateway.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Starts a gateway with the given sections beside the usual ones, and stops it after the test."""
    with contextlib.ExitStack() as stack:

        def start(root: Path | None = None, **sections: Any) -> Target:
            folder = root or tmp_path / MARK
            folder.mkdir(exist_ok=True)
            target = Target(folder, **sections)
            stack.callback(target.stop)
            target.start()
            return target

        yield start


@pytest.fixture
def target(serve: Callable[..., Target]) -> Target:
    return serve()


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """Every line that is logged meanwhile, as it would stand in the file, from the debugging ones on."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler, root = Handler(), logging.getLogger()
    handler.setFormatter(LogfmtFormatter())
    old_level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(old_level)
