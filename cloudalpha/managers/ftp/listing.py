"""Lines of LIST, NLST and MLSD, made from the metadata of one listing, as they are sent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cloudalpha import paths
from cloudalpha.exceptions import InvalidPathFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import close_stream

FACTS = ("Type", "Size", "Modify", "Create", "X.State")
"""Facts of MLST and MLSD (RFC 3659, section 7.5)."""

Format = Callable[[FileMetadata], str]
_CHUNK_ENTRIES = 512
_FIRST_SECONDS = 0.05  # entries that come slowly are sent as they come
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f/]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def make_chunks(entries: Iterator[FileMetadata], make_line: Format) -> Iterator[bytes]:
    """Bytes of many lines at a time. Names that would break a line are left out: no client could ask for them."""
    lines: list[str] = []
    sent = time.monotonic()
    try:
        for entry in entries:
            if _UNPRINTABLE.search(entry.path, entry.path.rfind("/") + 1):
                continue
            lines.append(make_line(entry))
            if len(lines) >= _CHUNK_ENTRIES or time.monotonic() - sent > _FIRST_SECONDS:
                yield _encode(lines)
                lines.clear()
                sent = time.monotonic()
        if lines:
            yield _encode(lines)
    finally:
        close_stream(entries)


def make_name_line(entry: FileMetadata) -> str:
    """A line of NLST."""
    return entry.path[entry.path.rfind("/") + 1 :]


def make_list_format(now: datetime | None = None) -> Format:
    """Lines of LIST as `ls -l` writes them: what clients of thirty years understand. Times are UTC."""
    now = now or datetime.now(UTC)
    recent_from = now.timestamp() - 180 * 86400
    recent_to = now.timestamp() + 86400

    def make_line(entry: FileMetadata) -> str:
        modified = entry.modified_datetime
        if modified is None:
            when = "Jan  1  1970"
        elif recent_from < modified.timestamp() < recent_to:
            when = f"{_MONTHS[modified.month - 1]} {modified.day:2} {modified.hour:02}:{modified.minute:02}"
        else:
            when = f"{_MONTHS[modified.month - 1]} {modified.day:2} {modified.year:5}"
        name = entry.path[entry.path.rfind("/") + 1 :]
        mode = "drwxr-xr-x" if entry.is_dir else "-rw-r--r--"
        return f"{mode} 1 owner group {entry.size:12} {when} {name}"

    return make_line


def make_facts_format(facts: tuple[str, ...]) -> Format:
    """Lines of MLSD."""
    with_type, with_size, with_modify, with_create, with_state = (fact in facts for fact in FACTS)

    def make_line(entry: FileMetadata) -> str:
        line = ""
        if with_type:
            line = "Type=dir;" if entry.is_dir else "Type=file;"
        if with_size and not entry.is_dir:
            line += f"Size={entry.size};"
        if with_modify and entry.modified_datetime is not None:
            line += f"Modify={format_time(entry.modified_datetime)};"
        if with_create and entry.created_datetime is not None:
            line += f"Create={format_time(entry.created_datetime)};"
        if with_state and entry.state is not None:
            line += f"X.State={entry.state};"
        return f"{line} {entry.path[entry.path.rfind('/') + 1 :]}"

    return make_line


def format_time(when: datetime) -> str:
    """A time-val (RFC 3659, section 2.3), in whole seconds."""
    return "%04d%02d%02d%02d%02d%02d" % (  # noqa: UP031 - half the time of an f-string, for each of a million entries
        when.year,
        when.month,
        when.day,
        when.hour,
        when.minute,
        when.second,
    )


def parse_time(text: str) -> datetime | None:
    """The datetime of a time-val with or without a fraction; None when it is none."""
    if not re.fullmatch(r"[0-9]{14}(\.[0-9]{1,6})?", text):
        return None
    try:
        whole = datetime.strptime(text[:14] + "+0000", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None
    return whole.replace(microsecond=int((text[15:] or "0").ljust(6, "0")))


def _encode(lines: list[str]) -> bytes:
    try:
        return paths.encode("\r\n".join(lines) + "\r\n")
    except InvalidPathFileSystemError:  # one of the names is no Unicode: it is left out
        return b"".join(paths.encode(line + "\r\n") for line in lines if _is_encodable(line))


def _is_encodable(line: str) -> bool:
    try:
        paths.encode(line)
    except InvalidPathFileSystemError:
        return False
    return True
