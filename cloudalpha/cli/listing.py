"""How folders are shown: lists, trees and sums."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cloudalpha import paths
from cloudalpha.cli.locations import Location
from cloudalpha.cli.output import print_line, print_table
from cloudalpha.exceptions import FileSystemError
from cloudalpha.file_metadata import FileMetadata

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_size(num_bytes: int) -> str:
    """Bytes as people read them: 1.5 GiB."""
    size = float(num_bytes)
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{num_bytes} B" if unit == "B" else f"{size:.1f} {unit}"


def list_entries(location: Location) -> Iterable[FileMetadata]:
    """What a folder holds; for a file the file itself."""
    metadata = location.file_system.get_metadata(location.path)
    return location.file_system.list_dir(location.path) if metadata.is_dir else [metadata]


def describe_entry(entry: FileMetadata) -> dict[str, Any]:
    """An entry as a row: `name`, `kind`, `size` (bytes), `modified` (ISO 8601, UTC), and the path."""
    modified = entry.modified_datetime
    return {
        "name": entry.name,
        "kind": "folder" if entry.is_dir else "file",
        "size": entry.size,
        "modified": modified.strftime("%Y-%m-%dT%H:%M:%SZ") if modified else None,
        "path": entry.path,
    }


def print_entries(entries: Iterable[FileMetadata], long: bool = False, as_json: bool = False) -> None:
    """Print a list: names, folders with a slash at their end; when long with sizes and times."""
    if as_json:
        print_table([describe_entry(entry) for entry in entries], as_json=True)
        return
    for entry in entries:  # perhaps a million: not flushed line by line
        line = paths.printable(entry.name) + ("/" if entry.is_dir else "")
        if long:
            modified = entry.modified_datetime
            time = modified.strftime("%Y-%m-%d %H:%M:%S") if modified else "-"
            line = f"{'-' if entry.is_dir else entry.size:>14}  {time:19}  {line}"
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_tree(location: Location, depth: int | None = None, as_json: bool = False) -> int:
    """Print a folder and all that it holds, at most `depth` levels deep; the number of folders that could not be listed."""
    failures = 0
    rows = []
    if not as_json:
        print_line(str(location))
    for prefix, entry, error in _walk_tree(location, depth):
        failures += error is not None
        if as_json:
            rows.append(describe_entry(entry) | ({"error": error} if error else {}))
        else:
            name = paths.printable(entry.name) + ("/" if entry.is_dir else "")
            print_line(prefix + name + (f"  [{error}]" if error else ""))
    if as_json:
        print_table(rows, as_json=True)
    return failures


def _walk_tree(location: Location, depth: int | None) -> Iterator[tuple[str, FileMetadata, str | None]]:
    """The lines of a tree: what is drawn before a name, the entry, and why its folder could not be listed."""
    stack = [("", _sorted(list_entries(location)))] if depth != 0 else []
    while stack:
        indent, entries = stack[-1]
        if not entries:
            stack.pop()
            continue
        entry = entries.pop()
        prefix = indent + ("├── " if entries else "└── ")
        held: list[FileMetadata] = []
        error = None
        if entry.is_dir and (depth is None or len(stack) < depth):
            try:
                held = _sorted(location.file_system.list_dir(entry.path))
            except FileSystemError as failure:
                error = failure.message
        yield prefix, entry, error
        stack.append((indent + ("│   " if entries else "    "), held))


def _sorted(entries: Iterable[FileMetadata]) -> list[FileMetadata]:
    """By name, the first one last: they are popped."""
    return sorted(entries, key=lambda entry: entry.name, reverse=True)


def measure(location: Location, depth: int = 0) -> list[dict[str, Any]]:
    """What a folder holds, and each folder in it down to `depth` levels: rows of path, bytes, files, folders; the whole comes last."""
    sums: dict[str, list[int]] = {location.path: [0, 0, 0]}
    base_depth = len(paths.get_names(location.path))
    waiting = [location.path]
    metadata = location.file_system.get_metadata(location.path)
    if not metadata.is_dir:
        return [{"path": str(location), "bytes": metadata.size, "files": 1, "folders": 0}]
    while waiting:
        folder = waiting.pop()
        holders = _get_holders(folder, location.path, base_depth + depth)
        for holder in holders:
            sums.setdefault(holder, [0, 0, 0])
        for entry in location.file_system.list_dir(folder):
            for holder in holders:
                sums[holder][0] += entry.size
                sums[holder][2 if entry.is_dir else 1] += 1
            if entry.is_dir:
                waiting.append(entry.path)
    whole = sums.pop(location.path)
    rows = [(path, sums[path]) for path in sorted(sums)] + [(location.path, whole)]
    return [
        {"path": str(location.at(path)), "bytes": num_bytes, "files": files, "folders": folders}
        for path, (num_bytes, files, folders) in rows
    ]


def _get_holders(folder: str, top: str, max_depth: int) -> list[str]:
    """The folders, from `top` down to max_depth names, that what lies in `folder` counts for."""
    holders = []
    while True:
        if len(paths.get_names(folder)) <= max_depth:
            holders.append(folder)
        if folder == top:
            return holders
        folder = paths.get_parent(folder)
