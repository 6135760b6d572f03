from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudalpha import native_io
from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.native_io import (
    CachedReader,
    copy_range,
    is_in_memory,
    native_errors,
    read_range,
    write_from_pipe,
    write_pieces,
)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_pieces_are_written_one_behind_the_other(fd: int) -> None:
    pieces = [bytes([index % 256]) * (index % 5) for index in range(3000)]
    write_pieces(fd, pieces, 7)
    assert os.pread(fd, 1 << 20, 0) == bytes(7) + b"".join(pieces)


def refuse_splice(*_arguments: int, **_named: int) -> int:
    raise OSError(errno.EINVAL, "no splice here")


@pytest.mark.parametrize("splice", [os.splice, refuse_splice], ids=["by the kernel", "through memory"])
def test_what_a_pipe_holds_is_moved_into_a_file(
    fd: int, monkeypatch: pytest.MonkeyPatch, splice: Callable[..., int]
) -> None:
    monkeypatch.setattr(os, "splice", splice)
    monkeypatch.setattr(native_io, "COPY_BYTES", 1000)
    data = os.urandom(30_000)
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, data)
        write_from_pipe(fd, read_end, len(data), 7)
    finally:
        os.close(read_end)
        os.close(write_end)
    assert os.pread(fd, 1 << 20, 0) == bytes(7) + data


def test_an_error_of_the_file_ends_the_move_from_a_pipe(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_arguments: int, **_named: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "splice", fill)
    with pytest.raises(OSError, match="full"):
        write_from_pipe(fd, 0, 10, 0)


def test_a_short_write_is_completed(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pwritev, pwrite = os.pwritev, os.pwrite
    monkeypatch.setattr(os, "pwritev", lambda fd, pieces, offset: pwritev(fd, [b"".join(pieces)[:5]], offset))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    write_pieces(fd, [b"0123", b"4567", b"89abcdef"], 2)
    assert os.pread(fd, 100, 0) == b"\0\0" + b"0123456789abcdef"


def test_a_short_read_is_completed(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pieces(fd, [b"0123456789"], 0)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, offset: pread(fd, min(count, 4), offset))
    assert read_range(fd, 1, 8) == b"12345678"
    assert read_range(fd, 5, 100) == b"56789"
    assert read_range(fd, 10, 100) == b""


@pytest.mark.parametrize("by_kernel", [True, False])
def test_copying(fd: int, tmp_path: Path, by_kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    if not by_kernel:
        monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(native_io, "COPY_BYTES", 7)
    write_pieces(fd, [b"0123456789" * 10], 0)
    with (tmp_path / "copy").open("w+b") as copy:
        copy_range("/a", fd, copy.fileno(), 95)
        assert copy.read() == (b"0123456789" * 10)[:95]
        with pytest.raises(RevisionMismatchFileSystemError):
            copy_range("/a", fd, copy.fileno(), 101)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, InsufficientSpaceFileSystemError),
        (errno.EDQUOT, InsufficientSpaceFileSystemError),
        (errno.EFBIG, InsufficientSpaceFileSystemError),
        (errno.EIO, AccessFailedFileSystemError),
        (errno.EBADF, AccessFailedFileSystemError),
    ],
)
def test_errors_tell_nothing_of_this_machine(number: int, expected: type[FileSystemError]) -> None:
    with pytest.raises(expected) as caught, native_errors("/a"):
        raise OSError(number, os.strerror(number), "/srv/secret")
    assert "/srv" not in str(caught.value) and caught.value.path == "/a"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_cached_is_read_at_once(fd: int, in_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_io, "is_in_memory", lambda fd: in_memory)
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset, flags: os.readv(fd, buffers))
    write_pieces(fd, [b"0123456789"], 0)
    reader = CachedReader(fd)
    assert reader.try_read(0, 6) == b"012345"
    assert reader.try_read(6, 10) == b"6789", "the end of the file"
    assert reader.try_read(10, 5) == b""


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EOPNOTSUPP])
def test_what_would_block_is_not_read(fd: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(native_io, "is_in_memory", lambda fd: False)
    monkeypatch.setattr(os, "preadv", refuse)
    reader = CachedReader(fd)
    assert [reader.try_read(0, 5) for _ in range(2)] == [None, None]


def test_what_is_only_partly_cached_is_not_read(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_io, "is_in_memory", lambda fd: False)
    monkeypatch.setattr(os, "preadv", lambda *args: 3)
    write_pieces(fd, [b"0123456789"], 0)
    assert CachedReader(fd).try_read(0, 5) is None


def test_tmpfs_is_in_memory() -> None:
    with open(
        "/dev/shm/cloudalpha-test", "w+b", opener=lambda path, flags: os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)
    ) as file:
        on_tmpfs = any(
            line.split()[4] == "/dev/shm" and " - tmpfs " in line
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
        )
        assert is_in_memory(file.fileno()) == on_tmpfs
    with open("/proc/self/status", "rb") as file:
        assert not is_in_memory(file.fileno())
    assert not is_in_memory(-1)
