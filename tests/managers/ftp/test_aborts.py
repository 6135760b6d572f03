"""Nothing is published unless the end of the upload is believable (architecture, law 1; holes H1, H2, H7, H10)."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable

import pytest

from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.waiting import wait_until
from tests.managers.ftp.helpers import Client, HeldFileSystem, finish, make_client_context, reset

PART = b"p" * 400_000


@pytest.fixture(params=["STOR new", "STOR old", "APPE old", "STOU"])
def line(request: pytest.FixtureRequest, files: HeldFileSystem) -> str:
    files.write_all("/old", b"old content")
    return str(request.param)


def _assert_untouched(files: HeldFileSystem) -> None:
    assert files.read_all("/old") == b"old content"
    assert [entry.path for entry in files.list_dir("/")] == ["/old"]


def _wait_for_bytes(client: Client, num_bytes: int) -> None:
    wait_until(lambda: f" {num_bytes} bytes".encode() in client.do("STAT"))


def test_a_reset_discards(client: Client, files: HeldFileSystem, line: str) -> None:
    data = client.begin(line)
    data.sendall(PART)
    _wait_for_bytes(client, len(PART))
    reset(data)
    assert client.read_reply().startswith(b"426 ")
    _assert_untouched(files)
    assert client.put("STOR old", b"again").startswith(b"226")


def test_abor_discards(client: Client, files: HeldFileSystem, line: str) -> None:
    data = client.begin(line)
    data.sendall(PART)
    _wait_for_bytes(client, len(PART))
    client.send(b"\xff\xf4\xff\xf2ABOR")
    assert client.read_reply().startswith(b"426 ")
    assert client.read_reply().startswith(b"226 ")
    data.close()
    _assert_untouched(files)
    assert client.code("NOOP") == 200


def test_abor_that_comes_with_the_end_of_the_data_discards(client: Client, files: HeldFileSystem, line: str) -> None:
    data = client.begin(line)
    data.sendall(PART)
    client.send("ABOR")
    data.close()
    assert client.read_reply().startswith(b"426 ")
    assert client.read_reply().startswith(b"226 ")
    _assert_untouched(files)


def test_abor_before_the_data_connection(client: Client, files: HeldFileSystem, line: str) -> None:
    client.get_passive_port()
    assert client.code(line) == 150
    assert client.code("ABOR") == 426
    assert client.read_reply().startswith(b"226 ")
    _assert_untouched(files)
    assert client.code(line) == 425


def test_a_lost_control_connection_discards(client: Client, files: HeldFileSystem, line: str, gate: OpenGate) -> None:
    data = client.begin(line)
    data.sendall(PART)
    client.close()
    wait_until(lambda: gate.visits[0].closed)
    data.close()
    _assert_untouched(files)


def test_a_client_that_dies_closes_everything_at_once(
    client: Client, files: HeldFileSystem, line: str, gate: OpenGate
) -> None:
    data = client.begin(line)
    data.sendall(PART)
    client.sock.shutdown(socket.SHUT_RDWR)
    data.close()
    wait_until(lambda: gate.visits[0].closed)
    _assert_untouched(files)


_KILLED = """
import ftplib, sys
class Source:
    sent = 0
    def read(self, n):
        self.sent += n
        if self.sent > 5_000_000:
            print("sent", flush=True)
            sys.stdin.read()
        return b"k" * n
ftp = ftplib.FTP()
ftp.connect("127.0.0.1", int(sys.argv[1]))
ftp.login("demo", "secret")
ftp.storbinary(sys.argv[2], Source())
"""


def test_a_killed_client_leaves_nothing(client: Client, files: HeldFileSystem, line: str, gate: OpenGate) -> None:
    port = str(client.sock.getpeername()[1])
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, port, line], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout and process.stdin
    assert process.stdout.readline() == b"sent\n"
    process.kill()
    process.communicate()
    wait_until(lambda: gate.visits[1].closed)
    _assert_untouched(files)


def test_a_stalled_upload_is_discarded(connect: Callable[..., Client], files: HeldFileSystem, line: str) -> None:
    client = connect(data_timeout="100ms")
    data = client.begin(line)
    data.sendall(PART)
    assert client.read_reply().startswith(b"426 ")
    data.close()
    _assert_untouched(files)


def test_a_data_connection_that_never_comes(connect: Callable[..., Client], files: HeldFileSystem, line: str) -> None:
    client = connect(data_connect_timeout="100ms")
    client.get_passive_port()
    assert client.code(line) == 150
    assert client.read_reply().startswith(b"425 ")
    _assert_untouched(files)
    client.get_passive_port()
    wait_until(lambda: client.code(line) == 425, message="the port is given up without a reply out of turn")


def test_tls_without_good_bye_discards(connect: Callable[..., Client], files: HeldFileSystem, line: str) -> None:
    """A FIN can be forged; close_notify cannot."""
    client = connect(log_in=False)
    client.start_tls(make_client_context())
    client.sock.sendall(b"USER demo\r\nPASS secret\r\nTYPE I\r\n")
    assert [client.read_reply()[:3] for _ in range(3)] == [b"331", b"230", b"200"]
    client.protect()
    data = client.begin(line)
    data.sendall(PART)
    assert isinstance(data, ssl.SSLSocket)
    socket.socket(fileno=data.detach()).close()
    assert client.read_reply().startswith(b"426 ")
    _assert_untouched(files)
    data = client.begin("STOR old")
    data.sendall(PART)
    finish(data)
    assert client.read_reply().startswith(b"226 ")
    assert files.read_all("/old") == PART


def test_a_download_that_is_broken_off(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/big", PART * 50)
    data = client.begin("RETR big")
    data.recv(1000)
    reset(data)
    assert client.read_reply().startswith(b"426 ")
    data = client.begin("RETR big")
    data.recv(1000)
    client.send("ABOR")
    assert client.read_reply().startswith(b"426 ")
    assert client.read_reply().startswith(b"226 ")
    with pytest.raises(ConnectionResetError):
        while data.recv(65536):
            pass
    data.close()
    assert client.get("RETR big") == PART * 50


def test_stop_discards(
    serve: Callable[..., object], connect: Callable[..., Client], files: HeldFileSystem, line: str
) -> None:
    manager = serve()
    client = connect(manager)
    data = client.begin(line)
    data.sendall(PART)
    _wait_for_bytes(client, len(PART))
    manager.stop()  # type: ignore[attr-defined]
    data.close()
    _assert_untouched(files)


def test_both_connections_reset_during_a_download(
    client: Client, files: HeldFileSystem, gate: OpenGate, caplog: pytest.LogCaptureFixture
) -> None:
    """Sending the 426 is what shows that the control connection is gone too."""
    files.write_all("/big", PART * 50)
    data = client.begin("RETR big")
    data.recv(1000)
    client.file.close()
    reset(client.sock)
    reset(data)
    wait_until(lambda: gate.visits[0].closed)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
