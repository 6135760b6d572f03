"""Retry: a request is repeated while its error says that this may help, a bounded number of times and within a bounded time.

    Retry(attempts=6, max_seconds=60.0).run(lambda: client.head(key))

Only for requests that are safe to repeat: the caller decides. Pauses grow twofold and are drawn from the whole range below that ("full jitter"), so
that those who failed together do not come back together. Never stack two of them: their attempts would multiply.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cloudalpha.exceptions import FileSystemError

T = TypeVar("T")


class Retry:
    """How often and how long to try.

    attempts: tries, the first one included. max_seconds: from the first try to the beginning of the last one, pauses included.
    first_pause, max_pause: seconds that the first pause and any pause take at most, unless the storage asked for a longer one.
    """

    def __init__(
        self, attempts: int = 6, max_seconds: float = 60.0, first_pause: float = 0.25, max_pause: float = 15.0
    ) -> None:
        self.attempts = attempts
        self.max_seconds = max_seconds
        self.first_pause = first_pause
        self.max_pause = max_pause

    def run(self, call: Callable[[], T], stop: threading.Event | None = None) -> T:
        """What `call` returns, as soon as it does. Raises its last error; at once where that is not temporary.

        stop: ends pauses, and with them the attempts.
        """
        attempts = self.begin(stop)
        while True:
            try:
                return call()
            except FileSystemError as error:
                attempts.wait_after(error)

    def begin(self, stop: threading.Event | None = None) -> Attempts:
        """For loops of another shape than `run`."""
        return Attempts(self, stop or threading.Event())


class Attempts:
    """The attempts at one request."""

    def __init__(self, retry: Retry, stop: threading.Event) -> None:
        self._retry = retry
        self._stop = stop
        self.reset()

    def reset(self) -> None:
        """Begin to count anew: there was progress."""
        self._num_failed = 0
        self._started = time.monotonic()

    def wait_after(self, error: FileSystemError) -> None:
        """Wait until it is time for the next attempt; raises the error when there is to be none."""
        self._num_failed += 1
        retry = self._retry
        if not error.temporary or self._num_failed >= retry.attempts or self._stop.is_set():
            raise error
        ceiling = min(retry.max_pause, retry.first_pause * 2 ** (self._num_failed - 1))
        pause = max(random.uniform(0, ceiling), error.retry_after or 0.0)  # noqa: S311 - spreads load, protects nothing
        if time.monotonic() - self._started + pause > retry.max_seconds or self._stop.wait(pause):
            raise error
