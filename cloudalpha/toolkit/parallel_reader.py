"""ParallelReader: the stream of `FileSystem.read` over what a service supplies as a `RangeSource`.

The first range is small, and passed on as it comes. Whoever reads on gets ranges that are fetched in parallel ahead of him, more and larger ones the
further he reads. All are of one version. Memory that the budget does not give is not used: then one request at a time is passed straight through.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import Self

from cloudalpha.file_system import ANYTHING, Expected, close_stream
from cloudalpha.toolkit.memory_budget import MemoryBudget, Share, get_process_budget
from cloudalpha.toolkit.range_source import FileVersion, RangeResponse, RangeSource
from cloudalpha.toolkit.retry import Retry

__all__ = ["ParallelReader", "RangeResponse", "RangeSource"]

FIRST_BYTES = 1 << 20
"""The first range, and the smallest one."""

EARLY_RANGES = 5
"""How many of the smallest ranges, the first included, are asked for before that is taken: enough to fill a long way, little for who only looks at
the beginning."""

STRAIGHT_RANGES = 4
"""How many ranges are asked for in one request where there is no memory to fetch ahead."""


class ParallelReader(Iterator[bytes]):
    """The bytes of a file from start_byte on, num_bytes of them or all. One thread at a time; to be closed unless it is read to its end.

    range_size: bytes of a range once reading is well under way. ranges_in_flight: requests at once. A bounded read of at most range_size bytes is
    one request. Before the first MiB is taken no more than 5 MiB are asked for.
    executor: runs requests and nothing that waits for a client.
    """

    def __init__(
        self,
        path: str,
        source: RangeSource,
        start_byte: int = 0,
        num_bytes: int | None = None,
        expected: Expected = ANYTHING,
        *,
        executor: Executor,
        range_size: int = 8 << 20,
        ranges_in_flight: int = 8,
        budget: MemoryBudget | None = None,
        retry: Retry | None = None,
    ) -> None:
        self._version = FileVersion(path, source, expected, retry or Retry())
        self._start = self._position = self._planned = start_byte
        self._wanted_end = None if num_bytes is None else start_byte + num_bytes
        self._executor = executor
        self._range_size = range_size
        self._smallest = min(FIRST_BYTES, range_size)
        self._ranges_in_flight = ranges_in_flight
        self._budget = budget or get_process_budget()
        self._share: Share | None = None
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._straight: Iterator[bytes] | None = None
        self._ahead: deque[_Range] = deque()
        is_small = num_bytes is not None and num_bytes <= range_size
        self._open_straight(num_bytes if num_bytes is not None and is_small else self._smallest)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._stop.is_set():
            raise StopIteration
        try:
            self._plan()
            chunk = self._get_chunk()
        except BaseException:
            self.close()
            raise
        if chunk is None:
            self.close()
            raise StopIteration
        self._position += len(chunk)
        return chunk

    def close(self) -> None:
        """Give up what is under way and what is fetched. Harmless when repeated."""
        self._stop.set()
        with self._changed:
            ahead = list(self._ahead)
            self._ahead.clear()
            self._changed.notify_all()
        for fetched in ahead:
            fetched.drop()
        straight, self._straight = self._straight, None
        if straight is not None:
            close_stream(straight)
        if self._share is not None:
            self._share.close()

    def __del__(self) -> None:
        if hasattr(self, "_ahead"):
            self.close()

    # Taking

    def _get_chunk(self) -> bytes | None:
        while not self._stop.is_set():
            if self._straight is not None:
                chunk = next(self._straight, None)
                if chunk is not None:
                    return chunk
                self._straight = None
                self._plan()
            elif self._ahead:
                chunk = self._take_from(self._ahead[0])
                if chunk is not None:
                    return chunk
            elif self._position >= self._get_end():
                return None
            else:
                self._open_straight(STRAIGHT_RANGES * self._range_size)
        return None

    def _take_from(self, fetched: _Range) -> bytes | None:
        """The next chunk of the range that is due; None when there is no more of it, or it is passed straight through from now on."""
        if fetched.future is not None and fetched.future.cancel():  # all threads are busy: this one is free
            self._ahead.popleft()
            self._give_back(fetched.end - fetched.start)
            self._straight = self._version.stream(fetched.start, fetched.end, self._stop)
            return None
        with self._changed:
            while not fetched.chunks and not fetched.is_done and not self._stop.is_set():
                self._changed.wait()
            chunk = fetched.chunks.popleft() if fetched.chunks else None
        if chunk is not None:
            self._give_back(len(chunk))
            return chunk
        if fetched.failure is not None:
            raise fetched.failure
        if not self._stop.is_set():
            self._ahead.popleft()
        return None

    def _get_end(self) -> int:
        size = self._version.size or 0
        return size if self._wanted_end is None else min(size, self._wanted_end)

    def _open_straight(self, num_bytes: int) -> None:
        end = self._position + num_bytes
        if self._wanted_end is not None:
            end = min(end, self._wanted_end)
        self._planned = end
        self._straight = self._version.stream(self._position, end, self._stop)

    # Fetching ahead

    def _plan(self) -> None:
        """Ask for what will be taken next, as far as the reader has shown that he will, and memory allows."""
        taken = self._position - self._start
        if not taken:
            return
        window = self._range_size * (self._ranges_in_flight + 2)
        is_beginning = taken < self._smallest
        window = min(window, EARLY_RANGES * self._smallest - taken if is_beginning else 16 * taken)
        num_in_flight = sum(not fetched.is_done for fetched in self._ahead) + (self._straight is not None)
        end = min(self._get_end(), self._position + window)
        while num_in_flight < self._ranges_in_flight and self._planned < end:
            size = self._get_next_size()
            if (is_beginning and self._planned + size > end) or not self._fetch(size):
                return
            num_in_flight += 1

    def _get_next_size(self) -> int:
        """The bytes of the next range: they grow at the beginning, and shrink near the end, so that all requests end at about the same time."""
        left = self._get_end() - self._planned
        asked = self._planned - self._start
        grown = self._smallest if asked < EARLY_RANGES * self._smallest else asked // 2
        shrunk = max(2 * self._smallest, left // self._ranges_in_flight)
        return min(left, self._range_size, grown, shrunk)

    def _fetch(self, num_bytes: int) -> bool:
        if self._share is None:
            self._share = self._budget.open_share()
        if not self._share.try_take(num_bytes):
            return False
        fetched = _Range(self._planned, self._planned + num_bytes)
        try:
            fetched.future = self._executor.submit(self._run, fetched)
        except RuntimeError:  # the account is being closed; what is under way may end
            self._give_back(num_bytes)
            return False
        self._ahead.append(fetched)
        self._planned += num_bytes
        return True

    def _give_back(self, num_bytes: int) -> None:
        if self._share is not None:
            self._share.give_back(num_bytes)

    def _run(self, fetched: _Range) -> None:
        """Fetch a range, by a thread of the executor."""
        stream = self._version.stream(fetched.start, fetched.end, self._stop)
        try:
            for chunk in stream:
                with self._changed:
                    if self._stop.is_set():
                        return
                    fetched.chunks.append(chunk)
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - the reader raises it when he gets there
            fetched.failure = error
        finally:
            close_stream(stream)
            with self._changed:
                fetched.is_done = True
                self._changed.notify_all()


class _Range:
    """A range that is fetched ahead: what came of it and is not taken yet."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.chunks: deque[bytes] = deque()
        self.is_done = False
        self.failure: BaseException | None = None
        self.future: Future[None] | None = None

    def drop(self) -> None:
        if self.future is not None:
            self.future.cancel()
        self.chunks.clear()
