"""Gatekeeper: the Gate of a real gateway."""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cloudalpha.exceptions import CloudAlphaError, RefusedManagerError
from cloudalpha.file_system import FileSystem
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.logs import log_event
from cloudalpha.manager import Gate, Session
from cloudalpha.users.connections import ConnectionCounter
from cloudalpha.users.decision import find_refusal
from cloudalpha.users.defence import Defence, DefenceOptions
from cloudalpha.users.networks import Address, get_origin, is_in, parse_address
from cloudalpha.users.passwords import PasswordChecker, check_hash
from cloudalpha.users.record import UserOptions
from cloudalpha.users.tree import build_tree
from cloudalpha.users.visit import UserVisit

_logger = logging.getLogger("cloudalpha.gate")


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session that is open, for `cloudalpha status`. since: aware, UTC. encrypted: as the manager said when the connection began."""

    id: str
    user_name: str
    manager: str
    address: str
    encrypted: bool
    since: datetime


class Gatekeeper(Gate):
    """Lets users in who prove who they are, within the bounds of the defence. One for all managers of a process; safe for threads.

    users: the records by name. get_account: the FileSystem of an account, connected; raises AccountError or FileSystemError.
    make_view: makes a session's view; takes what FileSystemView takes: bind the spool and the settings of open files to it.

    The others are replaced in tests: clock gives seconds that never go back, get_now the time, draw a number from 0 to 1; pause waits for an event at
    most so many seconds; check_hash compares a password.
    """

    def __init__(
        self,
        users: Mapping[str, UserOptions],
        get_account: Callable[[str], FileSystem],
        options: DefenceOptions | None = None,
        make_view: Callable[..., FileSystemView] = FileSystemView,
        *,
        clock: Callable[[], float] = time.monotonic,
        get_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        draw: Callable[[], float] = random.random,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
        check_hash: Callable[[str, bytes], bool] = check_hash,
    ) -> None:
        self.options = options or DefenceOptions()
        self.defence = Defence(self.options, clock)
        self.connections = ConnectionCounter(self.options, clock, draw)
        self.passwords = PasswordChecker(self.options.max_parallel_hashes, self.options.max_waiting_hashes, check_hash)
        self._pause = pause
        self._delays = threading.BoundedSemaphore(self.options.max_delayed)
        self.get_now = get_now
        self._get_account = get_account
        self._make_view = make_view
        self._lock = threading.Lock()
        self._sessions: dict[str, SessionInfo] = {}
        self._num_sessions: Counter[str] = Counter()  # of each user, those being opened among them
        self._users: Mapping[str, UserOptions] = {}
        self.reload(users)

    def enter(self, manager: str, address: str, encrypted: bool) -> UserVisit:
        try:
            parsed = parse_address(address)
        except ValueError:
            raise RefusedManagerError("connections come from IP addresses only") from None
        origin = get_origin(parsed)
        is_trusted = is_in(parsed, self.options.trusted_networks)
        try:
            if not is_trusted and self.defence.is_banned(origin):
                raise RefusedManagerError("too many failed log-ins from your address; try again later")
            place = self.connections.enter(origin, is_trusted, self.defence.is_known(origin))
        except RefusedManagerError as error:
            log_event(_logger, "connection_refused", logging.DEBUG, manager=manager, address=str(parsed), reason=error)
            raise
        return UserVisit(self, manager, parsed, encrypted, place)

    def log_in_timeout(self) -> float:
        return self.options.log_in_timeout

    def reload(self, users: Mapping[str, UserOptions]) -> None:
        """Take other records from now on. Sessions that are open go on with what they were given; no new one opens by an old record."""
        self.passwords.learn_hashes(user.password_hash for user in users.values() if user.password_hash is not None)
        self._users = dict(users)  # one step: readers hold no lock

    def get_user(self, user_name: str) -> UserOptions | None:
        """The record of a user as it is now."""
        return self._users.get(user_name)

    def find_refusal(self, user: UserOptions | None, manager: str, address: Address) -> str | None:
        """Why nobody is let in as that user, from there, now; None: somebody may be."""
        return find_refusal(user, manager, address, self.get_now())

    def delay(self, closed: threading.Event, seconds: float) -> None:
        """Let an answer wait, until the visit is closed at most. Only so many wait at once: the threads of the managers are for those who log in."""
        if seconds > 0 and self._delays.acquire(blocking=False):
            try:
                self._pause(closed, seconds)
            finally:
                self._delays.release()

    def get_sessions(self) -> list[SessionInfo]:
        """The sessions that are open, oldest first."""
        with self._lock:
            return list(self._sessions.values())

    def open_session(
        self, user: UserOptions, user_name: str, manager: str, address: Address, encrypted: bool
    ) -> Session:
        """A session of a user who has been let in: for a Visit. Blocks. Raises RefusedManagerError."""
        self._take_place(user, user_name)
        session_id = secrets.token_hex(6)
        try:
            tree = build_tree(user, self._get_account)
            view = self._make_view(
                tree, user_name=user_name, session_id=session_id, manager=manager, address=str(address), home=user.home
            )
        except BaseException as error:
            self._give_place_back(user_name)
            if not isinstance(error, CloudAlphaError):
                raise
            log_event(
                _logger,
                "session_refused",
                logging.WARNING,
                user=user_name,
                manager=manager,
                address=str(address),
                reason=error,
            )
            raise RefusedManagerError("your files are not available now; try again later") from error
        info = SessionInfo(session_id, user_name, manager, str(address), encrypted, self.get_now())
        with self._lock:
            self._sessions[session_id] = info
        log_event(_logger, "session_opened", user=user_name, manager=manager, address=info.address, session=session_id)
        return Session(session_id, user_name, view)

    def close_session(self, session: Session) -> None:
        """End a session: for a Visit, once for each. Blocks."""
        with self._lock:
            info = self._sessions.pop(session.id)
        try:
            session.view.close()
        finally:
            self._give_place_back(session.user_name)
            log_event(
                _logger,
                "session_closed",
                user=session.user_name,
                manager=info.manager,
                address=info.address,
                session=session.id,
                seconds=(self.get_now() - info.since).total_seconds(),
            )

    def _take_place(self, user: UserOptions, user_name: str) -> None:
        with self._lock:
            if user.max_sessions is not None and self._num_sessions[user_name] >= user.max_sessions:
                raise RefusedManagerError(f"you have {user.max_sessions} sessions open already; close one first")
            self._num_sessions[user_name] += 1

    def _give_place_back(self, user_name: str) -> None:
        with self._lock:
            self._num_sessions[user_name] -= 1
            if not self._num_sessions[user_name]:
                del self._num_sessions[user_name]
