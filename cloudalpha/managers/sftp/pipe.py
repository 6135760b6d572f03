"""Pipe: a channel's bytes for code that blocks, in one thread beside the event loop; bounded both ways."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

_MAX_RECEIVED_BYTES = 1024 * 1024
_MAX_SENT_BYTES = 1024 * 1024


class PipeLostError(Exception):
    """The channel is gone, or the client stopped in the middle."""


class Wire(Protocol):
    """What a protocol needs of its channel; for the event loop."""

    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def finish(self, status: int) -> None: ...


class Pipe:
    """`feed`, `end`, `pause_writing`, `resume_writing` and `lose` are for the event loop; `read`, `write` and `finish` for one thread."""

    def __init__(self, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        self._wire = wire
        self._loop = loop
        self._changed = threading.Condition()
        self._received = bytearray()
        self._num_unsent = 0
        self._is_ended = False
        self._is_lost = False
        self._is_writing_paused = False
        self._is_reading_paused = False

    # For the event loop

    def feed(self, data: bytes) -> None:
        with self._changed:
            self._received += data
            if len(self._received) >= _MAX_RECEIVED_BYTES and not self._is_reading_paused:
                self._is_reading_paused = True
                self._wire.pause_reading()
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def pause_writing(self) -> None:
        with self._changed:
            self._is_writing_paused = True

    def resume_writing(self) -> None:
        with self._changed:
            self._is_writing_paused = False
            self._changed.notify_all()

    def lose(self) -> None:
        with self._changed:
            self._is_lost = True
            self._received.clear()
            self._changed.notify_all()

    def _send(self, data: bytes) -> None:
        self._wire.write(data)
        with self._changed:
            self._num_unsent -= len(data)
            self._changed.notify_all()

    # For the thread

    def read(self, num_bytes: int) -> bytes:
        """Between one and num_bytes bytes; none when the client has sent its last. Raises PipeLostError."""
        with self._changed:
            while not self._received and not self._is_ended:
                self._check_lost()
                self._changed.wait()
            self._check_lost()
            data = bytes(self._received[:num_bytes])
            self._drop(len(data))
            return data

    def read_line(self, max_bytes: int) -> bytes | None:
        """A line without its end; None when the client has sent its last. Raises PipeLostError, also for a line without end."""
        with self._changed:
            while (end := self._received.find(b"\n", 0, max_bytes)) < 0:
                self._check_lost()
                if self._is_ended and not self._received:
                    return None
                if self._is_ended or len(self._received) >= max_bytes:
                    raise PipeLostError
                self._changed.wait()
            line = bytes(self._received[:end])
            self._drop(end + 1)
            return line

    def write(self, data: bytes) -> None:
        """Send, once the client has taken enough of what went before. Raises PipeLostError."""
        with self._changed:
            while not self._is_lost and (self._is_writing_paused or self._num_unsent >= _MAX_SENT_BYTES):
                self._changed.wait()
            self._check_lost()
            self._num_unsent += len(data)
        self.call(self._send, data)

    def finish(self, status: int) -> None:
        """Close the channel, behind what was written, with an exit status."""
        self.call(self._wire.finish, status)

    def _drop(self, num_bytes: int) -> None:
        del self._received[:num_bytes]
        if self._is_reading_paused and len(self._received) < _MAX_RECEIVED_BYTES // 2:
            self._is_reading_paused = False
            self.call(self._wire.resume_reading)

    def _check_lost(self) -> None:
        if self._is_lost:
            raise PipeLostError

    def call(self, function: Callable[..., None], *args: object) -> None:
        """Call something on the event loop, after what was written so far."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the manager has stopped
            self._loop.call_soon_threadsafe(function, *args)
