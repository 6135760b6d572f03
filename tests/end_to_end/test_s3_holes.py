"""Holes of other gateways that touch S3 (pitfalls H1, H2, H7, H8, H10 to H14, H16 to H19), over a fake that counts what is asked of it.

H3 is in test_s3_crashes, H15 (a file of more parts than the storage takes) in tests/toolkit, with sizes that no wire could carry.
"""

from __future__ import annotations

import contextlib
import ftplib
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import paramiko
import pytest

from cloudalpha.testing.clients import reset_connection
from cloudalpha.testing.waiting import wait_until
from tests.end_to_end.huge import BUCKET, PART_SIZE, Huge, make_account, open_huge
from tests.fakes.huge_content import make_bytes, make_content
from tests.fakes.huge_store import S3Object
from tests.servers.gateway import Gateway

MIB = 1 << 20
GIB = 1 << 30
FEW_BYTES = 24 * MIB
"""What a change of a large file may move."""

NUM_COPIES_AT_ONCE = 8


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Huge]:
    with open_huge(tmp_path_factory.mktemp("huge")) as huge:
        yield huge


# Clients that go in the middle: H1, H2, H7, H10


def _die_over_sftp(gateway: Gateway, path: str, is_far: Callable[[], object]) -> None:
    """SSH ends without a CLOSE."""
    with gateway.sftp() as sftp:
        file = sftp.open(path, "wb")
        file.set_pipelined(True)
        file.write(make_bytes(0, 3 * PART_SIZE))
        wait_until(is_far)
        transport = sftp.get_channel().get_transport()
        reset_connection(transport.sock)


def _abort_over_ftp(gateway: Gateway, path: str, is_far: Callable[[], object]) -> None:
    """ABOR, and then the connections are closed in good order."""
    ftp = gateway.ftp()
    ftp.voidcmd("TYPE I")
    with ftp.transfercmd(f"STOR {path}") as data:
        data.sendall(make_bytes(0, 3 * PART_SIZE))
        wait_until(is_far)
        reply = ftp.abort()
    assert reply.startswith(("225", "226", "426"))
    ftp.close()


def _die_over_ftp(gateway: Gateway, path: str, is_far: Callable[[], object]) -> None:
    """What a killed client leaves to its kernel: the end of the data, and no client."""
    ftp = gateway.ftp()
    ftp.voidcmd("TYPE I")
    data = ftp.transfercmd(f"STOR {path}")
    data.sendall(make_bytes(0, 3 * PART_SIZE))
    wait_until(is_far)
    assert ftp.sock is not None
    data.close()
    ftp.close()


