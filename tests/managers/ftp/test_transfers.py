from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.file_system_view import FileSystemView
from cloudalpha.managers.ftp.transfers import Upload
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.gate import OpenGate
from tests.counting_spool import CountingSpool
from tests.managers.ftp.helpers import Client, HeldFileSystem, read_all

CONTENT = os.urandom(3_000_000)


def test_up_and_down(client: Client, files: HeldFileSystem) -> None:
    assert client.put("STOR f", CONTENT) == b"226 Transfer complete.\r\n"
    assert files.read_all("/f") == CONTENT
    assert client.get("RETR f") == CONTENT
    assert client.put("STOR f", b"") == b"226 Transfer complete.\r\n"
    assert client.get("RETR f") == b""


def test_the_kernel_sends_native_files(
    tmp_path: Path, connect: Callable[..., Client], serve: Callable[..., object]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "f").write_bytes(CONTENT)
    file_system = LocalFileSystem(Tree(root, False, False, 0o644, 0o755))
    client = connect(serve(file_system))
    assert client.get("RETR f") == CONTENT
    assert client.code("REST 2999990") == 350
    assert client.get("RETR f") == CONTENT[2999990:]
    assert client.put("STOR g", CONTENT).startswith(b"226")
    assert (root / "g").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("before", "line", "kept"),
    [
        (["TYPE I"], "STOR f", 0),
        (["TYPE A"], "STOR f", 0),
        (["REST 1000"], "STOR f", 1000),
        (["TYPE I"], "APPE f", 2000),
        (["ALLO 3000000"], "STOR f", 0),
        (["TYPE I"], "STOU", 0),
    ],
)
def test_uploads_need_no_spool(
    connect: Callable[..., Client],
    serve: Callable[..., object],
    gate: OpenGate,
    files: HeldFileSystem,
    before: list[str],
    line: str,
    kept: int,
) -> None:
    """Not even where the spool could not hold them; what the file holds already is kept by the storage."""
    files.write_all("/f", b"o" * 2000)
    spool = CountingSpool(100_000)
    gate.file_system = counted = CountingLayer(files)
    gate.make_view = partial(FileSystemView, spool=spool)
    client = connect(serve())
    for command in before:
        assert client.code(command) < 400
    content = b"n" * len(CONTENT)
    assert client.put(line, content) == b"226 Transfer complete.\r\n"
    assert spool.num_files == 0
    assert (counted.bytes_kept, counted.bytes_written, counted.bytes_read) == (kept, len(content), 0)
    [path] = [entry.path for entry in files.list_dir("/") if entry.size > 2000]
    assert files.read_all(path) == b"o" * kept + content


