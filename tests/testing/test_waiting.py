"""wait_until: asks until it is so, and no longer than it may."""

from __future__ import annotations

import threading

import pytest

from cloudalpha.testing import wait_until


def test_returns_what_the_condition_returned() -> None:
    answers = iter([None, 0, "", "found", "later"])
    assert wait_until(lambda: next(answers)) == "found"


def test_waits_for_another_thread() -> None:
    event = threading.Event()
    timer = threading.Timer(0.01, event.set)
    timer.start()
    assert wait_until(event.is_set)
    timer.join()


@pytest.mark.parametrize("message", ["nobody came", lambda: "nobody came"])
def test_gives_up_with_the_message(message: str) -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: nobody came"):
        wait_until(lambda: False, 0.01, message)


def test_errors_end_the_wait() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)
