from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.testing import assert_same_bytes
from cloudalpha.testing.same_bytes import find_difference

LARGE = bytes(range(256)) * 8192


@pytest.mark.parametrize("content", [b"", b"x", LARGE])
def test_the_same(content: bytes) -> None:
    assert_same_bytes(content, bytes(bytearray(content)))


@pytest.mark.parametrize(
    ("got", "wanted", "message"),
    [
        (b"", b"ab", "another content, 0 bytes instead of 2: at byte 0 there is the end instead of b'ab'"),
        (b"abc", b"ab", "another content, 3 bytes instead of 2: at byte 2 there is b'c' instead of the end"),
        (b"axc", b"abc", "another content, of 3 bytes: at byte 1 there is b'xc' instead of b'bc'"),
    ],
)
def test_what_differs(got: bytes, wanted: bytes, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_same_bytes(got, wanted)
    assert str(caught.value) == message


def test_a_large_difference_is_told_shortly() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_same_bytes(LARGE[:1_000_000] + bytes(1_097_152), LARGE, "/file")
    assert str(caught.value).startswith("/file: another content, of 2097152 bytes: at byte 1000000 there is b'\\x00")
    assert len(str(caught.value)) < 300


@given(
    start=st.binary(max_size=20),
    one=st.binary(max_size=5),
    other=st.binary(max_size=5),
    repeat=st.sampled_from([1, 9000]),
)
def test_the_first_difference(start: bytes, one: bytes, other: bytes, repeat: int) -> None:
    first, second = start * repeat + one, start * repeat + other
    found = find_difference(first, second)
    assert first[:found] == second[:found]
    assert first == second or first[found : found + 1] != second[found : found + 1]
