"""The contract, three keys a page, over each real server.

| Server | Runs | Pass |
|---|---|---|
| Ceph | the whole contract | slow |
| moto | listings, writing and resuming, kept ranges, conditions, folders, times, and any sequence of calls | fast |
| rclone | listings, folders, times, and readers of what is being replaced: it keeps no metadata and knows no conditions | slow |
| Swift | listings and conditions, in which it is different | slow |

A request costs some 10 ms over moto and Ceph and much more over Swift. Any of these classes runs the whole once it is derived from S3Tests alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from cloudalpha.exceptions import AccessFailedFileSystemError, RevisionMismatchFileSystemError
from cloudalpha.file_system import FileSystem
from cloudalpha.testing import FileSystemTests
from cloudalpha.testing.contract.base import ContractTests, make_content
from cloudalpha.testing.contract.concurrency import run_while
from cloudalpha.testing.contract.conditions import ConditionTests
from cloudalpha.testing.contract.folders import FolderTests
from cloudalpha.testing.contract.keeping import KeepTests
from cloudalpha.testing.contract.listing import ListingTests
from cloudalpha.testing.contract.model import StateMachineTests
from cloudalpha.testing.contract.times import TimeTests
from cloudalpha.testing.contract.writing import ResumeTests, WriteTests
from tests.servers.s3_server import S3Server
from tests.services.s3.accounts import PAGE_SIZE, small_pages


@contextlib.contextmanager
def _files(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSystem]:
    with small_pages(
        server, server.make_bucket(), tmp_path_factory.mktemp("s3") / "state", prefix="tests"
    ) as file_system:
        yield file_system


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


class S3Contract(ContractTests):
    """What is tried less often than in memory: each call is some requests."""

    page_size = PAGE_SIZE
    num_examples = 5
    num_steps = 12
    num_rounds = 3


class S3Tests(S3Contract, FileSystemTests):
    """The whole contract."""

    __test__ = False


class TestMoto(
    S3Contract,
    ListingTests,
    WriteTests,
    ResumeTests,
    KeepTests,
    ConditionTests,
    FolderTests,
    TimeTests,
    StateMachineTests,
):
    """What this service does in ways of its own. Moves are in the sequences of calls, and in test_tree.py; reading is in test_download.py."""

    num_steps = 10

    @pytest.fixture
    def file_system(self, moto_files: FileSystem) -> FileSystem:
        return moto_files


@pytest.mark.slow
class TestCeph(S3Tests):
    """Everything."""

    __test__ = True

    @pytest.fixture
    def file_system(self, ceph_files: FileSystem) -> FileSystem:
        return ceph_files


@pytest.mark.slow
class TestSwift(S3Contract, ListingTests, ConditionTests):
    """The themes in which it is different."""

    num_rounds = 2

    @pytest.fixture
    def file_system(self, swift_files: FileSystem) -> FileSystem:
        return swift_files


@pytest.mark.slow
class TestRclone(S3Contract, ListingTests, FolderTests, TimeTests):
    """What it can do, and what becomes of readers where the server mixes versions."""

    @pytest.fixture
    def file_system(self, rclone_files: FileSystem) -> FileSystem:
        return rclone_files

    def test_readers_see_whole_versions(self, file_system: FileSystem, folder: str) -> None:
        """This server mixes versions while it replaces an object, and nothing in its answers tells of it. It recovers."""
        path = folder + "/file"
        versions = [make_content(size, size) for size in (600_000, 1, 300_000)]
        file_system.write_all(path, versions[0])

        def write() -> None:
            for content in versions:
                file_system.write_all(path, content)

        def read() -> None:
            with contextlib.suppress(RevisionMismatchFileSystemError, AccessFailedFileSystemError):
                file_system.read_all(path)

        run_while(write, read)
        assert file_system.read_all(path) == versions[-1]

    def test_reader_that_expects_what_it_saw(self, file_system: FileSystem, folder: str) -> None:
        """As above: what it saw is refused once it is replaced, though not while that happens."""
        path = folder + "/file"
        revision = file_system.write_all(path, b"a" * 100_000).revision
        file_system.write_all(path, b"b" * 100_000)
        with pytest.raises(RevisionMismatchFileSystemError):
            list(file_system.read(path, 50_000, 50_000, revision or ""))
