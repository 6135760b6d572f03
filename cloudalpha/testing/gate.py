"""OpenGate: a Gate for tests of managers, without users, bounds or delays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.file_system import FileSystem
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.manager import Gate, Session, Visit


class OpenGate(Gate):
    """Lets everybody in who knows a password, or holds a key, of `users`; each session gets a view of one FileSystem.

    file_system: what the sessions see. passwords: user name -> password. public_keys: user name -> `TYPE BASE64`.
    make_view: makes a session's view of the FileSystem.
    """

    def __init__(
        self,
        file_system: FileSystem,
        passwords: Mapping[str, str] | None = None,
        public_keys: Mapping[str, str] | None = None,
        make_view: Callable[[FileSystem], FileSystemView] = FileSystemView,
        timeout: float = 30.0,
    ) -> None:
        self.file_system = file_system
        self.passwords = {"demo": "secret"} if passwords is None else dict(passwords)
        self.public_keys = dict(public_keys or {})
        self.make_view = make_view
        self.timeout = timeout
        self.visits: list[OpenVisit] = []
        self.ids = itertools.count(1)

    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        visit = OpenVisit(self)
        self.visits.append(visit)
        return visit

    def log_in_timeout(self) -> float:
        return self.timeout


class OpenVisit(Visit):
    """A visit through an OpenGate; keeps its sessions for the test to look at."""

    def __init__(self, gate: OpenGate) -> None:
        self.gate = gate
        self.user_name: str | None = None
        self.sessions: list[Session] = []
        self.closed = False

    def check_password(self, user_name: str, password: str) -> bool:
        return self._prove(user_name, self.gate.passwords.get(user_name) == password)

    def check_public_key(self, user_name: str, public_key: str, proven: bool = True) -> bool:
        known = self.gate.public_keys.get(user_name) == public_key
        return self._prove(user_name, known) if proven else known

    def get_certificate_authorities(self, user_name: str) -> list[str]:
        return []

    def accept_certificate(self, user_name: str, subject: str) -> bool:
        return False

    def is_authenticated(self, user_name: str) -> bool:
        return self.user_name == user_name

    def open_session(self, user_name: str) -> Session:
        if not self.is_authenticated(user_name):
            raise RefusedManagerError("not logged in")
        session = Session(str(next(self.gate.ids)), user_name, self.gate.make_view(self.gate.file_system))
        self.sessions.append(session)
        return session

    def close_session(self, session: Session) -> None:
        session.view.close()

    def close(self) -> None:
        self.closed = True
        for session in self.sessions:
            session.view.close()

    def _prove(self, user_name: str, proven: bool) -> bool:
        if proven:
            self.user_name = user_name
        return proven
