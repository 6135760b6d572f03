"""Requests as clients send them, and as attackers do: bare packets (threats 12, 22, 23, 27, 39)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudalpha.managers.sftp.packets import MAX_DATA_BYTES, MAX_PACKET_BYTES, Kind, OpenFlag, Status, string
from cloudalpha.services.memory.file_system import MemoryFileSystem
from tests.managers.sftp.raw_client import NO_ATTRS, RawClient, uint32, uint64

Connect = Callable[..., RawClient]


@pytest.mark.parametrize("version", [3, 4, 6, 2**32 - 1])
def test_version_3_is_spoken(connect: Connect, version: int) -> None:
    client = connect()
    other = RawClient(client.socket.getpeername()[1], version=version)
    try:
        assert other.version[:5] == bytes((Kind.VERSION,)) + uint32(3)
        assert b"posix-rename@openssh.com" in other.version
    finally:
        other.close()


def test_whole_life_of_a_file(client: RawClient, files: MemoryFileSystem) -> None:
    handle = client.create(b"/file")
    assert client.write(handle, 0, b"content").status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"content"
    assert client.stat(b"file").size == 7
    handle = client.open(b"/file", OpenFlag.READ).handle
    assert client.read(handle, 0, 100).data == b"content"
    assert client.read(handle, 3, 2).data == b"te"
    assert client.read(handle, 7, 2).status == Status.EOF
    assert client.close_handle(handle).status == Status.OK
    assert client.list_names(b"/") == [b"file"]
    assert client.ask(Kind.REMOVE, string(b"/file")).status == Status.OK
    assert client.stat(b"/file").status == Status.NO_SUCH_FILE


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.INIT, Kind.VERSION) and kind < 100])
@pytest.mark.parametrize("body", [b"", b"\0\0", uint32(50) + b"short", uint32(2**32 - 1)])
def test_short_requests(client: RawClient, kind: int, body: bytes) -> None:
    assert client.ask(kind, body).status in (Status.BAD_MESSAGE, Status.FAILURE)
    assert client.stat(b"/").kind == Kind.ATTRS


def test_short_write_writes_nothing(client: RawClient, files: MemoryFileSystem) -> None:
    handle = client.create(b"/file")
    body = string(handle) + uint64(0) + uint32(100) + b"only this"
    assert client.ask(Kind.WRITE, body).status == Status.BAD_MESSAGE
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b""


def test_bytes_behind_a_write_are_ignored(client: RawClient, files: MemoryFileSystem) -> None:
    handle = client.create(b"/file")
    body = string(handle) + uint64(0) + string(b"content") + b"left over from a client's buffer"
    assert client.ask(Kind.WRITE, body).status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"content"


def test_handles_of_other_lengths(client: RawClient) -> None:
    for handle in (b"", b"x", b"\0\0\0\0", b"\xff" * 4, b"a longer one", b"x" * 1000):
        assert client.read(handle, 0, 10).status == Status.FAILURE
        assert client.write(handle, 0, b"data").status == Status.FAILURE
        assert client.close_handle(handle).status == Status.FAILURE
        assert client.ask(Kind.READDIR, string(handle)).status == Status.FAILURE
        assert client.ask(Kind.FSTAT, string(handle)).status == Status.FAILURE


@pytest.mark.parametrize("kind", [0, 1, 2, 21, 22, 99, 101, 103, 150, 199, 201, 255])
def test_unknown_requests(client: RawClient, kind: int) -> None:
    assert client.ask(kind, b"something").status == Status.OP_UNSUPPORTED
    assert client.stat(b"/").kind == Kind.ATTRS


def test_unknown_extension(client: RawClient) -> None:
    assert client.ask_extended(b"format-disk@example.org", b"").status == Status.OP_UNSUPPORTED


def test_close_twice(client: RawClient) -> None:
    handle = client.create(b"/file")
    assert client.close_handle(handle).status == Status.OK
    assert client.close_handle(handle).status == Status.FAILURE
    assert client.write(handle, 0, b"late").status == Status.FAILURE


def test_folders_are_not_files(client: RawClient, files: MemoryFileSystem) -> None:
    files.make_dir("/folder")
    files.write_all("/file", b"")
    assert client.open(b"/folder", OpenFlag.READ).status == Status.FAILURE
    assert client.open(b"/folder", OpenFlag.WRITE | OpenFlag.CREATE).status == Status.FAILURE
    assert client.ask(Kind.OPENDIR, string(b"/file")).status == Status.NO_SUCH_FILE
    assert client.ask(Kind.REMOVE, string(b"/folder")).status == Status.FAILURE
    assert client.ask(Kind.RMDIR, string(b"/file")).status == Status.NO_SUCH_FILE
    handle = client.ask(Kind.OPENDIR, string(b"/folder")).handle
    assert client.read(handle, 0, 10).status == Status.FAILURE
    file_handle = client.open(b"/file", OpenFlag.READ).handle
    assert client.ask(Kind.READDIR, string(file_handle)).status == Status.FAILURE


def test_handles_are_bounded(connect: Connect, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"content")
    client = connect(max_handles=100)
    replies = []
    for _ in range(30):  # in batches, so that neither side's window fills up
        ids = [client.send(Kind.OPEN, string(b"/file") + uint32(OpenFlag.READ) + NO_ATTRS) for _ in range(100)]
        replies += [client.receive() for _ in ids]
    handles = [reply.handle for reply in replies if reply.kind == Kind.HANDLE]
    refused = [reply for reply in replies if reply.kind != Kind.HANDLE]
    assert len(handles) == 100
    assert {reply.status for reply in refused} == {Status.FAILURE}
    assert "too many open files" in refused[0].text
    assert client.open(b"/file", OpenFlag.READ).kind == Kind.STATUS
    assert client.close_handle(handles[0]).status == Status.OK
    assert client.open(b"/file", OpenFlag.READ).kind == Kind.HANDLE
    assert client.open(b"/none", OpenFlag.READ).kind == Kind.STATUS


def test_refused_opens_give_their_place_back(connect: Connect) -> None:
    client = connect(max_handles=4)
    for _ in range(10):
        assert client.open(b"/none", OpenFlag.READ).status == Status.NO_SUCH_FILE
        assert client.ask(Kind.OPENDIR, string(b"/none")).status == Status.NO_SUCH_FILE
    assert len([client.create(b"/file%d" % number) for number in range(4)]) == 4


@pytest.mark.parametrize("length", [MAX_PACKET_BYTES + 1, 2**31, 2**32 - 1, 0, 4])
def test_impossible_lengths_end_the_session(client: RawClient, length: int) -> None:
    client.channel.sendall(uint32(length) + b"xxxxxxxx")
    with pytest.raises(EOFError):
        client.receive_packet()


def test_longest_write_and_read(client: RawClient, files: MemoryFileSystem) -> None:
    content = bytes(range(256)) * (MAX_DATA_BYTES // 256)
    handle = client.create(b"/file")
    assert client.write(handle, 0, content).status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    handle = client.open(b"/file", OpenFlag.READ).handle
    assert client.read(handle, 0, 2**32 - 1).data == content[:MAX_DATA_BYTES]
    assert files.read_all("/file") == content


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63, 2**64 - 1])
def test_absurd_offsets(client: RawClient, files: MemoryFileSystem, offset: int) -> None:
    files.write_all("/old", b"content")
    handle = client.open(b"/old", OpenFlag.READ).handle
    assert client.read(handle, offset, 100).status == Status.EOF
    handle = client.create(b"/new")
    assert client.write(handle, offset, b"data").status == Status.FAILURE
    assert client.stat(b"/").kind == Kind.ATTRS


def test_absurd_size(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"content")
    reply = client.ask(Kind.SETSTAT, string(b"/file") + uint32(1) + uint64(2**64 - 1))
    assert reply.status == Status.FAILURE
    assert files.read_all("/file") == b"content"


BAD_NAMES = [bytes((code,)) for code in (*range(32), 127)] + [b"x" * 256, b"/".join([b"y" * 200] * 30)]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_names_that_cannot_be(client: RawClient, name: bytes) -> None:
    path = b"/a" + name + b"b"
    replies = [
        client.stat(path),
        client.open(path, OpenFlag.WRITE | OpenFlag.CREATE),
        client.ask(Kind.MKDIR, string(path) + NO_ATTRS),
        client.ask(Kind.RENAME, string(b"/x") + string(path)),
        client.ask(Kind.REALPATH, string(path)),
        client.ask_extended(b"posix-rename@openssh.com", string(path) + string(b"/x")),
        client.ask_extended(b"statvfs@openssh.com", string(path)),
    ]
    for reply in replies:
        assert reply.status == Status.FAILURE
        assert reply.text.isprintable()
    assert client.list_names(b"/") == []


@pytest.mark.parametrize(
    "name", [b"caf\xe9", "café".encode(), "cafe\u0301".encode(), b"\xff\xfe", b"a\\b", b"%2e%2e", b" "]
)
def test_names_are_kept_byte_for_byte(client: RawClient, name: bytes) -> None:
    assert client.close_handle(client.create(b"/" + name)).status == Status.OK
    assert client.list_names(b"/") == [name]
    assert client.ask(Kind.REALPATH, string(name)).names == [b"/" + name]


@pytest.mark.parametrize(
    ("path", "real"),
    [
        (b"", b"/"),
        (b".", b"/"),
        (b"~", b"/"),
        (b"..", b"/"),
        (b"/../../etc/passwd", b"/etc/passwd"),
        (b"//etc//passwd/", b"/etc/passwd"),
        (b"a/./b/../c", b"/a/c"),
    ],
)
def test_realpath(client: RawClient, path: bytes, real: bytes) -> None:
    assert client.ask(Kind.REALPATH, string(path)).names == [real]


@pytest.mark.expects_warnings
def test_unforeseen_errors_tell_nothing(
    connect: Connect, files: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> object:
        raise RuntimeError("/etc/secret of the machine")

    client = connect()
    monkeypatch.setattr(MemoryFileSystem, "get_metadata", fail)
    reply = client.stat(b"/file")
    assert reply.status == Status.FAILURE
    assert "secret" not in reply.text
    assert "RuntimeError" not in reply.text
    assert "error" in reply.text


def test_links_are_refused_with_a_reason(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"")
    reply = client.ask(Kind.SYMLINK, string(b"/file") + string(b"/link"))
    assert (reply.status, "symbolic" in reply.text) == (Status.OP_UNSUPPORTED, True)
    reply = client.ask_extended(b"hardlink@openssh.com", string(b"/file") + string(b"/link"))
    assert (reply.status, "hard" in reply.text) == (Status.OP_UNSUPPORTED, True)
    assert client.ask(Kind.READLINK, string(b"/file")).status == Status.FAILURE
    assert client.ask(Kind.READLINK, string(b"/none")).status == Status.NO_SUCH_FILE


def test_attributes_that_mean_nothing_here_are_taken(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"content")
    owner_and_mode = uint32(6) + uint32(1000) + uint32(1000) + uint32(0o600)
    extended = uint32(0x80000000) + uint32(1) + string(b"x@example.org") + string(b"y")
    handle = client.open(b"/file", OpenFlag.READ).handle
    for attrs in (owner_and_mode, extended, NO_ATTRS):
        assert client.ask(Kind.SETSTAT, string(b"/file") + attrs).status == Status.OK
        assert client.ask(Kind.FSETSTAT, string(handle) + attrs).status == Status.OK
        assert client.ask(Kind.SETSTAT, string(b"/none") + attrs).status == Status.NO_SUCH_FILE
    assert client.ask(Kind.SETSTAT, string(b"/file") + uint32(1)).status == Status.BAD_MESSAGE


def test_times_and_sizes(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"content")
    assert (
        client.ask(Kind.SETSTAT, string(b"/file") + uint32(8) + uint32(0) + uint32(1_000_000_000)).status == Status.OK
    )
    assert client.stat(b"/file").modified == 1_000_000_000
    assert client.ask(Kind.SETSTAT, string(b"/file") + uint32(1) + uint64(3)).status == Status.OK
    assert files.read_all("/file") == b"con"
    assert client.ask(Kind.SETSTAT, string(b"/file") + uint32(1) + uint64(5)).status == Status.OK
    assert files.read_all("/file") == b"con\0\0"
    handle = client.open(b"/file", OpenFlag.WRITE).handle
    assert client.ask(Kind.FSETSTAT, string(handle) + uint32(1) + uint64(1)).status == Status.OK
    assert client.ask(Kind.FSETSTAT, string(handle) + uint32(8) + uint32(0) + uint32(999_999_999)).status == Status.OK
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"c"
    assert client.stat(b"/file").modified == 999_999_999


def test_rename_refuses_and_posix_rename_replaces(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/old", b"old")
    files.write_all("/new", b"new")
    names = string(b"/old") + string(b"/new")
    assert client.ask(Kind.RENAME, names).status == Status.FAILURE
    assert files.read_all("/new") == b"new"
    assert client.ask_extended(b"posix-rename@openssh.com", names).status == Status.OK
    assert files.read_all("/new") == b"old"
    assert not files.exists("/old")


def test_open_flags(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"content")
    flags = OpenFlag
    assert client.open(b"/file", flags(0)).status == Status.FAILURE
    assert client.open(b"/none", flags.WRITE).status == Status.NO_SUCH_FILE
    assert client.open(b"/none/file", flags.WRITE | flags.CREATE).status == Status.NO_SUCH_FILE
    assert client.open(b"/file", flags.WRITE | flags.CREATE | flags.EXCLUSIVE).status == Status.FAILURE
    handle = client.open(b"/file", flags.READ).handle
    assert client.write(handle, 0, b"x").status == Status.PERMISSION_DENIED
    handle = client.open(b"/file", flags.WRITE).handle
    assert client.read(handle, 0, 1).status == Status.PERMISSION_DENIED
    assert client.close_handle(handle).status == Status.OK
    assert files.read_all("/file") == b"content"
