"""Host keys: made on the first start, kept in the manager's folder, readable by nobody else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from cloudalpha.exceptions import ManagerError

_RSA_BITS = 3072


def load_host_keys(state_dir: Path, files: Sequence[Path], rsa: bool) -> list[asyncssh.SSHKey]:
    """The private keys to serve with, the first one first.

    files: keys that somebody else keeps; without any, an Ed25519 key (with `rsa` an RSA one beside it) is kept in state_dir.
    Raises ManagerError naming the file that cannot be used.
    """
    if files:
        return [_load(path) for path in files]
    keys = [_load_or_make(state_dir / "host_key_ed25519", "ssh-ed25519")]
    if rsa:
        keys.append(_load_or_make(state_dir / "host_key_rsa", "ssh-rsa"))
    return keys


def _load(path: Path) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        raise ManagerError(f"the host key {path} cannot be used: {_describe(error)}") from error


def _describe(error: Exception) -> str:
    return error.strerror or "not readable" if isinstance(error, OSError) else "it is no private key without passphrase"


def _load_or_make(path: Path, algorithm: str) -> asyncssh.SSHKey:
    if path.exists():
        return _load(path)
    key = (
        asyncssh.generate_private_key(algorithm, key_size=_RSA_BITS)
        if algorithm == "ssh-rsa"
        else asyncssh.generate_private_key(algorithm)
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(path, key.export_private_key("openssh"))
    except OSError as error:
        raise ManagerError(f"the host key {path} cannot be written: {_describe(error)}") from error
    return key


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that nobody else could ever read, and that is whole or not there."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
