"""Lines of a reply that are sent ahead while a command takes long."""

from __future__ import annotations

import ftplib
import ssl
import threading
from collections import deque
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.managers.ftp.channel import Channel
from cloudalpha.managers.ftp.keep_alive import KeepAlive
from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.progress import report
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing import Fault, FaultyLayer, SlowLayer
from cloudalpha.testing.waiting import wait_until
from tests.managers.ftp.conftest import port_of
from tests.managers.ftp.helpers import Client, make_client_context

Serve = Callable[..., FTPManager]
OFTEN = 0.02


class _Patient:
    """What an ftplib client does when it reads a line that is not a reply's last."""

    on_line: Callable[[], None]

    def getline(self) -> str:
        line: str = super().getline()  # type: ignore[misc]
        if line[3:4] == "-":
            self.on_line()
        return line


class PatientFTP(_Patient, ftplib.FTP):
    pass


class PatientFTPS(_Patient, ftplib.FTP_TLS):
    pass


@pytest.fixture
def files() -> MemoryFileSystem:
    files = MemoryFileSystem()
    files.make_dir("/folder")
    files.write_all("/file", b"content")
    return files


def _log_in(manager: FTPManager, is_protected: bool) -> ftplib.FTP:
    client = PatientFTPS(context=make_client_context()) if is_protected else PatientFTP()
    client.connect("127.0.0.1", port_of(manager), timeout=20)
    client.login("demo", "secret")
    if isinstance(client, ftplib.FTP_TLS):
        client.prot_p()
    return client


CALLS: dict[str, tuple[str, Callable[[ftplib.FTP], str]]] = {
    "rename": ("250", lambda client: client.rename("file", "other")),
    "delete": ("250", lambda client: client.delete("file")),
    "delete_dir": ("250", lambda client: client.rmd("folder")),
    "NewFile.commit": ("226", lambda client: client.storbinary("STOR new", BytesIO(b"new content"))),
}


