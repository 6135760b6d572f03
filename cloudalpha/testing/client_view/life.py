"""Log-in, start and stop, and that nothing is left behind."""

from __future__ import annotations

import gc
import socket
import threading

import pytest

from cloudalpha.manager import Manager
from cloudalpha.testing.client_view.base import Connect, ManagerTestsBase, count_descriptors
from cloudalpha.testing.clients import ClientError
from cloudalpha.testing.contract.base import list_names, make_content
from cloudalpha.testing.faulty_layer import FaultyLayer
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.slow_layer import SlowLayer
from cloudalpha.testing.waiting import wait_until


class LifeTests(ManagerTestsBase):
    def test_endpoint(self, manager: Manager) -> None:
        endpoints = manager.get_endpoints()
        assert endpoints
        for endpoint in endpoints:
            assert endpoint.port > 0
            socket.create_connection((endpoint.host, endpoint.port), 10).close()

    @pytest.mark.parametrize(
        ("user_name", "password"),
        [
            ("demo", "wrong"),
            ("nobody", "secret"),
            ("demo", ""),
            ("root", "root"),
            ("dëmo", "sécret"),
            ("demo" * 50, "x" * 500),
        ],
        ids=["wrong-password", "unknown-user", "no-password", "root", "not-ascii", "long"],
    )
    def test_log_in_refused(
        self, manager: Manager, gate: OpenGate, connect: Connect, user_name: str, password: str
    ) -> None:
        with pytest.raises(ClientError):
            self.make_client(manager.get_endpoints()[0], user_name, password)
        assert all(not visit.sessions for visit in gate.visits)
        self.wait_for_end(manager, gate)
        assert connect().list_dir("/") == []

    def test_sessions_are_counted_and_closed(self, manager: Manager, gate: OpenGate, connect: Connect) -> None:
        clients = [connect() for _ in range(3)]
        for client in clients:
            client.list_dir("/")
        wait_until(lambda: manager.count_sessions() == 3)
        for number, client in enumerate(clients, 1):
            client.close()
            self.wait_for_end(manager, gate, num_sessions=3 - number)

    def test_starts_again_after_stop(self, manager: Manager, connect: Connect, file_system: FaultyLayer) -> None:
        connect().put("/file", b"content")
        for _ in range(2):
            manager.stop()
            manager.stop()
            assert manager.count_sessions() == 0
            manager.start()
            assert connect().get("/file") == b"content"

    def test_stop_lets_nobody_in(self, manager: Manager) -> None:
        endpoint = manager.get_endpoints()[0]
        manager.stop()
        with pytest.raises(ClientError):
            self.make_client(endpoint, self.user_name, self.password)

    def test_stop_ends_sessions_and_discards(
        self, manager: Manager, gate: OpenGate, connect: Connect, file_system: FaultyLayer
    ) -> None:
        file_system.write_all("/old", b"old content")
        idle, new, overwriting = connect(), connect(), connect()
        idle.list_dir("/")
        new.begin_put("/new", make_content(100_000))
        overwriting.begin_put("/old", make_content(100_000))
        manager.stop()
        self.wait_for_end(manager, gate)
        for client in (new, overwriting):
            with pytest.raises(ClientError):
                client.finish_put()
        with pytest.raises(ClientError):
            idle.list_dir("/")
        assert list_names(file_system, "/") == ["old"]
        assert file_system.read_all("/old") == b"old content"

    def test_stop_waits_for_a_transfer(
        self, manager: Manager, connect: Connect, file_system: FaultyLayer, slow: SlowLayer
    ) -> None:
        client = connect()
        slow.calls = frozenset({"NewFile.commit"})
        outcome: list[object] = []

        def upload() -> None:
            try:
                client.put("/file", b"content")
                outcome.append("done")
            except ClientError as error:
                outcome.append(error)

        uploading = threading.Thread(target=upload)
        uploading.start()
        wait_until(lambda: slow.waiting == 1)
        stopping = threading.Thread(target=manager.stop, args=(60.0,))
        stopping.start()
        slow.release()
        stopping.join(60)
        uploading.join(60)
        assert not stopping.is_alive()
        assert outcome == ["done"]
        assert file_system.read_all("/file") == b"content"

    def test_connections_that_say_nothing(self, manager: Manager, gate: OpenGate, connect: Connect) -> None:
        endpoint = manager.get_endpoints()[0]
        silent = [socket.create_connection((endpoint.host, endpoint.port), 10) for _ in range(20)]
        try:
            assert connect().list_dir("/") == []
        finally:
            for connection in silent:
                connection.close()
        self.wait_for_end(manager, gate, num_sessions=1)

    @pytest.mark.parametrize(
        "data", [b"\0" * 100, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(range(256)) * 40, b"\xff" * 9000]
    )
    def test_other_protocols(self, manager: Manager, gate: OpenGate, connect: Connect, data: bytes) -> None:
        endpoint = manager.get_endpoints()[0]
        with socket.create_connection((endpoint.host, endpoint.port), 10) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # it may as well cut the connection
        assert connect().list_dir("/") == []
        self.wait_for_end(manager, gate, num_sessions=1)

    def test_nothing_is_left_behind(
        self, manager: Manager, gate: OpenGate, connect: Connect, file_system: FaultyLayer
    ) -> None:
        self._use_and_leave(connect)  # pools and caches fill up
        self.wait_for_end(manager, gate)
        gc.collect()
        descriptors, threads = count_descriptors(), threading.active_count()
        for _ in range(5):
            self._use_and_leave(connect)
        self.wait_for_end(manager, gate)
        gc.collect()
        wait_until(lambda: count_descriptors() <= descriptors, 20, "descriptors are left open")
        wait_until(lambda: threading.active_count() <= threads + 4, 20, "threads are left running")
        assert list_names(file_system, "/") == ["file"]

    def _use_and_leave(self, connect: Connect) -> None:
        client = connect()
        client.put("/file", make_content(300_000))
        client.get("/file")
        client.list_dir("/")
        with pytest.raises(ClientError):
            client.get("/missing")
        client.close()
        for way in client.abort_ways:
            client = connect()
            client.begin_put("/lost", b"x" * 100_000)
            client.abort(way)
            client.close()
            client = connect()
            client.begin_get("/file", 10)
            client.abort(way)
            client.close()
