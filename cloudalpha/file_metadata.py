"""What is known of a file or a folder, and of the space of an account: frozen values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from cloudalpha import paths


class FileMetadata(NamedTuple):
    """One file or folder. A tuple, because a listing makes one for each of perhaps a million entries.

    path: absolute and normalized.
    size: bytes; 0 for a folder.
    modified_datetime, created_datetime, accessed_datetime: aware, UTC; None where the storage does not tell.
    revision: changes whenever the content does; what `expected` takes; None where the storage has none.
    content_hash: `algorithm:hex` (sha256, sha1, md5, crc32 ...), several apart by spaces; None where not known.
    state: where the newest content is (`clean`, `uploading` ...); None where no layer keeps track.
    """

    path: str
    is_dir: bool
    size: int = 0
    modified_datetime: datetime | None = None
    created_datetime: datetime | None = None
    accessed_datetime: datetime | None = None
    revision: str | None = None
    content_hash: str | None = None
    state: str | None = None

    @property
    def name(self) -> str:
        """The last name of the path."""
        return paths.get_name(self.path)

    def at(self, path: str) -> FileMetadata:
        """The same, at another path."""
        return FileMetadata(path, *self[1:])

    def get_hash(self, algorithm: str) -> str | None:
        """The content's hash by one algorithm, in hexadecimal; None where it is not known."""
        for entry in (self.content_hash or "").split():
            name, _, value = entry.partition(":")
            if name == algorithm:
                return value
        return None


class Space(NamedTuple):
    """The space of an account in bytes; None where the storage does not tell."""

    total: int | None
    free: int | None


def utc(timestamp: float) -> datetime:
    """The datetime of seconds since 1970; times that datetime cannot hold become the nearest that it can."""
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC) if timestamp > 0 else datetime.min.replace(tzinfo=UTC)
