"""Holes of other gateways, tried as their users would find them (pitfalls H8, H11, H12), on every service."""

from __future__ import annotations

import ftplib
import random
import socket

import pytest

from cloudalpha.testing.clients import reset_connection
from cloudalpha.testing.waiting import wait_until
from tests.end_to_end.conftest import Place
from tests.servers.gateway import get_received_bytes

pytestmark = pytest.mark.needs("ss")

CONTENT = random.Random(3).randbytes(5_000_000)


def test_appending_keeps_what_was_there(place: Place) -> None:
    """H8, in many requests at once, by a client that does not wait for answers."""
    path = f"{place.base}/file"
    place.remote.write(path, CONTENT[:1_000_000])
    with place.gateway.sftp() as sftp, sftp.open(path, "ab") as file:
        file.set_pipelined(True)
        for start in range(1_000_000, len(CONTENT), 30_000):
            file.write(CONTENT[start : start + 30_000])
    assert place.remote.read(path) == CONTENT


def test_appending_to_nothing_begins_a_file(place: Place) -> None:
    with place.gateway.sftp() as sftp, sftp.open(f"{place.base}/file", "ab") as file:
        file.write(b"begun")
    ftp = place.gateway.ftp()
    with ftp.transfercmd(f"APPE {place.base}/other") as data:
        data.sendall(b"begun too")
    ftp.voidresp()
    ftp.quit()
    assert place.remote.read_tree(place.base) == {"file": b"begun", "other": b"begun too"}


def test_what_was_sent_is_rewritten(place: Place) -> None:
    """H11: an offset that has long gone to the storage."""
    path = f"{place.base}/file"
    with place.gateway.sftp() as sftp, sftp.open(path, "wb") as file:
        file.set_pipelined(True)
        for start in range(0, len(CONTENT), 30_000):
            file.write(CONTENT[start : start + 30_000])
        file.seek(1_000)
        file.write(b"rewritten")
    assert place.remote.read(path) == CONTENT[:1_000] + b"rewritten" + CONTENT[1_009:]


def test_the_middle_of_a_file_is_edited(place: Place) -> None:
    path = f"{place.base}/file"
    place.remote.write(path, CONTENT)
    with place.gateway.sftp() as sftp, sftp.open(path, "r+b") as file:
        for offset in (4_000_000, 0, 2_500_000):
            file.seek(offset)
            file.write(b"edited")
        file.truncate(4_500_000)
    expected = bytearray(CONTENT[:4_500_000])
    for offset in (4_000_000, 0, 2_500_000):
        expected[offset : offset + 6] = b"edited"
    assert place.remote.read(path) == bytes(expected)


def test_the_end_of_a_large_file_is_read_alone(place: Place) -> None:
    """H12: a gateway that went through all of it would need far longer than any client waits."""
    path = f"{place.base}/file"
    size = 300_000_000_000 if place.service == "local" else len(CONTENT)
    if place.service == "local":
        assert place.gateway.root is not None
        with (place.gateway.root / path[1:]).open("wb") as file:
            file.seek(size - 5)
            file.write(b"end!\n")
    else:
        place.remote.write(path, CONTENT[:-5] + b"end!\n")
    with place.gateway.sftp() as sftp, sftp.open(path, "rb") as remote:
        remote.seek(size - 4096)
        assert remote.read().endswith(b"end!\n")
    ftp = place.gateway.ftp()
    received: list[bytes] = []
    ftp.retrbinary(f"RETR {path}", received.append, rest=size - 4096)
    ftp.quit()
    assert len(b"".join(received)) == 4096
    assert received[-1].endswith(b"end!\n")


@pytest.mark.parametrize("first", ["data", "control"])
@pytest.mark.parametrize("way", ["closed", "reset"])
def test_a_dying_client_ends_its_connections_in_any_order(place: Place, first: str, way: str) -> None:
    """The kernel closes what a killed process had open one after the other, in an order of its own; plain FTP has nothing else to tell the end by."""
    place.remote.write(f"{place.base}/old", b"old content")
    for name in ("old", "new"):
        ftp = place.gateway.ftp()
        ftp.voidcmd("TYPE I")
        others = get_received_bytes(place.gateway.process.pid).keys()
        data = ftp.transfercmd(f"STOR {place.base}/{name}")
        data.sendall(CONTENT[:1_000_000])
        _wait_for_bytes(place, others, 1_000_000)
        _die(ftp, data, first, way)
        path = f"{place.base}/{name}"
        wait_until(
            lambda path=path: f"path={path} " in place.gateway.err.rpartition("event=upload user=demo manager=ftp")[2]
        )
    assert place.remote.read_tree(place.base) == {"old": b"old content"}


def _wait_for_bytes(place: Place, others: object, num_bytes: int) -> None:
    pid = place.gateway.process.pid

    def have_come() -> bool:
        return any(size >= num_bytes for name, size in get_received_bytes(pid).items() if name not in others)  # type: ignore[operator]

    wait_until(have_come, 20)


def _die(ftp: ftplib.FTP, data: socket.socket, first: str, way: str) -> None:
    control, ftp.sock = ftp.sock, None
    assert control is not None
    assert ftp.file is not None
    ftp.file.close()
    for connection in (data, control) if first == "data" else (control, data):
        if way == "reset":
            reset_connection(connection)
        else:
            connection.close()
