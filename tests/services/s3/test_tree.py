"""Folders as a whole: renamed, copied and deleted in parallel, and whole after whatever happens in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudalpha import progress
from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import AccessFailedFileSystemError, FileSystemError, RevisionMismatchFileSystemError
from cloudalpha.file_system import FileSystem
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.copies import Copier
from cloudalpha.services.s3.journal import Journal
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.testing import wait_until
from tests.servers.s3_server import S3Server
from tests.services.s3.accounts import small_pages

NAMES = sorted(["file", "sub/", "sub/a", "sub/b/c", *(f"{number:02}" for number in range(9))])
GONE = "another boot:1:1"

Keys = Callable[[], list[str]]


class CrashError(BaseException):
    """What nothing catches: the end of the process."""


@pytest.fixture(scope="session", params=["moto", pytest.param("ceph", marks=pytest.mark.slow)])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def connect(s3_server: S3Server, bucket: str, tmp_path: Path) -> Iterator[Callable[[], FileSystem]]:
    """Connects the same account, as often as a process would that starts again."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(small_pages(s3_server, bucket, tmp_path / "state"))


@pytest.fixture
def keys(raw: Any, bucket: str) -> Keys:
    return lambda: sorted(entry["Key"] for entry in raw.list_objects_v2(Bucket=bucket).get("Contents", []))


@pytest.fixture
def plant(raw: Any, bucket: str) -> Callable[[str], None]:
    def put(folder: str) -> None:
        for name in NAMES:
            body = b"" if name.endswith("/") else name.encode()
            raw.put_object(Bucket=bucket, Key=folder + name, Body=body)

    return put


def die(tmp_path: Path) -> None:
    """Let the records of this process look like those of one that is gone."""
    store = DataStore(tmp_path / "state")
    for key, value in store.items("account:s3"):
        if key.startswith("rename:"):
            store.set_value("account:s3", key, {**value, "owner": GONE})
    store.close()


def count_records(tmp_path: Path) -> int:
    store = DataStore(tmp_path / "state")
    try:
        return sum(key.startswith("rename:") for key, _ in store.items("account:s3"))
    finally:
        store.close()


def fail_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int, error: BaseException) -> None:
    """Let the nth call of a method, and all that follow, fail before they do anything."""
    inner, calls = getattr(owner, name), iter(range(1, 10**6))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if next(calls) >= call:
            raise error
        return inner(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapper)


CRASHES = [
    pytest.param(Copier, "copy", 1, id="first-copy"),
    pytest.param(Copier, "copy", 6, id="some-copies"),
    pytest.param(Bucket, "delete_many", 1, id="before-the-deletions"),
    pytest.param(Bucket, "delete", 1, id="before-the-marker"),
    pytest.param(Journal, "end", 1, id="at-the-very-end"),
]


@pytest.mark.parametrize(("owner", "name", "call"), CRASHES)
def test_a_rename_that_a_crash_interrupts_is_finished(
    connect: Callable[[], FileSystem], plant: Callable[[str], None], keys: Keys, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int,
) -> None:  # fmt: skip
    plant("old/")
    file_system = connect()
    file_system.make_dirs("/old")
    file_system.set_modified_datetime("/old", file_system.get_metadata("/old/file").modified_datetime)  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        fail_at(patch, owner, name, call, CrashError())
        with pytest.raises(CrashError):
            file_system.rename("/old", "/new")
    for key in NAMES:
        assert f"old/{key}" in keys() or f"new/{key}" in keys(), "an object is at neither place"
    die(tmp_path)
    connect()
    wait_until(lambda: count_records(tmp_path) == 0, 20, "the rename is not finished")
    assert keys() == ["new/", *("new/" + key for key in NAMES)]


