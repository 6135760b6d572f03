"""The servers that the S3 tests run against: each works, and differs from Amazon's where, and only where, the tests count on it.

DIFFERENT is what this project knows of them; a new version of a server that behaves otherwise is noticed here, not in a hundred other tests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from cloudalpha.testing.waiting import wait_until
from tests.servers import shared
from tests.servers.processes import Processes, get_free_ports, is_listening
from tests.servers.s3_server import S3Server

MIN_PART = 5 << 20
REFUSALS = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied")


def get_code(call: Callable[..., Any], **arguments: Any) -> str:
    """The code of the error that a call answers; "" where it works."""
    try:
        call(**arguments)
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return ""


def upload(raw: Any, bucket: str, key: str, parts: list[bytes], **conditions: Any) -> None:
    target = {"Bucket": bucket, "Key": key}
    target["UploadId"] = raw.create_multipart_upload(**target)["UploadId"]
    done = [
        {"PartNumber": number, "ETag": raw.upload_part(**target, PartNumber=number, Body=part)["ETag"]}
        for number, part in enumerate(parts, 1)
    ]
    raw.complete_multipart_upload(**target, MultipartUpload={"Parts": done}, **conditions)


class TestWhatAllDo:
    def test_content_comes_back(self, raw: Any, common_bucket: str) -> None:
        raw.put_object(Bucket=common_bucket, Key="a/b c", Body=b"hello", ContentType="text/x-any")
        got = raw.get_object(Bucket=common_bucket, Key="a/b c", Range="bytes=1-2")
        assert got["Body"].read() == b"el"
        assert got["ContentRange"] == "bytes 1-2/5"
        assert raw.head_object(Bucket=common_bucket, Key="a/b c")["ContentLength"] == 5
        assert get_code(raw.get_object, Bucket=common_bucket, Key="none") == "NoSuchKey"
        assert get_code(raw.get_object, Bucket=f"{common_bucket}-none", Key="none") == "NoSuchBucket"

    def test_listings_in_pages(self, raw: Any, common_bucket: str) -> None:
        for key in ("d/1", "d/2", "d/e/3", "d/e/4", "f"):
            raw.put_object(Bucket=common_bucket, Key=key, Body=b"1")
        pages = raw.get_paginator("list_objects_v2").paginate(
            Bucket=common_bucket, Prefix="d/", Delimiter="/", PaginationConfig={"PageSize": 1}
        )
        names = [
            found.get("Key") or found["Prefix"]
            for page in pages
            for found in (*page.get("Contents", []), *page.get("CommonPrefixes", []))
        ]
        assert names == ["d/1", "d/2", "d/e/"]

    def test_uploads_in_parts(self, raw: Any, common_bucket: str) -> None:
        first = os.urandom(MIN_PART)
        upload(raw, common_bucket, "parts", [first, b"tail"])
        assert raw.get_object(Bucket=common_bucket, Key="parts")["Body"].read() == first + b"tail"

    def test_a_wrong_secret_is_refused(self, s3_server: S3Server, common_bucket: str) -> None:
        wrong = S3Server(**{**vars(s3_server), "secret_key": s3_server.secret_key + "x"}).make_client()
        assert get_code(wrong.list_objects_v2, Bucket=common_bucket) in REFUSALS
        stranger = S3Server(**{**vars(s3_server), "access_key": "AKNOBODYKNOWSTHISONE"}).make_client()
        assert get_code(stranger.list_objects_v2, Bucket=common_bucket) in REFUSALS

    def test_they_are_reached_through_the_proxy(self, s3_server: S3Server, common_bucket: str, chaos: Any) -> None:
        """What is signed is the address of the proxy."""
        client = s3_server.make_client(chaos.endpoint_url)
        client.put_object(Bucket=common_bucket, Key="by proxy", Body=b"z" * 100_000)
        assert client.get_object(Bucket=common_bucket, Key="by proxy")["Body"].read() == b"z" * 100_000
        assert chaos.counts.requests == {"PUT": 1, "GET": 1}


def check_metadata(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="m", Body=b"x", Metadata={"mtime": "123.5"})
    return bool(raw.head_object(Bucket=bucket, Key="m")["Metadata"] == {"mtime": "123.5"})


def check_put_if_none_match(raw: Any, bucket: str) -> bool:
    put = {"Bucket": bucket, "Key": "n", "IfNoneMatch": "*"}
    return get_code(raw.put_object, **put, Body=b"1") == "" and get_code(raw.put_object, **put, Body=b"2") != ""


def check_put_if_match_right(raw: Any, bucket: str) -> bool:
    etag = raw.put_object(Bucket=bucket, Key="i", Body=b"1")["ETag"]
    return get_code(raw.put_object, Bucket=bucket, Key="i", Body=b"2", IfMatch=etag) == ""


def check_put_if_match_needs_quotes(raw: Any, bucket: str) -> bool:
    etag = raw.put_object(Bucket=bucket, Key="j", Body=b"1")["ETag"].strip('"')
    return get_code(raw.put_object, Bucket=bucket, Key="j", Body=b"2", IfMatch=etag) != ""


def check_put_if_match_wrong(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="w", Body=b"1")
    return get_code(raw.put_object, Bucket=bucket, Key="w", Body=b"2", IfMatch='"' + "0" * 32 + '"') != ""


def check_complete_if_none_match(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="c", Body=b"1")
    return get_code(upload, raw=raw, bucket=bucket, key="c", parts=[b"2"], IfNoneMatch="*") != ""


def check_get_if_match(raw: Any, bucket: str) -> bool:
    etag = raw.put_object(Bucket=bucket, Key="g", Body=b"1")["ETag"]
    get = {"Bucket": bucket, "Key": "g"}
    return get_code(raw.get_object, **get, IfMatch=etag) == "" and get_code(raw.get_object, **get, IfMatch='"0"') != ""


def check_part_copy(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="s", Body=b"z" * MIN_PART)
    target = {"Bucket": bucket, "Key": "p"}
    target["UploadId"] = raw.create_multipart_upload(**target)["UploadId"]
    copy = {**target, "PartNumber": 1, "CopySource": {"Bucket": bucket, "Key": "s"}, "CopySourceRange": "bytes=0-9"}
    etag = raw.upload_part_copy(**copy)["CopyPartResult"].get("ETag")
    if etag is None:
        return False
    raw.complete_multipart_upload(**target, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    return bool(raw.get_object(Bucket=bucket, Key="p")["Body"].read() == b"z" * 10)


def check_small_parts_refused(raw: Any, bucket: str) -> bool:
    return get_code(upload, raw=raw, bucket=bucket, key="t", parts=[b"1", b"2"]) == "EntityTooSmall"


def check_replaced_metadata(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="r", Body=b"x", Metadata={"a": "b"})
    source = {"Bucket": bucket, "Key": "r"}
    copy = {**source, "CopySource": source, "Metadata": {"c": "d"}, "MetadataDirective": "REPLACE"}
    return get_code(raw.copy_object, **copy) == "" and raw.head_object(**source)["Metadata"] == {"c": "d"}


def check_copy_if_match(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="f", Body=b"x")
    copy = {"Bucket": bucket, "Key": "f2", "CopySource": {"Bucket": bucket, "Key": "f"}}
    return get_code(raw.copy_object, **copy, CopySourceIfMatch='"' + "0" * 32 + '"') != ""


def check_odd_keys(raw: Any, bucket: str) -> bool:
    keys = ["ü/ñ 日本.txt", "sp ace+plus&amp%25?x", "trail/", "a//b", "./x", "../y"]
    for key in keys:
        if get_code(raw.put_object, Bucket=bucket, Key=f"odd/{key}", Body=b"") != "":
            return False
    found = [entry["Key"] for entry in raw.list_objects_v2(Bucket=bucket, Prefix="odd/").get("Contents", [])]
    return sorted(found) == sorted(f"odd/{key}" for key in keys)


def check_part_copy_if_match(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="s", Body=b"z" * MIN_PART)
    target = {"Bucket": bucket, "Key": "p"}
    target["UploadId"] = raw.create_multipart_upload(**target)["UploadId"]
    copy = {**target, "PartNumber": 1, "CopySource": {"Bucket": bucket, "Key": "s"}, "CopySourceIfMatch": '"0"'}
    return get_code(raw.upload_part_copy, **copy) != ""


def check_tags(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="q", Body=b"x")
    tags = {"TagSet": [{"Key": "k", "Value": "v"}]}
    return get_code(raw.put_object_tagging, Bucket=bucket, Key="q", Tagging=tags) == ""


def check_batch_delete(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="b", Body=b"x")
    answer = raw.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}]})
    return "Errors" not in answer and get_code(raw.head_object, Bucket=bucket, Key="b") == "404"


def check_wrong_md5_refused(raw: Any, bucket: str) -> bool:
    return get_code(raw.put_object, Bucket=bucket, Key="5", Body=b"x", ContentMD5="A" * 22 + "==") != ""


def check_checksum_echo(raw: Any, bucket: str) -> bool:
    raw.put_object(Bucket=bucket, Key="e", Body=b"x", ChecksumAlgorithm="CRC32")
    return "ChecksumCRC32" in raw.head_object(Bucket=bucket, Key="e", ChecksumMode="ENABLED")


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}
DIFFERENT: dict[str, set[str]] = {
    "moto": {"copy_if_match", "part_copy_if_match", "put_if_match_needs_quotes", "wrong_md5_refused"},
    "rclone": {
        "complete_if_none_match", "copy_if_match", "get_if_match", "metadata", "odd_keys", "part_copy", "part_copy_if_match",
        "put_if_match_needs_quotes", "put_if_match_wrong", "put_if_none_match", "replaced_metadata", "small_parts_refused",
    },
    "ceph": {
        "checksum_echo", "complete_if_none_match", "copy_if_match", "part_copy_if_match", "put_if_match_needs_quotes", "put_if_match_right",
    },
    "swift": {"checksum_echo", "put_if_match_right", "tags"},
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_where_they_are_different(name: str, s3_server: S3Server, raw: Any, common_bucket: str) -> None:
    assert CHECKS[name](raw, common_bucket) == (name not in DIFFERENT[s3_server.name])


class TestSharing:
    """By rclone, which starts in no time."""

    def test_all_have_one(self, tmp_path: Path) -> None:
        with shared.join("rclone", tmp_path) as first:
            with shared.join("rclone", tmp_path) as second:
                assert first == second
            assert psutil.pid_exists(first.pid)
            bucket = first.make_bucket()
        wait_until(lambda: not psutil.pid_exists(first.pid))
        with shared.join("rclone", tmp_path) as third:
            assert third != first
            assert bucket not in [found["Name"] for found in third.make_client().list_buckets()["Buckets"]]
        wait_until(lambda: not psutil.pid_exists(third.pid))

    def test_it_ends_with_users_that_are_killed(self, tmp_path: Path) -> None:
        source = "import sys, pathlib; from tests.servers import shared\n"
        source += f"with shared.join('rclone', pathlib.Path({str(tmp_path)!r})) as server: print(server.pid, flush=True); sys.stdin.read()"
        root = Path(__file__).parent.parent.parent.parent
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", source], cwd=root, **pipes) as user:
            assert user.stdout is not None
            pid = int(user.stdout.readline())
            assert psutil.pid_exists(pid)
            user.send_signal(signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(pid))

    def test_one_that_cannot_start_says_why(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RCLONE_MULTI_THREAD_CUTOFF", f"not-a-size-{uuid.uuid4().hex}")
        with pytest.raises(AssertionError, match="ended: rclone"), shared.join("rclone", tmp_path):
            pass


class TestProcesses:
    def test_they_are_stopped_in_any_case(self, tmp_path: Path) -> None:
        [port] = get_free_ports(1)
        server = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(100)"
        with pytest.raises(RuntimeError, match="in the test"), Processes(tmp_path) as processes:
            pid = processes.start("server", sys.executable, "-c", server)
            processes.wait_until(lambda: is_listening(port))
            raise RuntimeError("in the test")
        assert not psutil.pid_exists(pid)
        assert not is_listening(port)

    def test_one_that_ends_is_told_with_its_last_words(self, tmp_path: Path) -> None:
        with Processes(tmp_path) as processes:
            processes.start("server", sys.executable, "-c", "import sys; sys.exit('no such option')")
            with pytest.raises(AssertionError, match=r"ended: server\n--- server\nno such option"):
                processes.wait_until(lambda: False)
