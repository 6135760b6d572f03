"""`rename` and `copy`: the same rules for both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_system import FileSystem, WriteOptions
from cloudalpha.testing.contract.base import ContractTests, list_names, make_content, raises
from cloudalpha.testing.same_bytes import assert_same_bytes

Move = Callable[[str, str, bool], None]

overwrite_or_not = pytest.mark.parametrize("overwrite", [False, True], ids=["no-overwrite", "overwrite"])
rename_or_copy = pytest.mark.parametrize("action", ["rename", "copy"])


class MoveTests(ContractTests):
    @rename_or_copy
    @overwrite_or_not
    @pytest.mark.parametrize("target", ["other", "file2", "fil", "sub/file", "sub/other"])
    def test_file(self, file_system: FileSystem, folder: str, action: str, overwrite: bool, target: str) -> None:
        content = make_content(300_000)
        file_system.make_dir(folder + "/sub")
        file_system.write_all(folder + "/file", content)
        getattr(file_system, action)(folder + "/file", f"{folder}/{target}", overwrite)
        assert_same_bytes(file_system.read_all(f"{folder}/{target}"), content)
        assert file_system.get_size(f"{folder}/{target}") == len(content)
        assert file_system.exists(folder + "/file") == (action == "copy")

    @rename_or_copy
    @pytest.mark.parametrize("target", ["other", "tree2", "tre", "sub/tree"])
    def test_folder_with_all_that_it_holds(
        self, file_system: FileSystem, folder: str, action: str, target: str
    ) -> None:
        self._make_tree(file_system, folder + "/tree")
        file_system.make_dir(folder + "/sub")
        getattr(file_system, action)(folder + "/tree", f"{folder}/{target}")
        self._check_tree(file_system, f"{folder}/{target}")
        if action == "copy":
            self._check_tree(file_system, folder + "/tree")
        else:
            assert not file_system.exists(folder + "/tree")
            assert not file_system.exists(folder + "/tree/a/b/deep")
            with raises(NotFoundFileSystemError):
                list(file_system.list_dir(folder + "/tree/a"))

    @rename_or_copy
    def test_empty_folder_and_empty_file(self, file_system: FileSystem, folder: str, action: str) -> None:
        file_system.make_dir(folder + "/empty")
        file_system.write_all(folder + "/file", b"")
        getattr(file_system, action)(folder + "/empty", folder + "/empty 2")
        getattr(file_system, action)(folder + "/file", folder + "/file 2")
        assert file_system.is_dir(folder + "/empty 2")
        assert file_system.read_all(folder + "/file 2") == b""

    @rename_or_copy
    def test_overwrite_replaces_a_file(self, file_system: FileSystem, folder: str, action: str) -> None:
        file_system.write_all(folder + "/new", b"new")
        before = file_system.write_all(folder + "/old", b"old content").revision
        with raises(AlreadyExistsFileSystemError, folder + "/old"):
            getattr(file_system, action)(folder + "/new", folder + "/old")
        assert file_system.read_all(folder + "/old") == b"old content"
        assert file_system.read_all(folder + "/new") == b"new"
        getattr(file_system, action)(folder + "/new", folder + "/old", overwrite=True)
        after = file_system.get_metadata(folder + "/old").revision
        assert file_system.read_all(folder + "/old") == b"new"
        assert before is None or after != before
        assert list_names(file_system, folder) == (["new", "old"] if action == "copy" else ["old"])

    @rename_or_copy
    @overwrite_or_not
    def test_file_onto_folder(self, file_system: FileSystem, folder: str, action: str, overwrite: bool) -> None:
        file_system.write_all(folder + "/file", b"content")
        file_system.make_dir(folder + "/target")
        with raises(IsADirectoryFileSystemError, folder + "/target"):
            getattr(file_system, action)(folder + "/file", folder + "/target", overwrite)
        assert file_system.read_all(folder + "/file") == b"content"
        assert list_names(file_system, folder + "/target") == []

    @rename_or_copy
    @overwrite_or_not
    @pytest.mark.parametrize("target", ["file", "empty", "full"])
    def test_folder_onto_anything(
        self, file_system: FileSystem, folder: str, action: str, overwrite: bool, target: str
    ) -> None:
        self._make_tree(file_system, folder + "/tree")
        file_system.write_all(folder + "/file", b"content")
        file_system.make_dirs(folder + "/empty")
        file_system.make_dirs(folder + "/full/sub")
        with raises(AlreadyExistsFileSystemError, f"{folder}/{target}"):
            getattr(file_system, action)(folder + "/tree", f"{folder}/{target}", overwrite)
        self._check_tree(file_system, folder + "/tree")
        assert file_system.read_all(folder + "/file") == b"content"
        assert list_names(file_system, folder + "/empty") == []
        assert list_names(file_system, folder + "/full") == ["sub"]

    @rename_or_copy
    @overwrite_or_not
    def test_onto_itself(self, file_system: FileSystem, folder: str, action: str, overwrite: bool) -> None:
        self._make_tree(file_system, folder + "/tree")
        file_system.write_all(folder + "/file", b"content")
        getattr(file_system, action)(folder + "/tree", folder + "/tree", overwrite)
        getattr(file_system, action)(folder + "/file", folder + "/file", overwrite)
        self._check_tree(file_system, folder + "/tree")
        assert file_system.read_all(folder + "/file") == b"content"

    @rename_or_copy
    @overwrite_or_not
    @pytest.mark.parametrize("target", ["tree/inside", "tree/a", "tree/a/b/inside", "tree/a/file"])
    def test_folder_into_itself(
        self, file_system: FileSystem, folder: str, action: str, overwrite: bool, target: str
    ) -> None:
        self._make_tree(file_system, folder + "/tree")
        with raises(InvalidPathFileSystemError, f"{folder}/{target}", folder + "/tree"):
            getattr(file_system, action)(folder + "/tree", f"{folder}/{target}", overwrite)
        self._check_tree(file_system, folder + "/tree")

    @rename_or_copy
    @overwrite_or_not
    def test_nothing_there(self, file_system: FileSystem, folder: str, action: str, overwrite: bool) -> None:
        file_system.write_all(folder + "/file", b"content")
        for source in ("missing", "missing/file"):
            with raises(NotFoundFileSystemError, f"{folder}/{source}"):
                getattr(file_system, action)(f"{folder}/{source}", folder + "/target", overwrite)
        with raises(NotFoundFileSystemError, folder + "/missing"):
            getattr(file_system, action)(folder + "/missing", folder + "/missing", overwrite)
        with raises(NotADirectoryFileSystemError, folder + "/file/below"):
            getattr(file_system, action)(folder + "/file/below", folder + "/target", overwrite)
        assert list_names(file_system, folder) == ["file"]

    @rename_or_copy
    @overwrite_or_not
    @pytest.mark.parametrize("source", ["file", "tree"])
    def test_nowhere_to_go(
        self, file_system: FileSystem, folder: str, action: str, overwrite: bool, source: str
    ) -> None:
        file_system.write_all(folder + "/file", b"content")
        file_system.write_all(folder + "/obstacle", b"x")
        self._make_tree(file_system, folder + "/tree")
        with raises(NotFoundFileSystemError, folder + "/missing/target", f"{folder}/{source}"):
            getattr(file_system, action)(f"{folder}/{source}", folder + "/missing/target", overwrite)
        with raises(NotADirectoryFileSystemError, folder + "/obstacle/target", f"{folder}/{source}"):
            getattr(file_system, action)(f"{folder}/{source}", folder + "/obstacle/target", overwrite)
        assert file_system.read_all(folder + "/file") == b"content"
        self._check_tree(file_system, folder + "/tree")
        assert list_names(file_system, folder) == ["file", "obstacle", "tree"]

    @overwrite_or_not
    def test_root_stays(self, file_system: FileSystem, folder: str, overwrite: bool) -> None:
        with raises(PermissionDeniedFileSystemError, "/"):
            file_system.rename("/", folder + "/below", overwrite)
        with raises(InvalidPathFileSystemError, "/", folder + "/below"):
            file_system.copy("/", folder + "/below", overwrite)
        assert list_names(file_system, folder) == []

    @rename_or_copy
    def test_there_and_back(self, file_system: FileSystem, folder: str, action: str) -> None:
        file_system.write_all(folder + "/a", b"first")
        file_system.write_all(folder + "/b", b"second")
        getattr(file_system, action)(folder + "/a", folder + "/c")
        getattr(file_system, action)(folder + "/b", folder + "/a", overwrite=True)
        getattr(file_system, action)(folder + "/c", folder + "/b", overwrite=True)
        assert file_system.read_all(folder + "/a") == b"second"
        assert file_system.read_all(folder + "/b") == b"first"

    @rename_or_copy
    def test_file_keeps_its_time(self, file_system: FileSystem, folder: str, action: str) -> None:
        moment = datetime(2011, 12, 13, 14, 15, 16, tzinfo=UTC)
        if not file_system.capabilities.sets_modified:
            return
        file_system.write_all(folder + "/file", b"content", WriteOptions(modified_datetime=moment))
        getattr(file_system, action)(folder + "/file", folder + "/other")
        modified = file_system.get_metadata(folder + "/other").modified_datetime
        assert modified is not None
        assert abs(modified - moment) <= timedelta(seconds=1)

    def test_copies_are_apart(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"content")
        file_system.copy(folder + "/file", folder + "/copy")
        file_system.write_all(folder + "/file", b"changed")
        assert file_system.read_all(folder + "/copy") == b"content"
        file_system.delete(folder + "/file")
        assert file_system.read_all(folder + "/copy") == b"content"
        with file_system.create_new_file(folder + "/copy") as new_file:
            new_file.keep(0, 7)
            new_file.write(b" and more")
            new_file.commit()
        assert file_system.read_all(folder + "/copy") == b"content and more"

    def _make_tree(self, file_system: FileSystem, path: str) -> None:
        file_system.make_dirs(path + "/a/b")
        file_system.make_dir(path + "/empty")
        file_system.write_all(path + "/top", b"top")
        file_system.write_all(path + "/a/file", b"file")
        file_system.write_all(path + "/a/b/deep", b"deep")

    def _check_tree(self, file_system: FileSystem, path: str) -> None:
        found = {entry.path[len(path) :]: entry.is_dir for entry in file_system.walk(path)}
        assert found == {
            "/a": True, "/a/b": True, "/empty": True, "/top": False, "/a/file": False, "/a/b/deep": False,
        }  # fmt: skip
        for name in ("/top", "/a/file", "/a/b/deep"):
            assert file_system.read_all(path + name) == name.rpartition("/")[2].encode()
