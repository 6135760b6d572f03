"""PartedFile: the NewFile of storages that take a file in parts, over what a service supplies as a `PartStore`.

What is written is gathered into parts, which are sent while the next one is gathered, several at a time. Small content goes in one step. What is
kept is copied by the service; pieces of it that are too small to be a part are read, and join what stands before or behind them.

    new_file = PartedFile(path, store, options, executor=executor, part_size=8 << 20, parts_in_flight=8)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    IsADirectoryFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import NewFile, WriteOptions
from cloudalpha.logs import log_event
from cloudalpha.spool import Spool, get_default_spool
from cloudalpha.toolkit.memory_budget import MemoryBudget, get_process_budget
from cloudalpha.toolkit.part_bodies import PartBody
from cloudalpha.toolkit.part_memory import PartMemory
from cloudalpha.toolkit.part_sender import PartSender
from cloudalpha.toolkit.part_sizes import PartSizes
from cloudalpha.toolkit.part_store import PartStore, Receipt
from cloudalpha.toolkit.retry import Retry
from cloudalpha.toolkit.stream_hashes import StreamHashes

__all__ = ["PartBody", "PartStore", "PartedFile", "Receipt"]

_logger = logging.getLogger("cloudalpha.toolkit")
_CONDITIONS = (AlreadyExistsFileSystemError, RevisionMismatchFileSystemError, IsADirectoryFileSystemError)
"""What a commit may be refused with and then repeated."""


class PartedFile(NewFile):
    """A file on its way in parts.

    Memory: at most parts_in_flight + 1 parts, within the share that `budget` gives; what that gives nothing for is gathered in the spool. After an
    error the space is free as soon as no part is under way any more, and every further call raises that error again.

    executor: runs parts and nothing that waits for a client; it has to outlive the file. part_size: bytes, as far as the store's limits allow.
    hashes: algorithms of `cloudalpha.hashes`, computed of what is written unless something is kept or resumed, and given to the store.
    """

    def __init__(
        self,
        path: str,
        store: PartStore,
        options: WriteOptions = WriteOptions(),
        *,
        executor: Executor,
        part_size: int = 8 << 20,
        parts_in_flight: int = 8,
        hashes: Sequence[str] = ("md5", "sha256"),
        budget: MemoryBudget | None = None,
        spool: Spool | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.path = path
        self.token = store.token
        self._store = store
        self._options = options
        self._retry = retry or Retry()
        self._sizes = PartSizes(store, part_size, options.size, parts_in_flight)
        self._memory = PartMemory(path, budget or get_process_budget(), spool or get_default_spool(), self._check_parts)
        self._sender = PartSender(path, store, executor, self._retry, parts_in_flight, self._memory.release)
        self._body: PartBody | None = None
        self._body_size = 0
        self._hashes = StreamHashes(hashes, executor, self._memory.release)
        self._pinned_size: int | None = None
        self._kept: tuple[int, int] | None = None  # start and length of what is kept and not on its way yet
        self._num_parts = 0
        self._num_sent = 0  # bytes of all parts
        self._has_begun = self._is_over = False
        self._failure: FileSystemError | None = None
        self._take_over(store.resumed)

    def write(self, data: bytes) -> None:
        self._check_usable()
        view = memoryview(data)
        if not view.nbytes:
            return
        with self._poisoned_by_errors(), view.cast("B") as content:
            self._check_size(self.offset + len(content))
            self._settle()
            self._append(content)
            self.offset += len(content)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self._check_usable()
        with self._poisoned_by_errors():
            if self._pinned_size is None:
                self._pinned_size = self._store.pin()
            if start_byte + num_bytes > self._pinned_size:
                raise RevisionMismatchFileSystemError(self.path, "the file is shorter than what is to be kept of it")
            if not num_bytes:
                return
            self._check_size(self.offset + num_bytes)
            self._hashes.drop()
            if self._kept is not None and sum(self._kept) == start_byte:
                self._kept = self._kept[0], self._kept[1] + num_bytes
            else:
                self._settle()
                self._kept = start_byte, num_bytes
            self.offset += num_bytes

    def commit(self) -> FileMetadata:
        self._check_usable()
        with self._poisoned_by_errors():
            if self._options.size not in (None, self.offset):
                raise FileSystemError(self.path, f"{self.offset} bytes came instead of {self._options.size}")
            self._settle()
            if self._has_begun:
                self._flush()
                self._sender.wait()
        with self._poisoned_by_errors(but_for=_CONDITIONS):
            metadata = self._publish()
        self._is_over = True
        self._drop_body()
        self._close()
        return metadata

    def discard(self) -> None:
        if not self._is_over:
            self._give_up()

    # Gathering

    def _append(self, content: memoryview) -> None:
        while content:
            body = self._get_body()
            count = min(len(content), body.capacity - body.size)
            body.append(content[:count])
            content = content[count:]

    def _get_body(self) -> PartBody:
        """What is gathered; there is room in it."""
        if self._body is not None and self._body.size == self._body_size:
            self._flush()
        if self._body is None:
            size = self._sizes.get_size(self._num_parts, self._num_sent)
            if self._options.size is not None:
                size = min(size, self._options.size - self._num_sent)
            self._body = self._memory.make_body(size)
            self._body_size = size
        elif self._body.size == self._body.capacity:
            self._body = self._memory.grow(self._body, self._body_size)
        return self._body

    def _flush(self) -> None:
        """Send what is gathered."""
        if self._body is not None:
            number = self._next_number()
            body, self._body = self._body, None
            self._num_sent += body.size
            self._hashes.add(body)
            self._sender.put(number, body)

    def _next_number(self) -> int:
        self._sender.check()
        if self._num_parts == self._store.max_parts:
            raise InsufficientSpaceFileSystemError(self.path, "the file has more parts than the storage takes")
        if not self._has_begun:
            self._store.begin()
            self._has_begun = True
        self._num_parts += 1
        return self._num_parts

    # Keeping

    def _settle(self) -> None:
        """Decide how what is kept gets there, now that it is known where it ends."""
        if self._kept is None:
            return
        (start, num_bytes), self._kept = self._kept, None
        smallest = self._sizes.get_min_size(self._num_parts)
        gathered = self._body.size if self._body is not None else 0
        lacking = max(0, smallest - gathered) if gathered else 0
        is_copied = self._store.copies_parts and num_bytes - lacking >= smallest
        num_read = lacking if is_copied else num_bytes
        self._append_kept(start, num_read)
        if num_read < num_bytes:
            self._flush()
            for piece, size in self._sizes.split(self._num_parts, start + num_read, num_bytes - num_read):
                number = self._next_number()
                self._num_sent += size
                self._sender.copy(number, piece, size)

    def _append_kept(self, start: int, num_bytes: int) -> None:
        """Move a range through the gateway."""
        for chunk in self._read_kept(start, num_bytes):
            with memoryview(chunk) as content:
                self._append(content)

    def _read_kept(self, start: int, num_bytes: int) -> Iterator[bytes]:
        """A kept range; a read that breaks off goes on where it did."""
        attempts = self._retry.begin(self._sender.stop)
        end = start + num_bytes
        while start < end:
            try:
                for chunk in self._store.read_kept(start, end - start):
                    piece = chunk[: end - start]
                    start += len(piece)
                    attempts.reset()
                    yield piece
                if start < end:
                    raise AccessFailedFileSystemError(
                        self.path, "the storage sent less than was asked for", temporary=True
                    )
            except FileSystemError as error:
                attempts.wait_after(error)

    # Publishing

    def _publish(self) -> FileMetadata:
        hashes = self._hashes.get(self._body)
        if not self._has_begun:
            if self._body is None:
                self._body = self._memory.make_body(1)
            self._body.seek(0)
            return self._store.put_whole(self._body, hashes)
        return self._store.complete(sorted(self._sender.parts.items()), self.offset, hashes)

    def _take_over(self, resumed: Sequence[tuple[int, int, Receipt]]) -> None:
        """Begin behind what an earlier session sent."""
        if resumed:
            self._sender.parts.update((number, receipt) for number, _, receipt in resumed)
            self._num_parts = resumed[-1][0]
            self.offset = self._num_sent = sum(size for _, size, _ in resumed)
            self._hashes.drop()
            self._has_begun = True

    # State

    def _check_parts(self) -> None:
        self._sender.check()

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._failure.at(self.path) from self._failure
        if self._is_over:
            raise ValueError("the file is committed or discarded already")

    def _check_size(self, size: int) -> None:
        if self._options.size is not None and size > self._options.size:
            raise FileSystemError(self.path, f"more bytes came than the announced {self._options.size}")
        if size > self._store.max_size:
            raise InsufficientSpaceFileSystemError(self.path, "the file is larger than the storage takes")

    @contextmanager
    def _poisoned_by_errors(self, but_for: tuple[type[FileSystemError], ...] = ()) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not isinstance(error, but_for):
                if isinstance(error, FileSystemError):
                    self._failure = error
                self._give_up()
            raise

    def _give_up(self) -> None:
        self._is_over = True
        self._kept = None
        self._hashes.drop()
        self._drop_body()
        self._sender.cancel(self._abort)

    def _drop_body(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            self._memory.release(body)

    def _abort(self) -> None:
        """Free what the service holds of the file; nothing is under way any more."""
        if self._has_begun:
            self._quietly(self._store.abort)
        self._close()

    def _close(self) -> None:
        self._memory.close()
        self._quietly(self._store.close)

    def _quietly(self, action: Callable[[], None]) -> None:
        try:
            action()
        except FileSystemError as error:
            log_event(_logger, "upload_not_aborted", path=self.path, error=error.message)
