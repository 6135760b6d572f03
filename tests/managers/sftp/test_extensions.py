from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable

import pytest

from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from cloudalpha.services.memory.file_system import MemoryFileSystem
from tests.managers.sftp.raw_client import RawClient, Reply, uint32, uint64

CONTENT = bytes(range(256)) * 40


def get_extended(reply: Reply) -> bytes:
    assert reply.kind == Kind.EXTENDED_REPLY, reply
    return reply.body


def test_limits(client: RawClient) -> None:
    packet, read, write, handles = struct.unpack(">4Q", get_extended(client.ask_extended(b"limits@openssh.com", b"")))
    assert packet == 256 * 1024
    assert read == write == 255 * 1024
    assert handles == 100


def test_space(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", CONTENT)
    by_path = get_extended(client.ask_extended(b"statvfs@openssh.com", string(b"/")))
    handle = client.open(b"/file", OpenFlag.READ).handle
    by_handle = get_extended(client.ask_extended(b"fstatvfs@openssh.com", string(handle)))
    for body in (by_path, by_handle):
        block, fragment, total, free, available, *_, longest = struct.unpack(">11Q", body)
        assert block == fragment > 0
        assert total >= free == available > 0
        assert longest == 255
    assert client.ask_extended(b"statvfs@openssh.com", string(b"/none")).status == Status.NO_SUCH_FILE


@pytest.mark.parametrize(
    ("raw", "path"), [(b"~", b"/"), (b"~/a/../b", b"/b"), (b"c", b"/c"), (b"", b"/"), (b"/d", b"/d")]
)
def test_expand_path(client: RawClient, raw: bytes, path: bytes) -> None:
    assert client.ask_extended(b"expand-path@openssh.com", string(raw)).names == [path]
    assert client.ask_extended(b"expand-path@openssh.com", string(b"~root")).status == Status.FAILURE
    assert client.ask_extended(b"home-directory", string(b"demo")).names == [b"/"]


def test_lsetstat(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", b"")
    body = string(b"/file") + uint32(8) + uint32(0) + uint32(1_234_567_890)
    assert client.ask_extended(b"lsetstat@openssh.com", body).status == Status.OK
    assert client.stat(b"/file").modified == 1_234_567_890


def copy(client: RawClient, source: bytes, start: int, length: int, target: bytes, offset: int) -> Reply:
    body = string(source) + uint64(start) + uint64(length) + string(target) + uint64(offset)
    return client.ask_extended(b"copy-data", body)


def test_copy_data(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/source", CONTENT)
    source = client.open(b"/source", OpenFlag.READ).handle
    target = client.create(b"/target")
    assert copy(client, source, 0, 0, target, 0).status == Status.OK
    assert copy(client, source, 100, 50, target, 10).status == Status.OK
    assert copy(client, target, 0, 10, source, 0).status == Status.PERMISSION_DENIED
    assert copy(client, source, 2**63, 10, target, 0).status == Status.FAILURE
    assert client.close_handle(target).status == Status.OK
    assert files.read_all("/target") == CONTENT[:10] + CONTENT[100:150] + CONTENT[60:]
    both = client.open(b"/source", OpenFlag.READ | OpenFlag.WRITE).handle
    assert copy(client, both, 0, 0, both, 5).status == Status.FAILURE
    assert copy(client, both, 0, 10, both, 5).status == Status.FAILURE
    assert copy(client, both, 0, 5, both, 5).status == Status.OK
    assert client.close_handle(both).status == Status.OK
    assert files.read_all("/source")[:10] == CONTENT[:5] * 2


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_check_file(client: RawClient, files: MemoryFileSystem, algorithm: str) -> None:
    files.write_all("/file", CONTENT)
    range_and_block = uint64(0) + uint64(0) + uint32(0)
    wanted = string(f"whirlpool,{algorithm},md5".encode()) + range_and_block
    name, expected = string(algorithm.encode()), hashlib.new(algorithm, CONTENT).digest()
    assert get_extended(client.ask_extended(b"check-file-name", string(b"/file") + wanted)) == name + expected
    handle = client.open(b"/file", OpenFlag.READ).handle
    assert get_extended(client.ask_extended(b"check-file-handle", string(handle) + wanted)) == name + expected


def test_check_file_in_blocks(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", CONTENT)
    body = string(b"/file") + string(b"crc32") + uint64(100) + uint64(1000) + uint32(300)
    digests = get_extended(client.ask_extended(b"check-file-name", body))[4 + 5 :]
    pieces = [CONTENT[100:400], CONTENT[400:700], CONTENT[700:1000], CONTENT[1000:1100]]
    assert digests == b"".join(zlib.crc32(piece).to_bytes(4, "big") for piece in pieces)
    body = string(b"/file") + string(b"crc32") + uint64(0) + uint64(0) + uint32(255)
    assert client.ask_extended(b"check-file-name", body).status == Status.FAILURE
    body = string(b"/file") + string(b"rot13") + uint64(0) + uint64(0) + uint32(0)
    assert client.ask_extended(b"check-file-name", body).status == Status.FAILURE


def test_md5_hash(client: RawClient, files: MemoryFileSystem) -> None:
    files.write_all("/file", CONTENT)
    expected = string(b"md5-hash") + string(hashlib.md5(CONTENT[5:105], usedforsecurity=False).digest())
    rest = uint64(5) + uint64(100) + string(b"")
    assert get_extended(client.ask_extended(b"md5-hash", string(b"/file") + rest)) == expected
    handle = client.open(b"/file", OpenFlag.READ).handle
    assert get_extended(client.ask_extended(b"md5-hash-handle", string(handle) + rest)) == expected


def test_hashes_of_large_files_are_not_computed(connect: Callable[..., RawClient], files: MemoryFileSystem) -> None:
    files.write_all("/file", CONTENT)
    client = connect(max_hash_size=1000)
    body = string(b"/file") + string(b"sha512") + uint64(0) + uint64(0) + uint32(0)
    assert "1000" in client.ask_extended(b"check-file-name", body).text
    body = string(b"/file") + string(b"sha512") + uint64(0) + uint64(1000) + uint32(0)
    assert client.ask_extended(b"check-file-name", body).kind == Kind.EXTENDED_REPLY
