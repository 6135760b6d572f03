"""A gateway in a process of its own, with one account, as the tests of real clients need it; and what can be seen of it from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import asyncssh
import bcrypt

from cloudalpha.configurator.status import read_statuses
from cloudalpha.services.local.temporary_file import is_hidden
from cloudalpha.testing.waiting import wait_until
from tests.cli.serving import PASSWORD, Serving

USER_NAME = "demo"
_RECEIVED = re.compile(r"\bbytes_received:(\d+)")


@dataclass(frozen=True)
class Endpoint:
    """Where clients find a gateway, and as whom they log in. implicit_port: FTP with TLS from the first byte; None where there is none.

    key: the private key that logs the user in, as the password does; None where only the password does.
    """

    ftp_port: int
    implicit_port: int | None
    sftp_port: int
    host_fingerprint: str
    key: Path | None
    user_name: str = USER_NAME
    password: str = PASSWORD
    host: str = "127.0.0.1"


class Gateway(Serving):
    """`cloudalpha serve`, as a context manager. `kill` and another Gateway of the same folder are a crash and a restart.

    folder: for its configuration and state. account: the lines of `[accounts.files]`. root: the folder beneath which the account keeps its files on
    this machine, where it does. users: their names; all have the same password, and see the same files.
    """

    def __init__(
        self, folder: Path, account: str, root: Path | None = None, users: Iterable[str] = (USER_NAME,)
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.key = folder / "user_key"
        if not self.key.exists():
            _write_key(self.key)
        config = folder / "cloudalpha.toml"
        public_key = self.key.with_suffix(".pub").read_text().strip()
        config.write_text(_make_config(folder, account) + "".join(_make_user(user, public_key) for user in users))
        super().__init__(folder, "--config", config)

    def get_endpoint(self) -> Endpoint:
        """Where clients find it. It must be ready."""
        fingerprint = re.search(r"sftp://\S+\s+(SHA256:\S+)", self.out)
        assert fingerprint, self.out
        ports = [self.get_port(scheme) for scheme in ("ftp", "ftps", "sftp")]
        return Endpoint(*ports, fingerprint[1], self.key)

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)


def _write_key(path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    path.chmod(0o600)
    key.write_public_key(path.with_suffix(".pub"))


@cache
def _hash_password() -> str:
    """Cheap to check: clients log in hundreds of times."""
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def _make_config(folder: Path, account: str) -> str:
    return f"""
state_dir = "{folder}/state"
grace_seconds = 0
[defence]
trusted_networks = ["127.0.0.0/8"]
[managers.ftp]
port = 0
implicit_port = 0
passive_ports = "0"
[managers.sftp]
port = 0
[accounts.files]
{account}
"""


def _make_user(name: str, public_key: str) -> str:
    return f"""
[users.{name}]
password_hash = "{_hash_password()}"
public_keys = ["{public_key}"]
mounts = {{ "/" = "files:/" }}
"""


def get_received_bytes(pid: int) -> dict[str, int]:
    """Bytes that came in over each open connection of a process, by the connection's two ends: shows uploads whatever the protocol."""
    command = ["ss", "-tinpHO", "state", "established"]
    received = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        match = _RECEIVED.search(line)
        if match and f"pid={pid}," in line:
            local, peer = line.split()[2:4]
            received[f"{local} {peer}"] = int(match[1])
    return received


def find_leftovers(pid: int | None, root: Path) -> list[str]:
    """Files beneath a folder that no client may see, and unnamed ones there that a process still holds (pid)."""
    found = [str(path) for path in root.rglob("*") if is_hidden(path.name)]
    if pid is not None:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:  # closed meanwhile
                continue
            if target.startswith(f"{root}/") and target.endswith(" (deleted)"):
                found.append(target)
    return found


def count_sessions(state_dir: Path, user_name: str | None = None) -> int:
    """Sessions of the gateway that runs with a state folder. user_name: of that user alone."""
    sessions = [session for status in read_statuses(state_dir) for session in status["sessions"]]
    return sum(user_name in (None, session["user_name"]) for session in sessions)


def wait_until_idle(state_dir: Path, timeout: float = 30) -> None:
    """Wait until nobody is logged in."""
    wait_until(lambda: count_sessions(state_dir) == 0, timeout, lambda: str(read_statuses(state_dir)))
