from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.toolkit.part_sizes import PartSizes
from tests.toolkit.stores import MemoryPartStore

MIB = 1 << 20
TIB = 1 << 40


class S3Limits(MemoryPartStore):
    """The limits of Amazon S3."""

    min_part_size = 5 * MIB
    max_part_size = 5 << 30
    max_parts = 10_000
    max_size = 5 * TIB
    max_copy_size = 512 * MIB


def count_parts(sizes: PartSizes, num_bytes: int) -> int:
    num_parts = num_sent = 0
    while num_sent < num_bytes:
        num_sent += sizes.get_size(num_parts, num_sent)
        num_parts += 1
    return num_parts


@pytest.mark.parametrize("num_bytes", [None, 5 * TIB])
@pytest.mark.parametrize("part_size", [1, 5 * MIB, 8 * MIB, 64 * MIB, 512 * MIB])
def test_the_largest_file_fits(part_size: int, num_bytes: int | None) -> None:
    store = S3Limits()
    sizes = PartSizes(store, part_size, num_bytes, 8)
    assert count_parts(sizes, 5 * TIB) <= 10_000
    assert all(store.min_part_size <= sizes.get_size(n, 0) <= store.max_part_size for n in range(10_000))


def test_usual_files_have_parts_of_the_usual_size() -> None:
    assert PartSizes(S3Limits(), 8 * MIB, None, 8).get_size(999, 0) == 8 * MIB
    assert PartSizes(S3Limits(), 8 * MIB, None, 8).get_size(1000, 0) == 16 * MIB
    assert PartSizes(S3Limits(), 8 * MIB, 80_000 * MIB, 8).get_size(0, 0) == 8 * MIB
    assert PartSizes(S3Limits(), 8 * MIB, 5 * TIB, 8).get_size(0, 0) == 525 * MIB
    assert PartSizes(S3Limits(), 8 * MIB, 5 * TIB, 8).get_size(5000, 4 * TIB) == 210 * MIB


def test_small_parts_are_refused_to_use_up_the_number() -> None:
    sizes = PartSizes(S3Limits(), 8 * MIB, None, 8)
    assert sizes.get_min_size(0) == 5 * MIB
    assert sum(sizes.get_min_size(n) for n in range(10_000)) > 4.8 * TIB


@pytest.mark.parametrize("num_bytes", [5 * MIB, 100 * MIB, 1 << 30, 10 << 30, TIB, 5 * TIB])
def test_copies_are_split_evenly(num_bytes: int) -> None:
    pieces = list(PartSizes(S3Limits(), 8 * MIB, None, 8).split(0, 1000, num_bytes))
    lengths = [length for _, length in pieces]
    assert sum(lengths) == num_bytes and max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 5 * MIB and len(lengths) <= 9_000
    assert max(lengths) <= 512 * MIB or num_bytes > 2 * TIB
    assert len(lengths) >= 8 or num_bytes < 512 * MIB


@given(st.integers(5, 10_000), st.integers(0, 50), st.integers(1, 20))
def test_no_piece_is_smaller_than_a_part(num_bytes: int, start: int, in_flight: int) -> None:
    store = MemoryPartStore()
    pieces = list(PartSizes(store, 10, None, in_flight).split(0, start, num_bytes))
    assert all(length >= store.min_part_size for _, length in pieces)
    position = start
    for piece, length in pieces:
        assert piece == position
        position += length
    assert position == start + num_bytes
