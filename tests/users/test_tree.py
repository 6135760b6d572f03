"""The tree that a user gets at log-in."""

from __future__ import annotations

import pytest

from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AuthenticationFailedAccountError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_system import FileSystem
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.users.permission_layer import PermissionLayer
from cloudalpha.users.record import UserOptions
from cloudalpha.users.tree import build_tree


class Accounts:
    """Accounts in memory, some of which cannot be connected."""

    def __init__(self) -> None:
        self.files = {name: MemoryFileSystem() for name in ("files", "more")}
        self.broken: set[str] = set()

    def get(self, name: str) -> FileSystem:
        if name in self.broken:
            raise AuthenticationFailedAccountError(f"{name}: refused, key=SECRET")
        return self.files[name]


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


def test_one_whole_account_is_the_account_itself(accounts: Accounts) -> None:
    assert build_tree(UserOptions(mounts={"/": "files:/"}), accounts.get) is accounts.files["files"]


def test_permissions_lie_over_everything(accounts: Accounts) -> None:
    tree = build_tree(UserOptions(mounts={"/": "files:/"}, permissions={"/": "list"}), accounts.get)
    assert isinstance(tree, PermissionLayer)
    with pytest.raises(PermissionDeniedFileSystemError):
        tree.write_all("/x", b"")


def test_folders_that_are_mounted_are_made(accounts: Accounts) -> None:
    user = UserOptions(mounts={"/": "files:/people/alice", "/team": "more:/shared"})
    for _ in range(2):
        tree = build_tree(user, accounts.get)
        tree.write_all("/x", b"1")
    assert accounts.files["files"].read_all("/people/alice/x") == b"1"
    assert accounts.files["more"].is_dir("/shared")


def test_home_is_made_whatever_the_permissions(accounts: Accounts) -> None:
    user = UserOptions(mounts={"/": "files:/"}, home="/people/alice", permissions={"/": "list"})
    for _ in range(2):
        assert build_tree(user, accounts.get).is_dir("/people/alice")
    assert accounts.files["files"].is_dir("/people/alice")


def test_account_at_the_root_must_work(accounts: Accounts) -> None:
    accounts.broken = {"files"}
    for mounts in ({"/": "files:/"}, {"/": "files:/", "/m": "more:/"}, {"/only": "files:/"}):
        with pytest.raises(AuthenticationFailedAccountError):
            build_tree(UserOptions(mounts=mounts), accounts.get)


@pytest.mark.expects_warnings
def test_other_accounts_may_come_later(accounts: Accounts) -> None:
    accounts.broken = {"more"}
    tree = build_tree(UserOptions(mounts={"/": "files:/", "/m": "more:/sub", "/n": "more:/"}), accounts.get)
    assert sorted(entry.name for entry in tree.list_dir("/")) == ["m", "n"]
    with pytest.raises(AccessFailedFileSystemError) as caught:
        list(tree.list_dir("/m"))
    assert caught.value.path == "/m" and caught.value.temporary and "SECRET" not in str(caught.value)
    assert tree.capabilities.max_name_bytes == Capabilities().max_name_bytes
    accounts.broken = set()
    accounts.files["more"].make_dirs("/sub/x")
    assert [entry.path for entry in tree.list_dir("/m")] == ["/m/x"]
    tree.rename("/m/x", "/n/x")  # still known as one account
    assert accounts.files["more"].is_dir("/x")


def test_users_do_not_see_each_other(accounts: Accounts) -> None:
    alice = build_tree(UserOptions(mounts={"/": "files:/people/alice"}), accounts.get)
    bob = build_tree(UserOptions(mounts={"/": "files:/people/bob"}), accounts.get)
    alice.write_all("/secret", b"")
    assert not bob.exists("/secret") and not bob.exists("/alice")
