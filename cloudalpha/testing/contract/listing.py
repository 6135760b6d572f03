"""Listings: lazy, complete, each entry once, and as true as `get_metadata`."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from cloudalpha import paths
from cloudalpha.exceptions import NotADirectoryFileSystemError, NotFoundFileSystemError
from cloudalpha.file_system import FileSystem, close_stream
from cloudalpha.testing.contract.base import ContractTests, list_names, raises


class ListingTests(ContractTests):
    def test_empty_folder(self, file_system: FileSystem, folder: str) -> None:
        assert list(file_system.list_dir(folder)) == []

    def test_root_lists_what_it_holds(self, file_system: FileSystem, folder: str) -> None:
        assert [entry.is_dir for entry in file_system.list_dir("/") if entry.path == folder] == [True]

    def test_lists_files_and_folders_of_this_folder_alone(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"12345")
        file_system.write_all(folder + "/empty", b"")
        file_system.make_dirs(folder + "/sub/sub sub")
        file_system.write_all(folder + "/sub/inside", b"x")
        entries = {entry.path: entry for entry in file_system.list_dir(folder)}
        assert sorted(entries) == [folder + "/empty", folder + "/file", folder + "/sub"]
        assert [entries[folder + "/" + name].is_dir for name in ("file", "empty", "sub")] == [False, False, True]
        assert [entries[folder + "/" + name].size for name in ("file", "empty", "sub")] == [5, 0, 0]

    def test_entries_agree_with_get_metadata(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"12345")
        file_system.make_dir(folder + "/sub")
        for entry in file_system.list_dir(folder):
            metadata = file_system.get_metadata(entry.path)
            assert (entry.path, entry.is_dir, entry.size) == (metadata.path, metadata.is_dir, metadata.size)
            assert entry.revision in (None, metadata.revision)
            if entry.modified_datetime is not None and not entry.is_dir:
                assert entry.modified_datetime == metadata.modified_datetime

    def test_listing_follows_changes_at_once(self, file_system: FileSystem, folder: str) -> None:
        assert list_names(file_system, folder) == []
        file_system.write_all(folder + "/a", b"1")
        assert list_names(file_system, folder) == ["a"]
        file_system.write_all(folder + "/a", b"four")
        assert [entry.size for entry in file_system.list_dir(folder)] == [4]
        file_system.rename(folder + "/a", folder + "/b")
        assert list_names(file_system, folder) == ["b"]
        file_system.delete(folder + "/b")
        assert list_names(file_system, folder) == []

    def test_more_than_two_pages(self, file_system: FileSystem, folder: str) -> None:
        names = self._fill(file_system, folder)
        counted = Counter(entry.name for entry in file_system.list_dir(folder))
        assert counted == Counter(names)

    def test_deleting_while_listing_deletes_all(self, file_system: FileSystem, folder: str) -> None:
        self._fill(file_system, folder)
        for entry in file_system.list_dir(folder):
            file_system.delete(entry.path)
        assert list_names(file_system, folder) == []
        file_system.delete_dir(folder)

    def test_what_stays_appears_once_while_others_come_and_go(self, file_system: FileSystem, folder: str) -> None:
        stay = {f"stay {number}" for number in range(30)}
        go = {f"go {number}" for number in range(30)}
        for name in stay | go:
            file_system.write_all(paths.join(folder, name), b"x")
        counted: Counter[str] = Counter()
        for number, entry in enumerate(file_system.list_dir(folder)):
            counted[entry.name] += 1
            if number < 30:
                file_system.write_all(f"{folder}/come {number}", b"x")
                file_system.delete(f"{folder}/go {number}")
        assert {name: counted[name] for name in stay} == dict.fromkeys(stay, 1)
        assert max(counted.values()) == 1

    def test_listings_do_not_disturb_each_other(self, file_system: FileSystem, folder: str) -> None:
        names = sorted(f"name {number:02}" for number in range(25))
        for name in names:
            file_system.write_all(paths.join(folder, name), b"x")
        first, second = file_system.list_dir(folder), file_system.list_dir(folder)
        head = [next(first).name for _ in range(5)]
        assert sorted(entry.name for entry in second) == names
        assert sorted(head + [entry.name for entry in first]) == names

    @pytest.mark.parametrize("num_entries", [0, 1, 3])
    def test_closed_in_the_middle(self, file_system: FileSystem, folder: str, num_entries: int) -> None:
        for name in "abcde":
            file_system.write_all(paths.join(folder, name), b"x")
        entries = file_system.list_dir(folder)
        assert len(list(islice(entries, num_entries))) == num_entries
        close_stream(entries)
        close_stream(entries)
        assert list_names(file_system, folder) == list("abcde")

    def test_end_stays_the_end(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/a", b"x")
        entries = file_system.list_dir(folder)
        assert len(list(entries)) == 1
        assert list(entries) == []

    def test_errors_come_with_the_first_item(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"x")
        with raises(NotFoundFileSystemError, folder + "/missing"):
            next(file_system.list_dir(folder + "/missing"), None)
        with raises(NotADirectoryFileSystemError, folder + "/file"):
            next(file_system.list_dir(folder + "/file"), None)

    def _fill(self, file_system: FileSystem, folder: str) -> list[str]:
        names = [f"{number:05}" for number in range(2 * self.page_size + 1)]
        for name in names:
            file_system.write_all(paths.join(folder, name), b"")
        return names
