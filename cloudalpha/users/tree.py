"""The tree of a user: mounts of accounts in one FileSystem, with the permissions laid over it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import AccessFailedFileSystemError, AccountError, FileSystemError
from cloudalpha.file_system import FileSystem
from cloudalpha.layer import Layer
from cloudalpha.logs import log_event
from cloudalpha.users.mounts import MountedFileSystem
from cloudalpha.users.permission_layer import PermissionLayer
from cloudalpha.users.record import Mount, UserOptions
from cloudalpha.users.subtree import Subtree

_logger = logging.getLogger("cloudalpha.gate")


class LateFileSystem(Layer):
    """An account that could not be connected yet: every call tries again, and fails as an outage until it can."""

    def __init__(self, account_name: str, get_account: Callable[[str], FileSystem]) -> None:
        self._account_name = account_name
        self._get_account = get_account

    @property
    def inner(self) -> FileSystem:  # type: ignore[override]  # asked for with every call
        try:
            return self._get_account(self._account_name)
        except AccountError as error:
            raise AccessFailedFileSystemError(
                paths.ROOT, "this storage is not available now", temporary=True
            ) from error

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # nothing is promised while nobody can tell
        try:
            return self.inner.capabilities
        except FileSystemError:
            return Capabilities()


def build_tree(user: UserOptions, get_account: Callable[[str], FileSystem]) -> FileSystem:
    """What the user may see, and do, as one FileSystem; closing it leaves the accounts open.

    get_account: the FileSystem of an account, connected; raises AccountError or FileSystemError where that fails.

    Folders of accounts that are mounted, and the home, are made where they are missing. Raises what get_account and that raise, for the mount at
    the root or the only one; another that fails is there, and answers as an outage until it can be reached.
    """
    mounts = user.parsed_mounts
    main_point = paths.ROOT if paths.ROOT in mounts or len(mounts) > 1 else next(iter(mounts))
    accounts: dict[str, FileSystem] = {}  # one object each: by it two mounts of one account are known as such
    for point, mount in sorted(mounts.items()):
        try:
            _prepare(mount, accounts, get_account)
        except (AccountError, FileSystemError) as error:
            if point == main_point:
                raise
            log_event(_logger, "mount_not_available", logging.WARNING, account=mount.account_name, error=error)
            accounts.setdefault(mount.account_name, LateFileSystem(mount.account_name, get_account))
    subtrees = {point: Subtree(accounts[mount.account_name], mount.path, point) for point, mount in mounts.items()}
    tree = _join(subtrees)
    if user.home != paths.ROOT:
        tree.make_dirs(user.home)
    permissions = user.parsed_permissions
    return tree if permissions.is_unlimited() else PermissionLayer(tree, permissions)


def _prepare(mount: Mount, accounts: dict[str, FileSystem], get_account: Callable[[str], FileSystem]) -> None:
    """Connect the account of a mount, and make the folder that is mounted."""
    if mount.account_name not in accounts:
        accounts[mount.account_name] = get_account(mount.account_name)
    if mount.path != paths.ROOT:
        accounts[mount.account_name].make_dirs(mount.path)


def _join(subtrees: dict[str, Subtree]) -> FileSystem:
    if list(subtrees) != [paths.ROOT]:
        return MountedFileSystem(subtrees)
    root = subtrees[paths.ROOT]
    # Nothing to translate: nothing between the session and its account.
    return root.inner if root.folder == paths.ROOT else root
