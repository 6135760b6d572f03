from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha import paths
from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.managers.sftp.listing import Listing, encode_attrs
from cloudalpha.managers.sftp.packets import (
    MAX_PACKET_BYTES,
    Attrs,
    BadMessageError,
    Kind,
    Reader,
    Status,
    make_status,
    string,
)
from cloudalpha.managers.sftp.scp import SCPCommand, parse_command
from cloudalpha.managers.sftp.sftp_session import SFTPSession
from cloudalpha.managers.sftp.workers import Workers
from cloudalpha.services.memory.file_system import MemoryFileSystem
from tests.managers.sftp.raw_client import Reply


@given(st.binary(max_size=60))
def test_attributes_are_read_or_refused(data: bytes) -> None:
    try:
        attrs = Reader(data).get_attrs()
    except BadMessageError:
        return
    assert attrs.size is None or 0 <= attrs.size < 2**64
    assert attrs.modified is None or 0 <= attrs.modified < 2**32


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(min_value=1, max_value=20))
def test_strings_are_read_back_and_never_invented(fields: list[bytes], num_missing: int) -> None:
    data = b"".join(map(string, fields))
    reader = Reader(data)
    assert [reader.get_string() for _ in fields] == fields
    with pytest.raises(BadMessageError):
        reader.get_string()
    if fields:
        cut = Reader(data[: -min(num_missing, 4 + len(fields[-1]))])
        with pytest.raises(BadMessageError):
            for _ in fields:
                cut.get_string()


@given(
    st.integers(min_value=0, max_value=2**64 - 1),
    st.none() | st.integers(min_value=0, max_value=2**32 - 1),
    st.booleans(),
)
def test_attributes_go_round(size: int, modified: int | None, is_dir: bool) -> None:
    metadata = FileMetadata("/x", is_dir, size, None if modified is None else utc(modified))
    assert Reader(encode_attrs(metadata)).get_attrs() == Attrs(size, modified)


@pytest.mark.parametrize("seconds", [-1, -(10**10), 2**32, 10**11])
def test_times_out_of_range_are_the_nearest(seconds: int) -> None:
    attrs = Reader(encode_attrs(FileMetadata("/x", False, 0, utc(seconds)))).get_attrs()
    assert attrs.modified == (0 if seconds < 0 else 2**32 - 1)


NAMES = st.binary(min_size=1, max_size=100).filter(lambda raw: paths.is_valid_name(paths.decode(raw)))


@given(st.lists(NAMES, unique=True, max_size=30))
def test_listings_keep_names_byte_for_byte(names: list[bytes]) -> None:
    entries = [FileMetadata("/" + paths.decode(name), False, 5, utc(1_000_000)) for name in names]
    listing = Listing(iter(entries), "demo")
    packet = listing.read_batch(1)
    if not names:
        assert packet is None
        return
    assert packet is not None
    assert Reply(packet[4], 1, packet[9:]).names == names


def test_batches_are_bounded() -> None:
    def make() -> Iterator[FileMetadata]:
        for number in range(100_000):
            yield FileMetadata(f"/{number:0>200}", False, number, utc(number * 1000))

    listing, count = Listing(make(), "a-long-user-name"), 0
    while (packet := listing.read_batch(7)) is not None:
        assert len(packet) < MAX_PACKET_BYTES / 2
        count += int.from_bytes(packet[9:13], "big")
    assert count == 100_000


def test_names_that_nobody_could_ask_for_are_left_out() -> None:
    class Odd(MemoryFileSystem):
        def list_dir(self, path: str) -> Iterator[FileMetadata]:
            return iter([FileMetadata(name, False) for name in ("/good", "/bad\nname", "/worse\0")])

    packet = Listing(FileSystemView(Odd()).list_dir("/"), "demo").read_batch(1)
    assert packet is not None
    assert Reply(packet[4], 1, packet[9:]).names == [b"good"]


def test_status_texts() -> None:
    packet = make_status(5, Status.FAILURE, "zu groß")
    reply = Reply(packet[4], 5, packet[9:])
    assert (reply.status, reply.text) == (Status.FAILURE, "zu groß")
    assert int.from_bytes(packet[:4], "big") == len(packet) - 4


class SilentWire:
    def __init__(self) -> None:
        self.written = bytearray()
        self.status: int | None = None

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def finish(self, status: int) -> None:
        self.status = status