def test_a_rename_of_a_live_process_is_left_alone(
    connect: Callable[[], FileSystem], plant: Callable[[str], None], keys: Keys, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plant("old/")
    file_system = connect()
    with monkeypatch.context() as patch:
        fail_at(patch, Copier, "copy", 3, CrashError())
        with pytest.raises(CrashError):
            file_system.rename("/old", "/new")
    other: Any = connect()
    other._leftovers.wait()
    assert count_records(tmp_path) == 1
    assert [key for key in keys() if key.startswith("old/")] == ["old/" + name for name in NAMES]


def test_a_rename_that_fails_goes_back(
    connect: Callable[[], FileSystem], plant: Callable[[str], None], keys: Keys, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plant("old/")
    file_system = connect()
    before = keys()
    with monkeypatch.context() as patch:
        fail_at(patch, Copier, "copy", 5, AccessFailedFileSystemError("/x", "no"))
        with pytest.raises(AccessFailedFileSystemError):
            file_system.rename("/old", "/new")
    assert keys() == before
    assert not file_system.exists("/new")
    assert count_records(tmp_path) == 0
    file_system.rename("/old", "/new")
    assert keys() == ["new/" + name for name in NAMES]


def test_a_rename_that_cannot_even_go_back_goes_back_later(
    connect: Callable[[], FileSystem], plant: Callable[[str], None], keys: Keys, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plant("old/")
    file_system = connect()
    before = keys()
    with monkeypatch.context() as patch:
        fail_at(patch, Copier, "copy", 5, AccessFailedFileSystemError("/x", "no"))
        fail_at(patch, Bucket, "delete_many", 1, AccessFailedFileSystemError("/x", "no"))
        with pytest.raises(AccessFailedFileSystemError):
            file_system.rename("/old", "/new")
    assert count_records(tmp_path) == 1
    die(tmp_path)
    connect()
    wait_until(lambda: count_records(tmp_path) == 0, 20, "the rename has not gone back")
    assert keys() == before


def test_what_changes_while_it_is_moved_is_moved_as_it_is_now(
    connect: Callable[[], FileSystem], plant: Callable[[str], None], raw: Any, bucket: str,
    monkeypatch: pytest.MonkeyPatch, keys: Keys,
) -> None:  # fmt: skip
    plant("old/")
    file_system = connect()
    inner = Copier.copy

    def copy(self: Copier, source: ObjectInfo, *args: Any) -> ObjectInfo:
        result = inner(self, source, *args)
        if source.key == "old/sub/a":
            monkeypatch.setattr(Copier, "copy", inner)
            raw.put_object(Bucket=bucket, Key="old/sub/a", Body=b"later")
        return result

    monkeypatch.setattr(Copier, "copy", copy)
    file_system.rename("/old", "/new")
    assert keys() == ["new/" + name for name in NAMES]
    assert file_system.read_all("/new/sub/a") == b"later"


def test_a_file_that_changes_while_it_is_moved_is_not_deleted(
    connect: Callable[[], FileSystem], raw: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_system = connect()
    file_system.write_all("/a", b"first")
    inner = Copier.copy

    def copy(self: Copier, source: ObjectInfo, *args: Any) -> ObjectInfo:
        result = inner(self, source, *args)
        raw.put_object(Bucket=bucket, Key="a", Body=b"later")
        return result

    monkeypatch.setattr(Copier, "copy", copy)
    with pytest.raises(RevisionMismatchFileSystemError):
        file_system.rename("/a", "/b")
    assert file_system.read_all("/a") == b"later"
    assert file_system.read_all("/b") == b"first"


def test_progress_is_told_in_the_thread_of_the_call(
    connect: Callable[[], FileSystem], plant: Callable[[str], None]
) -> None:
    plant("old/")
    file_system = connect()
    heard: list[tuple[int, int | None]] = []
    with progress.listening(lambda done, total: heard.append((done, total))):
        file_system.rename("/old", "/new")
    assert (len(NAMES), len(NAMES)) in heard
    assert [done for done, total in heard if total] == list(range(1, len(NAMES) + 1))


def test_an_error_of_one_deletion_is_an_error(
    connect: Callable[[], FileSystem], plant: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant("old/")
    file_system: Any = connect()
    answer = {"Errors": [{"Key": "old/file", "Code": "AccessDenied", "Message": "no"}]}
    monkeypatch.setattr(file_system._bucket._client, "delete_objects", lambda **_: answer)
    with pytest.raises(FileSystemError, match="may not"):
        file_system.delete_tree("/old")
    assert file_system.exists("/old/file")


def test_keys_that_xml_cannot_name_are_deleted_one_by_one(
    connect: Callable[[], FileSystem], raw: Any, bucket: str, keys: Keys
) -> None:
    for key in ("old/a\tb", "old/plain", "old/\x7f"):
        raw.put_object(Bucket=bucket, Key=key, Body=b"1")
    connect().delete_tree("/old")
    assert keys() == []


@pytest.mark.parametrize("size", [5 * 1024**2 + 1, 10 * 1024**2])
def test_large_objects_are_copied_in_parts(connect: Callable[[], FileSystem], raw: Any, bucket: str, size: int) -> None:
    file_system: Any = connect()
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    raw.put_object(
        Bucket=bucket, Key="large", Body=content, Metadata={"mtime": "5", "other": "kept"}, ContentType="text/x-odd"
    )
    file_system._bucket.card = type(file_system._bucket.card)(
        **{**file_system._bucket.card.to_json(), "part_copy": True}
    )
    with ThreadPoolExecutor(4) as executor:
        copier = Copier(
            file_system._bucket, file_system._known, executor, file_system._uploads,
            max_single_copy=5 * 1024**2, part_size=5 * 1024**2,
        )  # fmt: skip
        source = file_system._bucket.head("large", "/large")
        copied = copier.copy(source, "copy", "/copy")
    found = raw.head_object(Bucket=bucket, Key="copy")
    assert (found["ContentLength"], found["ContentType"]) == (size, "text/x-odd")
    assert found["Metadata"] == {"mtime": "5", "other": "kept"}
    assert copied.size == size
    assert raw.get_object(Bucket=bucket, Key="copy")["Body"].read() == content
    assert "Uploads" not in raw.list_multipart_uploads(Bucket=bucket)


def test_a_large_object_that_changes_while_it_is_copied_is_not_mixed(
    connect: Callable[[], FileSystem], raw: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_system: Any = connect()
    raw.put_object(Bucket=bucket, Key="large", Body=b"1" * (10 * 1024**2))
    copy_part = file_system._bucket.copy_part

    def change_then_copy(*arguments: Any) -> Any:
        raw.put_object(Bucket=bucket, Key="large", Body=b"2" * (10 * 1024**2))
        return copy_part(*arguments)

    monkeypatch.setattr(file_system._bucket, "copy_part", change_then_copy)
    with ThreadPoolExecutor(1) as executor:
        copier = Copier(
            file_system._bucket, file_system._known, executor, file_system._uploads,
            max_single_copy=5 * 1024**2, part_size=5 * 1024**2,
        )  # fmt: skip
        with pytest.raises(RevisionMismatchFileSystemError):
            copier.copy(file_system._bucket.head("large", "/large"), "copy", "/copy")
    assert "Contents" not in raw.list_objects_v2(Bucket=bucket, Prefix="copy")
    assert "Uploads" not in raw.list_multipart_uploads(Bucket=bucket)
