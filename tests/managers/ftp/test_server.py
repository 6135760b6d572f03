from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudalpha.exceptions import AddressInUseManagerError, ManagerError, RefusedManagerError
from cloudalpha.manager import Session, Visit
from cloudalpha.managers.ftp.channel import Channel
from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.testing.gate import OpenGate, OpenVisit
from cloudalpha.testing.waiting import wait_until
from tests.managers.ftp.conftest import port_of
from tests.managers.ftp.helpers import Client, HeldFileSystem, read_all


def test_start_and_stop_again(tmp_path: Path, gate: OpenGate) -> None:
    manager = FTPManager("ftp", FTPSettings(port=0), gate, tmp_path)
    threads = threading.active_count()
    for _ in range(3):
        manager.start()
        manager.start()
        client = Client(port_of(manager))
        client.log_in()
        assert manager.count_sessions() == 1
        manager.stop()
        manager.stop()
        assert client.read_reply() == b"421 The server is shutting down.\r\n"
        assert client.read_reply() == b""
        client.close()
        assert manager.count_sessions() == 0 and manager.get_endpoints() == []
    assert threading.active_count() == threads
    assert all(visit.closed for visit in gate.visits)


def test_a_port_in_use(tmp_path: Path, serve: Callable[..., FTPManager], gate: OpenGate) -> None:
    port = port_of(serve())
    threads = threading.active_count()
    for values in ({"port": port}, {"port": 0, "implicit_port": port}):
        manager = FTPManager("ftp", FTPSettings(**values), gate, tmp_path)  # type: ignore[arg-type]
        with pytest.raises(AddressInUseManagerError, match=str(port)):
            manager.start()
    assert threading.active_count() == threads


def test_an_address_that_is_not_ours(tmp_path: Path, gate: OpenGate) -> None:
    with pytest.raises(ManagerError):
        FTPManager("ftp", FTPSettings(host="192.0.2.1", port=0), gate, tmp_path).start()


def test_sessions_are_counted_from_the_log_in_to_the_end(serve: Callable[..., FTPManager], gate: OpenGate) -> None:
    manager = serve()
    client = Client(port_of(manager))
    client.read_reply()
    assert manager.count_sessions() == 0
    client.do("USER demo")
    client.do("PASS secret")
    assert manager.count_sessions() == 1
    client.do("QUIT")
    client.close()
    wait_until(lambda: manager.count_sessions() == 0)
    wait_until(lambda: gate.visits[0].closed)


def test_stop_lets_transfers_finish(serve: Callable[..., FTPManager], files: HeldFileSystem) -> None:
    manager = serve()
    idle, busy = Client(port_of(manager)), Client(port_of(manager))
    idle.log_in()
    busy.log_in()
    data = busy.begin("STOR f")
    data.sendall(b"first ")
    stopping = threading.Thread(target=manager.stop, args=(30.0,))
    stopping.start()
    assert idle.read_reply().startswith(b"421 ")
    with pytest.raises(ConnectionError):
        Client(port_of_closed := busy.sock.getpeername()[1])
        raise AssertionError(port_of_closed)
    data.sendall(b"second")
    data.close()
    assert busy.read_reply().startswith(b"226 ")
    assert busy.read_reply().startswith(b"421 ")
    stopping.join(20)
    assert not stopping.is_alive()
    assert files.read_all("/f") == b"first second"
    idle.close()
    busy.close()


class _SlowGate(OpenGate):
    """A wrong password is answered late: not before its visit is closed."""

    def __init__(self, files: HeldFileSystem) -> None:
        super().__init__(files)
        self.checking = threading.Event()
        self.answered = threading.Event()

    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        gate, closed = self, threading.Event()

        class _SlowVisit(OpenVisit):
            def check_password(self, user_name: str, password: str) -> bool:
                gate.checking.set()
                if closed.wait(60):
                    gate.answered.set()
                return False

            def close(self) -> None:
                closed.set()
                super().close()

        visit = _SlowVisit(self)
        self.visits.append(visit)
        return visit


