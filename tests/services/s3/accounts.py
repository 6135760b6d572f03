"""Accounts with small pages, for tests of the whole contract and of foreign buckets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudalpha.data_store import DataStore
from cloudalpha.file_system import FileSystem
from cloudalpha.services.s3.account import S3Account
from cloudalpha.services.s3.probe import KEY, make_fingerprint
from cloudalpha.services.s3.settings import S3Options, S3Settings
from tests.servers.s3_server import S3Server

PAGE_SIZE = 3


class SmallPagesAccount(S3Account):
    """Lists three keys at a time."""

    page_size = PAGE_SIZE


def make_options(server: S3Server, bucket: str, **options: Any) -> S3Options:
    """What an account of a bucket of a server takes."""
    return S3Options.model_validate(
        {
            "bucket": bucket,
            "endpoint_url": server.endpoint_url,
            "region": server.region,
            "access_key_id": server.access_key,
            "secret_access_key": server.secret_key,
            **options,
        }
    )


_values: dict[str, Any] = {}
"""What the DataStore keeps of a probing, by server: it is the same for each of its buckets."""


@contextlib.contextmanager
def small_pages(server: S3Server, bucket: str, state_dir: Path, **options: Any) -> Iterator[FileSystem]:
    """The files of a bucket. Each server is probed but once in a run."""
    made = make_options(server, bucket, **options)
    with contextlib.closing(DataStore(state_dir)) as data_store:
        if server.name in _values:
            value = {**_values[server.name], "fingerprint": make_fingerprint(made)}
            data_store.set_value("account:s3", KEY, value)
        with contextlib.closing(SmallPagesAccount("s3", made, S3Settings(), data_store)) as account:
            yield account.file_system
        _values[server.name] = data_store.get_value("account:s3", KEY)
