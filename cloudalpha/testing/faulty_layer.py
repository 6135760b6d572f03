"""FaultyLayer: a storage that fails when the test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions, close_stream
from cloudalpha.testing.intercepting_layer import InterceptedNewFile, InterceptingLayer

T = TypeVar("T")


def outage(path: str) -> AccessFailedFileSystemError:
    """The error of a storage that does not answer just now."""
    return AccessFailedFileSystemError(path, "the connection to the storage was lost", temporary=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    call: the method that fails: `delete`, `NewFile.commit` ...
    on: which of its calls, from when the fault was planned; 1 is the next one. With `path`, only calls for that path are counted.
    times: how many calls in a row fail; None for all that follow.
    error: makes the error out of the path; an error class will do.
    after: the stream breaks after so many bytes (`read`), entries (`list_dir`); `NewFile.write` takes so many bytes of a file, and no more
        (`on` counts files then).
    takes_effect: the call does what it should, and then fails all the same: its reply was lost.
    hold: the call waits for this event first, at most hold_seconds; a fault with `error=None` does nothing else.
    """

    call: str
    on: int = 1
    times: int | None = 1
    path: str | None = None
    error: Callable[[str], BaseException] | None = outage
    after: int | None = None
    takes_effect: bool = False
    hold: threading.Event | None = None
    hold_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.after is not None and self.call not in ("read", "list_dir", "NewFile.write"):
            raise ValueError(f"{self.call} is no stream that could break after some of it")


class FaultyLayer(InterceptingLayer):
    """Fails by a schedule of Faults; forwards everything while there is none.

    raised: the faults that struck, in order, for the test to see that it tested anything.

        files = FaultyLayer(inner, [Fault("read", after=1000), Fault("NewFile.commit", takes_effect=True)])
        files.plan(Fault("list_dir", on=2, error=PermissionDeniedFileSystemError))
    """

    def __init__(self, inner: FileSystem, faults: Iterable[Fault] = ()) -> None:
        super().__init__(inner)
        self.raised: list[Fault] = []
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        for fault in faults:
            self.plan(fault)

    def plan(self, fault: Fault) -> None:
        """Add a fault; several strike in the order in which they were planned."""
        with self._lock:
            self._planned.append(_Planned(fault))

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._planned.clear()

    def intercept(self, call: str, path: str, action: Callable[[], T]) -> T:
        fault = self._strike(call, path, breaks=False)
        if fault is None:
            return action()
        if fault.hold is not None:
            fault.hold.wait(fault.hold_seconds)
        if fault.error is None:
            return action()
        if fault.takes_effect:
            action()
        raise fault.error(path)

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        fault = self._strike("list_dir", path, breaks=True)
        entries = super().list_dir(path)
        return entries if fault is None else BreakingStream(entries, path, fault, lambda entry, room: entry)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        fault = self._strike("read", path, breaks=True)
        chunks = super().read(path, start_byte, num_bytes, expected)
        return chunks if fault is None else BreakingStream(chunks, path, fault, lambda chunk, room: chunk[:room])

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        fault = self._strike("NewFile.write", path, breaks=True)
        inner_file = self.intercept("create_new_file", path, lambda: self.inner.create_new_file(path, options))
        return FaultyNewFile(inner_file, self, fault)

    def _strike(self, call: str, path: str, breaks: bool) -> Fault | None:
        """Count a call against the plan; the fault that strikes it."""
        with self._lock:
            struck = None
            for planned in self._planned:
                fault = planned.fault
                if fault.call != call or (fault.after is not None) != breaks or fault.path not in (None, path):
                    continue
                planned.calls += 1
                last = None if fault.times is None else fault.on + fault.times - 1
                if struck is None and planned.calls >= fault.on and (last is None or planned.calls <= last):
                    struck = fault
            if struck is not None:
                self.raised.append(struck)
            return struck


class FaultyNewFile(InterceptedNewFile):
    """A NewFile that may fail. After an error it takes nothing but `discard`: whoever goes on gets a ValueError."""

    layer: FaultyLayer

    def __init__(self, inner_file: NewFile, layer: FaultyLayer, fault: Fault | None) -> None:
        super().__init__(inner_file, layer)
        self._fault = fault
        self._failed = False

    def write(self, data: bytes) -> None:
        self._check()
        fault = self._fault
        if fault is None or fault.after is None or fault.error is None:
            self._guard(lambda: super(FaultyNewFile, self).write(data))
            return
        view = memoryview(data).cast("B")
        room = max(fault.after - self.offset, 0)
        self._guard(lambda: super(FaultyNewFile, self).write(bytes(view[:room])))
        if len(view) > room:
            self._failed = True
            raise fault.error(self.path)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self._check()
        self._guard(lambda: super(FaultyNewFile, self).keep(start_byte, num_bytes))

    def commit(self) -> FileMetadata:
        self._check()
        try:
            return super().commit()
        except (
            AlreadyExistsFileSystemError,
            RevisionMismatchFileSystemError,
        ):  # refused by its condition: may be repeated
            raise
        except Exception:
            self._failed = True
            raise

    def _check(self) -> None:
        if self._failed:
            raise ValueError("after an error only discard is allowed")

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            self._failed = True
            raise


@dataclass(slots=True)
class _Planned:
    fault: Fault
    calls: int = 0


class BreakingStream(Iterator[T]):
    """A stream that raises after some of it. cut: the part of an item for which there is still room."""

    def __init__(self, inner: Iterator[T], path: str, fault: Fault, cut: Callable[[T, int], T]) -> None:
        self.inner = inner
        self.path = path
        self.fault = fault
        self.cut = cut
        self.room = fault.after or 0

    def __next__(self) -> T:
        if self.room <= 0 and self.fault.error is not None:
            raise self.fault.error(self.path)
        item = self.cut(next(self.inner), self.room)
        self.room -= len(item) if isinstance(item, bytes) else 1
        return item

    def close(self) -> None:
        """Release what the inner iterator holds."""
        close_stream(self.inner)
