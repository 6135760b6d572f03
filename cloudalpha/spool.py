"""Spool: temporary files, bounded together, that keep what is written but not yet published.

What was sent to a storage cannot be read back or changed there before it is published; from the spool it can. A spool file is sparse and
has the offsets of the file that it stands for.
"""

from __future__ import annotations

import errno
import functools
import os
import tempfile
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cloudalpha.native_io import read_range, write_pieces

DEFAULT_SPOOL_SIZE = 1 << 30
MAX_RANGES = 1 << 17
"""How many scattered pieces one spool file keeps apart: they take memory."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Ranges:
    """A set of byte ranges [start, end), kept in order and merged."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._starts)

    def count_missing(self, start: int, end: int) -> int:
        """How many bytes of a range are not in the set."""
        missing = end - start
        for index in range(bisect_right(self._ends, start), bisect_left(self._starts, end)):
            missing -= min(end, self._ends[index]) - max(start, self._starts[index])
        return missing

    def add(self, start: int, end: int) -> None:
        """Add a range."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        self.num_bytes -= sum(self._ends[first:last]) - sum(self._starts[first:last])
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        self.num_bytes += end - start

    def cut(self, size: int) -> None:
        """Drop everything from `size` on."""
        first = bisect_right(self._ends, size)
        if first < len(self._starts) and self._starts[first] < size:
            self.num_bytes -= self._ends[first] - size
            self._ends[first] = size
            first += 1
        self.num_bytes -= sum(self._ends[first:]) - sum(self._starts[first:])
        del self._starts[first:], self._ends[first:]

    def get_end(self, start: int) -> int:
        """Where the unbroken range that holds `start` ends; `start` itself when it is not in the set."""
        index = bisect_right(self._ends, start)
        return self._ends[index] if index < len(self._starts) and self._starts[index] <= start else start

    def get_next(self, start: int) -> int | None:
        """The first place at or after `start` that is in the set; None when there is none."""
        index = bisect_right(self._ends, start)
        return max(start, self._starts[index]) if index < len(self._starts) else None

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """[start, end) in parts, in order: (start, end, whether it is in the set)."""
        while start < end:
            next_start = self.get_next(start)
            if next_start is None or next_start >= end:
                yield start, end, False
                return
            if start < next_start:
                yield start, next_start, False
            start = min(end, self.get_end(next_start))
            yield next_start, start, True


class Spool:
    """A folder for spool files, and the bytes that all of them may hold together. One for the process; safe for threads.

    dir_path: made when it is missing, mode 0700; None means the system's folder for temporary files. max_bytes: 0 forbids spooling.
    """

    def __init__(self, dir_path: Path | None, max_bytes: int) -> None:
        self.dir_path = dir_path
        self.max_bytes = max_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()
        if dir_path is not None and max_bytes:
            dir_path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def used_bytes(self) -> int:
        """The bytes that all spool files hold now."""
        return self._used_bytes

    def create_file(self) -> SpoolFile | None:
        """A new, empty spool file without a name; None when the spool is forbidden or its folder takes no more."""
        if not self.max_bytes:
            return None
        try:
            file = tempfile.TemporaryFile(dir=self.dir_path, prefix="cloudalpha-")  # noqa: SIM115 - closed by SpoolFile
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return None
        return SpoolFile(self, file)

    def reserve(self, num_bytes: int) -> bool:
        """Take bytes of the bound, if they are there."""
        with self._lock:
            if self._used_bytes + num_bytes > self.max_bytes:
                return False
            self._used_bytes += num_bytes
            return True

    def release(self, num_bytes: int) -> None:
        """Give bytes of the bound back."""
        with self._lock:
            self._used_bytes -= num_bytes


class SpoolFile:
    """A sparse temporary file without a name. Belongs to one thread at a time. What the operating system refuses is an OSError."""

    def __init__(self, spool: Spool, file: IO[bytes]) -> None:
        self.ranges = Ranges()
        self._spool = spool
        self._file = file
        self._fd = file.fileno()

    def write(self, offset: int, pieces: Sequence[bytes], num_bytes: int) -> bool:
        """Write pieces, num_bytes together, one behind the other; False when there is no room for them: then nothing is known to be written."""
        missing = self.ranges.count_missing(offset, offset + num_bytes)
        if len(self.ranges) >= MAX_RANGES or not self._spool.reserve(missing):
            return False
        try:
            write_pieces(self._fd, pieces, offset)
        except OSError as error:
            self._spool.release(missing)
            if error.errno not in _FULL:
                raise
            return False
        self.ranges.add(offset, offset + num_bytes)
        return True

    def read(self, offset: int, num_bytes: int) -> bytes:
        """A range that was written."""
        return read_range(self._fd, offset, num_bytes)

    def cut(self, size: int) -> None:
        """Forget everything from `size` on."""
        before = self.ranges.num_bytes
        self.ranges.cut(size)
        if before != self.ranges.num_bytes:
            os.ftruncate(self._fd, size)
            self._spool.release(before - self.ranges.num_bytes)

    def close(self) -> None:
        """Forget everything and free the space. Harmless when repeated."""
        if not self._file.closed:
            self._file.close()
            self._spool.release(self.ranges.num_bytes)


_default_spools: list[Spool] = []


def get_default_spool() -> Spool:
    """The spool of those who were given none: what `set_default_spool` said last, else one in the system's folder for temporary files."""
    return _default_spools[-1] if _default_spools else _make_default_spool()


def set_default_spool(spool: Spool) -> None:
    """From now on those who are given no spool use this one, until it is taken back."""
    _default_spools.append(spool)


def take_back_default_spool(spool: Spool) -> None:
    """Its folder may go: those who are given no spool use another one again. Harmless when repeated."""
    if spool in _default_spools:
        _default_spools.remove(spool)


@functools.cache
def _make_default_spool() -> Spool:
    return Spool(None, DEFAULT_SPOOL_SIZE)
