"""A gateway over the fake of S3 that makes content up, and counts what is asked of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.services import make_s3_account
from tests.fakes.huge_s3 import HugeS3
from tests.fakes.huge_store import S3Object
from tests.servers.gateway import Gateway
from tests.servers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server

BUCKET = "bucket"
PART_SIZE = 5 << 20


@dataclass
class Huge:
    """A gateway over the fake."""

    service: HugeS3
    gateway: Gateway

    def add(self, key: str, size: int) -> S3Object:
        return self.service.add(BUCKET, key, size)

    def get(self, key: str) -> S3Object | None:
        return self.service.store.buckets[BUCKET].get(key)

    def read(self, key: str, start: int, num_bytes: int) -> bytes:
        found = self.get(key)
        assert found is not None
        return b"".join(found.content.cut(start, num_bytes).read())

    def list_keys(self, prefix: str) -> set[str]:
        return {key for key in list(self.service.store.buckets[BUCKET]) if key.startswith(prefix)}

    def count_parts(self, key: str) -> int:
        """Parts that have come of unfinished uploads."""
        return sum(len(upload.parts) for upload in list(self.service.store.uploads.values()) if upload.key == key)

    def has_upload(self, key: str) -> bool:
        return any(upload.key == key for upload in list(self.service.store.uploads.values()))


def make_account(service: HugeS3) -> str:
    """The lines of its account, with small parts."""
    server = S3Server("huge", service.endpoint_url, ACCESS_KEY, SECRET_KEY, "us-east-1", os.getpid())
    return f'{make_s3_account(server, BUCKET)}\n[services.s3]\npart_size = "5 MiB"'


@contextlib.contextmanager
def open_huge(folder: Path) -> Iterator[Huge]:
    """Both, with an empty bucket. folder: for the gateway's configuration and state."""
    with HugeS3() as service:
        service.store.buckets[BUCKET] = {}
        with Gateway(folder, make_account(service)) as gateway:
            with contextlib.closing(gateway.ftp()) as ftp:
                ftp.nlst("/")  # the account is connected and its server probed from here on
            yield Huge(service, gateway)
