"""Uploads: what goes over the wire, what is kept beside the content, and what becomes of requests whose answers are lost."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    FileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import NOTHING, WriteOptions
from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.testing.contract.base import make_content
from tests.servers.chaos_proxy import ChaosProxy, Fault
from tests.servers.s3_server import S3Server
from tests.services.s3.connecting import connect

MIB = 1 << 20
SMALL = b"small content"
LARGE = make_content(20 * MIB)
NEW = WriteOptions(expected=NOTHING)

MakeAccount = Callable[..., Any]


@pytest.fixture(scope="session")
def s3_server(moto_server: S3Server) -> S3Server:
    return moto_server


@pytest.fixture
def files(s3_account: MakeAccount, s3_server: S3Server, chaos: ChaosProxy) -> S3FileSystem:
    """Files through the proxy, which counts from now on."""
    file_system = connect(s3_account(endpoint_url=chaos.endpoint_url, settings={"attempts": 3}), s3_server)
    chaos.reset_counts()
    return file_system


def hashes_of(content: bytes) -> str:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return f"md5:{md5} sha256:{hashlib.sha256(content).hexdigest()}"


def list_uploads(raw: Any, bucket: str) -> list[str]:
    return [upload["UploadId"] for upload in raw.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def list_journal(files: S3FileSystem) -> list[str]:
    return [key for key, _ in files._context.data_store.items("account:s3") if key.startswith("upload:")]


def get(raw: Any, bucket: str, key: str) -> bytes:
    content: bytes = raw.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


# What is stored


def test_small_content_is_one_request(files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy) -> None:
    moment = datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
    metadata = files.write_all("/file", SMALL, WriteOptions(modified_datetime=moment))
    assert chaos.counts.requests["PUT"] == 1 and "POST" not in chaos.counts.requests
    kept = raw.head_object(Bucket=bucket, Key="file")["Metadata"]
    assert kept["mtime"] == "981173106.789000"
    assert kept["cloudalpha-sha256"] == hashlib.sha256(SMALL).hexdigest()
    assert metadata == files.get_metadata("/file")
    assert (metadata.modified_datetime, metadata.content_hash) == (moment, hashes_of(SMALL))


def test_large_content_goes_in_parts(files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy) -> None:
    with files.create_new_file("/file") as new_file:
        new_file.write(LARGE[: 10 * MIB])
        assert len(list_journal(files)) == len(list_uploads(raw, bucket)) == 1
        new_file.write(LARGE[10 * MIB :])
        metadata = new_file.commit()
    assert (chaos.counts.requests["PUT"], chaos.counts.requests["POST"]) == (3, 2)
    assert list_journal(files) == list_uploads(raw, bucket) == []
    assert get(raw, bucket, "file") == LARGE
    assert metadata == files.get_metadata("/file")
    assert metadata.content_hash == hashes_of(LARGE) and metadata.revision is not None and "-3" in metadata.revision


def test_hashes_of_large_content_are_known_to_another_gateway(
    files: S3FileSystem, s3_account: MakeAccount, s3_server: S3Server, raw: Any, bucket: str
) -> None:
    files.write_all("/file", LARGE)
    files._context.executor.shutdown()
    other = connect(s3_account("other"), s3_server)
    assert other.get_metadata("/file").content_hash == hashes_of(LARGE)
    raw.delete_object_tagging(Bucket=bucket, Key="file")
    assert other.get_metadata("/file").content_hash == hashes_of(LARGE)


def test_a_tag_of_another_content_tells_nothing(
    files: S3FileSystem, s3_account: MakeAccount, raw: Any, bucket: str
) -> None:
    files.write_all("/file", LARGE)
    tags = [{"Key": "cloudalpha-hashes", "Value": "00-3 sha256:1234"}]
    files._context.executor.shutdown()
    raw.put_object_tagging(Bucket=bucket, Key="file", Tagging={"TagSet": tags})
    assert connect(s3_account("other"), s3_server).get_metadata("/file").content_hash is None


def test_objects_of_others_are_not_asked_for_tags(
    files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy
) -> None:
    upload_id = raw.create_multipart_upload(Bucket=bucket, Key="file")["UploadId"]
    part = raw.upload_part(Bucket=bucket, Key="file", UploadId=upload_id, PartNumber=1, Body=SMALL)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    raw.complete_multipart_upload(Bucket=bucket, Key="file", UploadId=upload_id, MultipartUpload=parts)
    assert files.get_metadata("/file").content_hash is None
    assert chaos.counts.requests == {"HEAD": 1}


# Keeping


def test_appending_copies_on_the_server(files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy) -> None:
    raw.put_object(Bucket=bucket, Key="file", Body=LARGE, ContentType="text/x-log")
    with files.create_new_file("/file") as new_file:
        new_file.keep(0, len(LARGE))
        new_file.write(b"end")
        new_file.commit()
    assert get(raw, bucket, "file") == LARGE + b"end"
    assert raw.head_object(Bucket=bucket, Key="file")["ContentType"] == "text/x-log"
    if files.capabilities.server_side_keep:
        assert chaos.counts.bytes_up < MIB and chaos.counts.bytes_down < MIB


@pytest.mark.parametrize("copies", [True, False])
def test_one_byte_in_the_middle(files: S3FileSystem, raw: Any, bucket: str, copies: bool) -> None:
    files._bucket.card = dataclasses.replace(files._bucket.card, part_copy=copies)
    raw.put_object(Bucket=bucket, Key="file", Body=LARGE)
    with files.create_new_file("/file") as new_file:
        new_file.keep(0, 9 * MIB)
        new_file.write(b"!")
        new_file.keep(9 * MIB + 1, len(LARGE) - 9 * MIB - 1)
        new_file.commit()
    assert get(raw, bucket, "file") == LARGE[: 9 * MIB] + b"!" + LARGE[9 * MIB + 1 :]


@pytest.mark.parametrize("size", [100, len(LARGE)])
@pytest.mark.parametrize("change", ["overwrite", "delete"])
def test_what_is_kept_may_not_change_meanwhile(
    files: S3FileSystem, raw: Any, bucket: str, size: int, change: str
) -> None:
    raw.put_object(Bucket=bucket, Key="file", Body=LARGE[:size])
    with files.create_new_file("/file") as new_file:
        new_file.keep(0, size)
        if change == "overwrite":
            raw.put_object(Bucket=bucket, Key="file", Body=LARGE[:size][::-1])
        else:
            raw.delete_object(Bucket=bucket, Key="file")
        with pytest.raises(FileSystemError) as caught:
            new_file.write(b"end")
            new_file.commit()
    assert not caught.value.temporary
    files._context.executor.shutdown()  # the upload is aborted after the last of its parts
    assert list_uploads(raw, bucket) == [] == list_journal(files)


# Conditions


@pytest.mark.parametrize("size", [len(SMALL), len(LARGE)])
@pytest.mark.parametrize("is_enforced", [True, False])
def test_conditions(files: S3FileSystem, raw: Any, bucket: str, size: int, is_enforced: bool) -> None:
    if not is_enforced:
        files._bucket.card = dataclasses.replace(
            files._bucket.card, put_if_none_match=False, put_if_match=False,
            complete_if_none_match=False, complete_if_match=False,
        )  # fmt: skip
    content = LARGE[:size]
    with files.create_new_file("/file", NEW) as new_file:
        new_file.write(content)
        raw.put_object(Bucket=bucket, Key="file", Body=b"theirs")
        with pytest.raises(AlreadyExistsFileSystemError):
            new_file.commit()
        assert get(raw, bucket, "file") == b"theirs"
        raw.delete_object(Bucket=bucket, Key="file")
        revision = new_file.commit().revision
    assert get(raw, bucket, "file") == content
    with files.create_new_file("/file", WriteOptions(expected=revision or "")) as new_file:
        new_file.write(content)
        raw.delete_object(Bucket=bucket, Key="file")
        with pytest.raises(RevisionMismatchFileSystemError):
            new_file.commit()
        raw.put_object(Bucket=bucket, Key="file", Body=b"theirs")
        with pytest.raises(RevisionMismatchFileSystemError):
            new_file.commit()
    assert get(raw, bucket, "file") == b"theirs"
    assert list_uploads(raw, bucket) == [] == list_journal(files)


# Answers that are lost


@pytest.mark.parametrize("action", ["reset", "truncate"])
def test_a_lost_answer_is_looked_up(files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy, action: Any) -> None:
    assert files._bucket.card.put_if_none_match
    fault = chaos.add(Fault(action, methods=("PUT",), times=1))
    files.write_all("/file", SMALL, NEW)
    assert fault.struck == 1 and chaos.counts.requests["PUT"] == 1
    assert get(raw, bucket, "file") == SMALL


def test_a_request_that_never_arrived_is_made_again(
    files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy
) -> None:
    chaos.add(Fault("answer", methods=("PUT",), times=2))
    files.write_all("/file", SMALL, NEW)
    assert chaos.counts.requests["PUT"] == 3
    assert get(raw, bucket, "file") == SMALL


def test_what_another_has_stored_is_not_taken_for_ours(
    files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy
) -> None:
    chaos.add(Fault("answer", methods=("PUT",), times=1))
    with files.create_new_file("/file", NEW) as new_file:
        new_file.write(SMALL)
        raw.put_object(Bucket=bucket, Key="file", Body=SMALL)
        with pytest.raises(AlreadyExistsFileSystemError):
            new_file.commit()


@pytest.mark.parametrize("options", [WriteOptions(), NEW])
def test_the_lost_answer_of_a_completion(
    files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy, options: WriteOptions
) -> None:
    with files.create_new_file("/file", options) as new_file:
        new_file.write(LARGE)
        fault = chaos.add(Fault("reset", methods=("POST",), times=1))
        metadata = new_file.commit()
    assert fault.struck == 1 and chaos.counts.requests["POST"] == 2
    assert get(raw, bucket, "file") == LARGE
    assert metadata == files.get_metadata("/file") and metadata.content_hash == hashes_of(LARGE)
    assert list_journal(files) == []


def test_a_completion_that_answers_with_an_error_is_no_success(
    files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy
) -> None:
    raw.put_object(Bucket=bucket, Key="file", Body=b"old")
    with files.create_new_file("/file") as new_file:
        new_file.write(LARGE)
        fault = chaos.add(Fault("answer", methods=("POST",), status=200, code="InternalError"))
        with pytest.raises(AccessFailedFileSystemError):
            new_file.commit()
    assert fault.struck == 3
    assert get(raw, bucket, "file") == b"old"
    assert list_uploads(raw, bucket) == [] == list_journal(files)


def test_a_completion_that_answers_with_an_error_once(
    files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy
) -> None:
    with files.create_new_file("/file") as new_file:
        new_file.write(LARGE)
        chaos.add(Fault("answer", methods=("POST",), status=200, code="InternalError", times=1))
        new_file.commit()
    assert get(raw, bucket, "file") == LARGE


def test_parts_that_fail_are_sent_again(files: S3FileSystem, raw: Any, bucket: str, chaos: ChaosProxy) -> None:
    chaos.add(Fault("reset", methods=("PUT",), path="partNumber=2", direction="up", after=MIB, times=1))
    chaos.add(Fault("answer", methods=("PUT",), path="partNumber=3", times=2))
    files.write_all("/file", LARGE)
    assert chaos.counts.requests["PUT"] == 6
    assert get(raw, bucket, "file") == LARGE


# Discarding


def test_discarding_leaves_nothing(files: S3FileSystem, raw: Any, bucket: str) -> None:
    with files.create_new_file("/file") as new_file:
        new_file.write(LARGE)
        assert list_uploads(raw, bucket)
    files._context.executor.shutdown()
    assert list_uploads(raw, bucket) == [] == list_journal(files)
    assert raw.list_objects_v2(Bucket=bucket).get("Contents", []) == []


def test_an_upload_that_could_not_be_aborted_is_left_to_the_next_sweep(
    files: S3FileSystem, s3_account: MakeAccount, s3_server: S3Server, raw: Any, bucket: str, chaos: ChaosProxy
) -> None:
    with files.create_new_file("/file") as new_file:
        new_file.write(LARGE[: 9 * MIB])
        fault = chaos.add(Fault("answer", methods=("DELETE",)))
    files._context.executor.shutdown()
    assert fault.struck == 3 and len(list_uploads(raw, bucket)) == len(list_journal(files)) == 1
    chaos.clear()
    again = connect(s3_account(endpoint_url=chaos.endpoint_url), s3_server)
    again._leftovers.wait()
    assert list_uploads(raw, bucket) == [] == list_journal(again)
