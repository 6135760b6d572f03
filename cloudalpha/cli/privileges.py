"""Giving up root: who starts the gateway need not be who serves strangers."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
from pathlib import Path

from cloudalpha.exceptions import InvalidSettingError

_PR_SET_KEEPCAPS = 8  # linux/prctl.h
_CAPABILITY_VERSION = 0x20080522  # linux/capability.h: two words for each set
_CAP_NET_BIND_SERVICE = 10


def become_user(run_as: str, state_dir: Path) -> None:
    """Give up root for good; of its powers, only that to listen on ports below 1024 stays.

    run_as: `USER` or `USER:GROUP`. state_dir: made for that user where it is missing; one that is there must be theirs already.
    Does nothing in a process of that user; call it before there is any thread. Raises InvalidSettingError, and the process must not go on then.
    """
    user_name, _, group_name = run_as.partition(":")
    user_id, group_id = _find_ids(user_name, group_name)
    if os.geteuid() == 0:
        _make_dirs(state_dir, user_id, group_id)
        _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.initgroups(user_name, group_id)
        os.setresgid(group_id, group_id, group_id)
        os.setresuid(user_id, user_id, user_id)
        _keep_capability(_CAP_NET_BIND_SERVICE)
        _check_access(run_as, state_dir)
    elif os.geteuid() != user_id:
        raise InvalidSettingError(f"run_as: only root can become {user_name}; start as root, or leave `run_as` out")


def make_dirs_for(run_as: str, folder: Path) -> None:
    """Make a folder, and those above it that are missing, mode 0700, for the user that root is going to become. Raises InvalidSettingError."""
    user_name, _, group_name = run_as.partition(":")
    user_id, group_id = _find_ids(user_name, group_name)
    _make_dirs(folder, user_id, group_id)


def _find_ids(user_name: str, group_name: str) -> tuple[int, int]:
    try:
        user = pwd.getpwnam(user_name)
    except KeyError:
        raise InvalidSettingError(f"run_as: this machine knows no user {user_name!r}") from None
    if user.pw_uid == 0:
        raise InvalidSettingError("run_as: name a user that is not root")
    try:
        return user.pw_uid, grp.getgrnam(group_name).gr_gid if group_name else user.pw_gid
    except KeyError:
        raise InvalidSettingError(f"run_as: this machine knows no group {group_name!r}") from None


def _check_access(run_as: str, state_dir: Path) -> None:
    """Tell at the start what would break later, one module or file at a time."""
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        raise InvalidSettingError(
            f"run_as: {run_as} cannot use {state_dir}: name another `state_dir`, or hand it over: chown -R {run_as} {state_dir}"
        )
    for module in (os.__file__, __file__):
        if not os.access(module, os.R_OK):
            raise InvalidSettingError(
                f"run_as: {run_as} cannot read {module}: install Python and CloudAlpha where that user may read them"
            )


def _make_dirs(folder: Path, user_id: int, group_id: int) -> None:
    """Make the folders that are missing, for a user. What is there is left alone: root hands nothing over that it did not just make."""
    try:
        for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            missing.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(missing, user_id, group_id)
    except OSError as error:
        raise InvalidSettingError(f"run_as: {folder}: cannot be made: {error.strerror}") from error


def _keep_capability(number: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    bits = 1 << number
    sets = (ctypes.c_uint32 * 6)(
        bits, bits, 0, 0, 0, 0
    )  # effective, permitted, inheritable; then the same of numbers from 32 on
    _call("capset", header, sets)


def _call(name: str, *args: object) -> None:
    """A system call that Python has not."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*args):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
