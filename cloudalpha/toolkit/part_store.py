"""PartStore: what a service supplies of one upload, and nothing of how it is cut, sent and repeated (`part_upload`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cloudalpha.file_metadata import FileMetadata
from cloudalpha.toolkit.part_bodies import PartBody

Receipt = Any
"""What the service needs to know of a part at the end: a JSON value."""

DEFAULT_MAX_SIZE = 5 << 40


class PartStore(ABC):
    """One upload of one file, in one step (`put_whole`) or in parts (`begin`, parts, `complete`).

    Conditions, metadata, times and hashes are its business; it was made with the WriteOptions. `put_part` and `copy_part` are called by several
    threads at once and repeated after temporary errors, under the same number; everything else is called by one thread at a time, and what can be
    repeated there, the store repeats by itself. Every method raises FileSystemError for the path of the file.

    min_part_size: bytes of a part that is not the last one. max_part_size, max_parts, max_size: the limits of the service.
    max_copy_size: bytes that one `copy_part` best copies; more only where max_parts would not do otherwise.
    copies_parts: whether `copy_part` works; without it everything that is kept is read and sent.
    resumed: parts that an upload under way holds already, in order (number, bytes, receipt): for `WriteOptions.resume`.
    """

    min_part_size: int = 5 << 20
    max_part_size: int = 5 << 30
    max_parts: int = 10_000
    max_size: int = DEFAULT_MAX_SIZE
    max_copy_size: int = 512 << 20
    copies_parts: bool = True
    resumed: Sequence[tuple[int, int, Receipt]] = ()

    @property
    def token(self) -> str | None:
        """What `NewFile.token` is to be."""
        return None

    @abstractmethod
    def put_whole(self, body: PartBody, hashes: Mapping[str, str]) -> FileMetadata:
        """Publish small content in one step. May be called again after a condition refused it.

        hashes: those of the content that are known, in hexadecimal by algorithm.
        """

    @abstractmethod
    def begin(self) -> None:
        """Begin an upload in parts. Called once, before the first part."""

    @abstractmethod
    def put_part(self, number: int, body: PartBody) -> Receipt:
        """Store a part; numbers begin with 1."""

    @abstractmethod
    def pin(self) -> int:
        """Find the version that all kept ranges are to be of, and return its size. Called once, before anything is kept.

        Raises NotFoundFileSystemError when the path holds nothing; RevisionMismatch- when it is not of the expected revision.
        """

    @abstractmethod
    def copy_part(self, number: int, start_byte: int, num_bytes: int) -> Receipt:
        """Store as a part a range of the pinned version. Raises RevisionMismatchFileSystemError when that is gone."""

    @abstractmethod
    def read_kept(self, start_byte: int, num_bytes: int) -> Iterator[bytes]:
        """A range of the pinned version, for what is too small to be a part. May end or fail in the middle; it is then called for the rest."""

    @abstractmethod
    def complete(self, parts: Sequence[tuple[int, Receipt]], size: int, hashes: Mapping[str, str]) -> FileMetadata:
        """Publish the parts, ordered by number, in one step. May be called again after a condition refused it."""

    @abstractmethod
    def abort(self) -> None:
        """Give up what `begin` began. Called once, when no part is under way any more, not after `complete` succeeded."""

    def close(self) -> None:  # noqa: B027 - most stores hold nothing
        """Release what the store holds; nothing is called afterwards. Called in any case, also where nothing was begun."""
