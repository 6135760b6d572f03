"""PartBody: the bytes of one part of an upload, in memory or in a temporary file; what an HTTP library takes as a body, again and again."""

from __future__ import annotations

import contextlib
import io
import mmap
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator

from cloudalpha.exceptions import InsufficientSpaceFileSystemError
from cloudalpha.hashes import Hash, make_hash
from cloudalpha.native_io import native_errors
from cloudalpha.spool import SpoolFile

HASH_BYTES = 1 << 20


class PartBody(ABC):
    """The bytes of one part: appended to, then read from any place, as often as needed.

    One thread at a time appends, or reads as from a file; once nothing is appended any more, others may feed hashes meanwhile.
    size: bytes that it holds. capacity: bytes that it has room for.
    """

    size: int = 0
    capacity: int

    def __init__(self, path: str) -> None:
        self.path = path
        self._position = 0
        self._is_cancelled = False
        self._hashes: dict[str, bytes] = {}
        self._num_holders = 1
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.size

    def read(self, num_bytes: int | None = -1) -> bytes:
        """Bytes from the present position on, at most so many; b"" at the end. Raises OSError after `cancel`."""
        if self._is_cancelled:
            raise OSError("the upload was given up")
        rest = max(0, self.size - self._position)
        count = rest if num_bytes is None or num_bytes < 0 else min(num_bytes, rest)
        data = self._read_at(self._position, count)
        self._position += count
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another position, which is returned."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The present position."""
        return self._position

    def seekable(self) -> bool:
        """True."""
        return True

    def readable(self) -> bool:
        """True."""
        return True

    def get_hash(self, algorithm: str) -> bytes:
        """The digest of all bytes, by one of `cloudalpha.hashes`; computed once."""
        if algorithm not in self._hashes:
            digest = make_hash(algorithm)
            self.feed(digest)
            self._hashes[algorithm] = digest.digest()
        return self._hashes[algorithm]

    def iterate(self, num_bytes: int = HASH_BYTES) -> Iterator[bytes]:
        """All bytes, from the first one on, in pieces of at most so many."""
        for start in range(0, self.size, num_bytes):
            yield self._read_at(start, min(num_bytes, self.size - start))

    def feed(self, digest: Hash) -> None:
        """Give all bytes to a hash."""
        for piece in self.iterate():
            digest.update(piece)

    def hold(self) -> None:
        """Somebody more needs it."""
        with self._lock:
            self._num_holders += 1

    def let_go(self) -> bool:
        """Somebody needs it no more; whether that was the last one, who then has to close it."""
        with self._lock:
            self._num_holders -= 1
            return not self._num_holders

    def cancel(self) -> None:
        """Let whoever is reading fail at the next read. May be called by any thread."""
        self._is_cancelled = True

    @abstractmethod
    def append(self, data: memoryview) -> None:
        """Append bytes, for which there must be room."""

    @abstractmethod
    def _read_at(self, offset: int, num_bytes: int) -> bytes: ...

    @abstractmethod
    def close(self) -> None:
        """Free what it holds. Harmless when repeated."""


class MemoryPart(PartBody):
    """A part in memory of its own, which goes back to the operating system the moment that it is closed."""

    def __init__(self, path: str, capacity: int) -> None:
        super().__init__(path)
        self.capacity = capacity
        self._map = _map(capacity)

    def append(self, data: memoryview) -> None:
        end = self.size + len(data)
        self._map[self.size : end] = data
        self.size = end

    def grow(self, capacity: int) -> None:
        """Make room for more."""
        larger = _map(capacity)
        larger[: self.size] = self._map[: self.size]
        self._map.close()
        self._map = larger
        self.capacity = capacity

    def feed(self, digest: Hash) -> None:
        with memoryview(self._map) as view:
            digest.update(view[: self.size])  # type: ignore[arg-type]  # any buffer will do

    def _read_at(self, offset: int, num_bytes: int) -> bytes:
        return self._map[offset : offset + num_bytes]

    def close(self) -> None:
        self._map.close()
        self.size = 0


class SpoolPart(PartBody):
    """A part in a file of the spool, for when memory is short."""

    def __init__(self, path: str, capacity: int, spool_file: SpoolFile) -> None:
        super().__init__(path)
        self.capacity = capacity
        self._spool_file = spool_file

    def append(self, data: memoryview) -> None:
        with native_errors(self.path):
            if not self._spool_file.write(self.size, [data], len(data)):  # type: ignore[list-item]  # any buffer will do
                message = "the gateway has neither memory nor spool left for this transfer"
                raise InsufficientSpaceFileSystemError(self.path, message, temporary=True)
        self.size += len(data)

    def _read_at(self, offset: int, num_bytes: int) -> bytes:
        with native_errors(self.path):
            return self._spool_file.read(offset, num_bytes)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._spool_file.close()
        self.size = 0


def _map(capacity: int) -> mmap.mmap:
    return mmap.mmap(-1, max(1, capacity), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
