from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cloudalpha.file_metadata import FileMetadata, utc


def test_name_and_place() -> None:
    metadata = FileMetadata("/a/b.txt", False, 5, revision="7")
    assert metadata.name == "b.txt"
    assert FileMetadata("/", True).name == ""
    moved = metadata.at("/c")
    assert moved == FileMetadata("/c", False, 5, revision="7")
    assert metadata.path == "/a/b.txt"


def test_hash_by_algorithm() -> None:
    metadata = FileMetadata("/a", False, content_hash="md5:aa sha256:bb")
    assert metadata.get_hash("md5") == "aa"
    assert metadata.get_hash("sha256") == "bb"
    assert metadata.get_hash("sha") is None
    assert FileMetadata("/a", False).get_hash("md5") is None


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1.5, datetime(1969, 12, 31, 23, 59, 58, 500000, tzinfo=UTC)),
        (2.0**63, datetime.max.replace(tzinfo=UTC)),
        (-(2.0**63), datetime.min.replace(tzinfo=UTC)),
        (float("inf"), datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_utc_takes_every_time(timestamp: float, expected: datetime) -> None:
    assert utc(timestamp) == expected
    assert utc(timestamp).tzinfo is UTC
