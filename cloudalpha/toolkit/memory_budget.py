"""MemoryBudget: the bytes that transfers hold in memory, bounded together and shared fairly.

    share = get_process_budget().open_share()         # one for each upload or download
    if share.take(8 << 20, timeout=1.0):
        ...
        share.give_back(8 << 20)
    share.close()

A share holds at most an equal part of the budget. One that holds nothing may take whatever is free, so that everybody can go on even where equal
parts would be too small for anything. Who waits is served in order of arrival, passing over those who wait for their own equal part alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

DEFAULT_MAX_BYTES = 256 << 20


class MemoryBudget:
    """So many bytes, for all shares together. Safe for threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._used_bytes = 0
        self._num_shares = 0
        self._waiting: list[_Wait] = []
        self._is_stuck = False
        self._changed = threading.Condition()

    @property
    def used_bytes(self) -> int:
        """What all shares hold now."""
        return self._used_bytes

    @property
    def num_shares(self) -> int:
        """How many shares are open."""
        return self._num_shares

    @property
    def is_stuck(self) -> bool:
        """Whether nobody has given anything back since somebody waited in vain: another who waits now would hardly fare better."""
        return self._is_stuck

    def open_share(self) -> Share:
        """A share that holds nothing yet; to be closed."""
        with self._changed:
            self._num_shares += 1
        return Share(self)

    def _is_fair(self, share: Share, num_bytes: int, beside: int) -> bool:
        return share.held_bytes <= beside or share.held_bytes + num_bytes <= self.max_bytes // self._num_shares

    def _is_free(self, num_bytes: int) -> bool:
        return self._used_bytes + num_bytes <= self.max_bytes

    def _take(self, share: Share, num_bytes: int) -> None:
        self._used_bytes += num_bytes
        share.held_bytes += num_bytes

    def _give_back(self, share: Share, num_bytes: int) -> None:
        self._used_bytes -= num_bytes
        share.held_bytes -= num_bytes
        self._is_stuck = self._is_stuck and not num_bytes
        self._serve()

    def _serve(self) -> None:
        """Give to those who wait what there is; the first one who waits for free bytes keeps those behind him waiting too."""
        served = False
        for wait in list(self._waiting):
            if not self._is_fair(wait.share, wait.num_bytes, wait.beside):
                continue
            if not self._is_free(wait.num_bytes):
                break
            self._take(wait.share, wait.num_bytes)
            wait.is_served = served = True
            self._waiting.remove(wait)
        if served:
            self._changed.notify_all()

    @contextmanager
    def _in_queue(self, wait: _Wait) -> Iterator[None]:
        self._waiting.append(wait)
        try:
            yield
        finally:
            if not wait.is_served:
                self._waiting.remove(wait)
                self._serve()  # whoever waited behind this one


class _Wait:
    def __init__(self, share: Share, num_bytes: int, beside: int) -> None:
        self.share = share
        self.num_bytes = num_bytes
        self.beside = beside
        self.is_served = False


class Share:
    """What one transfer holds of a budget. Safe for threads.

    held_bytes: what it holds now.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.held_bytes = 0
        self._is_closed = False

    def try_take(self, num_bytes: int) -> bool:
        """Take bytes if that is possible at once and nobody waits for any; for what is a gain, but not needed."""
        with self.budget._changed:
            self._check_open()
            is_possible = not self.budget._waiting and self.budget._is_free(num_bytes)
            if is_possible and self.held_bytes + num_bytes <= self.budget.max_bytes // self.budget._num_shares:
                self.budget._take(self, num_bytes)
                return True
            return False

    def take(self, num_bytes: int, timeout: float, beside: int = 0) -> bool:
        """Take bytes, and wait for them for at most `timeout` seconds; False when they did not come.

        beside: how many of the bytes that the share holds are of the same piece, which is to grow. A share that holds nothing else counts as one
            that holds nothing.
        """
        budget = self.budget
        if num_bytes > budget.max_bytes:
            return False
        with budget._changed:
            self._check_open()
            wait = _Wait(self, num_bytes, beside)
            deadline = time.monotonic() + timeout
            with budget._in_queue(wait):
                budget._serve()
                while not wait.is_served and (remaining := deadline - time.monotonic()) > 0:
                    budget._changed.wait(remaining)
            budget._is_stuck = budget._is_stuck or (timeout > 0 and not wait.is_served)
            return wait.is_served

    def give_back(self, num_bytes: int) -> None:
        """Give bytes back; after `close`, which gave back everything, nothing."""
        with self.budget._changed:
            if not self._is_closed:
                self.budget._give_back(self, num_bytes)

    def close(self) -> None:
        """Give everything back, and leave larger parts to the others. Harmless when repeated."""
        with self.budget._changed:
            if not self._is_closed:
                self._is_closed = True
                self.budget._num_shares -= 1
                self.budget._give_back(self, self.held_bytes)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("the share is closed")


_process_budget = MemoryBudget(DEFAULT_MAX_BYTES)


def get_process_budget() -> MemoryBudget:
    """The budget of all transfers of the process."""
    return _process_budget


def set_process_budget(max_bytes: int) -> None:
    """Begin a budget of so many bytes. Transfers that are under way stay within the former one."""
    global _process_budget
    _process_budget = MemoryBudget(max_bytes)
