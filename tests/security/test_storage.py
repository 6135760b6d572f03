"""A full disk in mid-upload, and two writers of one path, over both protocols and the real folder (threats.md's neighbours in the issue)."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from cloudalpha.testing.waiting import wait_until
from tests.managers.ftp.helpers import Client, finish
from tests.managers.sftp.raw_client import RawClient, uint64
from tests.security.conftest import MARK, Target

DISK_BYTES = 4 * 1024 * 1024
PIECE = 32 * 1024
Serve = Callable[..., Target]


@pytest.fixture
def small_disk(serve: Serve, tmp_path: Path) -> Iterator[Target]:
    """A gateway whose root is a disk of 4 MiB, with one file on it."""
    root = tmp_path / MARK / "root"
    root.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(root)], check=True)
    try:
        (root / "old").write_bytes(b"old content")
        target = serve()
        yield target
        target.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def get_free(target: Target) -> int:
    stat = os.statvfs(target.root)
    return stat.f_bavail * stat.f_frsize


def is_clean(target: Target, names: list[str], free: int) -> bool:
    return sorted(os.listdir(target.root)) == sorted(names) and get_free(target) >= free - 64 * 1024


def fill_by_sftp(client: RawClient, path: bytes, num_bytes: int) -> list[int]:
    """The statuses of the writes and of the close."""
    handle = client.open(path, OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.TRUNCATE).handle
    statuses = []
    for offset in range(0, num_bytes, PIECE):
        reply = client.write(handle, offset, bytes(PIECE))
        statuses.append(reply.status)
        if reply.status != Status.OK:
            assert "full" in reply.text, reply.text
    closed = client.close_handle(handle)
    if closed.status != Status.OK:
        assert "full" in closed.text, closed.text
    return [*statuses, closed.status]


@pytest.mark.root
@pytest.mark.needs("mount")
@pytest.mark.parametrize("name", ["new", "old"])
def test_disk_full_by_sftp(small_disk: Target, name: str) -> None:
    target, free = small_disk, get_free(small_disk)
    client = target.sftp()
    statuses = fill_by_sftp(client, f"/{name}".encode(), 2 * DISK_BYTES)
    assert statuses[0] == Status.OK
    assert statuses[-1] == Status.FAILURE, "the close tells it in any case"
    wait_until(lambda: is_clean(target, ["old"], free))
    assert (target.root / "old").read_bytes() == b"old content"
    assert fill_by_sftp(client, b"/fits", DISK_BYTES // 2)[-1] == Status.OK
    assert (target.root / "fits").stat().st_size == DISK_BYTES // 2


@pytest.mark.root
@pytest.mark.needs("mount")
@pytest.mark.parametrize("line", ["STOR new", "STOR old", "APPE old"])
def test_disk_full_by_ftp(small_disk: Target, line: str) -> None:
    target, free = small_disk, get_free(small_disk)
    client = target.ftp()
    data = client.begin(line)
    try:
        for _ in range(2 * DISK_BYTES // PIECE):
            data.sendall(bytes(PIECE))
        finish(data)
    except ConnectionError:
        data.close()
    assert client.read_reply().startswith(b"552 ")
    wait_until(lambda: is_clean(target, ["old"], free))
    assert (target.root / "old").read_bytes() == b"old content"
    assert client.put("STOR fits", bytes(DISK_BYTES // 2)).startswith(b"226")
    assert (target.root / "fits").stat().st_size == DISK_BYTES // 2


@pytest.mark.root
@pytest.mark.needs("mount")
def test_disk_full_concerns_the_writer_alone(small_disk: Target) -> None:
    """Readers go on; and what is announced as too much is refused before it is sent."""
    target = small_disk
    writer, reader = target.sftp(), target.ftp()
    handle = writer.create(b"/big")
    offset = 0
    while writer.write(handle, offset, bytes(PIECE)).status == Status.OK and offset < 2 * DISK_BYTES:
        offset += PIECE
    assert offset < 2 * DISK_BYTES
    assert reader.get("RETR old") == b"old content"
    writer.reset()
    wait_until(lambda: os.listdir(target.root) == ["old"])
    assert reader.put("STOR small", b"x" * 1000).startswith(b"226")


@pytest.mark.parametrize("first", ["ftp", "sftp"])
def test_two_writers_of_one_path(target: Target, first: str) -> None:
    """Begun together, each whole: nobody sees a mixture, and the last commit wins."""
    ftp, sftp, watcher = target.ftp(), target.sftp(), target.sftp()
    by_ftp, by_sftp = b"F" * 300_000, b"S" * 200_000
    data = ftp.begin("STOR /file")
    handle = sftp.create(b"/file")
    for start in range(0, 300_000, 50_000):
        data.sendall(by_ftp[start : start + 50_000])
        if piece := by_sftp[start : start + 50_000]:
            for offset in range(0, len(piece), 25_000):
                assert sftp.write(handle, start + offset, piece[offset : offset + 25_000]).status == Status.OK
        assert watcher.stat(b"/file").status == Status.NO_SUCH_FILE

    def finish_ftp() -> None:
        finish(data)
        assert ftp.read_reply().startswith(b"226")
        assert (target.root / "file").read_bytes() == by_ftp

    def finish_sftp() -> None:
        assert sftp.close_handle(handle).status == Status.OK
        assert (target.root / "file").read_bytes() == by_sftp

    for end in (finish_ftp, finish_sftp) if first == "ftp" else (finish_sftp, finish_ftp):
        end()
    assert os.listdir(target.root) == ["file"]


def test_many_writers_of_one_path_and_readers(target: Target) -> None:
    """Readers of both protocols only ever see one writer's content, whole."""
    size, num_rounds = 60_000, 15
    (target.root / "file").write_bytes(b"0" * size)
    mistakes: list[str] = []

    def write(letter: bytes, client: Client | RawClient) -> None:
        for _ in range(num_rounds):
            if isinstance(client, Client):
                if not client.put("STOR /file", letter * size).startswith(b"226"):
                    mistakes.append("put")
                continue
            handle = client.create(b"/file")
            for offset in range(0, size, 30_000):
                client.write(handle, offset, letter * 30_000)
            if client.close_handle(handle).status != Status.OK:
                mistakes.append("close")

    def read(client: Client | RawClient) -> None:
        for _ in range(num_rounds):
            if isinstance(client, Client):
                content = client.get("RETR /file")
            else:
                handle = client.open(b"/file", OpenFlag.READ).handle
                content = b"".join(client.read(handle, offset, 20_000).data for offset in range(0, size, 20_000))
                client.close_handle(handle)
            if len(content) != size or len(set(content)) != 1:
                mistakes.append(f"{len(content)} bytes of {set(content)}")

    work = [(write, (b"A", target.ftp())), (write, (b"B", target.ftp())), (write, (b"C", target.sftp()))]
    readers = [(read, (target.ftp(),)), (read, (target.sftp(),))]
    threads = [threading.Thread(target=task, args=arguments) for task, arguments in [*work, *readers]]  # type: ignore[list-item]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert mistakes == []
    assert os.listdir(target.root) == ["file"]