REQUESTS = st.builds(
    lambda kind, body: bytes((kind,)) + b"\0\0\0\x07" + body,
    st.integers(min_value=0, max_value=255) | st.sampled_from(list(Kind)),
    st.binary(max_size=80)
    | st.lists(st.sampled_from([string(b"/a"), string(b"/b"), b"\0\0\0\x04\0\0\0\x01", b"\0\0\0\x1a", b"\0" * 8])).map(
        b"".join
    ),
)


@given(st.lists(REQUESTS, max_size=25), st.integers(min_value=1, max_value=1000))
def test_no_sequence_of_requests_breaks_a_session(requests: list[bytes], piece: int) -> None:
    """Each request gets one answer, which is no internal error; however the bytes are cut into pieces."""

    async def use() -> None:
        loop = asyncio.get_running_loop()
        workers, wire = Workers(4, 4, loop), SilentWire()
        view = FileSystemView(MemoryFileSystem())
        session = SFTPSession(wire, view, workers.make_share(), loop, "demo", 10, 1000)
        data = b"\0\0\0\x05\x01\0\0\0\x03" + b"".join(map(string, requests))
        for start in range(0, len(data), piece):
            session.feed(data[start : start + piece])
        session.end()
        while wire.status is None:  # noqa: ASYNC110 - the session tells its wire, not the loop
            await asyncio.sleep(0)
        session.lose()
        view.close()
        workers.close()
        assert wire.status == 0
        answers, position = 0, 0
        while position < len(wire.written):
            position += 4 + int.from_bytes(wire.written[position : position + 4], "big")
            answers += 1
        assert answers == len(requests) + 1
        assert b"internal error" not in wire.written

    asyncio.run(use())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("scp -t /x", SCPCommand(True, False, False, False, ["/x"])),
        ("scp -r -p -d -t -- -x", SCPCommand(True, True, True, True, ["-x"])),
        ("scp -rpf '/a b' c", SCPCommand(False, True, True, False, ["/a b", "c"])),
        ('scp -v -f "it\'s"', SCPCommand(False, False, False, False, ["it's"])),
    ],
)
def test_scp_commands(command: str, expected: SCPCommand) -> None:
    assert parse_command(command) == expected


@pytest.mark.parametrize(
    "command",
    ["", "ls", "scp", "scp /x", "scp -t", "scp -t a b", "scp -t -f x", "scp -S sh -t x", "scp -t '", "/bin/scp -t x",
     "scp -o ProxyCommand=x -t y", "sh -c 'scp -t x'", "scp2 -t x"],
)  # fmt: skip
def test_other_commands(command: str) -> None:
    assert parse_command(command) is None


def test_workers_are_shared_fairly() -> None:
    """While half of the threads are busy, a session has one of them at most: and nobody waits for a greedy one."""

    async def use() -> None:
        loop = asyncio.get_running_loop()
        workers = Workers(8, 3, loop)
        release, running, lock = threading.Event(), [0], threading.Lock()

        def wait() -> None:
            with lock:
                running[0] += 1
            release.wait(30)

        greedy = [workers.make_share() for _ in range(5)]
        for share in greedy:
            for _ in range(10):
                share.run(wait)
        assert [share.num_busy for share in greedy] == [3, 1, 1, 1, 1]
        quick, done = workers.make_share(), asyncio.Event()
        quick.run(lambda: loop.call_soon_threadsafe(done.set) and None)
        await asyncio.wait_for(done.wait(), 10)
        release.set()
        while any(share.num_busy or share.jobs for share in (*greedy, quick)):  # noqa: ASYNC110 - counts, no events
            await asyncio.sleep(0)
        assert running == [50]
        assert workers.num_busy == 0
        workers.close()

    asyncio.run(use())


def test_random_bytes_do_no_harm() -> None:
    chooser = random.Random(0)

    async def use() -> None:
        loop = asyncio.get_running_loop()
        workers = Workers(4, 4, loop)
        for _ in range(200):
            wire = SilentWire()
            view = FileSystemView(MemoryFileSystem())
            session = SFTPSession(wire, view, workers.make_share(), loop, "demo", 10, 1000)
            session.feed(b"\0\0\0\x05\x01\0\0\0\x03")
            session.feed(chooser.randbytes(chooser.randrange(1, 500)))
            session.end()
            while wire.status is None:  # noqa: ASYNC110 - the session tells its wire, not the loop
                await asyncio.sleep(0)
            session.lose()
            view.close()
        workers.close()

    asyncio.run(use())
