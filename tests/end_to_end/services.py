"""The services that real clients are tried on: another one is one more entry of SERVICES."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import shared
from tests.servers.gateway import find_leftovers
from tests.servers.s3_server import S3Server, delete_bucket, list_uploads


def _find_nothing(pid: int | None) -> list[str]:
    return []


@dataclass(frozen=True)
class Storage:
    """What a service needs to be tried. account: the lines of its account in the configuration.

    root: the folder on this machine in which the files lie; None where they do not.
    find_leftovers: what there is of files that are not published, and may be seen or paid for; pid: of a gateway that runs.
    """

    account: str
    root: Path | None = None
    find_leftovers: Callable[[int | None], list[str]] = _find_nothing


@dataclass(frozen=True)
class Service:
    """open: makes a storage, in a temporary folder of pytest that it may use, for as long as the context lasts (a server runs meanwhile).

    is_sampled: only the clients of SAMPLE are tried, which is enough where others have been through all of them.
    is_slow: all of its tests belong to the slow ones, and those that go through many clients try fewer.
    """

    open: Callable[[Path], AbstractContextManager[Storage]]
    is_sampled: bool = True
    is_slow: bool = False


SAMPLE = frozenset(
    {"lftp", "lftp-tls", "curl-implicit", "sftp", "scp-legacy", "psftp", "paramiko", "rclone-sftp", "rclone-ftp"}
)
"""Clients that between them use every way in."""

FEW = frozenset({"lftp-tls", "curl", "sftp", "scp-legacy", "rclone-sftp"})
"""Clients that between them end in every way."""


@contextlib.contextmanager
def _open_local(folder: Path) -> Iterator[Storage]:
    root = folder / "files"
    root.mkdir(exist_ok=True)
    account = f'service = "local"\nroot = "{root}"\nfsync = false'
    yield Storage(account, root, lambda pid: find_leftovers(pid, root))


@contextlib.contextmanager
def _open_memory(folder: Path) -> Iterator[Storage]:
    yield Storage('service = "memory"')


@contextlib.contextmanager
def _open_ceph(folder: Path) -> Iterator[Storage]:
    with shared.join_in_run("ceph", folder.parent) as server, open_bucket(server) as (bucket, raw):

        def find_uploads(pid: int | None) -> list[str]:
            return [str(upload["Key"]) for upload in list_uploads(raw, bucket)]

        yield Storage(make_s3_account(server, bucket), find_leftovers=find_uploads)


@contextlib.contextmanager
def open_bucket(server: S3Server) -> Iterator[tuple[str, Any]]:
    """A fresh bucket, and a boto3 client to look into it; gone in the end."""
    raw = server.make_client()
    with contextlib.closing(raw):
        bucket = server.make_bucket(raw)
        yield bucket, raw
        delete_bucket(raw, bucket)


def make_s3_account(server: S3Server, bucket: str, endpoint_url: str | None = None) -> str:
    """The lines of an account. endpoint_url: of a proxy in the way."""
    return "\n".join(
        [
            'service = "s3"',
            f'bucket = "{bucket}"',
            f'endpoint_url = "{endpoint_url or server.endpoint_url}"',
            f'region = "{server.region}"',
            f'access_key_id = "{server.access_key}"',
            f'secret_access_key = "{server.secret_key}"',
        ]
    )


SERVICES = {
    "local": Service(_open_local, is_sampled=False),
    "memory": Service(_open_memory),
    "ceph": Service(_open_ceph, is_sampled=False, is_slow=True),
}
