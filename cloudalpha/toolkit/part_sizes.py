"""PartSizes: how large the parts of an upload are, so that the largest file fits in the number of parts that a service takes."""

from __future__ import annotations

from collections.abc import Iterator

from cloudalpha.toolkit.part_store import PartStore

_MIB = 1 << 20
_DOUBLINGS = 10
_SMALL_COPY = 8
"""A range of less than so many smallest parts is copied in one piece."""


class PartSizes:
    """The sizes within the limits of a store.

    part_size: what parts have at first. num_bytes: of the whole content; None where it is not known: then parts double ten times on the way.
    """

    def __init__(self, store: PartStore, part_size: int, num_bytes: int | None, parts_in_flight: int) -> None:
        self._store = store
        self._num_bytes = num_bytes
        self._parts_in_flight = parts_in_flight
        self._step = max(1, store.max_parts // _DOUBLINGS)
        needed = -(-store.max_size // (self._step * (2**_DOUBLINGS - 1))) if num_bytes is None else 0
        self._first = max(part_size, store.min_part_size, _round_up(needed))

    def get_size(self, num_parts: int, num_sent: int) -> int:
        """The bytes of the part that comes after so many, which hold so many bytes."""
        if self._num_bytes is None:
            size = self._first << (num_parts // self._step)
        else:
            parts_left = max(1, self._store.max_parts - num_parts)
            size = max(self._first, _round_up(-(-(self._num_bytes - num_sent) // parts_left)))
        return min(size, self._store.max_part_size)

    def get_min_size(self, num_parts: int) -> int:
        """The bytes below which a part would be a waste: not only what the store refuses, also what would use up its number of parts."""
        return min(self._store.min_part_size << (num_parts // self._step), self._store.max_part_size)

    def split(self, num_parts: int, start_byte: int, num_bytes: int) -> Iterator[tuple[int, int]]:
        """A range to copy in pieces of about the same size, (start, bytes), none smaller than a part must be."""
        piece = max(-(-num_bytes // self._parts_in_flight), _SMALL_COPY * self.get_min_size(num_parts))
        piece = max(min(piece, self._store.max_copy_size), -(-num_bytes * 2 // self._store.max_parts))
        piece = min(max(piece, 2 * self._store.min_part_size), self._store.max_part_size)
        count = -(-num_bytes // piece)
        for number in range(count):
            start = num_bytes * number // count
            yield start_byte + start, num_bytes * (number + 1) // count - start


def _round_up(num_bytes: int) -> int:
    return -(-num_bytes // _MIB) * _MIB if num_bytes > _MIB else num_bytes
