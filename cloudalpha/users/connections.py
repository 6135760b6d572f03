"""ConnectionCounter: how many connections there are, and whether one more is let in."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.users.defence import DefenceOptions


class Place:
    """The place that one connection takes, until `leave`. Safe for threads; repeated calls are harmless."""

    def __init__(self, counter: ConnectionCounter, origin: str, is_trusted: bool) -> None:
        self.origin = origin
        self.is_trusted = is_trusted
        self.is_authenticated = False
        self.has_left = False
        self._counter = counter

    def authenticate(self) -> None:
        """Tell that somebody has logged in."""
        self._counter.authenticate(self)

    def leave(self) -> None:
        """Give the place back."""
        self._counter.leave(self)


class ConnectionCounter:
    """Bounds connections in all, per origin, without a log-in, and the rate of those that never log in. Safe for threads; never blocks.

    As a flood of connections without a log-in grows, new ones are refused at random (as OpenSSH's MaxStartups does), so that some of the honest
    ones still come in; origins from which somebody has logged in lately are spared that.
    clock: seconds, never going back. draw: a random number from 0 to 1.
    """

    def __init__(
        self,
        options: DefenceOptions,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._options = options
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._num_connections = 0
        self._num_unauthenticated = 0
        self._per_origin: Counter[str] = Counter()
        self._allowances: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # origin -> connections it may make, and when that was so

    def enter(self, origin: str, is_trusted: bool = False, is_known: bool = False) -> Place:
        """Take a place, or raise RefusedManagerError. is_known: somebody has logged in from there lately."""
        with self._lock:
            reason = self._find_refusal(origin, is_trusted, is_known)
            if reason is not None:
                raise RefusedManagerError(reason)
            self._num_connections += 1
            self._num_unauthenticated += 1
            self._per_origin[origin] += 1
            if not is_trusted:
                self._set_allowance(origin, self._get_allowance(origin) - 1.0)
            return Place(self, origin, is_trusted)

    def authenticate(self, place: Place) -> None:
        """What `Place.authenticate` does: the connection no longer counts as one without a log-in, nor against the rate."""
        with self._lock:
            if not place.is_authenticated and not place.has_left:
                place.is_authenticated = True
                self._num_unauthenticated -= 1
                if not place.is_trusted:
                    self._set_allowance(place.origin, self._get_allowance(place.origin) + 1.0)

    def leave(self, place: Place) -> None:
        """What `Place.leave` does."""
        with self._lock:
            if not place.has_left:
                place.has_left = True
                self._num_connections -= 1
                self._num_unauthenticated -= not place.is_authenticated
                self._per_origin[place.origin] -= 1
                if not self._per_origin[place.origin]:
                    del self._per_origin[place.origin]

    def get_counts(self) -> dict[str, int]:
        """Connections, those of them without a log-in, and origins."""
        with self._lock:
            return {
                "connections": self._num_connections,
                "unauthenticated": self._num_unauthenticated,
                "origins": len(self._per_origin),
            }

    def _find_refusal(self, origin: str, is_trusted: bool, is_known: bool) -> str | None:
        options = self._options
        if self._num_connections >= options.max_connections:
            return "too many connections; try again later"
        if is_trusted:
            return None
        if self._per_origin[origin] >= options.max_connections_per_origin:
            return "too many connections from your address"
        if self._get_allowance(origin) < 1.0:
            return "too many connections from your address in a short time; try again later"
        if not is_known and self._is_dropped():
            return "too many connections wait to log in; try again later"
        return None

    def _is_dropped(self) -> bool:
        """Whether chance refuses a new connection: the share grows from early_drop_percent to all."""
        options = self._options
        if self._num_unauthenticated >= options.max_unauthenticated:
            return True
        above = self._num_unauthenticated - options.early_drop_start
        if above < 0:
            return False
        share = options.early_drop_percent / 100
        return self._draw() < share + (1 - share) * above / (options.max_unauthenticated - options.early_drop_start)

    def _get_allowance(self, origin: str) -> float:
        """How many connections an origin may make at once now."""
        options = self._options
        if origin not in self._allowances:
            return float(options.connection_burst)
        allowance, since = self._allowances[origin]
        return min(float(options.connection_burst), allowance + (self._clock() - since) * options.connection_rate)

    def _set_allowance(self, origin: str, allowance: float) -> None:
        if allowance >= self._options.connection_burst:
            self._allowances.pop(origin, None)
            return
        self._allowances[origin] = (allowance, self._clock())
        self._allowances.move_to_end(origin)
        if len(self._allowances) > self._options.max_names:
            self._allowances.popitem(last=False)