def test_downloads_resume(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", CONTENT)
    assert client.code("REST 1000000") == 350
    assert client.get("RETR f") == CONTENT[1_000_000:]
    assert client.get("RETR f") == CONTENT, "REST is for one transfer"
    assert client.code("REST 3000000") == 350
    assert client.get("RETR f") == b""
    assert client.code("REST 3000001") == 350
    client.open_data().close()
    assert client.code("RETR f") == 554


def test_uploads_resume(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", CONTENT[:1_000_000])
    client.code("REST 1000000")
    assert client.put("STOR f", CONTENT[1_000_000:]).startswith(b"226")
    assert files.read_all("/f") == CONTENT
    client.code("REST 10")
    assert client.put("STOR f", b"patch").startswith(b"226")
    assert files.read_all("/f") == CONTENT[:10] + b"patch" + CONTENT[15:]
    client.code("REST 3000001")
    client.open_data().close()
    assert client.code("STOR f") == 554
    client.code("REST 1")
    client.open_data().close()
    assert client.code("STOR new") == 554
    assert not files.exists("/new")


def test_append(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", b"12345")
    assert client.put("APPE f", b"678").startswith(b"226")
    assert files.read_all("/f") == b"12345678"
    assert client.put("APPE new", b"90").startswith(b"226")
    assert files.read_all("/new") == b"90"


def test_unique_names(client: Client, files: HeldFileSystem) -> None:
    files.make_dir("/d")
    names = set()
    for _ in range(3):
        data = client.open_data()
        reply = client.do("STOU d/part")
        assert reply.startswith(b"150 FILE: part.")
        names.add(reply[10:].strip().decode())
        data.sendall(b"x")
        data.close()
        assert client.read_reply().startswith(b"226")
    assert {entry.name for entry in files.list_dir("/d")} == names and len(names) == 3


@pytest.mark.parametrize(
    ("announced", "before", "code"),
    [(5, 0, b"226"), (4, 0, b"451"), (6, 0, b"451"), (5, 3, b"226"), (8, 3, b"226"), (3, 3, b"451")],
)
def test_an_upload_of_another_size_than_announced_is_refused(
    client: Client, files: HeldFileSystem, announced: int, before: int, code: bytes
) -> None:
    files.write_all("/f", b"old")
    assert client.code(f"ALLO {announced}") == 200
    assert client.put("APPE f" if before else "STOR f", b"12345").startswith(code)
    expected = (b"old" if before else b"") + b"12345"
    assert files.read_all("/f") == (expected if code == b"226" else b"old")
    assert client.put("STOR f", b"123").startswith(b"226"), "ALLO is for one upload"


def test_text_is_converted(client: Client, files: HeldFileSystem) -> None:
    client.code("TYPE A")
    assert client.put("STOR f", b"one\r\ntwo\rthree\n\r\r\n").startswith(b"226")
    assert files.read_all("/f") == b"one\ntwo\rthree\n\r\n"
    assert client.get("RETR f") == b"one\r\ntwo\rthree\r\n\r\r\n"
    assert client.code("SIZE f") == 550
    assert client.code("REST 5") == 504
    assert client.put("STOR f", b"ends in\r").startswith(b"226")
    assert files.read_all("/f") == b"ends in\r"


class _Collector:
    def __init__(self) -> None:
        self.content = b""

    def write_pieces(self, offset: int, pieces: list[bytes]) -> None:
        assert offset == len(self.content)
        self.content += b"".join(pieces)

    def finish(self) -> None:
        self.content += b"|"


@given(st.lists(st.text("a\r\n").map(str.encode)))
def test_text_is_converted_whatever_the_borders(chunks: list[bytes]) -> None:
    file = _Collector()
    upload = Upload(file, 0, 0, True, None)  # type: ignore[arg-type]
    for chunk in chunks:
        upload.take([chunk])
    upload.finish()
    assert file.content == b"".join(chunks).replace(b"\r\n", b"\n") + b"|"


def test_errors_of_the_storage_are_told(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", b"old")
    files.make_dir("/d")
    files.room = 1_000_000
    data = client.begin("STOR f")
    with contextlib.suppress(ConnectionError):  # the gateway closes the connection: that is how it says stop
        data.sendall(CONTENT)
    data.close()
    assert client.read_reply().startswith(b"552 ")
    assert files.read_all("/f") == b"old"
    for line in (
        "RETR missing",
        "RETR d",
        "STOR d",
        "STOR missing/f",
        "APPE d",
        "LIST missing",
        "NLST missing",
        "MLSD missing",
    ):
        client.open_data().close()
        assert client.code(line) == 550, line
    client.open_data().close()
    assert client.code("MLSD f") == 501
    assert client.code("NOOP") == 200


def test_a_transfer_needs_a_data_connection(client: Client) -> None:
    for line in ("RETR f", "STOR f", "APPE f", "STOU", "LIST", "NLST", "MLSD"):
        assert client.code(line) == 425, line


def test_the_reply_waits_for_the_commit(client: Client, files: HeldFileSystem, connect: Callable[..., Client]) -> None:
    files.may_commit.clear()
    data = client.begin("STOR f")
    data.sendall(b"new")
    data.close()
    assert files.committing.wait(20)
    client.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.sock.recv(1)
    assert not files.exists("/f")
    files.may_commit.set()
    client.sock.settimeout(20)
    assert client.sock.recv(100) == b"226 Transfer complete.\r\n"


def test_commands_wait_for_the_end_of_a_transfer_in_their_order(client: Client, files: HeldFileSystem) -> None:
    data = client.begin("STOR f")
    for line in ("SIZE f", "NOOP", "DELE f", "PWD"):
        client.send(line)
    assert client.read_reply().startswith(b"200 "), "NOOP is answered at once"
    data.sendall(b"12345")
    data.close()
    assert [client.read_reply()[:5] for _ in range(4)] == [b"226 T", b"213 5", b"250 T", b'257 "']


def test_too_many_waiting_commands_end_the_session(connect: Callable[..., Client], files: HeldFileSystem) -> None:
    client = connect(max_queued_commands=5)
    data = client.begin("STOR f")
    for _ in range(6):
        client.send("PWD")
    assert client.read_reply().startswith(b"421 ")
    assert read_all(client.sock) == b""
    data.close()
    assert not files.exists("/f")


def test_quit_waits_for_the_transfer(client: Client, files: HeldFileSystem) -> None:
    data = client.begin("STOR f")
    client.send("QUIT")
    client.send("DELE f")
    data.sendall(b"12345")
    data.close()
    assert client.read_reply().startswith(b"226 ")
    assert client.read_reply().startswith(b"221 ")
    assert client.read_reply() == b""
    assert files.read_all("/f") == b"12345"


def test_status_during_a_transfer(client: Client) -> None:
    data = client.begin("STOR f")
    assert b"A transfer runs" in client.do("STAT")
    data.close()
    assert client.read_reply().startswith(b"226 ")
    assert b"No transfer runs" in client.do("STAT")


def test_many_transfers_in_one_session_and_few_ports(
    connect: Callable[..., Client], files: HeldFileSystem, free_ports: str
) -> None:
    client = connect(passive_ports=free_ports)
    first, last = map(int, free_ports.split("-"))
    for number in range(50):
        assert client.put(f"STOR {number}", b"x").startswith(b"226")
        assert client.get(f"RETR {number}") == b"x"
        assert first <= client.get_passive_port() <= last
    assert len(client.get("NLST").split()) == 50


def test_no_free_passive_port(connect: Callable[..., Client], serve: Callable[..., object], free_ports: str) -> None:
    first = free_ports.split("-")[0]
    manager = serve(passive_ports=f"{first}-{first}")
    one, two = connect(manager), connect(manager)
    one.get_passive_port()
    assert two.code("EPSV") == 425
    assert two.code("NOOP") == 200
    one.get_passive_port()


def test_eight_sessions_at_once(connect: Callable[..., Client], serve: Callable[..., object]) -> None:
    manager = serve()
    errors: list[BaseException] = []

    def work(client: Client, name: str) -> None:
        try:
            for _ in range(3):
                assert client.put(f"STOR {name}", CONTENT + name.encode()).startswith(b"226")
                assert client.get(f"RETR {name}") == CONTENT + name.encode()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(connect(manager), str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