@pytest.mark.parametrize("is_overwriting", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("leave", [_die_over_sftp, _abort_over_ftp, _die_over_ftp])
def test_a_client_that_goes_in_the_middle_leaves_the_old_content_and_no_upload(
    huge: Huge, leave: Callable[[Gateway, str, Callable[[], object]], None], is_overwriting: bool
) -> None:
    """H1, H2, H7, H10, with parts at the storage already."""
    key = f"left{leave.__name__}-{is_overwriting}"
    old = huge.add(key, MIB) if is_overwriting else None
    leave(huge.gateway, f"/{key}", lambda: huge.count_parts(key) >= 1)
    wait_until(lambda: not huge.has_upload(key), 20)
    assert huge.get(key) is old
    huge.gateway.wait_for_log(f"path=/{key} ")


# Changes of what is large: H8, H11, H13


def _append_over_ftp(gateway: Gateway, path: str, content: bytes) -> None:
    ftp = gateway.ftp()
    ftp.voidcmd("TYPE I")
    with ftp.transfercmd(f"APPE {path}") as data:
        data.sendall(content)
    assert ftp.voidresp().startswith("226")
    ftp.quit()


def _append_over_sftp(gateway: Gateway, path: str, content: bytes) -> None:
    with gateway.sftp() as sftp, sftp.open(path, "ab") as file:
        file.set_pipelined(True)
        file.write(content)


@pytest.mark.parametrize("append", [_append_over_ftp, _append_over_sftp])
def test_appending_moves_what_is_appended(huge: Huge, append: Callable[[Gateway, str, bytes], None]) -> None:
    """H8: 1 MiB more at the end of 1 GiB."""
    key = append.__name__
    huge.add(key, GIB)
    content = make_bytes(77, MIB)
    huge.service.reset_counts()
    append(huge.gateway, f"/{key}", content)
    counts = huge.service.reset_counts()
    assert counts.bytes_in + counts.bytes_out < FEW_BYTES
    assert huge.read(key, GIB - 10, MIB + 20) == make_bytes(GIB - 10, 10) + content
    assert huge.read(key, 0, 100) == make_bytes(0, 100)
    assert not huge.has_upload(key)


@pytest.mark.parametrize("offset", [0, 500 * MIB + 7, GIB - 1])
def test_a_changed_byte_moves_few(huge: Huge, offset: int) -> None:
    """H13: in 1 GiB."""
    key = f"changed-{offset}"
    huge.add(key, GIB)
    huge.service.reset_counts()
    with huge.gateway.sftp() as sftp, sftp.open(f"/{key}", "r+b") as file:
        file.seek(offset)
        file.write(b"!")
    counts = huge.service.reset_counts()
    assert counts.bytes_in + counts.bytes_out < FEW_BYTES
    start = max(0, offset - 100)
    expected = bytearray(make_bytes(start, min(GIB - start, 200)))
    expected[offset - start] = ord("!")
    assert huge.read(key, start, len(expected)) == expected
    found = huge.get(key)
    assert found is not None and found.content.size == GIB


def test_what_the_storage_has_already_is_rewritten(huge: Huge) -> None:
    """H11: the part that holds the offset has been sent."""
    size = 4 * PART_SIZE
    with huge.gateway.sftp() as sftp, sftp.open("/rewritten", "wb") as file:
        file.set_pipelined(True)
        file.write(make_bytes(0, size))
        wait_until(lambda: huge.count_parts("rewritten") >= 1)
        file.seek(1000)
        file.write(b"rewritten")
    expected = make_bytes(0, 1000) + b"rewritten" + make_bytes(1009, size - 1009)
    assert huge.read("rewritten", 0, size + 1) == expected


# Reads: H12, H16, H19


@pytest.mark.parametrize("protocol", ["ftp", "sftp"])
def test_the_tail_of_a_huge_file_is_one_request(huge: Huge, protocol: str) -> None:
    """H12: the last 4 KiB of 10 GiB."""
    size = 10 * GIB
    huge.add("huge", size)
    received: list[bytes] = []
    huge.service.reset_counts()
    if protocol == "ftp":
        with contextlib.closing(huge.gateway.ftp()) as ftp:
            ftp.retrbinary("RETR /huge", received.append, rest=size - 4096)
    else:
        with huge.gateway.sftp() as sftp, sftp.open("/huge", "rb") as file:
            file.seek(-4096, os.SEEK_END)
            received.append(file.read())
    counts = huge.service.reset_counts()
    assert b"".join(received) == make_bytes(size - 4096, 4096)
    assert counts.requests["GetObject"] == 1
    assert counts.bytes_out == 4096


def test_a_large_folder_is_listed_while_it_is_read(huge: Huge, monkeypatch: pytest.MonkeyPatch) -> None:
    """H16: the first names are there while the storage still tells the others."""
    content = make_content(5)
    names = {f"file-{number:05}" for number in range(8000)}
    huge.service.store.buckets[BUCKET].update({f"many/{name}": S3Object(content, "0" * 32) for name in names})
    huge.add("many/", 0)
    num_pages, goes_on = 0, threading.Event()
    count = huge.service.count

    def hold_later_pages(operation: str) -> None:
        nonlocal num_pages
        count(operation)
        num_pages += operation == "ListObjectsV2"
        if num_pages > 4:
            assert goes_on.wait(20)

    monkeypatch.setattr(huge.service, "count", hold_later_pages)
    with contextlib.closing(huge.gateway.ftp()) as ftp:
        with ftp.transfercmd("MLSD /many") as data:
            received = data.recv(100)
            assert received.startswith(b"Type=file")
            goes_on.set()
            while piece := data.recv(1 << 16):
                received += piece
        assert ftp.voidresp().startswith("226")
    assert {line.partition(b"; ")[2].decode() for line in received.splitlines()} - {"", ".", ".."} == names


def test_what_was_just_stored_is_seen_at_once(huge: Huge) -> None:
    """H19: by whoever looks, in whatever way; a size that changes shows at once, and what is deleted is gone."""
    chooser = random.Random(5)
    with contextlib.closing(huge.gateway.ftp()) as ftp, huge.gateway.sftp() as sftp:
        for _ in range(6):
            for store in (_store_over_ftp, _store_over_sftp):
                size = chooser.choice([0, 1, 40_000, PART_SIZE + 1])
                store(ftp, sftp, "/seen", make_bytes(0, size))
                ftp.voidcmd("TYPE I")  # listings have made it TYPE A
                assert ftp.size("/seen") == size
                assert sftp.stat("/seen").st_size == size
                assert {name: int(facts["size"]) for name, facts in ftp.mlsd("/") if name == "seen"} == {"seen": size}
                assert [entry.st_size for entry in sftp.listdir_attr("/") if entry.filename == "seen"] == [size]
        sftp.remove("/seen")
        with pytest.raises(ftplib.error_perm, match="550"):
            ftp.size("/seen")
        assert "seen" not in sftp.listdir("/")


def _store_over_ftp(ftp: ftplib.FTP, sftp: paramiko.SFTPClient, path: str, content: bytes) -> None:
    ftp.voidcmd("TYPE I")
    with ftp.transfercmd(f"STOR {path}") as data:
        data.sendall(content)
    assert ftp.voidresp().startswith("226")


def _store_over_sftp(ftp: ftplib.FTP, sftp: paramiko.SFTPClient, path: str, content: bytes) -> None:
    with sftp.open(path, "wb") as file:
        file.set_pipelined(True)
        file.write(content)


def test_times_are_kept_without_a_new_upload(huge: Huge) -> None:
    """H18: by the commands of lftp and WinSCP."""
    huge.add("timed", GIB)
    huge.service.reset_counts()
    ftp = huge.gateway.ftp()
    assert ftp.sendcmd("MFMT 20170714024000 /timed").startswith("213")
    assert _get_mtime(huge, "timed") == 1_500_000_000
    with huge.gateway.sftp() as sftp:
        assert sftp.stat("/timed").st_mtime == 1_500_000_000
        sftp.utime("/timed", (1_600_000_000, 1_600_000_000))
        assert [entry.st_mtime for entry in sftp.listdir_attr("/") if entry.filename == "timed"] == [1_600_000_000]
    assert _get_mtime(huge, "timed") == 1_600_000_000
    assert ftp.sendcmd("MDTM /timed") == f"213 {datetime.fromtimestamp(1_600_000_000, UTC):%Y%m%d%H%M%S}"
    ftp.quit()
    counts = huge.service.reset_counts()
    assert counts.bytes_in == counts.bytes_out == 0
    assert huge.read("timed", 0, 10) == make_bytes(0, 10)


def _get_mtime(huge: Huge, key: str) -> float:
    found = huge.get(key)
    assert found is not None
    return float({name.lower(): value for name, value in found.headers.items()}["x-amz-meta-mtime"])


# Uploads of any size: H14


@pytest.mark.parametrize(("protocol", "size"), [("ftp", 256 * MIB), ("sftp", 96 * MIB)])
def test_an_upload_larger_than_disk_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, size: int
) -> None:
    """H14: whatever comes, no more than the budgets of disk and memory is held of it."""
    monkeypatch.setenv("CLOUDALPHA_SPOOL_SIZE", "8 MiB")
    monkeypatch.setenv("CLOUDALPHA_TRANSFER_MEMORY", "32 MiB")
    with open_huge(tmp_path) as huge:
        pid = huge.gateway.process.pid
        before = _get_peak_memory(pid)
        most_on_disk = 0

        def send(write: Callable[[bytes], object]) -> None:
            nonlocal most_on_disk
            for start in range(0, size, 4 * MIB):
                write(make_bytes(start, 4 * MIB))
                most_on_disk = max(most_on_disk, _get_bytes_on_disk(pid, tmp_path))

        if protocol == "ftp":
            ftp = huge.gateway.ftp()
            ftp.voidcmd("TYPE I")
            with ftp.transfercmd("STOR /file") as data:
                send(data.sendall)
            assert ftp.voidresp().startswith("226")
            ftp.quit()
        else:
            with huge.gateway.sftp() as sftp, sftp.open("/file", "wb") as file:
                file.set_pipelined(True)
                send(file.write)
        found = huge.get("file")
        assert found is not None and found.content == make_content(size)
        assert most_on_disk <= (0 if protocol == "ftp" else 8 * MIB)
        assert _get_peak_memory(pid) - before < 80 * MIB


