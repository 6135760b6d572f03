"""The chaos proxy passes on what it should, as slowly as it is told."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudalpha.testing.waiting import wait_until
from tests.servers.chaos_proxy import ChaosProxy
from tests.servers.chaos_service import MIB, PATTERN, Client, Service
from tests.servers.processes import HOST, get_free_ports


def measure(action: Callable[[], object], repeats: int = 3) -> float:
    """Seconds, of the fastest: a busy machine makes things slower, never faster."""
    best = float("inf")
    for _ in range(repeats):
        start = time.monotonic()
        action()
        best = min(best, time.monotonic() - start)
    return best


class TestHonest:
    def test_everything_passes_unchanged(self, proxy: ChaosProxy, service: Service, client: Client) -> None:
        assert client.ask("GET", "/100000") == (200, PATTERN[:100000])
        assert client.ask("HEAD", "/head") == (200, b"")
        assert client.ask("PUT", "/p?x=%2F", b"z" * 3 * MIB) == (
            200,
            hashlib.sha256(b"z" * 3 * MIB).hexdigest().encode(),
        )
        assert client.ask("GET", "/0") == (200, b"")
        host = f"{HOST}:{proxy.port}"
        assert service.seen == [
            ("GET", "/100000", host),
            ("HEAD", "/head", host),
            ("PUT", "/p?x=%2F", host),
            ("GET", "/0", host),
        ]

    def test_it_counts(self, proxy: ChaosProxy, client: Client) -> None:
        client.ask("GET", "/100000")
        client.ask("GET", "/0")
        client.ask("PUT", "/p", b"z" * 50000)
        counts = proxy.reset_counts()
        assert counts.requests == {"GET": 2, "PUT": 1}
        assert 100000 < counts.bytes_down < 102000
        assert 50000 < counts.bytes_up < 52000
        assert (counts.connections, counts.faults) == (1, 0)
        assert proxy.counts.requests == {}
        client.ask("GET", "/1")
        assert list(proxy.requests) == [("GET", "/1")]
        assert proxy.counts.connections == 0

    def test_continue_comes_before_the_body(self, proxy: ChaosProxy, service: Service) -> None:
        with socket.create_connection((HOST, proxy.port), 20) as connection:
            connection.sendall(b"PUT /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"hello")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")

    def test_many_connections(self, proxy: ChaosProxy, service: Service) -> None:
        def get(index: int) -> bytes:
            with contextlib.closing(Client(proxy)) as client:
                return client.ask("GET", f"/{100000 + index}")[1]

        with ThreadPoolExecutor(64) as pool:
            for index, got in enumerate(pool.map(get, range(64))):
                assert got == PATTERN[: 100000 + index]
        wait_until(lambda: proxy.num_open == 0)

    def test_a_client_that_does_not_read_holds_the_service_back(self, proxy: ChaosProxy, service: Service) -> None:
        with socket.create_connection((HOST, proxy.port), 20) as connection:
            connection.sendall(b"GET /4000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: service.sent >= 16 * MIB)
            last = -1
            while service.sent != last:
                last = service.sent
                threading.Event().wait(0.1)
            assert service.sent < 64 * MIB
        wait_until(lambda: proxy.num_open == 0)


class TestSlow:
    def test_each_round_trip_takes_its_time(self, proxy: ChaosProxy, client: Client) -> None:
        client.ask("GET", "/10")
        proxy.latency = 0.1
        assert 0.1 <= measure(lambda: client.ask("GET", "/10")) < 0.15

    def test_so_does_connecting(self, proxy: ChaosProxy) -> None:
        proxy.latency = 0.1

        def ask() -> None:
            with contextlib.closing(Client(proxy)) as client:
                client.ask("GET", "/10")

        assert 0.2 <= measure(ask) < 0.25

    def test_so_does_waiting_for_continue(self, proxy: ChaosProxy) -> None:
        proxy.latency = 0.1
        with socket.create_connection((HOST, proxy.port), 20) as connection:

            def ask() -> None:
                connection.sendall(b"PUT /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
                connection.recv(1000)
                connection.sendall(b"hello")
                received = b""
                while not received.endswith(hashlib.sha256(b"hello").hexdigest().encode()):
                    received += connection.recv(1000)

            assert 0.2 <= measure(ask) < 0.25

    @pytest.mark.parametrize("direction", ["up", "down"])
    def test_a_connection_has_its_rate(self, proxy: ChaosProxy, client: Client, direction: str) -> None:
        proxy.rate = 4_000_000
        body = b"z" * 2_000_000

        def ask() -> None:
            client.ask("PUT", "/p", body) if direction == "up" else client.ask("GET", "/2000000")

        assert 0.49 <= measure(ask, 2) < 0.6

    def test_each_connection_has_it_for_itself(self, proxy: ChaosProxy) -> None:
        proxy.rate, proxy.latency = 4_000_000, 0.02

        def get(_: int) -> None:
            with contextlib.closing(Client(proxy)) as client:
                client.ask("GET", "/2000000")

        with ThreadPoolExecutor(8) as pool:
            assert 0.5 <= measure(lambda: list(pool.map(get, range(8))), 2) < 0.75

    def test_latency_alone_does_not_limit_the_rate(self, proxy: ChaosProxy, client: Client) -> None:
        proxy.latency = 0.1
        client.ask("GET", "/0")
        assert measure(lambda: client.ask("GET", str(8 * MIB))) < 0.3


class TestWholeConnections:
    def test_cut(self, proxy: ChaosProxy, client: Client) -> None:
        client.ask("GET", "/1")
        proxy.cut()
        with pytest.raises((ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)):
            client.ask("GET", "/1")
        client.close()
        assert client.ask("GET", "/1") == (200, PATTERN[:1])

    def test_down(self, proxy: ChaosProxy, service: Service, client: Client) -> None:
        proxy.is_down = True
        with pytest.raises(ConnectionResetError):
            client.ask("GET", "/1")
        client.close()
        proxy.is_down = False
        assert client.ask("GET", "/1") == (200, PATTERN[:1])
        assert len(service.seen) == 1

    def test_no_service(self) -> None:
        [port] = get_free_ports(1)
        with (
            ChaosProxy(f"http://{HOST}:{port}") as proxy,
            contextlib.closing(Client(proxy)) as client,
            pytest.raises(ConnectionResetError),
        ):
            client.ask("GET", "/1")

    def test_another_service(self, proxy: ChaosProxy, service: Service) -> None:
        [port] = get_free_ports(1)
        proxy.target_url = f"http://{HOST}:{port}"
        with contextlib.closing(Client(proxy)) as client, pytest.raises(ConnectionResetError):
            client.ask("GET", "/1")
        proxy.target_url = service.url
        with contextlib.closing(Client(proxy)) as client:
            assert client.ask("GET", "/1")[0] == 200

    def test_leaving_ends_what_is_open(self, service: Service) -> None:
        with ChaosProxy(service.url) as proxy:
            client = Client(proxy)
            client.request("GET", "/4000000000")
            client.getresponse().read(1000)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, proxy.port), 5)
        client.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "chaos proxy"]


def test_alone(service: Service) -> None:
    command = [sys.executable, "-m", "tests.servers.chaos_proxy", "--to", service.url, "--latency-ms", "50"]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ready, url = process.stdout.readline().split()
        assert ready == "ready"
        with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)) as client:
            client.request("GET", "/1000")
            assert client.getresponse().read() == PATTERN[:1000]
        process.stdin.write('{"latency": 0, "rate": null}\n')
        process.stdin.flush()
        counts = json.loads(process.stdout.readline())
        assert counts["requests"] == {"GET": 1}
        assert counts["bytes_down"] > 1000
        process.stdin.close()
        assert process.wait(20) == 0
