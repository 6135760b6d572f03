"""PartMemory: where the parts of one upload are gathered: in memory while the budget gives some, else in the spool."""

from __future__ import annotations

from collections.abc import Callable

from cloudalpha.exceptions import InsufficientSpaceFileSystemError
from cloudalpha.native_io import native_errors
from cloudalpha.spool import Spool
from cloudalpha.toolkit.memory_budget import MemoryBudget, Share
from cloudalpha.toolkit.part_bodies import MemoryPart, PartBody, SpoolPart

FIRST_BYTES = 128 << 10
"""What a part begins with; it takes its whole size as soon as that is full. Most files are small."""

PATIENCE = 1.0
"""Seconds that a part waits for memory, unless parts of the same upload are under way, which will give some back."""

LAST_PATIENCE = 60.0
"""The same, where the spool takes nothing either."""


class PartMemory:
    """Bodies for the parts of one upload. `release` may be called by any thread, everything else by one at a time.

    check: raises what is to end the waiting.
    """

    def __init__(self, path: str, budget: MemoryBudget, spool: Spool, check: Callable[[], None]) -> None:
        self._path = path
        self._budget = budget
        self._spool = spool
        self._check = check
        self._share: Share | None = None
        self._patience = PATIENCE

    def make_body(self, part_size: int) -> PartBody:
        """An empty body with room for at least one byte, for a part of that size."""
        capacity = min(FIRST_BYTES, part_size)
        if self._take(capacity, 0, self._get_patience()):
            return MemoryPart(self._path, capacity)
        spool_part = self._make_spool_part(part_size)
        return self._wait_for_memory(None, capacity) if spool_part is None else spool_part

    def grow(self, body: PartBody, part_size: int) -> PartBody:
        """The same body, or another one with what that one holds, which has room for a part of that size."""
        is_large = part_size > self._budget.max_bytes // 4
        if not is_large and self._take(part_size - body.capacity, body.capacity, self._get_patience()):
            return self._enlarge(body, part_size)
        spool_part = self._make_spool_part(part_size)
        if spool_part is None:
            return self._wait_for_memory(body, part_size)
        try:
            for piece in body.iterate():
                spool_part.append(memoryview(piece))
        except BaseException:
            spool_part.close()
            raise
        self.release(body)
        return spool_part

    def release(self, body: PartBody) -> None:
        """Free a body, unless somebody else still needs it."""
        if not body.let_go():
            return
        body.close()
        if isinstance(body, MemoryPart) and self._share is not None:
            self._share.give_back(body.capacity)

    def close(self) -> None:
        """Give everything back. Harmless when repeated."""
        if self._share is not None:
            self._share.close()

    def _get_patience(self) -> float:
        return 0.0 if self._budget.is_stuck else self._patience

    def _take(self, num_bytes: int, beside: int, patience: float) -> bool:
        if self._share is None:
            self._share = self._budget.open_share()
        while True:
            is_expecting = self._share.held_bytes > beside  # parts under way will give some back
            if self._share.take(num_bytes, PATIENCE if is_expecting else patience, beside):
                break
            self._check()
            if not is_expecting:
                self._patience = 0.0  # the next part need not wait in vain again
                return False
        self._patience = PATIENCE
        return True

    def _make_spool_part(self, part_size: int) -> SpoolPart | None:
        if self._spool.max_bytes - self._spool.used_bytes < part_size:
            return None
        with native_errors(self._path):
            spool_file = self._spool.create_file()
        return None if spool_file is None else SpoolPart(self._path, part_size, spool_file)

    def _wait_for_memory(self, body: PartBody | None, capacity: int) -> PartBody:
        beside = 0 if body is None else body.capacity
        if not self._take(capacity - beside, beside, LAST_PATIENCE):
            message = "the gateway has neither memory nor spool left for this transfer"
            raise InsufficientSpaceFileSystemError(self._path, message, temporary=True)
        return MemoryPart(self._path, capacity) if body is None else self._enlarge(body, capacity)

    def _enlarge(self, body: PartBody, capacity: int) -> PartBody:
        if not isinstance(body, MemoryPart):
            raise TypeError("only parts in memory grow")
        body.grow(capacity)
        return body
