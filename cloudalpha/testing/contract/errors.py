"""Errors: the right class for each mistake, and nothing changed by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_system import FileSystem, WriteOptions
from cloudalpha.testing.contract.base import ContractTests, ErrorClass, raises

Call = Callable[[FileSystem, str], object]

MOMENT = datetime(2020, 2, 2, tzinfo=UTC)

CALLS: dict[str, Call] = {
    "get_metadata": lambda files, path: files.get_metadata(path),
    "list_dir": lambda files, path: list(files.list_dir(path)),
    "read": lambda files, path: list(files.read(path)),
    "read_range": lambda files, path: list(files.read(path, 1000, 10)),
    "read_nothing": lambda files, path: list(files.read(path, 0, 0)),
    "create_new_file": lambda files, path: _create(files, path, WriteOptions()),
    "create_with_size": lambda files, path: _create(files, path, WriteOptions(size=0)),
    "delete": lambda files, path: files.delete(path),
    "make_dir": lambda files, path: files.make_dir(path),
    "delete_dir": lambda files, path: files.delete_dir(path),
    "rename": lambda files, path: files.rename(path, path + " 2"),
    "copy": lambda files, path: files.copy(path, path + " 2"),
    "set_modified_datetime": lambda files, path: files.set_modified_datetime(path, MOMENT),
    "get_native_file": lambda files, path: files.get_native_file(path),
    "get_size": lambda files, path: files.get_size(path),
    "read_all": lambda files, path: files.read_all(path),
    "write_all": lambda files, path: files.write_all(path, b""),
    "delete_tree": lambda files, path: files.delete_tree(path),
    "walk": lambda files, path: list(files.walk(path)),
}

NOT_FOUND, NOT_A_DIR = NotFoundFileSystemError, NotADirectoryFileSystemError
IS_A_DIR, EXISTS = IsADirectoryFileSystemError, AlreadyExistsFileSystemError

_MAKING = {"create_new_file", "create_with_size", "write_all", "make_dir"}
_READING = {"read", "read_range", "read_nothing", "read_all"}

MISTAKES: list[tuple[str, str, ErrorClass]] = [
    *[(call, "missing", NOT_FOUND) for call in CALLS if call not in _MAKING | {"get_native_file"}],
    *[(call, "missing/below", NOT_FOUND) for call in CALLS if call != "get_native_file"],
    *[(call, "folder/missing/below", NOT_FOUND) for call in CALLS if call != "get_native_file"],
    *[(call, "file/below", NOT_A_DIR) for call in CALLS if call != "get_native_file"],
    *[(call, "file/below/deeper", NOT_A_DIR) for call in CALLS if call != "get_native_file"],
    *[(call, "file", NOT_A_DIR) for call in ("list_dir", "delete_dir", "walk")],
    *[(call, "folder", IS_A_DIR) for call in sorted(_READING)],
    *[
        (call, "folder", IS_A_DIR)
        for call in ("create_new_file", "create_with_size", "write_all", "delete", "get_size")
    ],
    *[(call, "/", IS_A_DIR) for call in ("read", "create_new_file", "write_all", "delete", "get_size")],
    *[("make_dir", path, EXISTS) for path in ("folder", "file", "/")],
]


class ErrorTests(ContractTests):
    @pytest.mark.parametrize(("call", "path", "error_class"), MISTAKES)
    def test_mistake(self, file_system: FileSystem, folder: str, call: str, path: str, error_class: ErrorClass) -> None:
        file_system.write_all(folder + "/file", b"content")
        file_system.make_dir(folder + "/folder")
        path = path if path == "/" else f"{folder}/{path}"
        allowed: tuple[ErrorClass, ...] = (error_class,)
        if call == "set_modified_datetime" and not file_system.capabilities.sets_modified:
            allowed += (UnsupportedOperationFileSystemError,)
        with raises(allowed, path):
            CALLS[call](file_system, path)
        assert sorted(entry.path for entry in file_system.walk(folder)) == [folder + "/file", folder + "/folder"]
        assert file_system.read_all(folder + "/file") == b"content"

    def test_error_is_not_temporary(self, file_system: FileSystem, folder: str) -> None:
        with pytest.raises(NotFoundFileSystemError) as info:
            file_system.get_metadata(folder + "/missing")
        assert not info.value.temporary
        assert info.value.retry_after is None


def _create(file_system: FileSystem, path: str, options: WriteOptions) -> None:
    """What `create_new_file` itself must refuse, before anything is written."""
    with file_system.create_new_file(path, options):
        pass