def _get_peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _get_bytes_on_disk(pid: int, folder: Path) -> int:
    """What a process holds of files beneath a folder, named or not, but for logs and small values."""
    total = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if os.readlink(descriptor).startswith(f"{folder}/state/spool"):
                status = descriptor.stat()
                total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0
    return total


# Folders: H17


def test_a_folder_is_renamed_in_parallel(huge: Huge, monkeypatch: pytest.MonkeyPatch) -> None:
    """H17: no copy is answered before as many as that are under way."""
    num_files = 50 * NUM_COPIES_AT_ONCE
    for number in range(num_files):
        huge.add(f"moved/{number:04}", number)
    barrier = threading.Barrier(NUM_COPIES_AT_ONCE, timeout=20)
    count = huge.service.count

    def hold_copies(operation: str) -> None:
        count(operation)
        if operation == "CopyObject":
            barrier.wait()

    monkeypatch.setattr(huge.service, "count", hold_copies)
    huge.service.reset_counts()
    with contextlib.closing(huge.gateway.ftp()) as ftp:
        ftp.rename("/moved", "/new place")
    counts = huge.service.reset_counts()
    assert counts.requests["CopyObject"] == num_files
    assert counts.requests["DeleteObjects"] == 1
    assert huge.list_keys("moved/") == set()
    assert huge.list_keys("new place/") == {f"new place/{number:04}" for number in range(num_files)}


