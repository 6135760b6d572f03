"""The whole contract of a FileSystem, kept by one that writes and reads through the toolkit, with small parts and ranges."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from cloudalpha.exceptions import RevisionMismatchFileSystemError, UnsupportedOperationFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing import FileSystemTests
from cloudalpha.toolkit.memory_budget import MemoryBudget
from cloudalpha.toolkit.parallel_reader import ParallelReader, RangeResponse, RangeSource
from cloudalpha.toolkit.part_upload import PartBody, PartedFile, PartStore, Receipt

PART_SIZE = 100_000


class PartedFileSystem(MemoryFileSystem):
    """Files in memory that come in parts and go in ranges."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        super().__init__(256 << 20)
        self.executor = executor
        self.budget = MemoryBudget(1 << 20)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        source = Source(self, path)
        return ParallelReader(
            path, source, start_byte, num_bytes, expected,
            executor=self.executor, range_size=PART_SIZE, budget=self.budget,
        )  # fmt: skip

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        if options.resume is not None:
            raise UnsupportedOperationFileSystemError(path)
        super().create_new_file(path, options).discard()
        return PartedFile(
            path, Store(self, path, options), options,
            executor=self.executor, part_size=PART_SIZE, budget=self.budget,
        )  # fmt: skip


class Source(RangeSource):
    def __init__(self, file_system: PartedFileSystem, path: str) -> None:
        self.file_system = file_system
        self.path = path

    def open(self, start_byte: int, num_bytes: int | None, expected: Expected) -> RangeResponse:
        chunks = MemoryFileSystem.read(self.file_system, self.path, start_byte, num_bytes, expected)
        metadata = self.file_system.get_metadata(self.path)
        return RangeResponse(metadata.size, metadata.revision, chunks)


class Store(PartStore):
    min_part_size = 50_000

    def __init__(self, file_system: PartedFileSystem, path: str, options: WriteOptions) -> None:
        self.file_system = file_system
        self.path = path
        self.options = options
        self.revision: str | None = None
        self.parts: dict[int, bytes] = {}

    def put_whole(self, body: PartBody, hashes: Mapping[str, str]) -> FileMetadata:
        return self._publish([body.read()])

    def begin(self) -> None:
        self.parts = {}

    def put_part(self, number: int, body: PartBody) -> Receipt:
        self.parts[number] = body.read()

    def pin(self) -> int:
        metadata = self.file_system.get_metadata(self.path)
        self.revision = metadata.revision
        if self.options.expected not in (ANYTHING, self.revision):
            raise RevisionMismatchFileSystemError(self.path)
        return metadata.size

    def copy_part(self, number: int, start_byte: int, num_bytes: int) -> Receipt:
        self.parts[number] = b"".join(self.read_kept(start_byte, num_bytes))

    def read_kept(self, start_byte: int, num_bytes: int) -> Iterator[bytes]:
        return MemoryFileSystem.read(self.file_system, self.path, start_byte, num_bytes, self.revision or ANYTHING)

    def complete(self, parts: Sequence[tuple[int, Receipt]], size: int, hashes: Mapping[str, str]) -> FileMetadata:
        assert all(len(self.parts[number]) >= self.min_part_size for number, _ in parts[:-1])
        return self._publish([self.parts[number] for number, _ in parts])

    def abort(self) -> None:
        self.parts = {}

    def _publish(self, parts: list[bytes]) -> FileMetadata:
        options = WriteOptions(self.revision or self.options.expected, None, self.options.modified_datetime)
        with MemoryFileSystem.create_new_file(self.file_system, self.path, options) as new_file:
            for part in parts:
                new_file.write(part)
            return new_file.commit()


class TestPartedFileSystem(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> Iterator[FileSystem]:
        barrier = threading.Barrier(4)
        with ThreadPoolExecutor(4) as executor:
            wait([executor.submit(barrier.wait) for _ in range(4)])  # all threads run: one that comes later is no leak
            file_system = PartedFileSystem(executor)
            file_system.capabilities = type(file_system.capabilities)(
                atomic_condition=True, server_side_keep=True, server_side_copy=True, atomic_rename=True,
                sets_modified=True, max_name_bytes=255,
            )  # fmt: skip
            yield file_system
        assert (file_system.budget.used_bytes, file_system.budget.num_shares) == (0, 0)
