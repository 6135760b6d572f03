"""Conditions: `expected`, at the commit at the latest."""

from __future__ import annotations

import pytest

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    IsADirectoryFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import NOTHING, FileSystem, WriteOptions
from cloudalpha.testing.contract.base import ContractTests, get_revision, list_names, raises
from cloudalpha.testing.contract.concurrency import run_together

NEW = WriteOptions(expected=NOTHING)


def revision_is_of_content(file_system: FileSystem, folder: str, content: bytes, revision: str) -> bool:
    """Whether revisions follow from the content alone, as ETags often do: the same content again is then no change that anybody could notice."""
    path = folder + "/revision probe"
    file_system.write_all(path, b"another content")
    file_system.write_all(path, content)
    is_of_content = get_revision(file_system, path) == revision
    file_system.delete(path)
    return is_of_content


class ConditionTests(ContractTests):
    def test_nothing_expected_where_nothing_is(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"content", NEW)
        assert file_system.read_all(folder + "/file") == b"content"

    def test_nothing_expected_where_a_file_is(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"old")
        with raises(AlreadyExistsFileSystemError, folder + "/file"):
            file_system.write_all(folder + "/file", b"new", NEW)
        assert file_system.read_all(folder + "/file") == b"old"

    def test_nothing_expected_where_a_folder_is(self, file_system: FileSystem, folder: str) -> None:
        with raises((IsADirectoryFileSystemError, AlreadyExistsFileSystemError), folder):
            file_system.write_all(folder, b"new", NEW)
        assert file_system.is_dir(folder)

    def test_file_that_appears_before_the_commit(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        with file_system.create_new_file(path, NEW) as new_file:
            new_file.write(b"mine")
            file_system.write_all(path, b"theirs")
            with raises(AlreadyExistsFileSystemError, path):
                new_file.commit()
        assert file_system.read_all(path) == b"theirs"
        assert list_names(file_system, folder) == ["file"]

    @pytest.mark.parametrize("obstacle", ["file", "folder"])
    def test_something_appears_where_anything_may_be(self, file_system: FileSystem, folder: str, obstacle: str) -> None:
        path = folder + "/path"
        with file_system.create_new_file(path) as new_file:
            new_file.write(b"mine")
            if obstacle == "file":
                file_system.write_all(path, b"theirs")
                new_file.commit()
                assert file_system.read_all(path) == b"mine"
            else:
                file_system.make_dir(path)
                with raises(IsADirectoryFileSystemError, path):
                    new_file.commit()
                assert file_system.is_dir(path)

    def test_right_revision(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"old")
        revision = get_revision(file_system, path)
        file_system.write_all(path, b"new", WriteOptions(expected=revision))
        assert file_system.read_all(path) == b"new"

    def test_former_revision(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"old")
        revision = get_revision(file_system, path)
        file_system.write_all(path, b"theirs")
        with raises(RevisionMismatchFileSystemError, path):
            file_system.write_all(path, b"mine", WriteOptions(expected=revision))
        assert file_system.read_all(path) == b"theirs"

    @pytest.mark.parametrize("change", ["overwrite", "delete", "replace"])
    def test_change_before_the_commit(self, file_system: FileSystem, folder: str, change: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"old")
        revision = get_revision(file_system, path)
        with file_system.create_new_file(path, WriteOptions(expected=revision)) as new_file:
            new_file.write(b"mine")
            if change != "overwrite":
                file_system.delete(path)
            if change != "delete":
                file_system.write_all(path, b"old")
                if revision_is_of_content(file_system, folder, b"old", revision):
                    file_system.write_all(path, b"theirs")
            with raises(RevisionMismatchFileSystemError, path):
                new_file.commit()
        assert list_names(file_system, folder) == ([] if change == "delete" else ["file"])

    def test_revision_where_nothing_is(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"old")
        revision = get_revision(file_system, folder + "/file")
        with raises(RevisionMismatchFileSystemError, folder + "/other"):
            file_system.write_all(folder + "/other", b"new", WriteOptions(expected=revision))
        assert list_names(file_system, folder) == ["file"]

    def test_refused_commit_may_be_repeated(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        with file_system.create_new_file(path, NEW) as new_file:
            new_file.write(b"mine")
            file_system.write_all(path, b"theirs")
            with raises(AlreadyExistsFileSystemError, path):
                new_file.commit()
            file_system.rename(path, folder + "/kept aside")
            new_file.commit()
        assert file_system.read_all(path) == b"mine"
        assert file_system.read_all(folder + "/kept aside") == b"theirs"

    def test_one_of_many_creates(self, file_system: FileSystem, folder: str) -> None:
        if not file_system.capabilities.atomic_condition:
            pytest.skip("the storage promises no atomic conditions")
        for round_number in range(self.num_rounds):
            path = f"{folder}/{round_number}"

            def create(number: int, path: str = path) -> int | None:
                try:
                    file_system.write_all(path, str(number).encode(), NEW)
                except FileSystemError as error:
                    assert type(error) is AlreadyExistsFileSystemError
                    return None
                return number

            winners = [number for number in run_together(create, 6) if number is not None]
            assert len(winners) == 1
            assert file_system.read_all(path) == str(winners[0]).encode()

    def test_no_update_is_lost(self, file_system: FileSystem, folder: str) -> None:
        if not file_system.capabilities.atomic_condition:
            pytest.skip("the storage promises no atomic conditions")
        path, num_threads, num_updates = folder + "/counter", 4, self.num_rounds
        file_system.write_all(path, b"0")

        def count(number: int) -> None:
            updates = 0
            while updates < num_updates:
                try:
                    revision = get_revision(file_system, path)
                    value = int(b"".join(file_system.read(path, expected=revision)))
                    file_system.write_all(path, str(value + 1).encode(), WriteOptions(expected=revision))
                except RevisionMismatchFileSystemError:
                    continue
                updates += 1

        run_together(count, num_threads)
        assert file_system.read_all(path) == str(num_threads * num_updates).encode()
