"""Comparing content: what differs is told in a line, however many megabytes it is."""

from __future__ import annotations

_EXCERPT_BYTES = 16
_BLOCK_BYTES = 1 << 16


def assert_same_bytes(got: bytes, wanted: bytes, what: str = "") -> None:
    """Raise AssertionError when the two differ, with their lengths, and what stands where they first do. what: of which content this is."""
    if got == wanted:
        return
    start = find_difference(got, wanted)
    excerpts = [
        repr(each[start : start + _EXCERPT_BYTES]) if start < len(each) else "the end" for each in (got, wanted)
    ]
    lengths = f"{len(got)} bytes instead of {len(wanted)}" if len(got) != len(wanted) else f"of {len(got)} bytes"
    prefix = f"{what}: " if what else ""
    raise AssertionError(
        f"{prefix}another content, {lengths}: at byte {start} there is {excerpts[0]} instead of {excerpts[1]}"
    )


def find_difference(one: bytes, other: bytes) -> int:
    """The first place at which two contents differ; their length when they do not."""
    shorter = min(len(one), len(other))
    for start in range(0, shorter, _BLOCK_BYTES):
        end = min(start + _BLOCK_BYTES, shorter)
        if one[start:end] != other[start:end]:
            return next(place for place in range(start, end) if one[place] != other[place])
    return shorter
