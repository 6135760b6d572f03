"""Reads: the ranges that are asked for, and what becomes of broken ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloudalpha.exceptions import (
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import ANYTHING, close_stream
from cloudalpha.services.s3.download import S3RangeSource
from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.testing.contract.base import make_content
from tests.servers.chaos_proxy import ChaosProxy, Fault
from tests.servers.s3_server import S3Server
from tests.services.s3.connecting import connect

MIB = 1 << 20
LARGE = make_content(30 * MIB)


@pytest.fixture(scope="session")
def s3_server(moto_server: S3Server) -> S3Server:
    return moto_server


@pytest.fixture
def files(
    s3_account: Callable[..., Any], s3_server: S3Server, chaos: ChaosProxy, raw: Any, bucket: str
) -> S3FileSystem:
    raw.put_object(Bucket=bucket, Key="file", Body=LARGE)
    raw.put_object(Bucket=bucket, Key="folder/file", Body=b"")
    file_system = connect(s3_account(endpoint_url=chaos.endpoint_url), s3_server)
    chaos.reset_counts()
    return file_system


@pytest.mark.parametrize(
    ("start", "num_bytes", "content"),
    [
        (0, None, LARGE),
        (0, 10, LARGE[:10]),
        (5, 1, LARGE[5:6]),
        (len(LARGE) - 4096, None, LARGE[-4096:]),
        (len(LARGE) - 10, 100, LARGE[-10:]),
        (len(LARGE), None, b""),
        (2**40, 5, b""),
        (7, 0, b""),
    ],
)
def test_one_range(files: S3FileSystem, start: int, num_bytes: int | None, content: bytes) -> None:
    response = S3RangeSource(files._context, "/file").open(start, num_bytes, ANYTHING)
    assert (response.size, response.revision) == (len(LARGE), files.get_metadata("/file").revision)
    assert b"".join(response.chunks) == content
    close_stream(response.chunks)


def test_an_empty_file(files: S3FileSystem) -> None:
    assert files.read_all("/folder/file") == b""


def test_the_version_is_part_of_the_request(files: S3FileSystem) -> None:
    source = S3RangeSource(files._context, "/file")
    revision = files.get_metadata("/file").revision or ""
    assert source.open(0, 1, revision).revision == revision
    for start in (0, 2**40):
        with pytest.raises(RevisionMismatchFileSystemError):
            source.open(start, 1, "0" * 32)


def test_what_is_no_file(files: S3FileSystem) -> None:
    for num_bytes in (0, 1, None):
        with pytest.raises(NotFoundFileSystemError):
            list(files.read("/missing", 0, num_bytes))
        with pytest.raises(IsADirectoryFileSystemError):
            list(files.read("/folder", 0, num_bytes))


def test_a_whole_file_in_few_requests(files: S3FileSystem, chaos: ChaosProxy) -> None:
    assert files.read_all("/file") == LARGE
    assert chaos.counts.requests["GET"] <= 20


def test_the_tail_is_one_request(files: S3FileSystem, chaos: ChaosProxy) -> None:
    assert b"".join(files.read("/file", len(LARGE) - 4096)) == LARGE[-4096:]
    assert chaos.counts.requests == {"GET": 1}
    assert chaos.counts.bytes_down < 10_000


def test_the_first_bytes_are_one_request(files: S3FileSystem, chaos: ChaosProxy) -> None:
    stream = files.read("/file")
    assert LARGE.startswith(next(stream))
    close_stream(stream)
    assert chaos.counts.requests == {"GET": 1}


@pytest.mark.parametrize("action", ["reset", "truncate"])
def test_a_read_that_is_cut_goes_on(files: S3FileSystem, chaos: ChaosProxy, action: Any) -> None:
    chaos.add(Fault(action, methods=("GET",), after=700_000, times=5))
    assert files.read_all("/file") == LARGE


def test_errors_of_the_server_are_waited_for(files: S3FileSystem, chaos: ChaosProxy) -> None:
    chaos.add(Fault("answer", methods=("GET",), chance=0.3, times=6))
    assert files.read_all("/file") == LARGE


def test_never_a_mix_of_two_versions(files: S3FileSystem, raw: Any, bucket: str) -> None:
    stream = files.read("/file")
    next(stream)
    raw.put_object(Bucket=bucket, Key="file", Body=LARGE[::-1])
    with pytest.raises(RevisionMismatchFileSystemError):
        list(stream)
