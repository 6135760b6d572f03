"""Buckets that others have filled: everything is reachable or reported, nothing is hidden in silence, nothing does harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloudalpha import paths
from cloudalpha.exceptions import (
    DirectoryNotEmptyFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
)
from cloudalpha.file_system import FileSystem
from tests.servers.s3_server import S3Server
from tests.services.s3.accounts import small_pages

Plant = Callable[..., None]


@pytest.fixture(scope="session", params=["moto", pytest.param("ceph", marks=pytest.mark.slow)])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def file_system(s3_server: S3Server, bucket: str, tmp_path: Path) -> Iterator[FileSystem]:
    with small_pages(s3_server, bucket, tmp_path / "state") as file_system:
        yield file_system


@pytest.fixture
def plant(raw: Any, bucket: str) -> Plant:
    """Puts objects whose content is their key."""

    def put(*keys: str) -> None:
        for key in keys:
            raw.put_object(Bucket=bucket, Key=key, Body=key.encode())

    return put


def get_keys(raw: Any, bucket: str) -> list[str]:
    return sorted(entry["Key"] for entry in raw.list_objects_v2(Bucket=bucket).get("Contents", []))


def get_names(file_system: FileSystem, path: str) -> list[str]:
    entries = [entry.name + "/" * entry.is_dir for entry in file_system.list_dir(path)]
    assert len(entries) == len(set(entries))
    return sorted(entries)


ODD_KEYS = [
    "a//b",
    "/leading",
    "x/./y",
    "x/../y",
    "..",
    "control\x7f/tab\tbed",
    "%~escaped",
    "%!twin",
    "plain/50% off",
    "both",
    "both/inside",
    "both-after",
    "both!before",
    "folder with content/",
    "folder with content/inside",
    "e\u0301",
    "é",
]


def test_every_key_is_reached_by_walking(file_system: FileSystem, plant: Plant) -> None:
    plant(*ODD_KEYS)
    files = [entry for entry in file_system.walk("/") if not entry.is_dir]
    assert sorted(file_system.read_all(entry.path).decode() for entry in files) == sorted(ODD_KEYS)
    for entry in files:
        assert paths.normalize(entry.path) == entry.path
        assert file_system.get_metadata(entry.path)[:3] == entry[:3]


def test_every_key_is_deleted_by_walking(file_system: FileSystem, plant: Plant, raw: Any, bucket: str) -> None:
    plant(*ODD_KEYS)
    for entry in list(file_system.walk("/")):
        if not entry.is_dir:
            file_system.delete(entry.path)
    assert get_keys(raw, bucket) == ["folder with content/"]
    assert raw.head_object(Bucket=bucket, Key="folder with content/")["ContentLength"] == 0


@pytest.mark.parametrize("between", [[], ["x!", "x-1", "x-2", "x-3", "x-4"]], ids=["next", "pages-apart"])
def test_a_name_that_is_a_file_and_a_folder(
    file_system: FileSystem, plant: Plant, raw: Any, bucket: str, between: list[str]
) -> None:
    plant("x", "x/a", "x/b/c", *between)
    assert get_names(file_system, "/") == sorted(["x", "%!x/", *between])
    assert get_names(file_system, "/%!x") == ["a", "b/"]
    assert file_system.is_file("/x")
    assert file_system.is_dir("/%!x")
    assert file_system.read_all("/%!x/b/c") == b"x/b/c"
    file_system.write_all("/%!x/new", b"new")
    assert raw.get_object(Bucket=bucket, Key="x/new")["Body"].read() == b"new"
    with pytest.raises(IsADirectoryFileSystemError):
        list(file_system.read("/%!x"))
    with pytest.raises(IsADirectoryFileSystemError):
        file_system.delete("/%!x")
    file_system.rename("/%!x", "/y")
    assert get_names(file_system, "/") == sorted(["x", "y/", *between])
    assert get_names(file_system, "/y") == ["a", "b/", "new"]
    assert file_system.read_all("/x") == b"x"


def test_only_a_name_that_is_both_has_a_twin(file_system: FileSystem, plant: Plant) -> None:
    plant("ab", "a/1", "a b/2", "abc/3", "abcd")
    assert get_names(file_system, "/") == ["a b/", "a/", "ab", "abc/", "abcd"]


@pytest.mark.parametrize("name", ["%!new", "%~", "%~.", "%~.."])
def test_nothing_new_takes_a_name_of_the_odd_ones(
    file_system: FileSystem, plant: Plant, raw: Any, bucket: str, name: str
) -> None:
    plant("folder/file")
    path = "/folder/" + name
    with pytest.raises(InvalidPathFileSystemError):
        file_system.write_all(path, b"x")
    with pytest.raises(InvalidPathFileSystemError):
        file_system.make_dir(path)
    for action in (file_system.rename, file_system.copy):
        with pytest.raises(InvalidPathFileSystemError):
            action("/folder/file", path)
        with pytest.raises(InvalidPathFileSystemError):
            action("/folder", "/" + name)
    with pytest.raises(NotFoundFileSystemError):
        file_system.get_metadata(path)
    assert get_keys(raw, bucket) == ["folder/file"]


def test_a_marker_with_content(file_system: FileSystem, raw: Any, bucket: str) -> None:
    raw.put_object(Bucket=bucket, Key="a/", Body=b"precious", Metadata={"mtime": "86400"})
    assert get_names(file_system, "/") == ["a/"]
    assert get_names(file_system, "/a") == ["%~"]
    assert file_system.read_all("/a/%~") == b"precious"
    with pytest.raises(DirectoryNotEmptyFileSystemError):
        file_system.delete_dir("/a")
    file_system.copy("/a/%~", "/saved")
    file_system.delete("/a/%~")
    assert file_system.read_all("/saved") == b"precious"
    assert get_names(file_system, "/a") == []
    assert file_system.get_metadata("/a").modified_datetime == datetime(1970, 1, 2, tzinfo=UTC)
    file_system.delete_dir("/a")
    assert get_names(file_system, "/") == ["saved"]


def test_an_empty_name_with_content_beneath(file_system: FileSystem, plant: Plant) -> None:
    plant("a/", "a//", "a//b")
    assert get_names(file_system, "/a") == ["%!%~/", "%~"]
    assert get_names(file_system, "/a/%!%~") == ["%~", "b"]
    assert file_system.read_all("/a/%!%~/b") == b"a//b"
    assert file_system.read_all("/a/%!%~/%~") == b"a//"
    assert file_system.read_all("/a/%~") == b"a/"


def test_folders_without_markers_live_as_long_as_what_is_in_them(file_system: FileSystem, plant: Plant) -> None:
    plant("a/b/c", "a/d")
    assert file_system.is_dir("/a/b")
    assert file_system.get_metadata("/a/b").modified_datetime is None
    file_system.delete("/a/b/c")
    assert not file_system.exists("/a/b")
    assert get_names(file_system, "/a") == ["d"]
    file_system.make_dir("/a/b")
    assert file_system.is_dir("/a/b")


def test_a_folder_without_a_marker_takes_a_time(file_system: FileSystem, plant: Plant, raw: Any, bucket: str) -> None:
    plant("a/b")
    moment = datetime(2001, 2, 3, tzinfo=UTC)
    file_system.set_modified_datetime("/a", moment)
    assert file_system.get_metadata("/a").modified_datetime == moment
    assert get_keys(raw, bucket) == ["a/", "a/b"]


@pytest.mark.expects_warnings
def test_names_that_are_too_long_are_reported(
    file_system: FileSystem, plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    plant("a/" + "n" * 256, "a/" + "é" * 200 + "/inside", "a/" + "\x01" * 90, "a/ok")
    with caplog.at_level(logging.WARNING, "cloudalpha"):
        assert get_names(file_system, "/a") == ["ok"]
    [record] = [record for record in caplog.records if record.getMessage() == "names_left_out"]
    assert vars(record)["fields"]["number"] == 3


def test_whole_trees_of_odd_keys_move(file_system: FileSystem, plant: Plant, raw: Any, bucket: str) -> None:
    plant(*("tree/" + key for key in ODD_KEYS))
    file_system.rename("/tree", "/moved")
    assert get_keys(raw, bucket) == sorted("moved/" + key for key in ODD_KEYS)
    file_system.delete_tree("/moved")
    assert get_keys(raw, bucket) == []


def test_nothing_outside_the_prefix_is_touched(
    s3_server: S3Server, plant: Plant, raw: Any, bucket: str, tmp_path: Path
) -> None:
    plant("team/a", "team/b/c", "team", "team2/x", "other")
    with small_pages(s3_server, bucket, tmp_path / "other state", prefix="team") as file_system:
        assert get_names(file_system, "/") == ["a", "b/"]
        for entry in list(file_system.list_dir("/")):
            file_system.delete_tree(entry.path)
        assert get_names(file_system, "/") == []
        file_system.write_all("/new", b"new")
    assert get_keys(raw, bucket) == ["other", "team", "team/new", "team2/x"]


def test_times_of_others(file_system: FileSystem, raw: Any, bucket: str) -> None:
    raw.put_object(Bucket=bucket, Key="of rclone", Body=b"1", Metadata={"mtime": "1000000000.5"})
    raw.put_object(Bucket=bucket, Key="of nobody", Body=b"1")
    kept = file_system.get_metadata("/of rclone").modified_datetime
    assert kept == datetime(2001, 9, 9, 1, 46, 40, 500_000, tzinfo=UTC)
    uploaded = raw.head_object(Bucket=bucket, Key="of nobody")["LastModified"]
    assert file_system.get_metadata("/of nobody").modified_datetime == uploaded
    file_system.rename("/of nobody", "/moved")
    assert file_system.get_metadata("/moved").modified_datetime == uploaded
    listed = {entry.name: entry.modified_datetime for entry in file_system.list_dir("/")}
    assert listed == {"of rclone": kept, "moved": uploaded}


@pytest.mark.parametrize("listing_times", ["upload", "stored"])
def test_times_in_listings(s3_server: S3Server, raw: Any, bucket: str, tmp_path: Path, listing_times: str) -> None:
    names = [str(number) for number in range(7)]
    for name in names:
        raw.put_object(Bucket=bucket, Key=name, Body=b"1", Metadata={"mtime": "86400"})
    with small_pages(s3_server, bucket, tmp_path / "other", listing_times=listing_times) as file_system:
        entries = list(file_system.list_dir("/"))
        assert sorted(entry.name for entry in entries) == names
        is_stored = {entry.modified_datetime == datetime(1970, 1, 2, tzinfo=UTC) for entry in entries}
        assert is_stored == {listing_times == "stored"}
