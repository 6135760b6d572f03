from __future__ import annotations

import threading
import time

import pytest

from cloudalpha.exceptions import AccessFailedFileSystemError, FileSystemError, NotFoundFileSystemError
from cloudalpha.toolkit import retry as retry_module
from cloudalpha.toolkit.retry import Retry

QUICK = Retry(attempts=4, max_seconds=10, first_pause=0.0001)


class Failing:
    """Fails so many times, then returns."""

    def __init__(self, num_failures: int, error: FileSystemError | None = None) -> None:
        self.num_calls = 0
        self._num_failures = num_failures
        self._error = error or AccessFailedFileSystemError("/a", "busy", temporary=True)

    def __call__(self) -> str:
        self.num_calls += 1
        if self.num_calls <= self._num_failures:
            raise self._error
        return "done"


class NoPauses(threading.Event):
    """Notes pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        return self.is_set()


def test_until_it_works() -> None:
    call = Failing(3)
    assert QUICK.run(call) == "done"
    assert call.num_calls == 4


def test_the_last_error_after_so_many_attempts() -> None:
    call = Failing(9)
    with pytest.raises(AccessFailedFileSystemError, match="busy"):
        QUICK.run(call)
    assert call.num_calls == 4


def test_what_is_not_temporary_is_raised_at_once() -> None:
    call = Failing(1, NotFoundFileSystemError("/a"))
    with pytest.raises(NotFoundFileSystemError):
        QUICK.run(call)
    assert call.num_calls == 1


def test_other_exceptions_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        QUICK.run(lambda: 1 // 0)


def test_pauses_grow_with_jitter_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    ceilings: list[float] = []

    def draw(low: float, high: float) -> float:
        assert low == 0
        ceilings.append(high)
        return high / 2

    monkeypatch.setattr(retry_module.random, "uniform", draw)
    stop = NoPauses()
    with pytest.raises(AccessFailedFileSystemError):
        Retry(attempts=7, max_seconds=1000, first_pause=1, max_pause=10).run(Failing(99), stop)
    assert ceilings == [1, 2, 4, 8, 10, 10]
    assert stop.pauses == [0.5, 1, 2, 4, 5, 5]


def test_the_storage_may_ask_for_a_longer_pause() -> None:
    stop = NoPauses()
    Retry(first_pause=0.001).run(Failing(2, AccessFailedFileSystemError("/a", "busy", True, retry_after=7)), stop)
    assert stop.pauses == [7, 7]


def test_a_pause_beyond_the_time_allowed_is_not_begun() -> None:
    stop = NoPauses()
    call = Failing(1, AccessFailedFileSystemError("/a", "busy", True, retry_after=100))
    with pytest.raises(AccessFailedFileSystemError):
        Retry(max_seconds=60).run(call, stop)
    assert (call.num_calls, stop.pauses) == (1, [])


def test_the_time_counts_from_the_first_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(retry_module.time, "monotonic", lambda: now[0])

    def call() -> None:
        now[0] += 25
        raise AccessFailedFileSystemError("/a", "busy", temporary=True)

    with pytest.raises(AccessFailedFileSystemError):
        Retry(attempts=100, max_seconds=60, first_pause=0.001).run(call, NoPauses())
    assert now == [75]


def test_stop_ends_a_pause() -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    call = Failing(1, AccessFailedFileSystemError("/a", "busy", True, retry_after=50))
    started = time.monotonic()
    with pytest.raises(AccessFailedFileSystemError):
        Retry(max_seconds=60).run(call, stop)
    assert time.monotonic() - started < 20
    assert call.num_calls == 1


def test_progress_begins_anew() -> None:
    attempts = Retry(attempts=2, first_pause=0.0001).begin()
    error = AccessFailedFileSystemError("/a", "busy", temporary=True)
    for _ in range(5):
        attempts.wait_after(error)
        attempts.reset()
    attempts.wait_after(error)
    with pytest.raises(AccessFailedFileSystemError):
        attempts.wait_after(error)
