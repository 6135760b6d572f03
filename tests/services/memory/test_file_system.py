"""The memory service keeps the whole contract."""

from __future__ import annotations

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing import FileSystemTests


class TestMemoryFileSystem(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return MemoryFileSystem(64 * 1024 * 1024)
