"""What is published, and when: pitfalls H1, H2, H8, H11, H12; law 11; WinSCP's way to upload."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.faulty_layer import Fault, FaultyLayer
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.waiting import wait_until
from tests.managers.sftp.conftest import Serve
from tests.managers.sftp.raw_client import RawClient, uint32, uint64

Connect = Callable[..., RawClient]


@pytest.mark.parametrize("way", ["reset", "disconnect", "end of the channel", "channel closed"])
@pytest.mark.parametrize("path", ["/old", "/new"])
def test_lost_uploads_publish_nothing(
    connect: Connect, files: MemoryFileSystem, gate: OpenGate, way: str, path: str
) -> None:
    files.write_all("/old", b"old content")
    client = connect()
    handle = client.create(path.encode())
    for number in range(20):
        assert client.write(handle, number * 30_000, b"x" * 30_000).status == Status.OK
    if way == "reset":
        client.reset()
    elif way == "disconnect":
        client.close()
    elif way == "end of the channel":
        client.channel.shutdown_write()
    else:
        client.channel.close()
    wait_until(lambda: not gate.visits[0].sessions[0].view.get_open_files())
    assert files.read_all("/old") == b"old content"
    assert [entry.name for entry in files.list_dir("/")] == ["old"]


def test_rewrite_of_what_went_before(client: RawClient, files: MemoryFileSystem) -> None:
    """H11: an offset that the uploader has long consumed."""
    handle = client.create(b"/file")
    for number in range(200):
        assert client.write(handle, number * 30_000, bytes((number,)) * 30_000).status == Status.OK
    assert client.write(handle, 10, b"rewritten").status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    content = files.read_all("/file")
    assert len(content) == 6_000_000
    assert content[:30_000] == bytes(10) + b"rewritten" + bytes(30_000 - 19)
    assert content[-30_000:] == bytes((199,)) * 30_000


def test_writes_in_any_order(client: RawClient, files: MemoryFileSystem) -> None:
    order = list(range(100))
    random.Random(5).shuffle(order)
    handle = client.create(b"/file")
    ids = [
        client.send(Kind.WRITE, string(handle) + uint64(number * 1000) + string(bytes((number,)) * 1000))
        for number in order
    ]
    replies = [client.receive() for _ in ids]
    assert {reply.id for reply in replies} == set(ids)
    assert {reply.status for reply in replies} == {Status.OK}
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"".join(bytes((number,)) * 1000 for number in range(100))


def test_overlapping_writes_keep_their_order(connect: Connect, files: MemoryFileSystem) -> None:
    """Sent at once: the later one wins wherever two of them meet."""
    client = connect()
    chooser = random.Random(7)
    expected = bytearray()
    handle = client.create(b"/file")
    ids = []
    for number in range(300):
        offset = chooser.randrange(0, max(len(expected), 1) + 1)
        data = bytes((number % 251,)) * chooser.randrange(1, 20_000)
        expected[offset : offset + len(data)] = data
        ids.append(client.send(Kind.WRITE, string(handle) + uint64(offset) + string(data)))
    assert {client.receive().status for _ in ids} == {Status.OK}
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == bytes(expected)


def test_answers_to_writes_keep_their_order(client: RawClient, files: MemoryFileSystem) -> None:
    """OpenSSH's scp truncates the file otherwise. Many buffers' worth, so that some wait for the storage and some do not."""
    handle = client.create(b"/file")
    ids, answers = [], []
    for number in range(600):
        ids.append(client.send(Kind.WRITE, string(handle) + uint64(number * 60_000) + string(bytes(60_000))))
        if number >= 30:  # as many under way as a client's window holds
            answers.append(client.receive().id)
    answers += [client.receive().id for _ in range(30)]
    assert answers == ids
    assert client.close_handle(handle).status == Status.OK
    assert files.get_size("/file") == 36_000_000


@pytest.mark.parametrize("flags", [OpenFlag.WRITE | OpenFlag.APPEND, OpenFlag.APPEND, OpenFlag.WRITE])
def test_append(client: RawClient, files: MemoryFileSystem, flags: OpenFlag) -> None:
    """H8: the bytes before stay what they were."""
    files.write_all("/file", b"first ")
    handle = client.open(b"/file", flags).handle
    assert client.write(handle, 6, b"second").status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"first second"


def test_a_session_sees_its_own_open_file(connect: Connect, files: MemoryFileSystem) -> None:
    client = connect()
    other = RawClient(client.socket.getpeername()[1])
    try:
        handle = client.create(b"/file")
        assert client.write(handle, 0, b"content").status == Status.OK
        assert client.ask(Kind.FSTAT, string(handle)).size == 7
        assert client.stat(b"/file").size == 7
        assert client.list_names(b"/") == [b"file"]
        assert other.stat(b"/file").status == Status.NO_SUCH_FILE
        assert other.list_names(b"/") == []
        assert client.ask_extended(b"fsync@openssh.com", string(handle)).status == Status.OK
        assert other.stat(b"/file").size == 7
        assert client.write(handle, 7, b" and more").status == Status.OK
        assert other.stat(b"/file").size == 7
        assert client.close_handle(handle).status == Status.OK
        assert other.stat(b"/file").size == 16
        assert files.read_all("/file") == b"content and more"
    finally:
        other.close()


def test_truncation_by_path_reaches_the_open_file(client: RawClient, files: MemoryFileSystem) -> None:
    handle = client.create(b"/file")
    assert client.write(handle, 0, b"content").status == Status.OK
    assert client.ask(Kind.SETSTAT, string(b"/file") + uint32(1) + uint64(4)).status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"cont"


def test_a_failed_commit_is_told(serve: Serve, connect: Connect, files: MemoryFileSystem) -> None:
    faulty = FaultyLayer(files)
    client = connect(serve(OpenGate(faulty)))
    files.write_all("/file", b"old content")
    handle = client.create(b"/file")
    assert client.write(handle, 0, b"new").status == Status.OK
    faulty.plan(Fault("NewFile.commit"))
    reply = client.close_handle(handle)
    assert reply.status == Status.FAILURE
    assert reply.text
    assert files.read_all("/file") == b"old content"
    assert client.close_handle(handle).status == Status.FAILURE


def test_tail_read_asks_for_the_tail(serve: Serve, connect: Connect, files: MemoryFileSystem) -> None:
    """H12: one request for a range, not the whole file."""
    content = random.Random(3).randbytes(4_000_000)
    files.write_all("/file", content)
    counting = CountingLayer(files)
    client = connect(serve(OpenGate(counting)))
    handle = client.open(b"/file", OpenFlag.READ).handle
    assert client.read(handle, 4_000_000 - 4096, 4096).data == content[-4096:]
    assert client.close_handle(handle).status == Status.OK
    assert counting.bytes_read <= 1_000_000


def test_listing_is_one_listing(serve: Serve, connect: Connect, files: MemoryFileSystem) -> None:
    for number in range(1000):
        files.write_all(f"/{number}", b"")
    counting = CountingLayer(files)
    client = connect(serve(OpenGate(counting)))
    counting.reset()
    assert len(client.list_names(b"/")) == 1000
    assert counting.calls["list_dir"] == 1
    assert counting.calls["get_metadata"] <= 2


def test_upload_as_winscp_does_it(client: RawClient, files: MemoryFileSystem) -> None:
    """Into NAME.filepart, time set on the handle, closed; the old file deleted, the new one renamed; time set once more."""
    files.write_all("/report.txt", b"old")
    handle = client.open(
        b"/report.txt.filepart", OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.TRUNCATE | OpenFlag.READ
    ).handle
    for number in range(4):
        assert client.write(handle, number * 1000, b"x" * 1000).status == Status.OK
    times = uint32(8) + uint32(1_500_000_000) * 2
    assert client.ask(Kind.FSETSTAT, string(handle) + times).status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/report.txt") == b"old"
    assert client.ask(Kind.REMOVE, string(b"/report.txt")).status == Status.OK
    assert client.ask(Kind.RENAME, string(b"/report.txt.filepart") + string(b"/report.txt")).status == Status.OK
    assert client.ask(Kind.SETSTAT, string(b"/report.txt") + uint32(4) + uint32(0o644)).status == Status.OK
    assert client.stat(b"/report.txt").modified == 1_500_000_000
    assert files.read_all("/report.txt") == b"x" * 4000
    # the resume of an interrupted one: the rest is appended to what is there
    files.write_all("/big.filepart", b"first half ")
    handle = client.open(b"/big.filepart", OpenFlag.WRITE | OpenFlag.CREATE).handle
    assert client.write(handle, 11, b"second half").status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    names = string(b"/big.filepart") + string(b"/report.txt")
    assert client.ask_extended(b"posix-rename@openssh.com", names).status == Status.OK
    assert files.read_all("/report.txt") == b"first half second half"
