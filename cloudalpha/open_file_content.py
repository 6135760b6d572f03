"""What a Draft is made of until it is committed: in a descriptor of the storage's own, or on its way to the storage."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator

from cloudalpha.file_system import NewFile
from cloudalpha.native_io import (
    COPY_BYTES,
    CachedReader,
    copy_range,
    is_in_memory,
    native_errors,
    read_range,
    write_from_pipe,
    write_pieces,
)
from cloudalpha.open_file_reader import PublishedFile

PIECE_COST = 128
"""What keeping a piece takes beside its bytes, about: many tiny pieces must not get around a bound."""

Begin = Callable[[], NewFile]
"""Begins a NewFile for the same path."""


class DraftContent(ABC):
    """Unpublished content: the first `kept` bytes of a published file, with what was written over and behind them.

    Belongs to one thread at a time. After an error of write, truncate or prepare only `discard` is allowed, but for those that
    truncate names.
    """

    size: int
    writes_at_once: bool = False
    """Whether `write` never waits for anything."""

    @abstractmethod
    def write(self, offset: int, pieces: list[bytes]) -> None:
        """Write pieces one behind the other; what lies between the end and offset becomes zeros."""

    @abstractmethod
    def truncate(self, size: int) -> None:
        """Cut, or extend by zeros. Raises Unsupported-, InsufficientSpaceFileSystemError with everything as it was."""

    @abstractmethod
    def read(self, offset: int, num_bytes: int) -> bytes:
        """A range; shorter only at the end. Raises UnsupportedOperationFileSystemError for what cannot be had any more."""

    def try_read(self, offset: int, num_bytes: int) -> bytes | None:
        """A range, if it can be had without blocking."""
        return None

    @abstractmethod
    def prepare(self) -> NewFile:
        """The NewFile with the whole content in it, to be committed."""

    @abstractmethod
    def can_send_again(self) -> bool:
        """Whether the content can be written to another NewFile."""

    @abstractmethod
    def send_again(self, begin: Begin) -> NewFile:
        """The whole content in another NewFile, which takes the place of the one so far."""

    def leave_path(self) -> None:  # noqa: B027 - a descriptor stays of use
        """What is kept lies at another path from now on: the NewFile so far is of no use, if it needs to be written to again."""

    @abstractmethod
    def discard(self) -> None:
        """Forget the NewFile, if it is not committed, and free all space. Harmless when repeated."""


class NativeContent(DraftContent):
    """Content in a descriptor of the NewFile."""

    def __init__(self, path: str, new_file: NewFile, base: PublishedFile | None, kept: int) -> None:
        self._path = path
        self._attach(new_file)
        self.size = kept
        if base is not None and kept:
            with native_errors(path):
                self._copy(base, kept)

    def _attach(self, new_file: NewFile) -> None:
        file = new_file.get_native_file()
        if file is None:
            raise AssertionError("only for a NewFile with a descriptor")
        self._new_file = new_file
        self._fd = file.fileno()
        self._cached_reader = CachedReader(self._fd)
        self.writes_at_once = is_in_memory(self._fd)

    def _copy(self, base: PublishedFile, kept: int) -> None:
        native_file = base.get_native_file()
        if native_file is not None:
            copy_range(self._path, native_file.fileno(), self._fd, kept)
            return
        for offset in range(0, kept, COPY_BYTES):
            write_pieces(self._fd, [base.read_at(offset, min(COPY_BYTES, kept - offset))], offset)

    def write(self, offset: int, pieces: list[bytes]) -> None:
        with native_errors(self._path):
            write_pieces(self._fd, pieces, offset)
        self.size = max(self.size, offset + sum(map(len, pieces)))

    def write_from_pipe(self, offset: int, pipe_fd: int, num_bytes: int) -> None:
        """Write what a pipe holds. As `write`."""
        with native_errors(self._path):
            write_from_pipe(self._fd, pipe_fd, num_bytes, offset)
        self.size = max(self.size, offset + num_bytes)

    def truncate(self, size: int) -> None:
        with native_errors(self._path):
            os.ftruncate(self._fd, size)
        self.size = size

    def read(self, offset: int, num_bytes: int) -> bytes:
        with native_errors(self._path):
            return read_range(self._fd, offset, num_bytes)

    def try_read(self, offset: int, num_bytes: int) -> bytes | None:
        with native_errors(self._path):
            return self._cached_reader.try_read(offset, num_bytes)

    def prepare(self) -> NewFile:
        return self._new_file

    def can_send_again(self) -> bool:
        return True

    def send_again(self, begin: Begin) -> NewFile:
        new_file = begin()
        try:
            file = new_file.get_native_file()
            with native_errors(self._path):
                if file is not None:
                    copy_range(self._path, self._fd, file.fileno(), self.size)
                else:
                    for offset in range(0, self.size, COPY_BYTES):
                        new_file.write(read_range(self._fd, offset, COPY_BYTES))
        except BaseException:
            new_file.discard()
            raise
        self._new_file.discard()
        self._new_file = new_file
        return new_file

    def discard(self) -> None:
        self._new_file.discard()


class WriteBuffer:
    """What was written and waits to be handed to the content, in the order of the calls. Whoever shares it locks it.

    max_bytes: what it may hold; a piece for which there is no room can be put all the same, by a caller that then waits until all is handed on.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._runs: list[tuple[int, list[bytes]]] = []
        self._next_offset = -1

    def __bool__(self) -> bool:
        return bool(self._runs)

    def has_room(self, num_bytes: int) -> bool:
        """Whether a piece of that size can wait here."""
        return self._num_bytes + num_bytes + PIECE_COST <= self._max_bytes

    def put(self, offset: int, data: bytes) -> None:
        """Put a piece behind all others."""
        if offset == self._next_offset and self._runs:
            self._runs[-1][1].append(data)
        else:
            self._runs.append((offset, [data]))
        self._next_offset = offset + len(data)
        self._num_bytes += len(data) + PIECE_COST

    def take(self) -> list[tuple[int, list[bytes]]]:
        """Everything, as (offset, pieces that follow each other); nothing is left here."""
        runs, self._runs = self._runs, []
        self._num_bytes = 0
        return runs

    def get_end(self) -> int:
        """The offset behind the last byte; 0 when nothing waits."""
        return max((offset + sum(map(len, pieces)) for offset, pieces in self._runs), default=0)


