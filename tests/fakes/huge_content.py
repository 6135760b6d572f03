"""Content larger than any memory: made up where it is read, recognised where it is written.

The bytes of PATTERN are deterministic, and repeat after a prime number of bytes, so that a piece that lands in a wrong place shows. Whatever
pieces of it are written, cut and joined, what is kept is where they come from. Bytes that are not of the pattern are kept themselves, up to a bound.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

PERIOD = 1_000_003
_TWICE = random.Random(20).randbytes(PERIOD) * 2
_SAMPLE = 32
_ZEROS = bytes(PERIOD)


def make_bytes(start: int, num_bytes: int) -> bytes:
    """Bytes of the pattern: those from `start` on."""
    return b"".join(_make_pattern(start, num_bytes))


def _make_pattern(start: int, num_bytes: int) -> Iterator[memoryview]:
    view = memoryview(_TWICE)
    while num_bytes > 0:
        at = start % PERIOD
        size = min(num_bytes, PERIOD)
        yield view[at : at + size]
        start += size
        num_bytes -= size


@dataclass(frozen=True)
class Extent:
    """A piece of content: of the pattern from `start` on; or `data`, from `start` on; or zero bytes, where both are None."""

    size: int
    start: int | None = None
    data: bytes | None = None

    def cut(self, start: int, size: int) -> Extent:
        return replace(self, size=size, start=None if self.start is None else self.start + start)

    def read(self) -> Iterator[memoryview]:
        if self.data is not None:
            assert self.start is not None
            yield memoryview(self.data)[self.start : self.start + self.size]
        elif self.start is not None:
            yield from _make_pattern(self.start, self.size)
        else:
            for start in range(0, self.size, PERIOD):
                yield memoryview(_ZEROS)[: min(PERIOD, self.size - start)]


@dataclass(frozen=True)
class Content:
    """What an object holds."""

    extents: tuple[Extent, ...] = ()

    @property
    def size(self) -> int:
        return sum(extent.size for extent in self.extents)

    def cut(self, start: int, size: int) -> Content:
        """A range of it, which must lie inside."""
        cuts = []
        for extent in self.extents:
            first, last = max(start, 0), min(start + size, extent.size)
            if first < last:
                cuts.append(extent.cut(first, last - first))
            start -= extent.size
        return Content(tuple(cuts))

    def read(self) -> Iterator[memoryview]:
        """All of it, in pieces of at most PERIOD bytes."""
        for extent in self.extents:
            yield from extent.read()

    def __add__(self, other: Content) -> Content:
        joined = list(self.extents)
        for extent in other.extents:
            last = joined[-1] if joined else None
            follows = last is not None and last.data is None and extent.data is None
            if (
                follows
                and last is not None
                and (
                    (last.start is None and extent.start is None)
                    or (
                        last.start is not None
                        and extent.start is not None
                        and (last.start + last.size - extent.start) % PERIOD == 0
                    )
                )
            ):
                joined[-1] = replace(last, size=last.size + extent.size)
            else:
                joined.append(extent)
        return Content(tuple(joined))


def make_content(size: int, start: int = 0) -> Content:
    """Content of the pattern."""
    return Content((Extent(size, start),)) if size else Content()


class Keeper:
    """Makes contents of bytes that come in. max_bytes: of what is not of the pattern; beyond it, zero bytes are kept instead of it."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._lock = threading.Lock()

    def keep(self, data: bytes, expected_start: int | None) -> Extent:
        """What to keep of some bytes. expected_start: where they are in the pattern, if they go on like what came before."""
        if expected_start is not None and self._is_pattern(data, expected_start):
            return Extent(len(data), expected_start % PERIOD)
        if data == _ZEROS[: len(data)]:
            return Extent(len(data))
        start = self._find(data)
        if start is not None and self._is_pattern(data, start):
            return Extent(len(data), start)
        with self._lock:
            if self._left < len(data):
                return Extent(len(data))
            self._left -= len(data)
        return Extent(len(data), 0, data)

    def _find(self, data: bytes) -> int | None:
        start = _TWICE.find(data[:_SAMPLE], 0, PERIOD + _SAMPLE) if len(data) >= _SAMPLE else -1
        return None if start < 0 else start

    def _is_pattern(self, data: bytes, start: int) -> bool:
        position = 0
        for view in _make_pattern(start, len(data)):
            if data[position : position + len(view)] != view.tobytes():
                return False
            position += len(view)
        return True