def test_a_rename_that_a_crash_interrupts_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """H17: nothing is deleted before all is copied, and the next start goes on."""
    with open_huge(tmp_path) as huge:
        names = {f"{number:04}" for number in range(200)}
        for name in names:
            huge.add(f"moved/{name}", int(name))
        num_copies, goes_on = 0, threading.Event()
        count = huge.service.count

        def hold_later_copies(operation: str) -> None:
            nonlocal num_copies
            count(operation)
            if operation == "CopyObject":
                num_copies += 1
                if num_copies > 50:
                    goes_on.wait(20)

        monkeypatch.setattr(huge.service, "count", hold_later_copies)
        ftp = huge.gateway.ftp()
        ftp.voidcmd("TYPE I")
        assert ftp.sendcmd("RNFR /moved").startswith("350")
        ftp.putcmd("RNTO /there")
        wait_until(lambda: num_copies > 50)
        huge.gateway.kill()
        goes_on.set()
        ftp.close()
        assert huge.list_keys("moved/") == {f"moved/{name}" for name in names}
        with Gateway(tmp_path, make_account(huge.service)) as gateway, gateway.sftp() as sftp:
            sftp.listdir("/")
            wait_until(lambda: huge.list_keys("moved/") == set(), 20, lambda: gateway.err)
            assert {entry.filename: entry.st_size for entry in sftp.listdir_attr("/there")} == {
                name: int(name) for name in names
            }
