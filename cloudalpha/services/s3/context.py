"""Context: what everything that works for one account shares."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from cloudalpha.data_store import DataStore
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.keys import Keys
from cloudalpha.services.s3.metadata import KnownObjects
from cloudalpha.services.s3.places import Places
from cloudalpha.services.s3.settings import S3Settings


@dataclass(frozen=True)
class Context:
    """One account, connected.

    bucket: its requests; `bucket.card` is what the server can do. places: what stands at a path. known: what this process has learnt of objects.
    executor: runs single requests (parts, ranges), and nothing that waits for others or for a client.
    data_store, account: where journals are kept, under the owner `account:NAME`.
    """

    account: str
    settings: S3Settings
    data_store: DataStore
    bucket: Bucket
    keys: Keys
    known: KnownObjects
    places: Places
    executor: Executor
