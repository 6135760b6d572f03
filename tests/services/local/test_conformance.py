"""The local service keeps the whole contract: with each way to open paths, and with each kind of temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree
from cloudalpha.testing import FileSystemTests
from cloudalpha.testing.contract.conditions import ConditionTests


class TestLocalFileSystem(FileSystemTests):
    @pytest.fixture
    def file_system(self, tmp_path: Path) -> Iterator[FileSystem]:
        file_system = LocalFileSystem(Tree(tmp_path, fsync=False))
        yield file_system
        file_system.close()


class TestLocalFileSystemWithFallbacks(FileSystemTests):
    """As on an old kernel: no openat2, no O_TMPFILE, no renameat2."""

    @pytest.fixture
    def file_system(self, tmp_path: Path, old_kernel: None) -> Iterator[FileSystem]:
        file_system = LocalFileSystem(Tree(tmp_path, fsync=False))
        yield file_system
        file_system.close()


class TestConditionsAmongOurselves(ConditionTests):
    """Against writers of the same gateway a condition is atomic, although that cannot be promised against others."""

    @pytest.fixture
    def file_system(self, tmp_path: Path) -> Iterator[FileSystem]:
        file_system = LocalFileSystem(Tree(tmp_path, fsync=False))
        file_system.capabilities = replace(file_system.capabilities, atomic_condition=True)
        yield file_system
        file_system.close()
