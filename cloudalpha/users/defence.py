"""Defence against guessing: failures are scored per origin and per user name; origins are banned, and every failure is answered late.

An origin is an IPv4 address or the /64 of an IPv6 address. Names of users that do not exist are scored like those that do. A user under attack
from many origins is guarded, not locked out: passwords are then taken only from origins that the user has logged in from before.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from pydantic import Field

from cloudalpha.logs import log_event
from cloudalpha.settings import Duration, Options
from cloudalpha.users.networks import Network
from cloudalpha.users.scores import ScoreTable

T = TypeVar("T")

_logger = logging.getLogger("cloudalpha.gate")
_MEMORY_OF_BANS = (
    7.0  # longest bans, after which half of an origin's bans are forgotten: a ban of that length is followed by another
)


class DefenceOptions(Options):
    """What `[defence]` takes. Everything is on by default."""

    enabled: bool = Field(True, description="ban and delay after failures; the bounds on connections hold in any case")
    trusted_networks: tuple[Network, ...] = Field(
        (), description="networks that are never banned or delayed, nor bounded but by the bounds for all together"
    )
    ban_threshold: float = Field(
        10, ge=1, description="failed log-ins of one origin (IPv4 address, IPv6 /64) that lead to a ban"
    )
    user_threshold: float = Field(
        50,
        ge=1,
        description="failed log-ins of one user name, after which its passwords are taken only from origins that it has logged in from before",
    )
    half_life: Duration = Field(600.0, gt=0, description="after this time half of the failures are forgotten")
    ban_time: Duration = Field(600.0, gt=0, description="how long a first ban lasts; each further one twice as long")
    max_ban_time: Duration = Field(86400.0, gt=0, description="how long a ban lasts at most")
    delay: Duration = Field(
        0.5, ge=0, description="how long the answer to a first failed password waits; doubled with each further one"
    )
    max_delay: Duration = Field(5.0, ge=0, description="how long the answer to a failed password waits at most")
    max_delayed: int = Field(16, ge=1, description="answers that wait at once; further ones are given without delay")
    max_names: int = Field(10_000, ge=16, description="origins, and names, that are remembered")
    max_tries: int = Field(6, ge=1, description="failed log-ins in one connection, after which all others fail too")
    log_in_timeout: Duration = Field(
        30.0, gt=0, description="how long a connection may take until somebody is logged in"
    )
    max_connections: int = Field(2000, ge=1, description="connections in all")
    max_connections_per_origin: int = Field(20, ge=1, description="connections of one origin")
    max_unauthenticated: int = Field(
        200, ge=1, description="connections without a log-in, in all; above it nobody new is let in"
    )
    early_drop_start: int = Field(
        100,
        ge=0,
        description="connections without a log-in, from which on new ones are refused at random, the more the closer to max_unauthenticated",
    )
    early_drop_percent: float = Field(
        30, ge=0, le=100, description="share of connections that is refused when that begins"
    )
    connection_rate: float = Field(5, gt=0, description="connections a second of one origin that end without a log-in")
    connection_burst: int = Field(
        20, ge=1, description="connections of one origin that may come at once before the rate counts"
    )
    max_sessions_per_connection: int = Field(8, ge=1, description="sessions (SSH channels) in one connection")
    max_parallel_hashes: int = Field(4, ge=1, description="passwords checked at once; each takes 64 MiB of memory")
    max_waiting_hashes: int = Field(64, ge=0, description="passwords that may wait to be checked; more are refused")


class Defence:
    """Keeps the scores and the bans. Safe for threads; never blocks.

    clock: seconds, never going back.
    """

    def __init__(self, options: DefenceOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._origin_scores = ScoreTable(options.half_life, options.max_names, clock)
        self._user_scores = ScoreTable(options.half_life, options.max_names, clock)
        self._ban_counts = ScoreTable(_MEMORY_OF_BANS * options.max_ban_time, options.max_names, clock)
        self._bans: OrderedDict[str, float] = OrderedDict()  # origin -> when the ban ends
        self._known_pairs: OrderedDict[tuple[str, str], None] = OrderedDict()  # user and origin of earlier log-ins
        self._known_origins: OrderedDict[str, None] = OrderedDict()

    def is_banned(self, origin: str) -> bool:
        """Whether nothing is accepted from an origin now."""
        with self._lock:
            return self._is_banned(origin)

    def get_bans(self) -> dict[str, float]:
        """The banned origins, and the seconds that each ban has left."""
        with self._lock:
            now = self._clock()
            return {origin: end - now for origin, end in self._bans.items() if end > now}

    def is_guarded(self, user_name: str, origin: str) -> bool:
        """Whether passwords of the user are not taken from an origin now, because too many have failed."""
        with self._lock:
            is_attacked = self._user_scores.get(user_name) > self._options.user_threshold - 0.5
            return self._options.enabled and is_attacked and (user_name, origin) not in self._known_pairs

    def add_failure(self, origin: str, user_name: str | None, points: float = 1.0) -> float:
        """Count a failed log-in (user_name None: against the origin alone), and return the seconds that its answer should wait."""
        options = self._options
        if not options.enabled:
            return 0.0
        with self._lock:
            score = self._origin_scores.add(origin, points)
            if user_name is not None:
                self._user_scores.add(user_name, points)
            # Rounded: the first of ten failures has faded a little when the tenth comes.
            ban_time = (
                self._ban(origin) if score > options.ban_threshold - 0.5 and not self._is_banned(origin) else None
            )
        if ban_time is not None:
            log_event(_logger, "address_banned", logging.WARNING, address=origin, seconds=ban_time)
        return min(options.max_delay, options.delay * math.exp2(min(max(0.0, score - 1.0), 30.0)))

    def add_log_in(self, origin: str, user_name: str) -> None:
        """Remember where a user has logged in from. Failures stay: or whoever has one account could guess at others without end."""
        with self._lock:
            self._remember(self._known_pairs, (user_name, origin))
            self._remember(self._known_origins, origin)

    def is_known(self, origin: str) -> bool:
        """Whether somebody has logged in from an origin lately."""
        with self._lock:
            return origin in self._known_origins

    def _remember(self, table: OrderedDict[T, None], entry: T) -> None:
        table[entry] = None
        table.move_to_end(entry)
        if len(table) > self._options.max_names:
            table.popitem(last=False)

    def _is_banned(self, origin: str) -> bool:
        end = self._bans.get(origin)
        if end is not None and end <= self._clock():
            del self._bans[origin]
            return False
        return end is not None

    def _ban(self, origin: str) -> float:
        """Ban an origin, and return for how many seconds. Its score begins anew: the next ban's length remembers."""
        self._origin_scores.remove(origin)
        earlier = int(self._ban_counts.get(origin) + 0.5)
        self._ban_counts.add(origin, 1.0)
        ban_time = min(self._options.max_ban_time, self._options.ban_time * math.exp2(min(earlier, 30)))
        self._bans[origin] = self._clock() + ban_time
        if len(self._bans) > self._options.max_names:
            self._bans.popitem(last=False)
        return ban_time
