"""Handles: what OPEN and OPENDIR give out; bounded in number. And lanes: what must happen one after the other."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from cloudalpha.managers.sftp.listing import Listing
from cloudalpha.managers.sftp.packets import Status, StatusError
from cloudalpha.open_file import OpenFile

Job = Callable[[int], bytes]
"""What answers a request: takes its id, returns the whole reply. May block."""


class Request(NamedTuple):
    """A request that waits for a thread.

    num_bytes: what it, or its reply, takes of memory. then: what is done in a thread once the reply is on its way, if nothing waits in the lane.
    """

    id: int
    job: Job
    num_bytes: int
    then: Callable[[], None] | None = None


@dataclass(eq=False, slots=True)
class Lane:
    """Requests that are answered one after the other, because one may depend on the other. Belongs to the event loop.

    write_end: where the last byte ends of those that are to be written, if all that waits and runs are writes; else None.
    """

    waiting: deque[Request] = field(default_factory=deque)
    is_running: bool = False
    write_end: int | None = None

    def add(self, request: Request, write_end: int | None) -> None:
        """Queue a request. write_end: where a write ends; None for all others."""
        if self.is_busy:
            both_write = write_end is not None and self.write_end is not None
            self.write_end = max(write_end or 0, self.write_end or 0) if both_write else None
        else:
            self.write_end = write_end
        self.waiting.append(request)

    def is_free_for_write(self, offset: int) -> bool:
        """Whether a write at the offset need not wait for what is in the lane: nothing, or writes that end before it."""
        return not self.is_busy or (self.write_end is not None and offset >= self.write_end)

    @property
    def is_busy(self) -> bool:
        return self.is_running or bool(self.waiting)


@dataclass(eq=False, slots=True)
class FileHandle:
    """An open file. is_readable, is_writable: what it was opened for. is_append: writes go to the end, in the order in which they come."""

    file: OpenFile
    is_readable: bool
    is_writable: bool
    is_append: bool = False
    lane: Lane = field(default_factory=Lane)

    def is_free_for_write(self, offset: int) -> bool:
        """Whether a write that has come now may be done before what is in the lane."""
        return not self.lane.is_busy or (not self.is_append and self.lane.is_free_for_write(offset))


@dataclass(eq=False, slots=True)
class DirHandle:
    """A folder being listed."""

    path: str
    listing: Listing
    lane: Lane = field(default_factory=Lane)


class Handles:
    """The open handles of a session: at most `max_handles`, those that are being opened included. Safe for threads."""

    def __init__(self, max_handles: int) -> None:
        self._max_handles = max_handles
        self._num_reserved = 0
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._handles: dict[bytes, FileHandle | DirHandle] = {}

    def reserve(self) -> None:
        """Keep a place for a handle that is about to be opened. Raises StatusError when there is none."""
        with self._lock:
            if self._num_reserved >= self._max_handles:
                raise StatusError(Status.FAILURE, f"too many open files: at most {self._max_handles} in one session")
            self._num_reserved += 1

    def release(self) -> None:
        """Give a place back."""
        with self._lock:
            self._num_reserved -= 1

    def add(self, handle: FileHandle | DirHandle) -> bytes:
        """The name of a new handle, whose place is reserved."""
        name = next(self._numbers).to_bytes(4, "big")
        self._handles[name] = handle
        return name

    def get_file(self, name: bytes) -> FileHandle:
        handle = self._handles.get(name)
        if not isinstance(handle, FileHandle):
            raise StatusError(Status.FAILURE, "not the handle of an open file")
        return handle

    def get_dir(self, name: bytes) -> DirHandle:
        handle = self._handles.get(name)
        if not isinstance(handle, DirHandle):
            raise StatusError(Status.FAILURE, "not the handle of an open directory")
        return handle

    def pop(self, name: bytes) -> FileHandle | DirHandle:
        """Take a handle out; its place is given back by `release` once it is closed."""
        handle = self._handles.pop(name, None)
        if handle is None:
            raise StatusError(Status.FAILURE, "not an open handle")
        return handle

    def get_writer(self, path: str) -> FileHandle | None:
        """An open handle of this session that writes to a path."""
        for handle in list(self._handles.values()):
            if isinstance(handle, FileHandle) and handle.is_writable and handle.file.path == path:
                return handle
        return None

    def take_all(self) -> list[FileHandle | DirHandle]:
        """Every handle, taken out: at the session's end."""
        handles = list(self._handles.values())
        self._handles.clear()
        return handles

    @property
    def are_open(self) -> bool:
        """Whether any file is open."""
        return any(isinstance(handle, FileHandle) for handle in list(self._handles.values()))
