"""The whole contract, three keys a page, over each real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.testing import FileSystemTests
from tests.servers.s3_server import S3Server, delete_bucket
from tests.services.s3.accounts import PAGE_SIZE, small_pages


class S3Tests(FileSystemTests):
    """The base: a fixture `server`, and a bucket for each class."""

    __test__ = False
    page_size = PAGE_SIZE
    num_examples = 10
    num_steps = 15
    num_rounds = 3

    @pytest.fixture(scope="class")
    def file_system(self, server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
        client = server.make_client()
        bucket = server.make_bucket(client)
        with small_pages(server, bucket, self.get_state_dir(tmp_path_factory), prefix="tests/") as file_system:
            yield file_system
        delete_bucket(client, bucket)

    def get_state_dir(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("state") / "state"


class TestMoto(S3Tests):
    __test__ = True

    @pytest.fixture(scope="class")
    def server(self, moto_server: S3Server) -> S3Server:
        return moto_server


@pytest.mark.slow
class TestCeph(S3Tests):
    __test__ = True

    @pytest.fixture(scope="class")
    def server(self, ceph_server: S3Server) -> S3Server:
        return ceph_server


@pytest.mark.slow
class TestSwift(S3Tests):
    __test__ = True

    @pytest.fixture(scope="class")
    def server(self, swift_server: S3Server) -> S3Server:
        return swift_server


@pytest.mark.slow
class TestRclone(S3Tests):
    __test__ = True

    @pytest.fixture(scope="class")
    def server(self, rclone_server: S3Server) -> S3Server:
        return rclone_server
