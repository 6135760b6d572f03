"""What is kept beside an object, and FileMetadata made of it.

| name | value |
|---|---|
| `mtime` | the time of the last change: seconds since 1970 as a decimal fraction, as rclone writes and reads it |
| `cloudalpha-md5`, `cloudalpha-sha256` | hashes of the content in hexadecimal, kept by uploads in one request |
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.services.s3.objects import ObjectInfo

MTIME = "mtime"
HASHES = {"md5": "cloudalpha-md5", "sha256": "cloudalpha-sha256"}
"""The name in the metadata, by algorithm."""

DIRECTORY_TYPE = "application/x-directory"
MAX_KNOWN = 65_536
MAX_RECENT = 4096
RECENT_SECONDS = 2.0
"""How long what an object was is taken for what it is, by those who make sure of it with a condition: clients set the time of a file at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEX = {"md5": re.compile(r"[0-9a-f]{32}"), "sha256": re.compile(r"[0-9a-f]{64}")}


def format_mtime(moment: datetime) -> str:
    """The value of `mtime` of an aware datetime."""
    microseconds = (moment - _EPOCH) // _MICROSECOND
    sign = "-" if microseconds < 0 else ""
    return f"{sign}{abs(microseconds) // 10**6}.{abs(microseconds) % 10**6:06}"


def parse_mtime(text: str | None) -> datetime | None:
    """The datetime of a value of `mtime`; None for what is none."""
    try:
        seconds = Decimal(text or "")
        if not seconds.is_finite() or abs(seconds) > 10**12:
            return None
        return _EPOCH + int(seconds * 10**6) * _MICROSECOND
    except InvalidOperation:
        return None
    except OverflowError:
        return utc(float(seconds))


def get_modified(info: ObjectInfo) -> datetime | None:
    """The time of the last change: the kept one, else that of the upload."""
    return parse_mtime((info.metadata or {}).get(MTIME)) or info.last_modified


def get_hashes(info: ObjectInfo) -> dict[str, str]:
    """The hashes that an object itself tells with certainty, by algorithm, in hexadecimal."""
    kept = {algorithm: (info.metadata or {}).get(name, "") for algorithm, name in HASHES.items()}
    hashes = {algorithm: value for algorithm, value in kept.items() if _HEX[algorithm].fullmatch(value)}
    return hashes | ({"md5": info.etag} if info.has_md5_etag else {})


def format_hashes(hashes: dict[str, str]) -> str | None:
    """`FileMetadata.content_hash` of hashes by algorithm."""
    return " ".join(f"{algorithm}:{value}" for algorithm, value in sorted(hashes.items())) or None


def make_file_metadata(path: str, info: ObjectInfo, hashes: dict[str, str] | None = None) -> FileMetadata:
    """A file, of the object that HEAD told of. hashes: what is known of its content beside what it tells itself."""
    content_hash = format_hashes((hashes or {}) | get_hashes(info))
    return FileMetadata(path, False, info.size, get_modified(info), None, None, info.etag, content_hash)


class Known(NamedTuple):
    """What listings do not tell of an object.

    last_modified: when it was uploaded, as soon as that is known: together with the ETag it tells whether this still holds.
    """

    etag: str
    last_modified: datetime | None
    modified: datetime | None
    content_hash: str | None


class KnownObjects:
    """What this process has learnt of objects that it wrote or asked about: a bounded table, the least recently used goes first.

    So a listing shows the times and hashes of a session's own files without a request for each. Safe for threads; its lock is held for moments.
    """

    def __init__(self, max_entries: int = MAX_KNOWN) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[str, Known] = OrderedDict()
        self._recent: OrderedDict[str, tuple[ObjectInfo, float]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, key: str, info: ObjectInfo, metadata: FileMetadata) -> None:
        """Note what is now known of an object."""
        self._set(key, Known(info.etag, info.last_modified, metadata.modified_datetime, metadata.content_hash))
        with self._lock:
            self._recent.pop(key, None)
            if info.metadata is not None and info.headers is not None:
                self._recent[key] = (info, time.monotonic() + RECENT_SECONDS)
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)

    def find_recent(self, key: str) -> ObjectInfo | None:
        """An object that was written or asked about a moment ago, as HEAD told or would have told of it then; it may be another one by now."""
        with self._lock:
            info, until = self._recent.get(key, (None, 0.0))
            return info if time.monotonic() < until else None

    def remember_dir(self, key: str, modified: datetime | None) -> None:
        """Note the time of a folder's marker; listings never tell anything of markers."""
        self._set(key, Known("", None, modified, None))

    def forget(self, key: str) -> None:
        """The object is gone."""
        with self._lock:
            self._entries.pop(key, None)
            self._recent.pop(key, None)

    def find(self, info: ObjectInfo) -> Known | None:
        """What is known of an object that a listing tells of, if it is still the same."""
        with self._lock:
            known = self._entries.get(info.key)
            if known is None or known.etag != info.etag:
                return None
            if known.last_modified is None:
                known = known._replace(last_modified=info.last_modified)
                self._entries[info.key] = known
            elif known.last_modified != info.last_modified:
                return None
            self._entries.move_to_end(info.key)
            return known

    def get_dir_time(self, key: str) -> datetime | None:
        """The time of a folder's marker, where this process has set or seen it."""
        with self._lock:
            known = self._entries.get(key)
            return known.modified if known is not None else None

    def _set(self, key: str, known: Known) -> None:
        with self._lock:
            self._entries[key] = known
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
