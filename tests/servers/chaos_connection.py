"""One client's connection through the chaos proxy, and one to the service behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.servers.chaos_http import Body, End, Head, Piece, Scanner
from tests.servers.chaos_pipe import Mark, Pipe, reset

if TYPE_CHECKING:
    from tests.servers.chaos_proxy import ChaosProxy, Fault

CHUNK = 64 * 1024
BUFFER = 256 * 1024
LINGER_SECONDS = 5.0


class Exchange:
    """A request and its response, and what goes wrong with one of them."""

    def __init__(self, head: Head, fault: Fault | None) -> None:
        self.method = head.method
        self.expects_continue = head.get("expect") == "100-continue"
        self.fault = fault

    def get_fault(self, direction: str) -> Fault | None:
        return self.fault if self.fault is not None and self.fault.direction == direction else None


class Connection:
    """See ChaosProxy. Both directions run as tasks, and the connection ends with the first that says so."""

    def __init__(self, proxy: ChaosProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.reader = reader
        self.writer = writer
        self.upstream: asyncio.StreamWriter | None = None
        self.exchanges: deque[Exchange] = deque()
        self.sending: Exchange | None = None
        self.is_interim = False
        self.client_gone = asyncio.Event()
        self.answering: Fault | None = None
        self.is_swallowing = {"up": False, "down": False}

    def abort(self) -> None:
        """Reset both connections, if they are still open."""
        for writer in (self.writer, self.upstream):
            if writer is not None and not writer.transport.is_closing():
                reset(writer)

    async def run(self) -> None:
        """Until it ends, however. Errors of the network end it, as they would without a proxy."""
        if self.proxy.is_down:
            return
        with contextlib.suppress(OSError):
            upstream_reader, self.upstream = await asyncio.open_connection(*self.proxy.get_target(), limit=2 * CHUNK)
            for writer in (self.writer, self.upstream):
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self.up = Pipe(self.upstream, self._get_delay, lambda: self.proxy.rate, self._count_up)
            self.down = Pipe(self.writer, self._get_delay, lambda: self.proxy.rate, self._count_down)
            await self._run_all(upstream_reader)

    async def _run_all(self, upstream_reader: asyncio.StreamReader) -> None:
        deliver_up = asyncio.create_task(self.up.run())
        deliver_down = asyncio.create_task(self.down.run())
        read_up = asyncio.create_task(self._read_up())
        read_down = asyncio.create_task(self._read_down(upstream_reader))
        tasks = {deliver_up, deliver_down, read_up, read_down}
        try:
            waiting = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    mark = task.result()
                    if mark is not None:
                        if mark is Mark.CLOSE:
                            await self._linger()
                        return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _linger(self) -> None:
        """An orderly end: what the client still sends is read, or its kernel would throw away what it has not read of ours."""
        assert self.upstream is not None
        self.upstream.close()
        with contextlib.suppress(OSError):
            self.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self.client_gone.wait()
        self.writer.close()

    async def _read_up(self) -> None:
        scanner = Scanner(has_no_body=lambda head: False, until_close=False)
        extra = self.proxy.latency  # opening the connection took a round trip
        while data := await self.reader.read(CHUNK):
            for piece in scanner.feed(data):
                if isinstance(piece, Head):
                    self._begin(piece)
                await self._pass(piece, "up", self.up, extra)
                extra = 0.0
        self.client_gone.set()
        self.up.mark(Mark.CLOSE)

    def _begin(self, head: Head) -> None:
        exchange = Exchange(head, self.proxy.take_fault(head.method, head.target))
        self.exchanges.append(exchange)
        self.sending = exchange
        if exchange.fault is not None and exchange.fault.action == "answer":
            self.answering = exchange.fault
            if exchange.expects_continue:  # the body will not come
                self._answer()

    def _answer(self) -> None:
        assert self.answering is not None
        way_up = self._get_delay()
        self.down.push(self.answering.make_answer(), way_up)
        self.down.mark(Mark.CLOSE, way_up)

    async def _read_down(self, reader: asyncio.StreamReader) -> None:
        scanner = Scanner(has_no_body=self._has_no_body, until_close=True)
        while data := await reader.read(CHUNK):
            for piece in scanner.feed(data):
                await self._pass(piece, "down", self.down)
        if not self.answering and not self.is_swallowing["down"]:
            self.down.mark(Mark.CLOSE)

    def _has_no_body(self, head: Head) -> bool:
        method = self.exchanges[0].method if self.exchanges else ""
        return method == "HEAD" or head.status < 200 or head.status in (204, 304)

    async def _pass(self, piece: Piece, direction: str, pipe: Pipe, extra: float = 0.0) -> None:
        """Send a piece on, with what goes wrong with it."""
        if direction == "down" and isinstance(piece, Head):
            self.is_interim = piece.status < 200
        fault = self._get_fault(direction)
        for data in self._cut_piece(piece, fault, direction):
            if isinstance(data, bytes):
                if not self.is_swallowing[direction] and not self.answering:
                    await pipe.send(data, extra)
            else:
                self._strike(data, direction, pipe)
        if piece is End.MESSAGE:
            self._end(direction)

    def _get_fault(self, direction: str) -> Fault | None:
        if direction == "up":
            return self.sending.get_fault("up") if self.sending is not None else None
        return self.exchanges[0].get_fault("down") if self.exchanges and not self.is_interim else None

    def _cut_piece(self, piece: Piece, fault: Fault | None, direction: str) -> Iterator[bytes | Fault]:
        """The bytes of a piece, with the fault between them where it strikes."""
        if piece is End.MESSAGE:
            return
        assert isinstance(piece, Head | Body)
        data = piece.data
        if fault is None or fault.action == "answer":
            yield data
        elif isinstance(piece, Head):
            if fault.after is None:
                yield fault
            yield data
            if fault.after == 0 and fault.action != "corrupt":
                yield fault
        elif fault.after is None:
            yield data
        else:
            at = fault.after - piece.start
            if fault.action == "corrupt" and 0 <= at < len(data):
                yield data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
            elif fault.action != "corrupt" and 0 < at <= len(data):
                yield data[:at]
                yield fault
                yield data[at:]
            else:
                yield data

    def _strike(self, fault: Fault, direction: str, pipe: Pipe) -> None:
        """What comes after it in this direction is lost."""
        self.is_swallowing[direction] = True
        if fault.action == "reset":
            pipe.mark(Mark.RESET)
        elif fault.action == "truncate":
            pipe.mark(Mark.CLOSE)
        elif fault.action == "half_close":
            pipe.mark(Mark.EOF)

    def _end(self, direction: str) -> None:
        if direction == "up":
            if self.answering and self.sending is not None and not self.sending.expects_continue:
                self._answer()
        elif self.exchanges and not self.is_interim:
            self.exchanges.popleft()

    def _get_delay(self) -> float:
        return self.proxy.latency / 2

    def _count_up(self, num_bytes: int) -> None:
        self.proxy.counts.bytes_up += num_bytes

    def _count_down(self, num_bytes: int) -> None:
        self.proxy.counts.bytes_down += num_bytes
