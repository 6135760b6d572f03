"""Adapters in memory, which hold whoever uses them to the rules of a real storage, and which fail, tear and stall as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected
from cloudalpha.toolkit.parallel_reader import RangeResponse, RangeSource
from cloudalpha.toolkit.part_upload import PartBody, PartStore, Receipt
from cloudalpha.toolkit.retry import Retry

PATH = "/folder/file"
QUICK = Retry(attempts=5, max_seconds=10, first_pause=0.0001, max_pause=0.001)


def fail(temporary: bool = True) -> FileSystemError:
    """An error of the storage."""
    return AccessFailedFileSystemError(PATH, "told to fail", temporary)


class MemoryPartStore(PartStore):
    """One upload of a storage that takes parts of 5 bytes and more.

    content: what the path holds; None for nothing. on_part: called before a part is stored, with its number and the count of its attempt.
    """

    min_part_size = 5
    max_part_size = 1 << 30
    max_size = 1 << 20
    max_copy_size = 64

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.published: bytes | None = None
        self.on_part: Callable[[int, int], None] = lambda number, attempt: None
        self.calls: list[str] = []
        self.parts: dict[int, bytes] = {}
        self.hashes: Mapping[str, str] = {}
        self.num_read = self.num_sent = self.num_copied = 0
        self.most_in_flight = 0
        self._attempts: dict[int, int] = {}
        self._in_flight: set[int] = set()
        self._lock = threading.Lock()

    def put_whole(self, body: PartBody, hashes: Mapping[str, str]) -> FileMetadata:
        self._call("put_whole")
        assert "begin" not in self.calls
        return self._publish(body.read(), hashes)

    def begin(self) -> None:
        assert "begin" not in self.calls
        self._call("begin")

    def put_part(self, number: int, body: PartBody) -> Receipt:
        with self._part(number):
            half = body.read(len(body) // 2)  # a request that fails has read a part of its body
            self._interfere(number)
            data = half + b"".join(iter(lambda: body.read(3), b""))
            assert len(data) == len(body) <= self.max_part_size
            self.num_sent += len(data)
            return self._keep(number, data)

    def copy_part(self, number: int, start_byte: int, num_bytes: int) -> Receipt:
        assert "pin" in self.calls and self.copies_parts
        assert num_bytes >= self.min_part_size
        with self._part(number):
            self._interfere(number)
            data = self._get_content()[start_byte : start_byte + num_bytes]
            assert len(data) == num_bytes
            self.num_copied += len(data)
            return self._keep(number, data)

    def pin(self) -> int:
        assert "pin" not in self.calls
        if self.content is None:
            raise NotFoundFileSystemError(PATH)
        self._call("pin")
        return len(self.content)

    def read_kept(self, start_byte: int, num_bytes: int) -> Iterator[bytes]:
        self._call("read_kept")
        end = start_byte + num_bytes
        for start in range(start_byte, end, 4):
            yield self._get_content()[start : min(start + 4, end)]
            self.num_read += min(4, end - start)

    def complete(self, parts: Sequence[tuple[int, Receipt]], size: int, hashes: Mapping[str, str]) -> FileMetadata:
        self._call("complete")
        assert not self._in_flight and "abort" not in self.calls
        numbers = [number for number, _ in parts]
        assert numbers == sorted(set(numbers)) and numbers[0] >= 1 and numbers[-1] <= self.max_parts
        assert all(receipt == f"receipt {number}" for number, receipt in parts)
        assert all(len(self.parts[number]) >= self.min_part_size for number in numbers[:-1])
        content = b"".join(self.parts[number] for number in numbers)
        assert len(content) == size
        return self._publish(content, hashes)

    def abort(self) -> None:
        assert "begin" in self.calls or self.resumed
        assert "abort" not in self.calls and not self._in_flight and self.published is None
        self._call("abort")

    def close(self) -> None:
        self._call("close")

    def _call(self, name: str) -> None:
        assert "close" not in self.calls, f"{name} after close"
        self.calls.append(name)

    def _part(self, number: int) -> _InFlight:
        assert "begin" in self.calls or self.resumed
        assert 1 <= number <= self.max_parts
        return _InFlight(self, number)

    def _interfere(self, number: int) -> None:
        with self._lock:
            attempt = self._attempts[number] = self._attempts.get(number, 0) + 1
        self.on_part(number, attempt)

    def _keep(self, number: int, data: bytes) -> str:
        with self._lock:
            self.parts[number] = data
        return f"receipt {number}"

    def _get_content(self) -> bytes:
        if self.content is None:
            raise RevisionMismatchFileSystemError(PATH)
        return self.content

    def _publish(self, content: bytes, hashes: Mapping[str, str]) -> FileMetadata:
        self.published, self.hashes = content, dict(hashes)
        return FileMetadata(PATH, False, len(content))


class _InFlight:
    def __init__(self, store: MemoryPartStore, number: int) -> None:
        self._store = store
        self._number = number

    def __enter__(self) -> None:
        with self._store._lock:
            assert self._number not in self._store._in_flight
            assert "abort" not in self._store.calls and "close" not in self._store.calls
            self._store._in_flight.add(self._number)
            self._store.most_in_flight = max(self._store.most_in_flight, len(self._store._in_flight))

    def __exit__(self, *details: object) -> None:
        with self._store._lock:
            self._store._in_flight.remove(self._number)


class Blockade:
    """Holds up those who pass, until it is lifted, for one of them or for all."""

    def __init__(self) -> None:
        self.arrived: list[int] = []
        self._lifted = threading.Event()
        self._lifted_for: dict[int, threading.Event] = {}
        self._lock = threading.Lock()

    def __call__(self, number: int, attempt: int = 1) -> None:
        with self._lock:
            self.arrived.append(number)
            mine = self._lifted_for.setdefault(number, self._lifted if self._lifted.is_set() else threading.Event())
        assert mine.wait(30)

    def lift(self, number: int | None = None) -> None:
        """Let one pass, or everybody from now on."""
        with self._lock:
            if number is None:
                self._lifted.set()
                for event in self._lifted_for.values():
                    event.set()
            else:
                self._lifted_for.setdefault(number, threading.Event()).set()


@dataclass
class Request:
    """One request for a range: what was asked for, and how many bytes were taken of it."""

    start: int
    num_bytes: int | None
    expected: Expected
    taken: int = 0
    is_closed: bool = False


@dataclass
class MemoryRangeSource(RangeSource):
    """A file whose ranges come in small chunks.

    on_chunk: called before each chunk, with the request and the place in the file; what it raises tears the body.
    """

    content: bytes
    chunk_size: int = 7
    revision: str | None = "1"
    requests: list[Request] = field(default_factory=list)
    on_open: Callable[[Request], None] = lambda request: None
    on_chunk: Callable[[Request, int], None] = lambda request, position: None
    is_short: bool = False

    def open(self, start_byte: int, num_bytes: int | None, expected: Expected) -> RangeResponse:
        request = Request(start_byte, num_bytes, expected)
        self.requests.append(request)
        self.on_open(request)
        if expected not in (ANYTHING, self.revision):
            raise RevisionMismatchFileSystemError(PATH)
        content = self.content
        end = len(content) if num_bytes is None else min(len(content), start_byte + num_bytes)
        return RangeResponse(len(content), self.revision, self._stream(request, content, start_byte, end))

    def _stream(self, request: Request, content: bytes, start: int, end: int) -> Iterator[bytes]:
        try:
            for position in range(start, end, self.chunk_size):
                self.on_chunk(request, position)
                chunk = content[position : min(end, position + self.chunk_size)]
                request.taken += len(chunk)
                yield chunk
                if self.is_short:
                    return
        finally:
            request.is_closed = True
