"""The whole contract, three keys a page, over each real server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.testing import FileSystemTests
from tests.servers.s3_server import S3Server, delete_bucket
from tests.services.s3.accounts import PAGE_SIZE, small_pages


@contextlib.contextmanager
def _files(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
    client = server.make_client()
    bucket = server.make_bucket(client)
    with small_pages(server, bucket, tmp_path_factory.mktemp("s3") / "state", prefix="tests") as file_system:
        yield file_system
    delete_bucket(client, bucket)
    client.close()


@pytest.fixture(scope="module")
def moto_files(moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
    with _files(moto_server, tmp_path_factory) as file_system:
        yield file_system


@pytest.fixture(scope="module")
def ceph_files(ceph_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
    with _files(ceph_server, tmp_path_factory) as file_system:
        yield file_system


@pytest.fixture(scope="module")
def swift_files(swift_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
    with _files(swift_server, tmp_path_factory) as file_system:
        yield file_system


@pytest.fixture(scope="module")
def rclone_files(rclone_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
    with _files(rclone_server, tmp_path_factory) as file_system:
        yield file_system


class S3Tests(FileSystemTests):
    """What is tried less often than in memory: each call is some requests."""

    __test__ = False
    page_size = PAGE_SIZE
    num_examples = 10
    num_steps = 15
    num_rounds = 3


class TestMoto(S3Tests):
    __test__ = True

    @pytest.fixture
    def file_system(self, moto_files: FileSystem) -> FileSystem:
        return moto_files


@pytest.mark.slow
class TestCeph(S3Tests):
    __test__ = True

    @pytest.fixture
    def file_system(self, ceph_files: FileSystem) -> FileSystem:
        return ceph_files


@pytest.mark.slow
class TestSwift(S3Tests):
    __test__ = True

    @pytest.fixture
    def file_system(self, swift_files: FileSystem) -> FileSystem:
        return swift_files


@pytest.mark.slow
class TestRclone(S3Tests):
    __test__ = True

    @pytest.fixture
    def file_system(self, rclone_files: FileSystem) -> FileSystem:
        return rclone_files
