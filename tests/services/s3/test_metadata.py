from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.file_metadata import FileMetadata
from cloudalpha.services.s3.metadata import (
    KnownObjects,
    format_mtime,
    get_hashes,
    get_modified,
    make_file_metadata,
    parse_mtime,
)
from cloudalpha.services.s3.objects import ObjectInfo, make_info, make_listed_info

UPLOADED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
MOMENT = datetime(2001, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
MD5 = "0123456789abcdef0123456789abcdef"


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back(moment: datetime) -> None:
    assert parse_mtime(format_mtime(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000.123456789", datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("-1.5", datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)),
        ("0.000001", datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)),
        ("999999999999", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_times_as_rclone_writes_them(text: str, moment: datetime) -> None:
    assert parse_mtime(text) == moment


@pytest.mark.parametrize("text", [None, "", "yesterday", "nan", "inf", "-Infinity", "1e99", "2024-01-01"])
def test_what_is_no_time(text: str | None) -> None:
    assert parse_mtime(text) is None


def test_a_time_of_another_zone() -> None:
    moment = datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert format_mtime(moment) == "0.000000"


def test_kept_time_comes_before_that_of_the_upload() -> None:
    info = ObjectInfo("k", 1, MD5, UPLOADED, {"mtime": format_mtime(MOMENT)}, {})
    assert get_modified(info) == MOMENT
    assert get_modified(info._replace(metadata={})) == UPLOADED
    assert get_modified(info._replace(metadata={"mtime": "soon"})) == UPLOADED


@pytest.mark.parametrize(
    ("changes", "is_md5"),
    [
        ({}, True),
        ({"encryption": "AES256"}, True),
        ({"encryption": "aws:kms"}, False),
        ({"encryption": "customer"}, False),
        ({"etag": MD5 + "-2"}, False),
        ({"etag": "unquoted nonsense"}, False),
        ({"headers": None}, False),
    ],
)
def test_only_a_certain_etag_is_a_hash(changes: dict[str, object], is_md5: bool) -> None:
    info = ObjectInfo("k", 1, MD5, UPLOADED, {}, {})._replace(**changes)  # type: ignore[arg-type]
    assert get_hashes(info) == ({"md5": MD5} if is_md5 else {})


def test_hashes_of_the_metadata() -> None:
    kept = {"cloudalpha-sha256": "ab" * 32, "cloudalpha-md5": "not a hash"}
    metadata = make_file_metadata("/f", ObjectInfo("k", 1, MD5 + "-2", UPLOADED, kept, {}), {"md5": "cd" * 16})
    assert metadata.content_hash == f"md5:{'cd' * 16} sha256:{'ab' * 32}"


class TestKnownObjects:
    LISTED = ObjectInfo("k", 1, MD5, UPLOADED)
    METADATA = FileMetadata("/k", False, 1, MOMENT, content_hash="md5:x")

    def test_listed_as_it_was_written(self) -> None:
        known = KnownObjects()
        known.remember("k", self.LISTED._replace(last_modified=None), self.METADATA)
        found = known.find(self.LISTED)
        assert found is not None
        assert (found.modified, found.content_hash) == (MOMENT, "md5:x")

    def test_another_content(self) -> None:
        known = KnownObjects()
        known.remember("k", self.LISTED, self.METADATA)
        assert known.find(self.LISTED._replace(etag="other")) is None

    def test_another_upload_of_the_same_content(self) -> None:
        known = KnownObjects()
        known.remember("k", self.LISTED._replace(last_modified=None), self.METADATA)
        assert known.find(self.LISTED) is not None
        assert known.find(self.LISTED._replace(last_modified=UPLOADED + timedelta(seconds=5))) is None

    def test_forgotten(self) -> None:
        known = KnownObjects()
        known.remember("k", self.LISTED, self.METADATA)
        known.forget("k")
        assert known.find(self.LISTED) is None

    def test_what_was_just_written_is_recent(self) -> None:
        known = KnownObjects()
        written = self.LISTED._replace(metadata={"a": "b"}, headers={})
        known.remember("k", written, self.METADATA)
        assert known.find_recent("k") == written
        known.forget("k")
        assert known.find_recent("k") is None

    def test_what_is_not_known_as_a_whole_is_not_recent(self) -> None:
        known = KnownObjects()
        known.remember("k", self.LISTED._replace(metadata={}, headers={}), self.METADATA)
        known.remember("k", self.LISTED._replace(metadata={}), self.METADATA)
        assert known.find_recent("k") is None

    def test_recent_is_a_matter_of_moments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cloudalpha.services.s3.metadata.RECENT_SECONDS", 0.0)
        known = KnownObjects()
        known.remember("k", self.LISTED._replace(metadata={}, headers={}), self.METADATA)
        assert known.find_recent("k") is None

    def test_the_least_recently_used_goes_first(self) -> None:
        known = KnownObjects(max_entries=2)
        for key in "abc":
            known.remember(key, self.LISTED._replace(key=key), self.METADATA)
            assert known.find(self.LISTED._replace(key="a")) is not None
        assert known.find(self.LISTED._replace(key="b")) is None
        assert known.find(self.LISTED._replace(key="c")) is not None

    def test_folders(self) -> None:
        known = KnownObjects()
        known.remember_dir("a/", MOMENT)
        assert known.get_dir_time("a/") == MOMENT
        assert known.get_dir_time("b/") is None


def test_listings_and_heads_tell_one_time() -> None:
    listed = make_listed_info({"Key": "k", "Size": 1, "LastModified": UPLOADED + timedelta(milliseconds=300)})
    asked = make_info("k", {"ContentLength": 1, "LastModified": UPLOADED.astimezone(timezone(timedelta(hours=2)))})
    assert listed.last_modified == asked.last_modified == UPLOADED
    assert asked.last_modified.utcoffset() == timedelta(0)  # type: ignore[union-attr]