def test_offsets_that_nobody_means(target: Target) -> None:
    """Absurd offsets, lengths and restarts over the real folder: refused, the file as it was, the session alive."""
    (target.root / "file").write_bytes(b"content")
    sftp, ftp = target.sftp(), target.ftp()
    for offset in (2**63 - 1, 2**63, 2**64 - 1):
        handle = sftp.open(b"/file", OpenFlag.WRITE).handle
        assert sftp.write(handle, offset, b"x").status == Status.FAILURE
        sftp.close_handle(handle)
        reading = sftp.open(b"/file", OpenFlag.READ).handle
        assert sftp.ask(Kind.READ, string(reading) + uint64(offset) + b"\xff\xff\xff\xff").status in (
            Status.EOF,
            Status.FAILURE,
        )
        sftp.close_handle(reading)
    for text in ("-1", "99999999999999999999", "1e3", "0x10", "1 2", "", "½"):
        assert ftp.code(f"REST {text}") == 501, text
    assert ftp.code(f"REST {2**63 - 1}") in (350, 501)
    data = ftp.open_data()
    assert ftp.do("STOR /file")[:3] in (b"150", b"550", b"551", b"554", b"452", b"451")
    data.close()
    ftp.close()
    sftp.close()
    assert (target.root / "file").read_bytes() == b"content"
    assert target.ftp().code("NOOP") == 200