class Window:
    """Pieces that wait in memory for what comes before them; apart from each other, in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self.num_bytes = 0

    def put(self, start: int, data: bytes) -> None:
        """Put a piece, over those that it overlaps."""
        end = start + len(data)
        first = bisect_left(self._starts, start)
        if first and self._starts[first - 1] + len(self._pieces[first - 1]) > start:
            first -= 1
        last = first
        parts: list[tuple[int, bytes]] = []
        while last < len(self._starts) and self._starts[last] < end:
            old_start, old = self._starts[last], self._pieces[last]
            self.num_bytes -= len(old)
            if old_start < start:
                parts.append((old_start, old[: start - old_start]))
            if old_start + len(old) > end:
                parts.append((end, old[end - old_start :]))
            last += 1
        parts = sorted([*parts, (start, data)])
        self._starts[first:last] = [part[0] for part in parts]
        self._pieces[first:last] = [part[1] for part in parts]
        self.num_bytes += sum(len(part[1]) for part in parts)

    def cut(self, size: int) -> None:
        """Drop everything from `size` on."""
        first = bisect_left(self._starts, size)
        self.num_bytes -= sum(map(len, self._pieces[first:]))
        del self._starts[first:], self._pieces[first:]
        if first and self._starts[-1] + len(self._pieces[-1]) > size:
            self.num_bytes -= self._starts[-1] + len(self._pieces[-1]) - size
            self._pieces[-1] = self._pieces[-1][: size - self._starts[-1]]

    @property
    def cost(self) -> int:
        """The memory that the pieces take, about."""
        return self.num_bytes + len(self._pieces) * PIECE_COST

    def get_start(self) -> int | None:
        """Where the first piece starts."""
        return self._starts[0] if self._starts else None

    def pop(self) -> bytes:
        """Take the first piece out."""
        del self._starts[0]
        data = self._pieces.pop(0)
        self.num_bytes -= len(data)
        return data

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, bytes | None]]:
        """[start, end) in parts, in order: (start, end, the bytes, or None for what is not here)."""
        for piece_start, piece in zip(self._starts, self._pieces, strict=True):
            piece_end = piece_start + len(piece)
            if piece_end <= start:
                continue
            if piece_start >= end:
                break
            if start < piece_start:
                yield start, piece_start, None
                start = piece_start
            yield start, min(end, piece_end), piece[start - piece_start : end - piece_start]
            start = min(end, piece_end)
        if start < end:
            yield start, end, None
