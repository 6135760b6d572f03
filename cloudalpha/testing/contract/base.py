"""What the tests of all themes share."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from cloudalpha import paths
from cloudalpha.exceptions import FileSystemError, NotFoundFileSystemError
from cloudalpha.file_system import FileSystem

ErrorClass = type[FileSystemError]


class ContractTests:
    """The base of each theme: the FileSystem under test, and a folder of its own for each test.

    page_size: names that the storage lists at once; a test lists somewhat more than two pages.
    num_examples, num_steps: how long hypothesis tries.
    num_rounds: how often races are repeated.
    """

    is_cloudalpha_contract = True
    page_size: ClassVar[int] = 1000
    num_examples: ClassVar[int] = 40
    num_steps: ClassVar[int] = 30
    num_rounds: ClassVar[int] = 10

    @pytest.fixture
    def file_system(self) -> FileSystem:
        """The FileSystem under test."""
        pytest.fail("a subclass of FileSystemTests needs a fixture `file_system`")

    @pytest.fixture
    def folder(self, file_system: FileSystem) -> Iterator[str]:
        """The path of an empty folder, which is deleted with all that it holds after the test. Nothing is written anywhere else."""
        path = f"/contract {uuid.uuid4().hex[:12]}"
        file_system.make_dir(path)
        yield path
        if file_system.exists(path):
            file_system.delete_tree(path)


def make_content(num_bytes: int, seed: int = 0) -> bytes:
    """Bytes that look random, the same each time, and all the same nowhere: a piece at a wrong place is noticed."""
    return random.Random(seed).randbytes(num_bytes)


def list_names(file_system: FileSystem, path: str) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(entry.name for entry in file_system.list_dir(path))


@contextmanager
def raises(error_class: ErrorClass | tuple[ErrorClass, ...], *error_paths: str) -> Iterator[None]:
    """Expect an error of exactly this class (or one of these), that tells of one of the paths or of a folder on the way there."""
    classes = error_class if isinstance(error_class, tuple) else (error_class,)
    try:
        yield
    except FileSystemError as error:
        names = " or ".join(cls.__name__ for cls in classes)
        assert type(error) in classes, f"{type(error).__name__} instead of {names}: {error}"
        assert error.message, "an error without a message"
        if error_paths:
            near = {step for path in error_paths for step in _steps(path)}
            assert error.path in near, f"the error is about {error.path!r}, not about {error_paths}"
    else:
        pytest.fail("nothing was raised; expected " + " or ".join(cls.__name__ for cls in classes))


def assert_absent(file_system: FileSystem, path: str) -> None:
    """Nothing is at the path, by whichever way one looks."""
    assert not file_system.exists(path)
    assert paths.get_name(path) not in list_names(file_system, paths.get_parent(path))
    with raises(NotFoundFileSystemError, path):
        file_system.get_metadata(path)
    with raises(NotFoundFileSystemError, path):
        list(file_system.read(path))


def get_revision(file_system: FileSystem, path: str) -> str:
    """The revision of a file; the test is skipped where the storage has none, and claims no conditions."""
    revision = file_system.get_metadata(path).revision
    if revision is None:
        assert not file_system.capabilities.atomic_condition, "conditions are promised, but files have no revision"
        pytest.skip("the storage has no revisions")
    return revision


def _steps(path: str) -> list[str]:
    steps = [path]
    while path != paths.ROOT:
        path = paths.get_parent(path)
        steps.append(path)
    return steps
