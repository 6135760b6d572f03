"""A `local` file system for tests of what stands above it."""

from __future__ import annotations

from pathlib import Path

from cloudalpha.file_system import FileSystem
from cloudalpha.services.local.account import LocalAccount
from cloudalpha.services.local.settings import LocalOptions
from cloudalpha.settings import Settings


def make_local_file_system(root: Path) -> FileSystem:
    """The files beneath a folder; nothing is fsynced."""
    return LocalAccount("local", LocalOptions(root=root, fsync=False), Settings(), None).connect()  # type: ignore[arg-type]
