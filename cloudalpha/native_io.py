"""Reading and writing real descriptors at any offset, with the errors of a FileSystem."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    RevisionMismatchFileSystemError,
)

COPY_BYTES = 1 << 20
"""How much is moved at once where the kernel cannot copy between two descriptors by itself."""

_FULL = {
    errno.ENOSPC: "the storage is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file would be larger than the storage takes",
}
_NO_KERNEL_COPY = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EPERM, errno.ETXTBSY}
_MAX_PIECES = 1024


@contextmanager
def native_errors(path: str) -> Iterator[None]:
    """Turns an OSError of a descriptor into the FileSystemError for the path, which names nothing of the gateway's own machine."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InsufficientSpaceFileSystemError(path, _FULL[error.errno]) from error
        raise AccessFailedFileSystemError(path, "the storage could not be read or written") from error


def write_pieces(fd: int, pieces: Sequence[bytes], offset: int) -> None:
    """Write pieces one behind the other, all of them. Raises OSError."""
    for first in range(0, len(pieces), _MAX_PIECES):
        batch = pieces[first : first + _MAX_PIECES]
        wanted = sum(map(len, batch))
        written = os.pwritev(fd, batch, offset)
        if written < wanted:  # a full disk, or a limit of the file's size: the next try tells which
            rest = memoryview(b"".join(batch))[written:]
            while rest:
                rest = rest[os.pwrite(fd, rest, offset + wanted - len(rest)) :]
        offset += wanted


def write_from_pipe(fd: int, pipe_fd: int, num_bytes: int, offset: int) -> None:
    """Move so many bytes, which the pipe holds already, into a file, by the kernel where it can. Raises OSError."""
    by_kernel = True
    while num_bytes:
        if by_kernel:
            try:
                moved = os.splice(pipe_fd, fd, num_bytes, offset_dst=offset)
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise
                by_kernel = False
                continue
        else:
            data = os.read(pipe_fd, min(COPY_BYTES, num_bytes))
            write_pieces(fd, [data], offset)
            moved = len(data)
        offset += moved
        num_bytes -= moved


def read_range(fd: int, offset: int, num_bytes: int) -> bytes:
    """A range of a file; shorter only at its end. Raises OSError."""
    data = os.pread(fd, num_bytes, offset)
    if len(data) == num_bytes or not data:
        return data
    chunks = [data]
    missing = num_bytes - len(data)
    while missing and (data := os.pread(fd, missing, offset + num_bytes - missing)):
        chunks.append(data)
        missing -= len(data)
    return b"".join(chunks)


def copy_range(path: str, source_fd: int, target_fd: int, num_bytes: int) -> None:
    """Copy the first num_bytes, by the kernel (sharing the blocks where it can) or through memory.

    Raises RevisionMismatchFileSystemError when the source is shorter, OSError.
    """
    offset = 0
    by_kernel = True
    while offset < num_bytes:
        if by_kernel:
            try:
                copied = os.copy_file_range(source_fd, target_fd, num_bytes - offset, offset, offset)
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise
                by_kernel = False
                continue
        else:
            data = os.pread(source_fd, min(COPY_BYTES, num_bytes - offset), offset)
            write_pieces(target_fd, [data], offset)
            copied = len(data)
        if not copied:
            raise RevisionMismatchFileSystemError(path, "the file became shorter meanwhile")
        offset += copied


@functools.cache
def _get_memory_devices() -> frozenset[int]:
    """The device numbers of what is mounted and keeps its files in memory."""
    devices = set()
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split(" ", 1)[0] in ("tmpfs", "ramfs"):
            major, _, minor = fields.split()[2].partition(":")
            devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)


def is_in_memory(fd: int) -> bool:
    """Whether a file lies in memory, so that reading and writing it never waits for a device. When in doubt, it does not."""
    try:
        return os.fstat(fd).st_dev in _get_memory_devices()
    except OSError:
        return False


class CachedReader:
    """Reads what a descriptor can give without waiting for a device.

    One buffer is used again and again, so this belongs to one thread at a time.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = bytearray()
        self._is_in_memory = is_in_memory(fd)
        self._has_nowait = not self._is_in_memory

    def try_read(self, offset: int, num_bytes: int) -> bytes | None:
        """All of a range from memory, or None. Raises OSError."""
        if self._is_in_memory:
            return os.pread(self._fd, num_bytes, offset)
        if not self._has_nowait:
            return None
        if len(self._buffer) < num_bytes:
            self._buffer = bytearray(num_bytes)
        view = memoryview(self._buffer)[:num_bytes]
        try:
            count = os.preadv(self._fd, [view], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._has_nowait = False
            return None
        if count < num_bytes and offset + count < os.fstat(self._fd).st_size:
            return None
        return view[:count].tobytes()


def too_large(path: str, size: int) -> FileSystemError:
    """The error for a size that no file can have."""
    return InsufficientSpaceFileSystemError(path, f"no file can hold {size} bytes")
