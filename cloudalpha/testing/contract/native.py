"""Real descriptors, where there are any: they say the same as the rest. And none is left behind."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from cloudalpha.exceptions import FileSystemError, IsADirectoryFileSystemError, NotFoundFileSystemError
from cloudalpha.file_system import FileSystem, close_stream
from cloudalpha.testing.contract.base import ContractTests, assert_absent, list_names, make_content, raises
from cloudalpha.testing.same_bytes import assert_same_bytes
from cloudalpha.testing.waiting import wait_until


class NativeFileTests(ContractTests):
    @pytest.mark.parametrize("size", [0, 1, 300_000])
    def test_descriptor_holds_the_whole_content(self, file_system: FileSystem, folder: str, size: int) -> None:
        content = make_content(size)
        file_system.write_all(folder + "/file", content)
        native_file = file_system.get_native_file(folder + "/file")
        if native_file is None:
            return
        with native_file:
            assert os.fstat(native_file.fileno()).st_size == size
            assert_same_bytes(os.pread(native_file.fileno(), size + 1, 0), content)
            assert_same_bytes(os.pread(native_file.fileno(), 10, size // 2), content[size // 2 :][:10])

    def test_errors_are_those_of_read(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"x")
        native_file = file_system.get_native_file(folder + "/file")
        if native_file is None:
            return
        native_file.close()
        with raises(NotFoundFileSystemError, folder + "/missing"):
            file_system.get_native_file(folder + "/missing")
        with raises(IsADirectoryFileSystemError, folder):
            file_system.get_native_file(folder)

    def test_descriptor_keeps_its_version(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"old content")
        native_file = file_system.get_native_file(folder + "/file")
        if native_file is None:
            return
        with native_file:
            file_system.write_all(folder + "/file", b"new")
            assert os.pread(native_file.fileno(), 100, 0) == b"old content"
            file_system.delete(folder + "/file")
            assert os.pread(native_file.fileno(), 100, 0) == b"old content"

    @pytest.mark.parametrize("end", ["commit", "discard"])
    def test_writing_at_any_offset(self, file_system: FileSystem, folder: str, end: str) -> None:
        path = folder + "/file"
        with file_system.create_new_file(path) as new_file:
            native_file = new_file.get_native_file()
            if native_file is None:
                return
            descriptor = native_file.fileno()
            os.pwrite(descriptor, b"world", 6)
            os.pwrite(descriptor, b"hello ", 0)
            assert os.pread(descriptor, 100, 0) == b"hello world"
            os.pwrite(descriptor, b"too much", 11)
            os.ftruncate(descriptor, 11)
            assert_absent(file_system, path)
            if end == "commit":
                assert new_file.commit().size == 11
        if end == "commit":
            assert file_system.read_all(path) == b"hello world"
        else:
            assert_absent(file_system, path)

    def test_descriptor_of_what_was_written_and_kept(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"0123456789")
        with file_system.create_new_file(path) as new_file:
            new_file.keep(0, 10)
            new_file.write(b"abc")
            native_file = new_file.get_native_file()
            if native_file is None:
                return
            assert os.pread(native_file.fileno(), 100, 0) == b"0123456789abc"
            os.pwrite(native_file.fileno(), b"!", 5)
            new_file.commit()
        assert file_system.read_all(path) == b"01234!6789abc"


class LeakTests(ContractTests):
    def test_no_descriptor_or_thread_is_left(self, file_system: FileSystem, folder: str) -> None:
        self._use_everything(file_system, folder)  # pools and caches fill up
        gc.collect()
        descriptors, threads = _count_descriptors(), threading.active_count()
        for _ in range(10):
            self._use_everything(file_system, folder)
        gc.collect()
        wait_until(lambda: _count_descriptors() <= descriptors, 5, "descriptors are left open")
        wait_until(lambda: threading.active_count() <= threads, 5, "threads are left running")
        assert list_names(file_system, folder) == []

    def _use_everything(self, file_system: FileSystem, folder: str) -> None:
        content = make_content(1_000_000)
        path = folder + "/file"
        file_system.write_all(path, content)
        for num_chunks in (0, 1):
            stream = file_system.read(path)
            for _ in range(num_chunks):
                next(stream)
            close_stream(stream)
            entries = file_system.list_dir(folder)
            for _ in range(num_chunks):
                next(entries)
            close_stream(entries)
        for start_byte in (0, 999_999, 2_000_000):
            list(file_system.read(path, start_byte))
        new_file = file_system.create_new_file(path)
        new_file.keep(0, 10)
        new_file.write(content)
        new_file.get_native_file()
        new_file.discard()
        with file_system.create_new_file(path) as new_file:
            new_file.write(b"left without a commit")
        native_file = file_system.get_native_file(path)
        if native_file is not None:
            native_file.close()
        for wrong_path in (folder, folder + "/missing", path + "/below"):
            with pytest.raises(FileSystemError):
                list(file_system.read(wrong_path))
            with pytest.raises(FileSystemError):
                file_system.delete(wrong_path)
        file_system.copy(path, folder + "/copy")
        file_system.rename(folder + "/copy", path, overwrite=True)
        file_system.delete(path)


def _count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
