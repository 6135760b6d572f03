"""Folders, deleting, and what is derived from the rest."""

from __future__ import annotations

import pytest

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_system import FileSystem
from cloudalpha.testing.contract.base import ContractTests, assert_absent, list_names, raises


class FolderTests(ContractTests):
    def test_root_is_a_folder(self, file_system: FileSystem) -> None:
        metadata = file_system.get_metadata("/")
        assert (metadata.path, metadata.is_dir, metadata.size) == ("/", True, 0)
        assert file_system.exists("/")
        assert file_system.is_dir("/")
        assert not file_system.is_file("/")

    def test_new_folder(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dir(folder + "/new")
        metadata = file_system.get_metadata(folder + "/new")
        assert (metadata.path, metadata.is_dir, metadata.size) == (folder + "/new", True, 0)
        assert (metadata.revision, metadata.content_hash) == (None, None) or metadata.is_dir
        assert list_names(file_system, folder) == ["new"]
        assert list_names(file_system, folder + "/new") == []

    def test_folder_outlives_its_last_entry(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dir(folder + "/sub")
        file_system.write_all(folder + "/sub/file", b"x")
        file_system.delete(folder + "/sub/file")
        assert file_system.is_dir(folder + "/sub")
        file_system.write_all(folder + "/sub/file", b"x")
        file_system.rename(folder + "/sub/file", folder + "/file")
        assert file_system.is_dir(folder + "/sub")
        assert list_names(file_system, folder) == ["file", "sub"]

    def test_only_an_empty_folder_is_deleted(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dirs(folder + "/a/b")
        with raises(DirectoryNotEmptyFileSystemError, folder + "/a"):
            file_system.delete_dir(folder + "/a")
        file_system.delete_dir(folder + "/a/b")
        file_system.write_all(folder + "/a/file", b"x")
        with raises(DirectoryNotEmptyFileSystemError, folder + "/a"):
            file_system.delete_dir(folder + "/a")
        assert file_system.read_all(folder + "/a/file") == b"x"
        file_system.delete(folder + "/a/file")
        file_system.delete_dir(folder + "/a")
        assert list_names(file_system, folder) == []

    def test_root_is_not_deleted(self, file_system: FileSystem, folder: str) -> None:
        with raises((PermissionDeniedFileSystemError, DirectoryNotEmptyFileSystemError), "/"):
            file_system.delete_dir("/")
        file_system.delete_dir(folder)
        if not list_names(file_system, "/"):
            with raises(PermissionDeniedFileSystemError, "/"):
                file_system.delete_dir("/")
        assert file_system.is_dir("/")

    def test_deleted_file_is_gone(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"content")
        file_system.delete(folder + "/file")
        assert_absent(file_system, folder + "/file")
        with raises(NotFoundFileSystemError, folder + "/file"):
            file_system.delete(folder + "/file")

    def test_name_is_free_for_something_else(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/name"
        file_system.write_all(path, b"content")
        file_system.delete(path)
        file_system.make_dir(path)
        assert file_system.is_dir(path)
        file_system.delete_dir(path)
        file_system.write_all(path, b"content")
        assert file_system.is_file(path)

    def test_folder_made_again_is_empty(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dirs(folder + "/a/b")
        file_system.write_all(folder + "/a/b/file", b"x")
        file_system.delete_tree(folder + "/a")
        file_system.make_dir(folder + "/a")
        assert list(file_system.walk(folder)) == [file_system.get_metadata(folder + "/a")]

    @pytest.mark.parametrize("path", ["file", "folder", "missing", "missing/below", "file/below"])
    def test_exists_is_dir_is_file(self, file_system: FileSystem, folder: str, path: str) -> None:
        file_system.write_all(folder + "/file", b"x")
        file_system.make_dir(folder + "/folder")
        assert file_system.exists(f"{folder}/{path}") == (path in ("file", "folder"))
        assert file_system.is_file(f"{folder}/{path}") == (path == "file")
        assert file_system.is_dir(f"{folder}/{path}") == (path == "folder")

    def test_get_size(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"12345")
        assert file_system.get_size(folder + "/file") == 5
        with raises(IsADirectoryFileSystemError, folder):
            file_system.get_size(folder)

    def test_make_dirs(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dirs(folder + "/a/b/c")
        file_system.make_dirs(folder + "/a/b/c")
        file_system.make_dirs(folder + "/a/b")
        assert [entry.path for entry in file_system.walk(folder)] == [
            folder + "/a", folder + "/a/b", folder + "/a/b/c",
        ]  # fmt: skip

    def test_make_dirs_over_a_file(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"x")
        for path in ("file", "file/a", "file/a/b"):
            with raises(NotADirectoryFileSystemError, f"{folder}/{path}"):
                file_system.make_dirs(f"{folder}/{path}")
        assert file_system.read_all(folder + "/file") == b"x"

    def test_delete_tree(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dirs(folder + "/tree/a/b")
        for path in ("tree/1", "tree/a/2", "tree/a/b/3", "tree 2"):
            file_system.write_all(f"{folder}/{path}", b"x")
        file_system.delete_tree(folder + "/tree")
        assert list_names(file_system, folder) == ["tree 2"]
        file_system.delete_tree(folder + "/tree 2")
        assert list_names(file_system, folder) == []
        with raises(NotFoundFileSystemError, folder + "/tree"):
            file_system.delete_tree(folder + "/tree")

    def test_delete_tree_of_many_entries(self, file_system: FileSystem, folder: str) -> None:
        """More than two pages of files in one folder, and of folders in another."""
        file_system.make_dirs(folder + "/tree/folders")
        for number in range(2 * self.page_size + 2):
            file_system.write_all(f"{folder}/tree/{number}", b"x")
            file_system.make_dir(f"{folder}/tree/folders/{number}")
        file_system.delete_tree(folder + "/tree/folders")
        assert not file_system.exists(folder + "/tree/folders")
        assert len(list_names(file_system, folder + "/tree")) == 2 * self.page_size + 2
        file_system.delete_tree(folder + "/tree")
        assert list_names(file_system, folder) == []
        file_system.make_dir(folder + "/tree")
        assert list_names(file_system, folder + "/tree") == []

    def test_delete_tree_takes_nothing_else(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dirs(folder + "/a/tree/empty")
        file_system.write_all(folder + "/a/tree/file", b"x")
        beside = [folder + "/a", *(folder + "/a/tree" + end for end in ("-", ".txt", "0", " 2", "\u00e9"))]
        for path in beside[1:]:
            file_system.write_all(path, b"x")
        file_system.delete_tree(folder + "/a/tree")
        for path in ("/a/tree", "/a/tree/file", "/a/tree/empty"):
            assert not file_system.exists(folder + path)
        assert sorted(entry.path for entry in file_system.walk(folder)) == sorted(beside)

    def test_delete_tree_of_the_root_is_refused(self, file_system: FileSystem, folder: str) -> None:
        """Tried only where a storage that does it all the same would lose nothing but this test's folder."""
        if list_names(file_system, "/") == [paths.get_name(folder)]:
            with raises(PermissionDeniedFileSystemError, "/"):
                file_system.delete_tree("/")
        assert file_system.is_dir(folder)

    def test_walk(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dirs(folder + "/a/b")
        for path in ("1", "a/2", "a/b/3"):
            file_system.write_all(f"{folder}/{path}", b"x")
        walked = [entry.path for entry in file_system.walk(folder)]
        assert sorted(walked) == [f"{folder}/{path}" for path in ("1", "a", "a/2", "a/b", "a/b/3")]
        assert walked.index(folder + "/a") < walked.index(folder + "/a/2")
        assert walked.index(folder + "/a/b") < walked.index(folder + "/a/b/3")

    def test_write_all_replaces(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"long content")
        file_system.write_all(folder + "/file", b"short")
        assert file_system.read_all(folder + "/file") == b"short"

    def test_space(self, file_system: FileSystem, folder: str) -> None:
        space = file_system.get_space()
        if space is None:
            return
        if space.free is not None:
            assert space.free >= 0
        if space.free is not None and space.total is not None:
            assert space.free <= space.total

    def test_folder_where_a_file_is(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"x")
        with raises(AlreadyExistsFileSystemError, folder + "/file"):
            file_system.make_dir(folder + "/file")
        assert file_system.read_all(folder + "/file") == b"x"
