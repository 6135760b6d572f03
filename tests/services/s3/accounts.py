"""Accounts with small pages, for tests of the whole contract and of foreign buckets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudalpha.data_store import DataStore
from cloudalpha.file_system import FileSystem
from cloudalpha.services.s3.account import S3Account
from cloudalpha.services.s3.settings import S3Options, S3Settings
from tests.servers.s3_server import S3Server
from tests.services.s3.connecting import connect

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


@contextlib.contextmanager
def small_pages(server: S3Server, bucket: str, state_dir: Path, **options: Any) -> Iterator[FileSystem]:
    """The files of a bucket. Each server is probed but once in the process."""
    made = make_options(server, bucket, **options)
    with (
        contextlib.closing(DataStore(state_dir)) as data_store,
        contextlib.closing(SmallPagesAccount("s3", made, S3Settings(), data_store)) as account,
    ):
        yield connect(account, server)
