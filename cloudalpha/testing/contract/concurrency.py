"""Threads: a FileSystem is shared by many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import FileSystem
from cloudalpha.testing.contract.base import ContractTests, list_names, make_content
from cloudalpha.testing.same_bytes import assert_same_bytes

T = TypeVar("T")


def run_together(action: Callable[[int], T], num_threads: int) -> list[T]:
    """Run action(0), action(1) ... in threads that begin at the same moment. Raises what one of them raised."""
    barrier = threading.Barrier(num_threads)

    def run(number: int) -> T:
        barrier.wait(30)
        return action(number)

    with ThreadPoolExecutor(num_threads) as executor:
        return list(executor.map(run, range(num_threads)))


def run_while(action: Callable[[], None], watch: Callable[[], None], num_watchers: int = 2) -> None:
    """Run `action` once, and `watch` again and again in other threads until that is done. Raises what one of them raised."""
    done = threading.Event()

    def run(number: int) -> None:
        try:
            if number == 0:
                action()
                return
            while not done.is_set():
                watch()
        finally:
            done.set()

    run_together(run, num_watchers + 1)


def count_winners(action: Callable[[], None], error_class: type[FileSystemError], num_threads: int = 6) -> int:
    """Run the same in many threads: in how many it succeeded; all others must get that error."""

    def run(_number: int) -> bool:
        try:
            action()
        except FileSystemError as error:
            assert type(error) is error_class, f"{type(error).__name__} instead of {error_class.__name__}"
            return False
        return True

    return sum(run_together(run, num_threads))


class ConcurrencyTests(ContractTests):
    def test_each_thread_has_its_own_files(self, file_system: FileSystem, folder: str) -> None:
        def work(number: int) -> None:
            path, content = f"{folder}/{number}", make_content(200_000, number)
            for _ in range(3):
                with file_system.create_new_file(path) as new_file:
                    for start in range(0, len(content), 30_000):
                        new_file.write(content[start : start + 30_000])
                    new_file.commit()
                assert_same_bytes(file_system.read_all(path), content)
                assert str(number) in list_names(file_system, folder)
                file_system.delete(path)
                assert not file_system.exists(path)

        run_together(work, 6)
        assert list_names(file_system, folder) == []

    def test_readers_see_whole_versions(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        versions = [make_content(size, size) for size in (600_000, 1, 300_000, 600_000)]
        file_system.write_all(path, versions[0])

        def write() -> None:
            for round_number in range(self.num_rounds):
                file_system.write_all(path, versions[round_number % len(versions)])

        def read() -> None:
            try:
                content = file_system.read_all(path)
            except RevisionMismatchFileSystemError:
                return
            assert content in versions, "a reader got something that nobody wrote"
            assert file_system.get_metadata(path).size in {len(version) for version in versions}
            assert list_names(file_system, folder) == ["file"]

        run_while(write, read)

    def test_reader_that_expects_what_it_saw(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        versions = [bytes([letter]) * 100_000 for letter in b"abcd"]
        if file_system.write_all(path, versions[0]).revision is None:
            pytest.skip("the storage has no revisions")

        def write() -> None:
            for round_number in range(self.num_rounds * 2):
                file_system.write_all(path, versions[round_number % len(versions)])

        def read() -> None:
            revision = file_system.get_metadata(path).revision
            assert revision is not None
            try:
                halves = [b"".join(file_system.read(path, start, 50_000, revision)) for start in (0, 50_000)]
            except RevisionMismatchFileSystemError:
                return
            assert b"".join(halves) in versions, "ranges of one revision are of two versions"

        run_while(write, read)

    def test_one_make_dir_of_many(self, file_system: FileSystem, folder: str) -> None:
        for number in range(self.num_rounds):
            path = f"{folder}/{number}"
            assert count_winners(lambda path=path: file_system.make_dir(path), AlreadyExistsFileSystemError) == 1  # type: ignore[misc]
            assert file_system.is_dir(path)

    def test_one_delete_of_many(self, file_system: FileSystem, folder: str) -> None:
        for number in range(self.num_rounds):
            path = f"{folder}/{number}"
            file_system.write_all(path, b"content")
            assert count_winners(lambda path=path: file_system.delete(path), NotFoundFileSystemError) >= 1  # type: ignore[misc]
            assert not file_system.exists(path)

    def test_make_dirs_of_one_path(self, file_system: FileSystem, folder: str) -> None:
        for number in range(self.num_rounds):
            run_together(lambda _, number=number: file_system.make_dirs(f"{folder}/{number}/b/c"), 4)  # type: ignore[misc]
            assert file_system.is_dir(f"{folder}/{number}/b/c")

    def test_one_rename_of_many(self, file_system: FileSystem, folder: str) -> None:
        if not file_system.capabilities.atomic_rename:
            pytest.skip("the storage promises no atomic rename")
        for round_number in range(self.num_rounds):
            source = f"{folder}/source"
            file_system.write_all(source, b"content")

            def rename(number: int, round_number: int = round_number) -> bool:
                try:
                    file_system.rename(source, f"{folder}/{round_number} {number}")  # noqa: B023 - the same each round
                except NotFoundFileSystemError:
                    return False
                return True

            assert sum(run_together(rename, 4)) == 1
            assert len(list_names(file_system, folder)) == round_number + 1

    def test_rename_over_leaves_no_gap(self, file_system: FileSystem, folder: str) -> None:
        if not file_system.capabilities.atomic_rename:
            pytest.skip("the storage promises no atomic rename")
        path = folder + "/file"
        file_system.write_all(path, b"version 0")

        def replace() -> None:
            for number in range(self.num_rounds * 3):
                file_system.write_all(folder + "/next", f"version {number}".encode())
                file_system.rename(folder + "/next", path, overwrite=True)

        def read() -> None:
            try:
                assert file_system.read_all(path).startswith(b"version ")
            except RevisionMismatchFileSystemError:
                return

        run_while(replace, read)

    def test_listing_while_others_write(self, file_system: FileSystem, folder: str) -> None:
        stay = [f"stay {number}" for number in range(40)]
        for name in stay:
            file_system.write_all(f"{folder}/{name}", b"x")

        def change() -> None:
            for number in range(self.num_rounds * 5):
                file_system.write_all(f"{folder}/come {number}", b"x")
                file_system.rename(f"{folder}/come {number}", f"{folder}/go {number}")
                file_system.delete(f"{folder}/go {number}")

        def watch() -> None:
            names = list_names(file_system, folder)
            assert [name for name in names if name.startswith("stay")] == sorted(stay)

        run_while(change, watch)

    def test_streams_may_end_in_another_thread(self, file_system: FileSystem, folder: str) -> None:
        content = make_content(2_000_000)
        file_system.write_all(folder + "/file", content)
        stream = file_system.read(folder + "/file")
        head = next(stream)
        new_file = file_system.create_new_file(folder + "/copy")
        new_file.write(head)

        def finish(_number: int) -> None:
            for chunk in stream:
                new_file.write(chunk)
            new_file.commit()

        run_together(finish, 1)
        assert_same_bytes(file_system.read_all(folder + "/copy"), content)
