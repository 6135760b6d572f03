from __future__ import annotations

import pytest

from cloudalpha.hashes import make_hash

CHECKS = {
    "crc32": "cbf43926",
    "md5": "25f9e794323b453885f5181f1b624d0b",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}
"""Of the digits from 1 to 9, the usual check value."""


@pytest.mark.parametrize("algorithm", CHECKS)
def test_check_values(algorithm: str) -> None:
    made = make_hash(algorithm)
    made.update(b"12345")
    made.update(b"6789")
    assert made.hexdigest() == made.digest().hex() == CHECKS[algorithm]


def test_the_first_digits_of_a_crc_may_be_zeros() -> None:
    assert make_hash("crc32").hexdigest() == "00000000"


def test_an_unknown_algorithm_is_an_error() -> None:
    with pytest.raises(ValueError, match="sha0"):
        make_hash("sha0")
