"""An account of the memory service."""

from __future__ import annotations

from typing import ClassVar

from cloudalpha.account import Account
from cloudalpha.file_system import FileSystem
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.services.memory.settings import MemoryOptions
from cloudalpha.settings import Options


class MemoryAccount(Account):
    """Files that live as long as this object; another account has others."""

    options_class: ClassVar[type[Options]] = MemoryOptions

    def connect(self) -> FileSystem:
        return MemoryFileSystem(self.options.max_size, self.options.content_hash)
