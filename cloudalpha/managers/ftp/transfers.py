"""What goes over a data connection: a download, an upload, a listing. They know files and nothing of sockets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO

from cloudalpha.file_system import close_stream
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.open_file import OpenFile

CHUNK = 256 * 1024
"""Bytes that are read from a file, or gathered from the network, at once."""


class Transfer(ABC):
    """One transfer: ended by `finish` once its end is believable, by `discard` in any other case. Each blocks in the session's thread."""

    receives = False
    takes_pipe = False
    native: BinaryIO | None = None
    offset = 0
    num_bytes = 0

    @property
    def is_whole(self) -> bool:
        """Whether all has come that the client announced; False where it announced nothing."""
        return False

    def get_chunk(self) -> bytes:
        """The next bytes to send; none at the end."""
        return b""

    def take(self, pieces: list[bytes]) -> None:
        """Bytes that were received, in pieces."""
        raise AssertionError("this transfer sends")

    def take_from_pipe(self, pipe_fd: int, num_bytes: int) -> None:
        """Bytes that were received and lie in a pipe; only where `takes_pipe`."""
        raise AssertionError("this transfer takes no pipe")

    def count_native(self, num_bytes: int) -> None:
        """Bytes of `native`, from `offset` on, that the kernel sent."""
        raise AssertionError("this transfer has no native file")

    @abstractmethod
    def finish(self) -> str:
        """End it, and return the reply to the client. Raises when the client must not be told that all is well."""

    @abstractmethod
    def discard(self, reason: str) -> None:
        """End it with nothing published. Never raises FileSystemError."""


class Download(Transfer):
    """RETR: a file from an offset on. It ends well only when all of `size` was sent."""

    def __init__(self, file: OpenFile, offset: int, size: int, ascii_mode: bool) -> None:
        self._file = file
        self._size = size
        self.offset = offset
        self._ascii = ascii_mode
        self.native = None if ascii_mode else file.get_native_file()

    def get_chunk(self) -> bytes:
        data = self._file.read_at(self.offset, CHUNK)
        self.offset += len(data)
        self.num_bytes += len(data)
        return data.replace(b"\n", b"\r\n") if self._ascii else data

    def count_native(self, num_bytes: int) -> None:
        self.offset += num_bytes
        self.num_bytes += num_bytes
        self._file.count_read(num_bytes)

    def finish(self) -> str:
        if self.offset < self._size:
            self.discard("the file became shorter")
            raise Refusal("451 The file became shorter during the transfer.")
        self._file.finish()
        return "226 Transfer complete."

    def discard(self, reason: str) -> None:
        self._file.discard(reason)


class Upload(Transfer):
    """STOR, APPE and STOU.

    offset: where the bytes go; None appends. before: bytes in front of them. announced: what ALLO said, with or without `before`; None without.
    """

    receives = True

    def __init__(
        self, file: OpenFile, offset: int | None, before: int, ascii_mode: bool, announced: int | None
    ) -> None:
        self._file = file
        self._position = offset
        self._before = before
        self._ascii = ascii_mode
        self._announced = None if ascii_mode else announced
        self._held = b""
        self.takes_pipe = not ascii_mode and file.takes_pipe()

    @property
    def is_whole(self) -> bool:
        return self._announced in (self.num_bytes, self._before + self.num_bytes)

    def take(self, pieces: list[bytes]) -> None:
        self.num_bytes += sum(map(len, pieces))
        if self._ascii:
            data = self._held + b"".join(pieces)
            self._held = b"\r" if data.endswith(b"\r") else b""  # the line feed may come with the next bytes
            pieces = [data[: len(data) - len(self._held)].replace(b"\r\n", b"\n")]
        self._write(pieces)

    def take_from_pipe(self, pipe_fd: int, num_bytes: int) -> None:
        self.num_bytes += num_bytes
        self._file.write_from_pipe(self._position, pipe_fd, num_bytes)
        if self._position is not None:
            self._position += num_bytes

    def finish(self) -> str:
        if self._announced is not None and not self.is_whole:
            self.discard("not as long as announced")
            raise Refusal(
                f"451 {self.num_bytes} bytes came where ALLO announced {self._announced}: nothing was stored."
            )
        self._write([self._held])
        self._file.finish()
        return "226 Transfer complete."

    def discard(self, reason: str) -> None:
        self._file.discard(reason)

    def _write(self, pieces: list[bytes]) -> None:
        num_bytes = sum(map(len, pieces))
        if num_bytes:
            self._file.write_pieces(self._position, pieces)
            if self._position is not None:
                self._position += num_bytes


class Listing(Transfer):
    """LIST, NLST and MLSD: chunks of lines, made as they are sent."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def get_chunk(self) -> bytes:
        data = next(self._chunks, b"")
        self.num_bytes += len(data)
        return data

    def finish(self) -> str:
        close_stream(self._chunks)
        return "226 Transfer complete."

    def discard(self, reason: str) -> None:
        close_stream(self._chunks)
