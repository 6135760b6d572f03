"""What the tests of users share: a clock that is turned by hand, cheap hashes, a gate over memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudalpha.file_system import FileSystem
from cloudalpha.layer import Layer
from cloudalpha.manager import Session
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.users.defence import DefenceOptions
from cloudalpha.users.gate import Gatekeeper
from cloudalpha.users.record import UserOptions
from cloudalpha.users.visit import UserVisit

# Hashes of "right", with the least work that the algorithms allow.
RIGHT = "right"
CHEAP_ARGON2 = "$argon2id$v=19$m=8,t=1,p=1$5fbwc/kRupRSu5L4YMZtuQ$uCIdkn9g9VX9JIrqs3S29Q"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/"

ADDRESS = "192.0.2.7"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def get_now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000.0)


class ViewStandIn(Layer):
    """A view that remembers what it was made with, and whether it was closed."""

    def __init__(self, inner: FileSystem, **fields: Any) -> None:
        super().__init__(inner)
        self.fields = fields
        self.num_closed = 0

    def close(self) -> None:
        self.num_closed += 1


class Work:
    """Counts the hashes that are computed; the password is right when it is RIGHT and the hash that of CHEAP_ARGON2."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def __call__(self, password_hash: str, encoded: bytes) -> bool:
        self.hashes.append(password_hash)
        return password_hash == CHEAP_ARGON2 and encoded == RIGHT.encode()


class Pauses:
    """Takes down the delays instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, event: threading.Event, seconds: float) -> None:
        self.seconds.append(seconds)


class GateUnderTest:
    """A Gatekeeper over memory, and everything that a test turns or looks at."""

    def __init__(self, users: Mapping[str, UserOptions], **options: Any) -> None:
        self.clock = Clock()
        self.work = Work()
        self.pauses = Pauses()
        self.accounts: dict[str, FileSystem] = {"files": MemoryFileSystem(), "more": MemoryFileSystem()}
        self.get_account: Callable[[str], FileSystem] = lambda name: self.accounts[name]
        self.chance = 1.0
        self.gate = Gatekeeper(
            users,
            lambda name: self.get_account(name),
            DefenceOptions(**options),
            ViewStandIn,  # type: ignore[arg-type]
            clock=self.clock,
            get_now=self.clock.get_now,
            draw=lambda: self.chance,
            pause=self.pauses,
            check_hash=self.work,
        )


def make_user(**options: Any) -> UserOptions:
    """A user with the password RIGHT and the key KEY, who sees the account `files`."""
    return UserOptions(**{"password_hash": CHEAP_ARGON2, "public_keys": [KEY], "mounts": {"/": "files:/"}} | options)


def enter(under_test: GateUnderTest, address: str = ADDRESS, manager: str = "sftp") -> UserVisit:
    """A connection that is let in."""
    return under_test.gate.enter(manager, address, True)


def log_in(under_test: GateUnderTest, name: str = "alice") -> tuple[UserVisit, Session]:
    """A connection, logged in by KEY, and its session."""
    visit = enter(under_test)
    assert visit.check_public_key(name, KEY)
    return visit, visit.open_session(name)