@pytest.mark.parametrize("is_protected", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_a_client_hears_of_a_long_call_until_it_is_over(
    serve: Serve, files: MemoryFileSystem, call: str, is_protected: bool
) -> None:
    slow = SlowLayer(files, seconds=30, calls={call})
    client = _log_in(serve(slow, keep_alive_replies=OFTEN), is_protected)
    heard: list[int] = []

    def hear() -> None:
        heard.append(slow.waiting)
        if len(heard) == 3:
            slow.release()

    client.on_line = hear  # type: ignore[attr-defined]
    code, command = CALLS[call]
    lines = command(client).splitlines()
    assert heard[:3] == [1, 1, 1], "told while the storage was at it"
    assert lines[:3] == [f"{code}-Please wait."] * 3
    assert lines[-1].startswith(code + " ")
    assert client.voidcmd("NOOP").startswith("200"), "the next reply is that of the next command"
    client.quit()


@pytest.mark.parametrize(
    ("call", "line", "code"), [("rename", "RNTO other", b"250"), ("NewFile.commit", "STOR file", b"226")]
)
def test_no_reply_of_success_ends_with_a_failure(
    connect: Callable[..., Client], serve: Serve, files: MemoryFileSystem, call: str, line: str, code: bytes
) -> None:
    goes_on = threading.Event()
    manager = serve(FaultyLayer(files, [Fault(call, hold=goes_on)]), keep_alive_replies=OFTEN)
    client = connect(manager)
    if line.startswith("STOR"):
        data = client.begin(line)
        data.sendall(b"new")
        data.close()
    else:
        assert client.code("RNFR file") == 350
        client.send(line)
    assert client.file.readline() == code + b"-Please wait.\r\n"
    goes_on.set()
    lines = client.file.readlines()
    assert lines[-1].startswith(b"451 "), "the reason, and then the end of the connection"
    assert not any(each.startswith(code + b" ") for each in lines)
    assert files.read_all("/file") == b"content"
    assert not files.exists("/other")


def test_a_failure_before_anything_is_sent_ahead_is_a_reply_like_any_other(serve: Serve, files: FileSystem) -> None:
    client = _log_in(serve(FaultyLayer(files, [Fault("rename")]), keep_alive_replies=20), False)
    with pytest.raises(ftplib.error_temp, match=r"^451 "):
        client.rename("file", "other")
    assert client.rename("file", "other").startswith("250 ")
    client.quit()


def test_a_client_hears_how_far_the_storage_is(connect: Callable[..., Client], serve: Serve) -> None:
    goes_on = threading.Event()

    class Reporting(MemoryFileSystem):
        def delete(self, path: str) -> None:
            report(3, 7)
            assert goes_on.wait(30)
            super().delete(path)

    files = Reporting()
    files.write_all("/file", b"")
    client = connect(serve(files, keep_alive_replies=OFTEN))
    client.send("DELE file")
    assert client.file.readline() == b"250-Please wait: 3 of 7 done.\r\n"
    goes_on.set()
    assert client.read_reply().splitlines()[-1] == b"250 The file is deleted."


def test_off() -> None:
    keep_alive = KeepAlive(0, "off")
    threads = threading.active_count()
    with keep_alive.watching(_fail):
        report(1)
        assert threading.active_count() == threads
    keep_alive.stop()


def test_one_thread_serves_all_calls_and_ends_when_there_are_none() -> None:
    keep_alive = KeepAlive(OFTEN, "keep-alive")
    threads = threading.active_count()
    heard: list[str] = []
    with keep_alive.watching(heard.append), keep_alive.watching(lambda text: heard.append("2 " + text)):
        assert threading.active_count() == threads + 1
        report(5)
        wait_until(lambda: {"Please wait.", "2 Please wait: 5 done."} <= set(heard))
    num_heard = len(heard)
    wait_until(lambda: threading.active_count() == threads)
    assert len(heard) == num_heard, "nothing outside the block"
    with keep_alive.watching(heard.append):
        wait_until(lambda: len(heard) > num_heard)
        keep_alive.stop()
        assert threading.active_count() == threads


def test_short_calls_are_not_told_of() -> None:
    keep_alive = KeepAlive(30, "keep-alive")
    for _ in range(1000):
        with keep_alive.watching(_fail):
            pass
    keep_alive.stop()


class _FullSocket:
    """Takes so many bytes, and no more."""

    def __init__(self, room: int | OSError) -> None:
        self.room = room
        self.sent = b""

    def send(self, data: bytes) -> int:
        if isinstance(self.room, OSError):
            raise self.room
        self.sent += data[: self.room]
        return min(self.room, len(data))


@pytest.mark.parametrize("room", [0, 5, BlockingIOError(), ssl.SSLWantWriteError(), ssl.SSLWantReadError()])
def test_what_the_socket_does_not_take_waits_and_nothing_is_added_to_it(room: Any) -> None:
    sock = _FullSocket(room)
    channel: Any = SimpleNamespace(
        _closed=False, producer_fifo=deque(), is_tls=False, is_established=False, socket=sock, _begun_reply=""
    )
    for _ in range(3):
        Channel._send_ahead(channel, "250", "Please wait.")
    assert sock.sent + b"".join(channel.producer_fifo) == b"250-Please wait.\r\n"
    assert channel._begun_reply == "250"


@pytest.mark.parametrize(
    "state",
    [{"_closed": True}, {"is_tls": True}, {"socket": _FullSocket(BrokenPipeError())}, {"producer_fifo": [b"x"]}],
)
def test_nothing_is_begun_where_nothing_can_be_sent(state: dict[str, Any]) -> None:
    usual = {"_closed": False, "producer_fifo": [], "is_tls": False, "is_established": False, "socket": _FullSocket(99)}
    channel: Any = SimpleNamespace(**(usual | state), _begun_reply="")
    queued = list(channel.producer_fifo)
    Channel._send_ahead(channel, "250", "Please wait.")
    assert channel._begun_reply == ""
    assert channel.producer_fifo == queued
    assert getattr(channel.socket, "sent", b"") == b""


def _fail(text: str) -> None:
    raise AssertionError(text)
