"""The layers for tests keep the contract themselves; and so does what the base class derives from the required methods alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    InsufficientSpaceFileSystemError,
    NotFoundFileSystemError,
)
from cloudalpha.file_system import NOTHING, FileSystem, WriteOptions
from cloudalpha.layer import Layer
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing import CountingLayer, Fault, FaultyLayer, FileSystemTests, SlowLayer, wait_until
from cloudalpha.testing.contract.concurrency import run_together
from cloudalpha.testing.intercepting_layer import InterceptingLayer


class TestCountingLayerContract(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return CountingLayer(MemoryFileSystem())


class TestFaultyLayerContract(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return FaultyLayer(MemoryFileSystem())


class TestSlowLayerContract(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return SlowLayer(MemoryFileSystem())


class RequiredMethodsOnly(MemoryFileSystem):
    """The memory service as its author would begin: with nothing optional."""

    rename = FileSystem.rename
    copy = FileSystem.copy
    set_modified_datetime = FileSystem.set_modified_datetime
    get_space = FileSystem.get_space  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, sets_modified=False, atomic_rename=False, server_side_copy=False)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> object:  # type: ignore[override]
        return super().create_new_file(path, replace(options, modified_datetime=None))


class TestRequiredMethodsOnly(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return RequiredMethodsOnly()


class TestCountingLayer:
    def test_a_listing_of_1000_names_is_one_listing(self) -> None:
        files = CountingLayer(MemoryFileSystem())
        for number in range(1000):
            files.write_all(f"/{number}", b"")
        files.reset()
        assert len(list(files.list_dir("/"))) == 1000
        assert files.calls == {"list_dir": 1}
        assert files.entries == 1000

    def test_counts_bytes(self) -> None:
        files = CountingLayer(MemoryFileSystem())
        files.write_all("/a", bytes(1000))
        with files.create_new_file("/a") as new_file:
            new_file.keep(0, 600)
            new_file.write(b"1234")
            new_file.commit()
        list(files.read("/a", 500, 50))
        assert (files.bytes_written, files.bytes_kept, files.bytes_read) == (1004, 600, 50)
        assert files.calls["NewFile.commit"] == files.calls["NewFile.discard"] == 2

    def test_counts_in_threads(self) -> None:
        files = CountingLayer(MemoryFileSystem())
        run_together(lambda _: [files.exists("/") for _ in range(500)], 8)
        assert files.calls == {"get_metadata": 4000}


class TestSlowLayer:
    def test_waits_until_released(self) -> None:
        files = SlowLayer(MemoryFileSystem(), seconds=60, calls={"list_dir"})
        files.make_dir("/a")
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.extend(entry.name for entry in files.list_dir("/")))
        thread.start()
        wait_until(lambda: files.waiting == 1)
        assert files.exists("/a")
        assert found == []
        files.release()
        thread.join(10)
        assert found == ["a"]
        assert files.waiting == 0
        assert len(list(files.list_dir("/"))) == 1

    def test_close_releases(self) -> None:
        files = SlowLayer(MemoryFileSystem(), seconds=60)
        thread = threading.Thread(target=files.exists, args=("/",))
        thread.start()
        wait_until(lambda: files.waiting == 1)
        files.close()
        thread.join(10)
        assert not thread.is_alive()


class TestFaultyLayer:
    @pytest.fixture
    def files(self) -> Iterator[FaultyLayer]:
        layer = FaultyLayer(MemoryFileSystem())
        layer.write_all("/file", b"0123456789")
        yield layer
        assert layer.raised

    def test_nth_call(self, files: FaultyLayer) -> None:
        files.plan(Fault("get_metadata", on=2, times=2))
        assert [self._fails(files) for _ in range(5)] == [False, True, True, False, False]
        assert len(files.raised) == 2

    def test_from_now_on(self, files: FaultyLayer) -> None:
        files.plan(Fault("get_metadata", times=None))
        assert [self._fails(files) for _ in range(3)] == [True] * 3
        files.heal()
        assert not self._fails(files)

    def test_one_path(self, files: FaultyLayer) -> None:
        files.plan(Fault("get_metadata", path="/file"))
        files.get_metadata("/")
        assert self._fails(files)

    def test_error_of_choice(self, files: FaultyLayer) -> None:
        files.plan(Fault("delete", error=InsufficientSpaceFileSystemError))
        with pytest.raises(InsufficientSpaceFileSystemError) as info:
            files.delete("/file")
        assert info.value.path == "/file"
        assert files.exists("/file")

    def test_takes_effect_and_fails(self, files: FaultyLayer) -> None:
        files.plan(Fault("NewFile.commit", takes_effect=True))
        with pytest.raises(AccessFailedFileSystemError):
            files.write_all("/file", b"new")
        assert files.read_all("/file") == b"new"

    def test_commit_fails_before(self, files: FaultyLayer) -> None:
        files.plan(Fault("NewFile.commit"))
        with files.create_new_file("/file") as new_file:
            with pytest.raises(AccessFailedFileSystemError):
                new_file.commit()
            with pytest.raises(ValueError, match="only discard"):
                new_file.commit()
        assert files.read_all("/file") == b"0123456789"

    @pytest.mark.parametrize("after", [0, 1, 9, 10])
    def test_stream_breaks(self, files: FaultyLayer, after: int) -> None:
        files.plan(Fault("read", after=after))
        received = b""
        with pytest.raises(AccessFailedFileSystemError) as info:
            for chunk in files.read("/file"):
                received += chunk
        assert received == b"0123456789"[:after]
        assert info.value.temporary
        assert files.read_all("/file") == b"0123456789"

    @pytest.mark.parametrize("after", [0, 1])
    def test_listing_breaks(self, files: FaultyLayer, after: int) -> None:
        files.write_all("/other", b"")
        files.plan(Fault("list_dir", after=after))
        names = []
        with pytest.raises(AccessFailedFileSystemError):
            for entry in files.list_dir("/"):
                names.append(entry.name)
        assert len(names) == after

    @pytest.mark.parametrize("after", [0, 5, 14])
    def test_upload_breaks(self, files: FaultyLayer, after: int) -> None:
        files.plan(Fault("NewFile.write", after=after))
        with files.create_new_file("/file") as new_file:
            with pytest.raises(AccessFailedFileSystemError):
                for _ in range(3):
                    new_file.write(b"12345")
            assert new_file.offset == after
            with pytest.raises(ValueError, match="only discard"):
                new_file.write(b"more")
        assert files.read_all("/file") == b"0123456789"

    def test_refused_condition_is_no_fault(self, files: FaultyLayer) -> None:
        with files.create_new_file("/new", WriteOptions(expected=NOTHING)) as new_file:
            files.write_all("/new", b"theirs")
            for _ in range(2):
                with pytest.raises(Exception, match="exists"):
                    new_file.commit()
            files.plan(Fault("delete", takes_effect=True))
            with pytest.raises(AccessFailedFileSystemError):
                files.delete("/new")
            new_file.commit()
        assert files.read_all("/new") == b""

    def test_holds_a_call(self, files: FaultyLayer) -> None:
        go_on = threading.Event()
        files.plan(Fault("delete", hold=go_on, error=None))
        thread = threading.Thread(target=files.delete, args=("/file",))
        thread.start()
        wait_until(lambda: files.raised)
        assert files.exists("/file")
        go_on.set()
        thread.join(10)
        assert not files.exists("/file")

    def test_only_streams_break(self) -> None:
        with pytest.raises(ValueError, match="no stream"):
            Fault("delete", after=5)

    def _fails(self, files: FileSystem) -> bool:
        try:
            files.get_metadata("/file")
        except AccessFailedFileSystemError:
            return True
        return False


class TestInterceptingLayer:
    def test_intercepts_every_method_of_a_layer(self) -> None:
        forwarded = {name for name in vars(Layer) if name in vars(FileSystem) and not name.startswith("_")}
        assert {name for name in forwarded if name in vars(InterceptingLayer)} == forwarded - {"capabilities"}

    def test_every_call_goes_through_intercept(self) -> None:
        seen: list[str] = []

        class Recording(InterceptingLayer):
            def intercept(self, call, path, action):  # type: ignore[no-untyped-def]
                seen.append(call)
                return action()

        files = Recording(MemoryFileSystem())
        with files.create_new_file("/a") as new_file:
            new_file.write(b"1")
            new_file.get_native_file()
            new_file.commit()
        with files.create_new_file("/a") as new_file:
            new_file.keep(0, 1)
        files.rename("/a", "/b")
        files.copy("/b", "/a")
        files.set_modified_datetime("/a", datetime.fromisoformat("2020-01-01T00:00:00+00:00"))
        files.get_space()
        files.get_native_file("/a")
        list(files.list_dir("/"))
        list(files.read("/a"))
        files.delete("/a")
        files.make_dir("/c")
        files.delete_dir("/c")
        files.make_dir("/c")
        files.delete_tree("/c")
        with pytest.raises(NotFoundFileSystemError):
            files.get_metadata("/c")
        files.close()
        methods = {name for name in vars(InterceptingLayer) if hasattr(FileSystem, name) and not name.startswith("_")}
        assert set(seen) == methods | {
            "NewFile.write", "NewFile.keep", "NewFile.commit", "NewFile.discard", "NewFile.get_native_file",
        }  # fmt: skip
