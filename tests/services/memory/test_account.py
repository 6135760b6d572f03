"""The memory service: its account, its bound, and what only the reference promises."""

from __future__ import annotations

import hashlib
import tracemalloc
from itertools import islice

import pytest
from pydantic import ValidationError

from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import FileSystemError, InsufficientSpaceFileSystemError
from cloudalpha.file_metadata import Space
from cloudalpha.file_system import WriteOptions
from cloudalpha.services.memory.account import MemoryAccount
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.services.memory.settings import MemoryOptions
from cloudalpha.settings import Settings


def make_account(name: str, **options: object) -> MemoryAccount:
    return MemoryAccount(name, MemoryOptions.model_validate(options), Settings(), DataStore.__new__(DataStore))


class TestMemoryAccount:
    def test_accounts_are_apart(self) -> None:
        first, second = make_account("first"), make_account("second")
        first.file_system.write_all("/file", b"content")
        assert not second.file_system.exists("/file")
        assert first.file_system.read_all("/file") == b"content"

    def test_options(self) -> None:
        account = make_account("small", max_size="1 KiB", content_hash=["sha256", "md5"])
        assert account.file_system.get_space() == Space(1024, 1024)
        assert account.file_system.capabilities.max_file_size == 1024
        metadata = account.file_system.write_all("/file", b"content")
        assert metadata.get_hash("sha256") == hashlib.sha256(b"content").hexdigest()
        assert metadata.get_hash("md5") == hashlib.md5(b"content", usedforsecurity=False).hexdigest()

    @pytest.mark.parametrize("options", [{"max_size": 0}, {"max_size": "much"}, {"content_hash": ["crc"]}, {"size": 1}])
    def test_wrong_options(self, options: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            make_account("wrong", **options)


class TestSpace:
    """Bytes are counted from when they are written until they are discarded, deleted or replaced."""

    @pytest.fixture
    def files(self) -> MemoryFileSystem:
        return MemoryFileSystem(1000)

    def get_free(self, files: MemoryFileSystem) -> int:
        free = files.get_space().free
        assert free is not None
        return free

    def test_full(self, files: MemoryFileSystem) -> None:
        files.write_all("/a", bytes(600))
        with pytest.raises(InsufficientSpaceFileSystemError):
            files.write_all("/b", bytes(401))
        assert self.get_free(files) == 400
        assert not files.exists("/b")
        files.write_all("/b", bytes(400))
        assert self.get_free(files) == 0

    def test_announced_size_is_refused_at_once(self, files: MemoryFileSystem) -> None:
        files.write_all("/a", bytes(600))
        with pytest.raises(InsufficientSpaceFileSystemError):
            files.create_new_file("/b", WriteOptions(size=401))

    def test_unfinished_upload_counts(self, files: MemoryFileSystem) -> None:
        with files.create_new_file("/a") as new_file:
            new_file.write(bytes(700))
            assert self.get_free(files) == 300
            with pytest.raises(InsufficientSpaceFileSystemError):
                new_file.write(bytes(301))
        assert self.get_free(files) == 1000

    def test_replaced_deleted_and_kept(self, files: MemoryFileSystem) -> None:
        files.write_all("/a", bytes(400))
        files.write_all("/a", bytes(100))
        assert self.get_free(files) == 900
        with files.create_new_file("/a") as new_file:
            new_file.keep(0, 100)
            new_file.write(bytes(50))
            new_file.commit()
        assert self.get_free(files) == 850
        files.make_dir("/folder")
        files.rename("/a", "/folder/a")
        files.copy("/folder", "/copy")
        assert self.get_free(files) == 700
        files.write_all("/b", bytes(200))
        files.rename("/folder/a", "/b", overwrite=True)
        files.copy("/b", "/copy/a", overwrite=True)
        assert self.get_free(files) == 700
        files.delete_tree("/copy")
        files.delete("/b")
        assert self.get_free(files) == 1000

    def test_copy_that_does_not_fit(self, files: MemoryFileSystem) -> None:
        files.make_dir("/a")
        files.write_all("/a/b", bytes(600))
        with pytest.raises(InsufficientSpaceFileSystemError):
            files.copy("/a", "/c")
        assert not files.exists("/c")
        assert self.get_free(files) == 400

    def test_resumed_upload_counts_once(self, files: MemoryFileSystem) -> None:
        lost = files.create_new_file("/a")
        lost.write(bytes(600))
        with files.create_new_file("/a", WriteOptions(resume=lost.token)) as new_file:
            assert new_file.offset == 600
            lost.discard()
            new_file.write(bytes(400))
            new_file.commit()
        assert self.get_free(files) == 0
        with pytest.raises(ValueError, match="already"):
            lost.write(b"x")

    def test_upload_is_resumed_for_its_own_path_alone(self, files: MemoryFileSystem) -> None:
        lost = files.create_new_file("/a")
        with pytest.raises(FileSystemError):
            files.create_new_file("/b", WriteOptions(resume=lost.token))


def test_listing_takes_little_memory() -> None:
    files = MemoryFileSystem()
    for number in range(20_000):
        files.write_all(f"/{number}", b"")
    tracemalloc.start()
    try:
        entries = files.list_dir("/")
        list(islice(entries, 5000))
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert sum(1 for _ in entries) == 15_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 1_000_000  # 15,000 entries would take several megabytes
