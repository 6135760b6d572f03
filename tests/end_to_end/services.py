"""The services that real clients are tried on: another one is one more entry of SERVICES."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Storage:
    """What a service needs to be tried. account: the lines of its account in the configuration.

    root: the folder on this machine in which the files lie; None where they do not.
    """

    account: str
    root: Path | None = None


@dataclass(frozen=True)
class Service:
    """open: makes a storage, in a folder that it may use, for as long as the context lasts (a server of the service runs meanwhile).

    is_sampled: only the clients of SAMPLE are tried, which is enough where others have been through all of them.
    """

    open: Callable[[Path], AbstractContextManager[Storage]]
    is_sampled: bool = True


SAMPLE = frozenset(
    {"lftp", "lftp-tls", "curl-implicit", "sftp", "scp-legacy", "psftp", "paramiko", "rclone-sftp", "rclone-ftp"}
)
"""Clients that between them use every way in."""


@contextlib.contextmanager
def _open_local(folder: Path) -> Iterator[Storage]:
    root = folder / "files"
    root.mkdir(exist_ok=True)
    yield Storage(f'service = "local"\nroot = "{root}"\nfsync = false', root)


@contextlib.contextmanager
def _open_memory(folder: Path) -> Iterator[Storage]:
    yield Storage('service = "memory"')


SERVICES = {"local": Service(_open_local, is_sampled=False), "memory": Service(_open_memory)}
