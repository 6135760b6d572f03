"""Uploads in parts whose id nobody was told. Over Ceph: moto does not know when an upload began."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.services.s3.uploads import Uploads
from tests.servers.chaos_proxy import ChaosProxy, Fault
from tests.servers.s3_server import S3Server
from tests.services.s3.connecting import connect
from tests.services.s3.test_uploads import GONE, OWNER, list_uploads

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def s3_server(ceph_server: S3Server) -> S3Server:
    return ceph_server


@pytest.fixture
def files(s3_account: Callable[..., Any], s3_server: S3Server) -> S3FileSystem:
    return connect(s3_account(), s3_server)


@pytest.fixture
def uploads(files: S3FileSystem) -> Uploads:
    return files._uploads


@pytest.fixture
def begin(raw: Any, bucket: str) -> Callable[[str], str]:
    def begin(key: str) -> str:
        upload_id: str = raw.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        return upload_id

    return begin


def test_an_upload_whose_answer_is_lost_is_aborted_at_the_next_start(
    s3_account: Callable[..., Any], s3_server: S3Server, chaos: ChaosProxy, raw: Any, bucket: str
) -> None:
    """The storage began it, and nobody was told its id; the request is made again, and the file is stored."""
    files = connect(account := s3_account(endpoint_url=chaos.endpoint_url), s3_server)
    foreign = raw.create_multipart_upload(Bucket=bucket, Key="file-2")["UploadId"]
    fault = chaos.add(Fault("reset", ("POST",), path=r"\?uploads", direction="down", times=1))
    files.write_all("/file", bytes(9 << 20))
    assert fault.struck == 1
    assert len(list_uploads(raw, bucket)) == 2
    account.close()
    connect(account := s3_account(endpoint_url=chaos.endpoint_url), s3_server)._leftovers.wait()
    assert list_uploads(raw, bucket) == {foreign}
    assert get_journal(account) == set()


def test_an_upload_is_noted_before_it_is_begun(
    files: S3FileSystem, uploads: Uploads, begin: Callable[[str], str], raw: Any, bucket: str
) -> None:
    """A process dies between the beginning and the moment when it could write down the id."""
    seen: list[str] = []

    def die() -> str:
        seen.append(begin("key"))
        [(_, entry)] = [item for item in files._context.data_store.items(OWNER) if item[0].startswith("begin:")]
        files._context.data_store.set_value(OWNER, "begin:copy", entry | {"process": GONE})
        assert uploads._find_leftovers() == [], "another process of ours is just beginning one of that key"
        return seen[0]

    assert uploads.begin("key", "/key", die) == seen[0]
    assert [name for name, _ in uploads._find_leftovers()] == ["begin:copy"]
    assert uploads.abort_leftovers(threading.Event()) == 0, "it is known by its id, and its process lives"
    files._context.data_store.set_value(OWNER, "begin:copy", make_begun(uploads, "key"))
    uploads.remove(seen[0])
    with_part, longer_key = begin("key"), begin("key-2")
    raw.upload_part(Bucket=bucket, Key="key", UploadId=with_part, PartNumber=1, Body=b"x")
    assert uploads.abort_leftovers(threading.Event()) == 1
    assert list_uploads(raw, bucket) == {with_part, longer_key}
    files._context.data_store.set_value(OWNER, "begin:copy", {**make_begun(uploads, "key-2"), "until": 1000.0})
    assert uploads.abort_leftovers(threading.Event()) == 0, "begun at another time"
    assert uploads._find_leftovers() == []


def make_begun(uploads: Uploads, key: str) -> dict[str, Any]:
    """What a process that is gone noted just now."""
    return {"key": key, "storage": uploads._storage, "process": GONE, "since": time.time(), "until": time.time()}


def get_journal(account: Any) -> set[str]:
    return {key for key, _ in account.data_store.items(OWNER) if key.startswith(("begin:", "upload:"))}
