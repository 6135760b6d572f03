from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudalpha.exceptions import InsufficientSpaceFileSystemError
from cloudalpha.spool import Spool
from cloudalpha.toolkit.part_bodies import MemoryPart, PartBody, SpoolPart

MakeBody = Callable[[bytes], PartBody]


@pytest.fixture(params=["memory", "grown", "spool"])
def make_body(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBody]:
    spool = Spool(tmp_path, 1 << 20)

    def make(content: bytes) -> PartBody:
        if request.param == "spool":
            spool_file = spool.create_file()
            assert spool_file is not None
            body: PartBody = SpoolPart("/a", 1000, spool_file)
        else:
            body = MemoryPart("/a", 1000 if request.param == "memory" else len(content) // 2)
        for start in range(0, len(content), 3):
            if isinstance(body, MemoryPart) and body.capacity < min(start + 3, len(content)):
                body.grow(1000)
            body.append(memoryview(content)[start : start + 3])
        request.addfinalizer(body.close)
        return body

    yield make
    assert not list(tmp_path.iterdir())


def test_a_body_is_a_file(make_body: MakeBody) -> None:
    body = make_body(b"0123456789")
    assert len(body) == 10 and body.seekable() and body.readable()
    assert body.read(4) == b"0123" and body.tell() == 4
    assert body.read() == b"456789" and body.read() == body.read(5) == b""
    assert body.seek(-3, io.SEEK_END) == 7
    assert body.read(100) == b"789"
    assert body.seek(2) == 2 and body.seek(3, io.SEEK_CUR) == 5
    assert body.read(None) == b"56789"


def test_hashes_leave_the_position_alone(make_body: MakeBody) -> None:
    body = make_body(b"0123456789")
    body.read(4)
    assert body.get_hash("sha256") == hashlib.sha256(b"0123456789").digest()
    assert body.get_hash("md5") == hashlib.md5(b"0123456789", usedforsecurity=False).digest()
    assert body.get_hash("crc32").hex() == "a684c7c6"
    assert body.read(1) == b"4"
    assert list(body.iterate(4)) == [b"0123", b"4567", b"89"]


def test_an_empty_body(make_body: MakeBody) -> None:
    body = make_body(b"")
    assert (len(body), body.read(), list(body.iterate())) == (0, b"", [])


def test_a_cancelled_body_fails_its_reader(make_body: MakeBody) -> None:
    body = make_body(b"0123456789")
    body.read(1)
    body.cancel()
    with pytest.raises(OSError):
        body.read(1)


def test_closing_twice(make_body: MakeBody) -> None:
    body = make_body(b"0123456789")
    body.close()
    body.close()
    assert len(body) == 0


def test_a_full_spool_is_said(tmp_path: Path) -> None:
    spool_file = Spool(tmp_path, 5).create_file()
    assert spool_file is not None
    body = SpoolPart("/a", 10, spool_file)
    body.append(memoryview(b"01234"))
    with pytest.raises(InsufficientSpaceFileSystemError) as caught:
        body.append(memoryview(b"5"))
    assert caught.value.temporary
    body.close()
