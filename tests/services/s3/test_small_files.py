"""Small files, one after the other: what a file costs in requests, and that what others do meanwhile is noticed all the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from cloudalpha.exceptions import AccessFailedFileSystemError, IsADirectoryFileSystemError, NotFoundFileSystemError
from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.services.s3.requests import MAX_SMALL_BODY, rewound
from tests.servers.chaos_proxy import ChaosProxy, Fault
from tests.servers.s3_server import S3Server
from tests.services.s3.connecting import connect

MOMENT = datetime(2001, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="session")
def s3_server(moto_server: S3Server) -> S3Server:
    return moto_server


@pytest.fixture
def files(s3_account: Callable[..., Any], s3_server: S3Server, chaos: ChaosProxy) -> S3FileSystem:
    """Files through the proxy, in a folder that was just made; the server is taken for one that refuses copies of what has changed."""
    file_system = connect(s3_account(endpoint_url=chaos.endpoint_url), s3_server)
    file_system._bucket.card = dataclasses.replace(file_system._bucket.card, copy_if_match=True)
    file_system.make_dir("/d")
    chaos.reset_counts()
    return file_system


def put(files: S3FileSystem, path: str, content: bytes = b"mine") -> None:
    new_file = files.create_new_file(path)
    new_file.write(content)
    new_file.commit()


def test_a_file_and_its_time_are_two_requests(files: S3FileSystem, chaos: ChaosProxy) -> None:
    put(files, "/d/a")
    files.set_modified_datetime("/d/a", MOMENT)
    assert chaos.counts.requests == {"PUT": 2}
    assert files.get_metadata("/d/a").modified_datetime == MOMENT
    assert files.read_all("/d/a") == b"mine"


def test_the_time_of_a_file_that_is_gone(files: S3FileSystem, raw: Any, bucket: str) -> None:
    put(files, "/d/a")
    raw.delete_object(Bucket=bucket, Key="d/a")
    with pytest.raises(NotFoundFileSystemError):
        files.set_modified_datetime("/d/a", MOMENT)


def test_the_time_that_a_file_had_when_it_was_written_makes_sure_of_it(
    files: S3FileSystem, raw: Any, bucket: str
) -> None:
    put(files, "/d/a")
    files.set_modified_datetime("/d/a", MOMENT)
    raw.delete_object(Bucket=bucket, Key="d/a")
    with pytest.raises(NotFoundFileSystemError):
        files.set_modified_datetime("/d/a", MOMENT)


def test_the_time_of_a_file_that_somebody_replaced(
    files: S3FileSystem, chaos: ChaosProxy, raw: Any, bucket: str
) -> None:
    put(files, "/d/a")
    raw.put_object(Bucket=bucket, Key="d/a", Body=b"theirs", Metadata={"of": "them"}, ContentType="text/x-theirs")
    refusal = chaos.add(Fault("answer", methods=("PUT",), times=1, status=412, code="PreconditionFailed"))
    files.set_modified_datetime("/d/a", MOMENT)
    assert refusal.struck == 1
    found = raw.head_object(Bucket=bucket, Key="d/a")
    assert files.read_all("/d/a") == b"theirs"
    assert found["Metadata"]["of"] == "them"
    assert "cloudalpha-md5" not in found["Metadata"]
    assert found["ContentType"] == "text/x-theirs"


def test_a_server_that_copies_what_has_changed_is_asked_first(files: S3FileSystem, chaos: ChaosProxy) -> None:
    files._bucket.card = dataclasses.replace(files._bucket.card, copy_if_match=False)
    put(files, "/d/a")
    files.set_modified_datetime("/d/a", MOMENT)
    assert chaos.counts.requests == {"PUT": 2, "HEAD": 1}


def test_folders_made_in_a_new_folder_are_no_names_for_files(files: S3FileSystem) -> None:
    files.make_dir("/d/e")
    put(files, "/d/e/a")
    with pytest.raises(IsADirectoryFileSystemError):
        files.create_new_file("/d/e")


def test_folders_moved_into_a_new_folder_are_no_names_for_files(files: S3FileSystem) -> None:
    files.make_dir("/other")
    put(files, "/other/a")
    files.rename("/other", "/d/e")
    with pytest.raises(IsADirectoryFileSystemError):
        files.create_new_file("/d/e")


def test_a_folder_that_was_deleted_is_no_new_one_any_more(files: S3FileSystem) -> None:
    files.delete_dir("/d")
    with pytest.raises(NotFoundFileSystemError):
        files.create_new_file("/d/a")


def test_small_bodies_are_sent_without_being_announced() -> None:
    assert rewound(BytesIO(b"small")) == b"small"
    large = BytesIO(bytes(MAX_SMALL_BODY + 1))
    large.seek(5)
    assert rewound(large) is large
    assert large.tell() == 0


def test_a_small_body_that_was_given_up(files: S3FileSystem, chaos: ChaosProxy) -> None:
    class GivenUp(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the upload was given up")

    with pytest.raises(AccessFailedFileSystemError, match="given up"):
        files._bucket.put("d/a", "/d/a", GivenUp(b"small"), metadata={})
    assert not chaos.counts.requests
