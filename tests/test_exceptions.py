from __future__ import annotations

import copy
import re

import pytest

from cloudalpha import exceptions
from cloudalpha.exceptions import AccessFailedFileSystemError, CloudAlphaError, FileSystemError

CLASSES = {
    name: value
    for name, value in vars(exceptions).items()
    if isinstance(value, type) and issubclass(value, CloudAlphaError)
}


def test_the_drawn_tree_is_the_real_one() -> None:
    parents: list[str] = []
    drawn: dict[str, str] = {}
    for line in (exceptions.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   )*)(?:[├└]── )?(\w+Error)\b", line):
            depth = len(match[1]) // 4 + ("──" in line)
            del parents[depth:]
            drawn[match[2]] = parents[-1] if parents else "Exception"
            parents.append(match[2])
    assert drawn == {name: value.__base__.__name__ for name, value in CLASSES.items() if value.__base__ is not None}
    assert len(drawn) > 20


@pytest.mark.parametrize("error_class", [value for value in CLASSES.values() if issubclass(value, FileSystemError)])
def test_file_system_errors_say_where_and_what(error_class: type[FileSystemError]) -> None:
    error = error_class("/a")
    assert error.message and error.message == error_class.default_message
    assert str(error) == f"/a: {error.message}"
    assert (error.temporary, error.retry_after) == (False, None)


def test_the_same_error_elsewhere() -> None:
    error = AccessFailedFileSystemError("/inner/a", "try later", temporary=True, retry_after=2.5)
    moved = error.at("/a")
    assert type(moved) is AccessFailedFileSystemError
    assert (moved.path, moved.message, moved.temporary, moved.retry_after) == ("/a", "try later", True, 2.5)
    assert error.path == "/inner/a"


def test_errors_survive_copying() -> None:
    error = copy.copy(AccessFailedFileSystemError("/a", "try later", True, 2.5))
    assert (error.path, error.message, error.temporary, error.retry_after) == ("/a", "try later", True, 2.5)
