"""One direction of a connection as a slow and distant line: what goes in comes out later, in order, and no faster than the line allows."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

MIN_QUEUE = 256 * 1024
UNPACED_QUEUE = 16 * 1024 * 1024


class Mark(Enum):
    """What may happen behind the last byte. EOF: no more comes, the other direction goes on. CLOSE: an orderly end. RESET: a rude one."""

    EOF = auto()
    CLOSE = auto()
    RESET = auto()


class Pipe:
    """Bytes on their way to `writer`.

    get_delay: seconds that a byte travels. get_rate: bytes a second that the line takes; None: no limit. Both are asked again for every piece.
    count: is told how many bytes arrive, just before they do.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        get_delay: Callable[[], float],
        get_rate: Callable[[], float | None],
        count: Callable[[int], None],
    ) -> None:
        self.writer = writer
        writer.transport.set_write_buffer_limits(high=0)  # what was drained was sent
        self._get_delay = get_delay
        self._get_rate = get_rate
        self._count = count
        self._queue: deque[tuple[float, bytes | Mark]] = deque()
        self._num_queued = 0
        self._line_free = 0.0
        self._last_due = 0.0
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    async def send(self, data: bytes, extra_delay: float = 0.0) -> None:
        """Put bytes into the line; waits while it is full. extra_delay: seconds that they travel longer."""
        self.push(data, extra_delay)
        rate = self._get_rate()
        most = MIN_QUEUE + int(rate * self._get_delay()) if rate else UNPACED_QUEUE
        while self._num_queued > most:
            self._taken.clear()
            await self._taken.wait()

    def push(self, data: bytes, extra_delay: float = 0.0) -> None:
        """Put bytes into the line, however full it is."""
        rate = self._get_rate()
        self._line_free = max(time.monotonic(), self._line_free) + (len(data) / rate if rate else 0.0)
        self._num_queued += len(data)
        self._put(self._line_free + self._get_delay() + extra_delay, data)

    def mark(self, mark: Mark, extra_delay: float = 0.0) -> None:
        """Let something happen behind what was sent so far."""
        self._put(max(time.monotonic(), self._line_free) + self._get_delay() + extra_delay, mark)

    def _put(self, due: float, item: bytes | Mark) -> None:
        self._last_due = max(due, self._last_due)  # a shorter delay, set meanwhile, lets nothing overtake
        self._queue.append((self._last_due, item))
        self._changed.set()

    async def run(self) -> Mark:
        """Deliver until an end comes: CLOSE or RESET. ConnectionError when the receiver is gone."""
        while True:
            while not self._queue:
                self._changed.clear()
                await self._changed.wait()
            due, item = self._queue.popleft()
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            if isinstance(item, bytes):
                self._count(len(item))
                self.writer.write(item)
                await self.writer.drain()
                self._num_queued -= len(item)
                self._taken.set()
            elif item is Mark.RESET:
                await self._wait_until_received()
                reset(self.writer)
                return item
            else:
                with contextlib.suppress(OSError):
                    self.writer.write_eof()
                if item is Mark.CLOSE:
                    return item

    async def _wait_until_received(self) -> None:
        """Wait until the receiver's machine has everything, which a reset would throw away; not for ever, it may never read."""
        connection = self.writer.get_extra_info("socket")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and _count_unsent(connection):  # noqa: ASYNC110 - the kernel raises no event
            await asyncio.sleep(0.001)


def _count_unsent(connection: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, without sending what waits."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
