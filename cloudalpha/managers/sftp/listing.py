"""Attributes and listings as SFTP version 3 has them, made from FileMetadata alone: never a call for each entry.

draft-ietf-secsh-filexfer-02, section 5 (attributes) and 7 (SSH_FXP_NAME, whose long name looks like a line of `ls -l`).
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator

from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import close_stream
from cloudalpha.managers.sftp.packets import AttrFlag, Kind, make_packet, string

_FILE_MODE = 0o100644
_DIR_MODE = 0o040755
_MAX_SECONDS = 0xFFFFFFFF
_LENGTH = struct.Struct(">I").pack
_FLAGS = int(AttrFlag.SIZE | AttrFlag.PERMISSIONS)
_FLAGS_WITH_TIMES = int(_FLAGS | AttrFlag.TIMES)
_ATTRS = struct.Struct(">IQI")
_ATTRS_WITH_TIMES = struct.Struct(">IQIII")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HALF_A_YEAR = 182 * 86400
_MAX_BATCH_BYTES = 64 * 1024
_MAX_BATCH_SECONDS = 0.05

NO_ATTRS = b"\0\0\0\0"


def encode_attrs(metadata: FileMetadata) -> bytes:
    """The attributes of a file or folder: size, mode, and the times where they are known."""
    mode = _DIR_MODE if metadata.is_dir else _FILE_MODE
    if metadata.modified_datetime is None:
        return _ATTRS.pack(_FLAGS, metadata.size, mode)
    modified = _get_seconds(metadata.modified_datetime.timestamp())
    accessed = modified
    if metadata.accessed_datetime is not None:
        accessed = _get_seconds(metadata.accessed_datetime.timestamp())
    return _ATTRS_WITH_TIMES.pack(_FLAGS_WITH_TIMES, metadata.size, mode, accessed, modified)


def encode_name(name: bytes) -> bytes:
    """The body of a reply that holds one name without attributes (REALPATH)."""
    return b"\0\0\0\1" + string(name) + string(name) + NO_ATTRS


def _get_seconds(timestamp: float) -> int:
    return min(max(int(timestamp), 0), _MAX_SECONDS)


def _format_time(seconds: int, recent: int) -> str:
    """As `ls -l` does: the time of day for what is younger than half a year, else the year. UTC."""
    parts = time.gmtime(seconds)
    month = _MONTHS[parts.tm_mon - 1]
    if seconds >= recent:
        return f"{month} {parts.tm_mday:2} {parts.tm_hour:02}:{parts.tm_min:02}"
    return f"{month} {parts.tm_mday:2}  {parts.tm_year}"


class Listing:
    """One folder being read: what `FileSystemView.list_dir` tells becomes READDIR replies, one batch in memory and one ahead of the client.

    owner: the name that long names show.
    """

    def __init__(self, entries: Iterator[FileMetadata], owner: str) -> None:
        self._entries = entries
        owner = owner.encode("ascii", "replace").decode()[:8]
        self._file_start = f"-rw-r--r--    1 {owner:8} {owner:8} ".encode("ascii")
        self._dir_start = f"drwxr-xr-x    1 {owner:8} {owner:8} ".encode("ascii")
        self._recent = int(time.time()) - _HALF_A_YEAR
        self._minutes: dict[int, bytes] = {}
        self._next: bytes | None = None
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def read_batch(self, request_id: int) -> bytes | None:
        """The next reply, with at least one name; None at the end. Blocks."""
        if self._error is not None:
            raise self._error
        batch, self._next = self._next, None
        if batch is None:
            batch = self._locked_batch()
        return make_packet(Kind.NAME, request_id, batch) if batch else None

    def read_ahead(self) -> None:
        """Make the next batch while the client takes the last one; an error is raised to whoever asks for it. Blocks."""
        try:
            self._next = self._locked_batch()
        except Exception as error:  # noqa: BLE001 - raised again by read_batch
            self._error = error

    def _locked_batch(self) -> bytes:
        with self._lock:
            batch = b"" if self._is_closed else self._make_batch()
        if self._is_closed:
            self._clean_up()
        return batch

    def _make_batch(self) -> bytes:
        """The number of names and the names; empty at the end."""
        parts: list[bytes] = []
        num_names = num_bytes = 0
        deadline = time.monotonic() + _MAX_BATCH_SECONDS
        for metadata in self._entries:
            entry = self._encode(metadata)
            parts.append(entry)
            num_names += 1
            num_bytes += len(entry)
            if num_bytes >= _MAX_BATCH_BYTES or (not num_names % 16 and time.monotonic() >= deadline):
                break
        return num_names.to_bytes(4, "big") + b"".join(parts) if num_names else b""

    def close(self) -> None:
        """Release what the storage holds for the listing. Does not wait for a batch that is being made: whoever makes it does it then."""
        self._is_closed = True
        self._clean_up()

    def _clean_up(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                close_stream(self._entries)
            finally:
                self._lock.release()

    def _encode(self, metadata: FileMetadata) -> bytes:
        path, is_dir, size, modified, _, _, _, _, _ = metadata
        name = path.rpartition("/")[2]
        encoded = name.encode("utf-8", "surrogateescape")
        if modified is None:
            date, attrs = b"           -", encode_attrs(metadata)
        else:
            seconds = int(modified.timestamp())
            if not 0 <= seconds <= _MAX_SECONDS:
                seconds = _get_seconds(seconds)
            date = self._minutes.get(seconds // 60) or self._remember(seconds)
            attrs = _ATTRS_WITH_TIMES.pack(
                _FLAGS_WITH_TIMES, size, _DIR_MODE if is_dir else _FILE_MODE, seconds, seconds
            )
        long_name = b"%b%12d %b %b" % (self._dir_start if is_dir else self._file_start, size, date, encoded)
        return b"%b%b%b%b%b" % (_LENGTH(len(encoded)), encoded, _LENGTH(len(long_name)), long_name, attrs)

    def _remember(self, seconds: int) -> bytes:
        if len(self._minutes) >= 1024:
            self._minutes.clear()
        date = self._minutes[seconds // 60] = _format_time(seconds, self._recent).encode("ascii")
        return date
