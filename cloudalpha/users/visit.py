"""UserVisit: one connection through the Gatekeeper."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from cloudalpha import paths
from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.logs import log_event
from cloudalpha.manager import Session, Visit
from cloudalpha.users.connections import Place
from cloudalpha.users.decision import Factor, is_enough, takes_password
from cloudalpha.users.keys import get_offered_key
from cloudalpha.users.networks import Address
from cloudalpha.users.passwords import BusyError
from cloudalpha.users.record import UserOptions, is_valid_user_name

if TYPE_CHECKING:
    from cloudalpha.users.gate import Gatekeeper

_logger = logging.getLogger("cloudalpha.gate")
_UNKNOWN_KEY_POINTS = 0.1  # an agent offers all its keys: most are wrong, and none can be guessed; counted only when nobody logs in after all
_MAX_UNKNOWN_KEYS = 50
_MAX_LOGGED_NAME = 64

P = ParamSpec("P")
T = TypeVar("T")


def _when_broken(
    answer: Any,
) -> Callable[[Callable[Concatenate[UserVisit, P], T]], Callable[Concatenate[UserVisit, P], T]]:
    """Whatever goes wrong in a check, nobody is let in by it: its answer is then a refusal."""

    def decorate(method: Callable[Concatenate[UserVisit, P], T]) -> Callable[Concatenate[UserVisit, P], T]:
        @functools.wraps(method)
        def wrapper(visit: UserVisit, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return method(visit, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - fail closed, and tell the log
                fields = {"check": method.__name__} | visit.log_fields
                log_event(_logger, "check_broken", logging.ERROR, exc_info=error, **fields)
                refusal: T = answer
                return refusal

        return wrapper

    return decorate


class UserVisit(Visit):
    """A Visit that knows the users of a Gatekeeper.

    A factor counts in the visit that it was proven in, for the user named with it, and as long as the user's record stays as it was; naming
    another user forgets what is proven (RFC 4252 section 5).
    """

    def __init__(self, gate: Gatekeeper, manager: str, address: Address, encrypted: bool, place: Place) -> None:
        self.log_fields: dict[str, Any] = {"manager": manager, "address": str(address)}
        self._gate = gate
        self._manager = manager
        self._address = address
        self._encrypted = encrypted
        self._place = place
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._user_name: str | None = None
        self._user: UserOptions | None = None  # the record by which the factors were proven
        self._factors: frozenset[Factor] = frozenset()
        self._num_failures = 0
        self._num_unknown_keys = 0
        self._sessions: dict[str, Session] = {}
        self._num_sessions = 0  # those being opened among them

    @_when_broken(False)
    def check_password(self, user_name: str, password: str) -> bool:
        if not self._may_try(user_name):
            return False
        user = self._name_user(user_name)
        try:
            matches = self._gate.passwords.check(user_name, user.password_hash if user else None, password)
        except BusyError as error:
            log_event(
                _logger, "log_in_refused", logging.WARNING, user=_escape(user_name), reason=error, **self.log_fields
            )
            return False
        refusal = self._gate.find_refusal(user, self._manager, self._address)
        if user is not None and not takes_password(user, self._factors):
            refusal = refusal or "no key before the password"
        if matches and refusal is None and user is not None:
            return self._prove(user_name, user, Factor.PASSWORD)
        self._gate.delay(self._closed, self._fail(user_name, refusal or "wrong password", Factor.PASSWORD))
        return False

    @_when_broken(False)
    def check_public_key(self, user_name: str, public_key: str, proven: bool = True) -> bool:
        if self._has_failed_enough():
            return False
        user = self._name_user(user_name)
        offered = get_offered_key(public_key)
        matches = user is not None and offered is not None and offered in user.public_keys
        refusal = self._gate.find_refusal(user, self._manager, self._address)
        if not matches or refusal is not None or user is None:
            self._fail(user_name, refusal or "unknown key", Factor.KEY, public_key)
            return False
        return self._prove(user_name, user, Factor.KEY, key=_get_fingerprint(public_key)) if proven else True

    def get_certificate_authorities(self, user_name: str) -> list[str]:
        user = self._get_admitted(user_name)
        return list(user.certificate_authorities) if user is not None else []

    def get_principals(self, user_name: str) -> list[str]:
        user = self._get_admitted(user_name)
        return list(user.principals or (user_name,)) if user is not None else []

    @_when_broken(False)
    def accept_certificate(self, user_name: str, subject: str) -> bool:
        if self._has_failed_enough():
            return False
        user = self._name_user(user_name)
        refusal = self._gate.find_refusal(user, self._manager, self._address)
        if refusal is not None or user is None or not user.certificate_authorities:
            self._fail(user_name, refusal or "no authority", Factor.KEY)
            return False
        return self._prove(user_name, user, Factor.KEY, certificate=_escape(subject))

    def is_authenticated(self, user_name: str) -> bool:
        return self._find_authenticated(user_name) is not None

    def open_session(self, user_name: str) -> Session:
        user = self._find_authenticated(user_name)
        if user is None:
            raise RefusedManagerError("not logged in")
        with self._lock:
            if self._num_sessions >= self._gate.options.max_sessions_per_connection:
                raise RefusedManagerError("too many sessions in this connection")
            self._num_sessions += 1
        try:
            session = self._gate.open_session(user, user_name, self._manager, self._address, self._encrypted)
        except BaseException:
            with self._lock:
                self._num_sessions -= 1
            raise
        with self._lock:
            self._sessions[session.id] = session
        if self._closed.is_set():  # meanwhile, by another thread
            self.close_session(session)
            raise RefusedManagerError("the connection is closed")
        return session

    def close_session(self, session: Session) -> None:
        with self._lock:
            if self._sessions.pop(session.id, None) is None:
                return
            self._num_sessions -= 1
        self._gate.close_session(session)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            sessions = list(self._sessions.values())
        try:
            for session in sessions:
                try:
                    self.close_session(session)
                except Exception as error:  # noqa: BLE001 - the others must be closed too
                    log_event(
                        _logger, "close_failed", logging.ERROR, exc_info=error, session=session.id, **self.log_fields
                    )
            self._count_unknown_keys()
        finally:
            self._place.leave()

    @_when_broken(None)
    def _find_authenticated(self, user_name: str) -> UserOptions | None:
        """The record of a user who has proven all that is needed, and is let in, now."""
        user = self._gate.get_user(user_name)
        with self._lock:
            factors = self._factors if self._is_named(user_name, user) else frozenset()
        if user is None or self._closed.is_set() or not is_enough(user, factors):
            return None
        return user if self._gate.find_refusal(user, self._manager, self._address) is None else None

    @_when_broken(None)
    def _get_admitted(self, user_name: str) -> UserOptions | None:
        if self._has_failed_enough():
            return None
        user = self._name_user(user_name)
        return user if self._gate.find_refusal(user, self._manager, self._address) is None else None

    def _name_user(self, user_name: str) -> UserOptions | None:
        """The record of the user whom the client names; forgets what was proven for another, or by another record."""
        user = self._gate.get_user(user_name)
        with self._lock:
            if not self._is_named(user_name, user):
                self._user_name, self._user, self._factors = user_name, user, frozenset()
        return user

    def _is_named(self, user_name: str, user: UserOptions | None) -> bool:
        """Whether what is proven was proven for that user, by that record. The lock is held."""
        return self._user_name == user_name and (self._user is user or self._user == user)

    def _has_failed_enough(self) -> bool:
        """Whether nothing is checked any more in this visit."""
        if self._closed.is_set() or self._num_failures >= self._gate.options.max_tries:
            return True
        if self._num_unknown_keys >= _MAX_UNKNOWN_KEYS:
            return True
        return not self._place.is_trusted and self._gate.defence.is_banned(self._place.origin)

    def _may_try(self, user_name: str) -> bool:
        """Whether a password is looked at; the answer is the same for names that do not exist."""
        if self._has_failed_enough():
            return False
        if self._place.is_trusted or not self._gate.defence.is_guarded(_shorten(user_name), self._place.origin):
            return True
        self._name_user(user_name)
        self._gate.delay(self._closed, self._fail(user_name, "under attack", Factor.PASSWORD))
        return False

    def _prove(self, user_name: str, user: UserOptions, factor: Factor, **fields: Any) -> bool:
        with self._lock:
            if not self._is_named(user_name, user):
                return False  # another user was named meanwhile
            factors = self._factors | {factor}
        is_complete = is_enough(user, factors)
        if is_complete:
            self._place.authenticate()
            self._gate.defence.add_log_in(self._place.origin, user_name)
        event = "log_in" if is_complete else "log_in_half_way"
        methods = "+".join(sorted(each.value for each in factors))
        log_event(_logger, event, user=user_name, methods=methods, **fields, **self.log_fields)
        with self._lock:  # last, so that nothing counts as proven by a check that breaks
            if not self._is_named(user_name, user):
                return False
            self._factors |= {factor}
        return True

    def _fail(self, user_name: str, reason: str, factor: Factor, public_key: str | None = None) -> float:
        """Count and log a failure, and return the seconds that its answer should wait."""
        is_password = factor is Factor.PASSWORD
        with self._lock:
            self._num_failures += is_password
            self._num_unknown_keys += not is_password
        fields = {"user": _escape(user_name), "method": factor.value, "reason": reason} | self.log_fields
        if public_key is not None:
            fields["key"] = _get_fingerprint(public_key)
        log_event(_logger, "log_in_failed", logging.INFO if is_password else logging.DEBUG, **fields)
        if self._place.is_trusted or not is_password:
            return 0.0
        return self._gate.defence.add_failure(self._place.origin, _shorten(user_name))

    def _count_unknown_keys(self) -> None:
        """Once, at the end of the visit."""
        with self._lock:
            num_keys, self._num_unknown_keys = self._num_unknown_keys, 0
        if num_keys and not self._place.is_authenticated and not self._place.is_trusted:
            self._gate.defence.add_failure(self._place.origin, None, num_keys * _UNKNOWN_KEY_POINTS)


def _shorten(user_name: str) -> str:
    """The name under which failures are counted: any name that nobody can have is the same, and takes no room."""
    return user_name if is_valid_user_name(user_name) else ""


def _escape(text: str) -> str:
    return paths.printable(text[: _MAX_LOGGED_NAME + 1])[:_MAX_LOGGED_NAME]


def _get_fingerprint(public_key: str) -> str:
    """As `ssh-keygen -l` prints it."""
    try:
        blob = base64.b64decode((get_offered_key(public_key) or " ").split(" ")[1], validate=True)
    except (binascii.Error, ValueError):
        return "not a key"
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
