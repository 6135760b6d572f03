"""Connecting accounts without probing the same server again and again."""

from __future__ import annotations

from typing import Any

from cloudalpha.services.s3.account import S3Account
from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.services.s3.probe import KEY, make_fingerprint
from tests.servers.s3_server import S3Server

_probed: dict[str, Any] = {}


def connect(account: S3Account, server: S3Server) -> S3FileSystem:
    """The files of an account. Each server is probed once in the process; what was found holds for all of its buckets."""
    owner = f"account:{account.name}"
    if server.name in _probed:
        account.data_store.set_value(
            owner, KEY, _probed[server.name] | {"fingerprint": make_fingerprint(account.options)}
        )
    file_system = account.file_system
    assert isinstance(file_system, S3FileSystem)
    _probed[server.name] = account.data_store.get_value(owner, KEY)
    return file_system
