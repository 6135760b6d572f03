"""What a FileSystem can do by itself, so that nobody needs to ask which service it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Powers and limits of a FileSystem, true of the whole stack in hand. The defaults promise nothing.

    atomic_condition: `expected` is checked in the same step as the commit, also against writers outside the gateway.
    server_side_keep: `NewFile.keep` moves no data through the gateway.
    resumable_upload: `NewFile.token` is set, and `WriteOptions.resume` takes it after a restart.
    server_side_copy: `copy` moves no data through the gateway.
    atomic_rename: `rename` of a file or folder is one step, whatever its size.
    sets_modified: `set_modified_datetime` and `WriteOptions.modified_datetime` are kept.
    case_sensitive: names that differ in letter case alone are different files.
    max_name_bytes: the longest name, in bytes of UTF-8.
    max_file_size: bytes; None where no limit is known.
    content_hash: algorithms that `FileMetadata.content_hash` may hold.
    parallel_ranges: how many ranges of one file are worth reading at once.
    part_size: bytes that `NewFile.write` best receives at once; None where it does not matter.
    """

    atomic_condition: bool = False
    server_side_keep: bool = False
    resumable_upload: bool = False
    server_side_copy: bool = False
    atomic_rename: bool = False
    sets_modified: bool = False
    case_sensitive: bool = True
    max_name_bytes: int = 255
    max_file_size: int | None = None
    content_hash: tuple[str, ...] = ()
    parallel_ranges: int = 1
    part_size: int | None = None
