"""A proxy that makes the way to an HTTP service long, slow and unreliable, as told by a test; and that counts what passes.

    with ChaosProxy(server.endpoint_url) as proxy:
        proxy.latency, proxy.rate = 0.1, 8_000_000
        proxy.add(Fault("answer", methods=("PUT",), times=3, status=503, code="SlowDown", retry_after=1))

Heads pass unchanged, so that what the client signed (the Host header too: that of the proxy) stays right. Alone:

    python -m tests.servers.chaos_proxy --to http://127.0.0.1:PORT --latency-ms 100 --rate 8000000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from cloudalpha.testing.waiting import wait_until
from tests.servers.chaos_connection import Connection
from tests.servers.processes import HOST

MAX_REMEMBERED = 100_000


@dataclass
class Fault:
    """What goes wrong with a request.

    action: answer   the proxy answers by itself; the service never sees the request
            reset    the client's connection and the service's are reset
            truncate they end in order, in the middle of a message
            half_close   the receiver is told that no more comes, and the connection stays open
            swallow  from there on nothing comes through any more, and the connection stays open: a black hole
            corrupt  one byte arrives with other bits
    direction: "up": in the request; "down": in the response, when the service has done what it was asked.
    after: so many bytes of the body pass before (nothing happens where it is shorter); None: not even the head does. For corrupt: which byte,
    0 where it is None. Bodies are counted as they are on the wire, with the frames of chunked ones.
    methods, path: of which requests; path is a regular expression that is searched in path and query. Empty: of all.
    skip, times: leave the first ones alone; strike so often, None: for ever. chance: strike at random, with this probability.
    status, code, retry_after, message: of the answer.
    """

    action: Literal["answer", "reset", "truncate", "half_close", "swallow", "corrupt"]
    methods: tuple[str, ...] = ()
    path: str = ""
    direction: Literal["up", "down"] = "down"
    after: int | None = None
    skip: int = 0
    times: int | None = None
    chance: float = 1.0
    status: int = 503
    code: str = "SlowDown"
    message: str = "Please reduce your request rate."
    retry_after: int | None = None
    struck: int = field(default=0, init=False)
    """How often it has struck."""

    def __post_init__(self) -> None:
        if self.action == "answer":
            self.direction, self.after = "up", None
        if self.action == "corrupt":
            self.after = self.after or 0

    def strikes(self, method: str, target: str, dice: random.Random) -> bool:
        """Whether this request is hit; counts it."""
        if (self.methods and method not in self.methods) or not re.search(self.path, target):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        if self.chance < 1 and dice.random() >= self.chance:
            return False
        self.struck += 1
        return True

    def make_answer(self) -> bytes:
        """The answer, as S3 words its errors."""
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>'
        lines = [f"HTTP/1.1 {self.status} {self.code}", "Content-Type: application/xml", "Connection: close"]
        lines.append(f"Content-Length: {len(body)}")
        if self.retry_after is not None:
            lines.append(f"Retry-After: {self.retry_after}")
        return "\r\n".join([*lines, "", body]).encode()


@dataclass
class Counts:
    """What passed. requests: by method. bytes_up, bytes_down: as they arrived, heads included. connections: opened by clients."""

    requests: dict[str, int] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0
    connections: int = 0
    faults: int = 0


class ChaosProxy:
    """The proxy, a context manager; it runs in a thread of its own. All of its controls may be used at any time, from any thread.

    latency: seconds of a round trip, which opening a connection costs too. rate: bytes a second, of each connection and each direction; None: no
    limit. is_down: new connections are reset at once. target_url may be set to another server while it runs. seed: of chances.
    """

    def __init__(
        self, target_url: str, latency: float = 0.0, rate: float | None = None, seed: int = 0, port: int = 0
    ) -> None:
        self.target_url = target_url
        self.latency = latency
        self.rate = rate
        self.is_down = False
        self.counts = Counts()
        self.requests: deque[tuple[str, str]] = deque(maxlen=MAX_REMEMBERED)
        """(method, path and query) of each request, in order."""
        self.port = port
        self._faults: list[Fault] = []
        self._dice = random.Random(seed)
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._run, name="chaos proxy", daemon=True)

    @property
    def endpoint_url(self) -> str:
        """Where clients find the service now."""
        return f"http://{HOST}:{self.port}"

    @property
    def num_open(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def add(self, fault: Fault) -> Fault:
        """Let something go wrong. The first fault added that strikes is the one that happens."""
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let nothing go wrong any more. What has struck goes on."""
        self._faults.clear()

    def reset_counts(self) -> Counts:
        """Begin to count anew; what was counted before."""
        before, self.counts = self.counts, Counts()
        self.requests.clear()
        return before

    def cut(self) -> None:
        """Reset every open connection; returns when that is done."""
        self._call(self._cut)

    def take_fault(self, method: str, target: str) -> Fault | None:
        """Count a request; what shall go wrong with it."""
        self.counts.requests[method] = self.counts.requests.get(method, 0) + 1
        self.requests.append((method, target))
        for fault in list(self._faults):
            if fault.strikes(method, target, self._dice):
                self.counts.faults += 1
                return fault
        return None

    def get_target(self) -> tuple[str, int]:
        """Host and port of the service."""
        parts = urlsplit(self.target_url)
        assert parts.hostname and parts.port, self.target_url
        return parts.hostname, parts.port

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server is not None or not self._thread.is_alive())
        assert self._server is not None, "the proxy could not listen"
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._server = self._loop.run_until_complete(self._listen())
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, HOST, self.port, limit=128 * 1024, backlog=512)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        connection = Connection(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass  # cut, on purpose
        finally:
            connection.abort()
            del self._connections[connection]

    def _cut(self) -> None:
        for connection, task in list(self._connections.items()):
            connection.abort()
            task.cancel()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            self._cut()  # again and again: a connection that was let in just now may begin only now
            await asyncio.wait(others, timeout=0.05)
        await asyncio.sleep(0.01)  # transports are closed by the loop's next rounds

    def _call(self, function: Callable[[], None]) -> None:
        done = threading.Event()

        def call() -> None:
            function()
            done.set()

        self._loop.call_soon_threadsafe(call)
        assert done.wait(10), "the proxy does not answer"


def main() -> int:
    """Run alone; until it is told to end, or the standard input ends."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.chaos_proxy",
        description="A proxy that makes the way to an HTTP service long and slow. It says `ready URL`, then answers each line on its standard "
        'input, {"latency": seconds, "rate": bytes a second or null}, with what it counted since the line before. It ends with its input.',
    )
    parser.add_argument("--to", required=True, help="the service: http://127.0.0.1:PORT")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: a free port)")
    parser.add_argument("--latency-ms", type=float, default=0, help="milliseconds of a round trip")
    parser.add_argument("--rate", type=float, help="bytes a second, of each connection and direction")
    arguments = parser.parse_args()
    with ChaosProxy(arguments.to, arguments.latency_ms / 1000, arguments.rate, port=arguments.port) as proxy:
        print(f"ready {proxy.endpoint_url}", flush=True)
        for line in sys.stdin:
            for name, value in json.loads(line).items():
                if name not in ("latency", "rate"):
                    parser.error(f"unknown: {name}")
                setattr(proxy, name, value)
            print(json.dumps(asdict(proxy.reset_counts())), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
