"""Shared by tests: waiting without sleeping blindly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 30.0


def wait_until(condition: Callable[[], T], what: str = "the condition", seconds: float = DEADLINE_SECONDS) -> T:
    """Ask again and again until the condition is true, and return what it answered; AssertionError after the deadline.

    what: what is waited for, for the message.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        pause.wait(0.01)
    return answer
