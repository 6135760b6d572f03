"""Manager: a front end that people connect to; and the Gate, through which it asks who may come in.

A manager knows its protocol and nothing of users or accounts. It is made known by the entry point `cloudalpha.managers`:

    [options.entry_points]
    cloudalpha.managers =
        my_manager = my_package.manager:MyManager

For each connection it calls `gate.enter`, before it sends a byte; asks the `Visit` about what the client presents; opens a `Session` once
`visit.is_authenticated`; and closes the visit, whatever happens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cloudalpha.file_system_view import FileSystemView
from cloudalpha.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """One user, logged in.

    id: unique, for the log. user_name: valid and known. view: what the session sees; it belongs to this session alone.
    """

    id: str
    user_name: str
    view: FileSystemView


class Visit(ABC):
    """One connection, from its first byte to its end. All methods are safe for threads.

    The checks answer False for whatever reason (unknown user, wrong password, expired, not from this network), with the same work done
    for each, and count failures against the address. They may block for seconds (hashing, the delay after failures): never call
    `check_password` on an event loop.
    """

    @abstractmethod
    def check_password(self, user_name: str, password: str) -> bool:
        """Whether the user may log in with that password (one factor, where the user needs two)."""

    @abstractmethod
    def check_public_key(self, user_name: str, public_key: str, proven: bool = True) -> bool:
        """Whether the user may log in with that key, `TYPE BASE64` as OpenSSH writes it.

        proven: the client has signed with it; False for the mere question whether a key would do. Cheap; does not block.
        """

    @abstractmethod
    def get_certificate_authorities(self, user_name: str) -> list[str]:
        """The authorities, `TYPE BASE64` each, whose certificates may log the user in; none for an unknown user."""

    def get_principals(self, user_name: str) -> list[str]:
        """What a certificate must name, one of them at least, to log the user in; none for an unknown user. The default: the user's own name."""
        return [user_name]

    @abstractmethod
    def accept_certificate(self, user_name: str, subject: str) -> bool:
        """Tell that the manager has verified a certificate, by one of the user's authorities, whose text names it: for the log."""

    @abstractmethod
    def is_authenticated(self, user_name: str) -> bool:
        """Whether every factor that the user needs has been proven in this visit."""

    @abstractmethod
    def open_session(self, user_name: str) -> Session:
        """The session of a user that is authenticated. Blocks (homes are made, accounts connected). One for each channel that asks.

        Raises RefusedManagerError (too many sessions, account not available), whose message may be shown to the client.
        """

    @abstractmethod
    def close_session(self, session: Session) -> None:
        """End a session: its view is closed, which discards what is not committed. Blocks. Harmless when repeated."""

    @abstractmethod
    def close(self) -> None:
        """End the visit and its sessions. Blocks. Harmless when repeated."""


class Gate(ABC):
    """Decides who comes in: bounds, bans, log-ins. One for all managers of a process."""

    @abstractmethod
    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        """Let a connection in, or raise RefusedManagerError: banned, too many from there, too many in all. Does not block.

        manager: the manager's name (`ftp`). address: the client's IP address. encrypted: whether what follows cannot be overheard.
        """

    @abstractmethod
    def log_in_timeout(self) -> float:
        """Seconds that a connection may take until somebody is logged in."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a manager listens: `sftp`, 127.0.0.1, 2222, and the fingerprint that a careful user compares (None without one)."""

    scheme: str
    host: str
    port: int
    fingerprint: str | None = None


class Manager(ABC):
    """A front end: a server that is started and stopped.

    settings_class: what `[managers.NAME]` takes.
    name: the name in the configuration. state_dir: a folder of the manager's own, mode 0700, for host keys and certificates.
    """

    settings_class: ClassVar[type[Settings]] = Settings

    def __init__(self, name: str, settings: Any, gate: Gate, state_dir: Path) -> None:
        self.name = name
        self.settings = settings
        self.gate = gate
        self.state_dir = state_dir

    @abstractmethod
    def start(self) -> None:
        """Listen, and return. Raises ManagerError (AddressInUseManagerError) with nothing left behind."""

    @abstractmethod
    def stop(self, grace_seconds: float = 0.0) -> None:
        """Let nobody in any more, wait at most so long for running transfers, then end every session. Harmless when repeated; start may follow."""

    @abstractmethod
    def get_endpoints(self) -> list[Endpoint]:
        """Where it listens, once started."""

    @abstractmethod
    def count_sessions(self) -> int:
        """How many sessions are open."""

    def reload(self) -> None:  # noqa: B027 - a manager without files has nothing to reload
        """Read certificates and keys again; sessions go on."""