def test_stop_does_not_wait_until_a_wrong_password_is_answered(tmp_path: Path, files: HeldFileSystem) -> None:
    gate = _SlowGate(files)
    threads = threading.active_count()
    manager = FTPManager("ftp", FTPSettings(port=0), gate, tmp_path)
    manager.start()
    client = Client(port_of(manager))
    assert client.read_reply().startswith(b"220")
    assert client.code("USER demo") == 331
    client.send("PASS wrong")
    assert gate.checking.wait(20)
    manager.stop()
    assert gate.answered.is_set()
    assert client.read_reply() == b"421 The server is shutting down.\r\n"
    assert client.read_reply() == b""
    client.close()
    assert threading.active_count() == threads
    assert all(visit.closed for visit in gate.visits)


def test_a_stop_knows_of_a_transfer_before_its_client_does(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[bool] = []
    respond = Channel.respond

    def note(channel: Channel, reply: str, logfun: object = None) -> None:
        if reply.startswith("150"):
            states.append(channel.transferring)
        respond(channel, reply, logfun)

    monkeypatch.setattr(Channel, "respond", note)
    assert client.put("STOR f", b"content").startswith(b"226 ")
    assert client.get("RETR f") == b"content"
    assert states == [True, True]


class _ClosedGate(OpenGate):
    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        assert (manager, address) == ("ftp", "127.0.0.1")
        self.encrypted = encrypted
        raise RefusedManagerError("too many connections")


def test_who_is_not_let_in_is_told_so(tmp_path: Path, files: HeldFileSystem) -> None:
    gate = _ClosedGate(files)
    manager = FTPManager("ftp", FTPSettings(port=0, implicit_port=0), gate, tmp_path)
    manager.start()
    try:
        plain, implicit = (endpoint.port for endpoint in manager.get_endpoints())
        with socket.create_connection(("127.0.0.1", plain), 20) as sock:
            assert read_all(sock) == b"421 too many connections\r\n"
        assert not gate.encrypted
        with socket.create_connection(("127.0.0.1", implicit), 20) as sock:
            assert read_all(sock) == b""
        assert gate.encrypted
    finally:
        manager.stop()


def test_a_session_that_is_refused(
    serve: Callable[..., FTPManager], gate: OpenGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, user_name: str) -> Session:
        raise RefusedManagerError("too many sessions")

    monkeypatch.setattr("cloudalpha.testing.gate.OpenVisit.open_session", refuse)
    client = Client(port_of(serve()))
    client.read_reply()
    client.do("USER demo")
    assert client.do("PASS secret") == b"530 Too many sessions.\r\n"
    assert client.code("LIST") == 530
    client.close()


@pytest.mark.expects_warnings
def test_ipv6(tmp_path: Path, gate: OpenGate, files: HeldFileSystem) -> None:
    manager = FTPManager("ftp", FTPSettings(host="::", tls="optional", port=0, passive_ports="0"), gate, tmp_path)
    manager.start()
    try:
        client = Client(port_of(manager))
        client.log_in()
        assert client.put("STOR f", b"over IPv4").startswith(b"226")
        assert client.do("PASV").startswith(b"227 Entering passive mode (127,0,0,1,")
        client.close()
        client.sock = socket.create_connection(("::1", port_of(manager)), 20)
        client.file = client.sock.makefile("rb")
        client.log_in()
        assert client.code("PASV") == 425
        assert client.code("EPSV 1") == 522
        port = int(client.do("EPSV 2").split(b"|")[3])
        with socket.create_connection(("::1", port), 20) as data:
            assert client.code("RETR f") == 150
            assert read_all(data) == b"over IPv4"
        assert client.read_reply().startswith(b"226 ")
        client.close()
    finally:
        manager.stop()


def test_the_public_address_is_told(serve: Callable[..., FTPManager]) -> None:
    client = Client(port_of(serve(public_address="203.0.113.5")))
    client.log_in()
    assert client.do("PASV").startswith(b"227 Entering passive mode (203,0,113,5,")
    assert client.code("EPSV ALL") == 200
    assert client.code("PASV") == 501
    assert client.code("EPSV") == 229
    client.close()
