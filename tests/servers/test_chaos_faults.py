"""The chaos proxy breaks what it is told to break, exactly there, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import time

import pytest

from cloudalpha.testing.waiting import wait_until
from tests.servers.chaos_proxy import ChaosProxy, Fault
from tests.servers.chaos_service import MIB, PATTERN, Client, Service
from tests.servers.processes import HOST


@pytest.mark.parametrize("after", [0, 1, 65536, 99999])
class TestInMidBody:
    def test_reset(self, proxy: ChaosProxy, client: Client, after: int) -> None:
        proxy.add(Fault("reset", after=after))
        client.request("GET", "/100000")
        response = client.getresponse()
        got = b""
        with pytest.raises(ConnectionResetError):
            while True:
                got += response.read1(MIB)
        assert got == PATTERN[:after]

    def test_truncate(self, proxy: ChaosProxy, client: Client, after: int) -> None:
        proxy.add(Fault("truncate", after=after))
        client.request("GET", "/100000")
        with pytest.raises(http.client.IncompleteRead) as caught:
            client.getresponse().read()
        assert caught.value.partial == PATTERN[:after]
        client.close()
        wait_until(lambda: proxy.num_open == 0)

    def test_half_close(self, proxy: ChaosProxy, after: int) -> None:
        proxy.add(Fault("half_close", after=after))
        with socket.create_connection((HOST, proxy.port), 20) as connection:
            connection.sendall(b"GET /100000 HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(MIB), b""))
            assert received.partition(b"\r\n\r\n")[2] == PATTERN[:after]
            connection.sendall(b"x" * 1000)
            assert proxy.num_open == 1
        wait_until(lambda: proxy.num_open == 0)

    def test_corrupt(self, proxy: ChaosProxy, client: Client, after: int) -> None:
        fault = proxy.add(Fault("corrupt", after=after, times=1))
        _, got = client.ask("GET", "/100000")
        assert [index for index in range(100000) if got[index] != PATTERN[index]] == [after]
        assert client.ask("GET", "/100000") == (200, PATTERN[:100000])
        assert fault.struck == proxy.counts.faults == 1

    def test_swallow(self, proxy: ChaosProxy, after: int) -> None:
        proxy.add(Fault("swallow", after=after))
        with contextlib.closing(Client(proxy, timeout=0.3)) as client:
            client.request("GET", "/100000")
            response = client.getresponse()
            got = b""
            with pytest.raises(TimeoutError):
                while True:
                    got += response.read1(MIB)
            assert got == PATTERN[:after]
        wait_until(lambda: proxy.num_open == 0)

    @pytest.mark.parametrize("action", ["reset", "truncate", "half_close", "swallow"])
    def test_of_a_request(self, proxy: ChaosProxy, service: Service, after: int, action: str) -> None:
        proxy.add(Fault(action, direction="up", after=after))
        with (
            contextlib.closing(Client(proxy, timeout=0.5)) as client,
            pytest.raises((OSError, http.client.HTTPException)),
        ):
            client.ask("PUT", "/p", b"z" * 100000)
        wait_until(lambda: proxy.num_open == 0)
        wait_until(lambda: service.received == after)


class TestLostWhole:
    @pytest.mark.parametrize("action", ["reset", "truncate", "swallow"])
    def test_an_answer(self, proxy: ChaosProxy, service: Service, action: str) -> None:
        proxy.add(Fault(action, methods=("PUT",)))
        with contextlib.closing(Client(proxy, timeout=0.5)) as client, pytest.raises(OSError):
            client.ask("PUT", "/p", b"z" * 1000)
        assert service.received == 1000

    @pytest.mark.parametrize("action", ["reset", "truncate", "swallow"])
    def test_a_request(self, proxy: ChaosProxy, service: Service, action: str) -> None:
        proxy.add(Fault(action, direction="up"))
        with contextlib.closing(Client(proxy, timeout=0.5)) as client, pytest.raises(OSError):
            client.ask("PUT", "/p", b"z" * 1000)
        wait_until(lambda: proxy.num_open == 0)
        assert service.seen == []

    def test_corrupt_on_the_way_up(self, proxy: ChaosProxy, client: Client) -> None:
        proxy.add(Fault("corrupt", direction="up", after=3))
        wrong = b"zzz" + bytes([ord("z") ^ 0xFF]) + b"z"
        assert client.ask("PUT", "/p", b"zzzzz")[1] == hashlib.sha256(wrong).hexdigest().encode()


class TestAnswers:
    def test_a_burst(self, proxy: ChaosProxy, service: Service) -> None:
        proxy.add(
            Fault("answer", methods=("PUT", "POST"), path=r"partNumber=2\b", skip=1, times=2, status=429, retry_after=7)
        )
        statuses = []
        for path in ("/p?partNumber=2", "/p?partNumber=22", "/p?partNumber=2", "/p?partNumber=2", "/p?partNumber=2"):
            with contextlib.closing(Client(proxy)) as client:
                client.request("PUT", path, b"z" * MIB)
                response = client.getresponse()
                statuses.append(response.status)
                if response.status == 429:
                    assert response.getheader("Retry-After") == "7"
                    assert b"<Code>SlowDown</Code>" in response.read()
        assert statuses == [200, 200, 429, 429, 200]
        assert len(service.seen) == 3
        with contextlib.closing(Client(proxy)) as client:
            assert client.ask("GET", ["/1", "partNumber=2"][0])[0] == 200

    def test_the_body_need_not_come(self, proxy: ChaosProxy, service: Service) -> None:
        proxy.add(Fault("answer", status=500, code="InternalError"))
        proxy.latency = 0.05
        with socket.create_connection((HOST, proxy.port), 20) as connection:
            start = time.monotonic()
            connection.sendall(b"PUT /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(1000), b""))
            assert time.monotonic() - start >= 0.05
        assert answer.startswith(b"HTTP/1.1 500 InternalError\r\n")
        assert service.seen == []

    def test_until_it_is_told_otherwise(self, proxy: ChaosProxy) -> None:
        proxy.add(Fault("answer"))
        for expected in (503, 503, 200):
            if expected == 200:
                proxy.clear()
            with contextlib.closing(Client(proxy)) as client:
                assert client.ask("GET", "/1")[0] == expected

    def test_chance_is_the_same_every_time(self, service: Service) -> None:
        def play() -> list[int]:
            statuses = []
            with ChaosProxy(service.url, seed=5) as proxy:
                proxy.add(Fault("answer", chance=0.5))
                for _ in range(20):
                    with contextlib.closing(Client(proxy)) as client:
                        statuses.append(client.ask("GET", "/1")[0])
            return statuses

        statuses = play()
        assert 4 < statuses.count(503) < 16
        assert statuses == play()
