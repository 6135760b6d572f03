"""Waiting without guessing how long things take: the one place of a test suite that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 10.0, message: str | Callable[[], str] = "") -> T:
    """Ask `condition` again and again until what it returns is true, and return that.

    timeout: seconds after which AssertionError is raised, with `message` (or what it returns). An exception of `condition` ends the wait.
    The time-out is there for the day on which something is broken: choose it generously, it costs nothing on all others.
    """
    deadline = time.monotonic() + timeout
    pause = 0.0005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:g} s: {text or getattr(condition, '__name__', condition)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
