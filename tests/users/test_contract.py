"""Whatever wraps a FileSystem is a FileSystem: the whole contract, over each part that a user's tree is made of."""

from __future__ import annotations

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.file_system_tests import FileSystemTests
from cloudalpha.users.mounts import MountedFileSystem
from cloudalpha.users.permission_layer import PermissionLayer
from cloudalpha.users.permissions import Permissions
from cloudalpha.users.record import UserOptions
from cloudalpha.users.subtree import Subtree
from cloudalpha.users.tree import build_tree


class TestSubtree(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        inner = MemoryFileSystem()
        inner.make_dirs("/deep/folder")
        return Subtree(inner, "/deep/folder")


class TestMountAroundAnother(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return MountedFileSystem(
            {"/": Subtree(MemoryFileSystem()), "/way/to/other": Subtree(MemoryFileSystem(), "/", "/way/to/other")}
        )


class TestMountBeneath(FileSystemTests):
    """The tests work within the inner one of two mounts, which shows a folder of its account."""

    @pytest.fixture
    def file_system(self) -> FileSystem:
        inner = MemoryFileSystem()
        inner.make_dirs("/deep/folder")
        mounted = MountedFileSystem(
            {"/": Subtree(MemoryFileSystem()), "/inner": Subtree(inner, "/deep/folder", "/inner")}
        )
        return Subtree(mounted, "/inner")


class TestPermissionLayer(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        return PermissionLayer(MemoryFileSystem(), Permissions.parse({"/": "all", "/elsewhere": "list download"}))


class TestTree(FileSystemTests):
    @pytest.fixture
    def file_system(self) -> FileSystem:
        accounts = {"files": MemoryFileSystem(), "more": MemoryFileSystem()}
        user = UserOptions(
            mounts={"/": "files:/home/alice", "/team": "more:/shared"},
            permissions={"/": "all", "/team": "list download"},
        )
        return build_tree(user, accounts.__getitem__)
