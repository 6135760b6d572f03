"""LocalFiles and what a failing storage leaves behind: nothing half-written, ever."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha import paths
from cloudalpha.cli.local_files import LocalFiles, make_local_path
from cloudalpha.cli.locations import Location
from cloudalpha.cli.progress import Progress
from cloudalpha.cli.transfers import Transfers
from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, WriteOptions
from cloudalpha.layer import Layer


@pytest.fixture
def files() -> LocalFiles:
    return LocalFiles()


class TornLayer(Layer):
    """Reads end with an outage after the first chunk."""

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        yield b"half"
        raise AccessFailedFileSystemError(path)


class StrangeLayer(Layer):
    """Lists names that no file can have."""

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        yield FileMetadata(paths.join(path, ".."), is_dir=False, size=1)
        yield FileMetadata(paths.join(path, "a\nb"), is_dir=False, size=1)
        yield from self.inner.list_dir(path)


def test_a_torn_read_leaves_the_old_file_and_nothing_else(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"whole content")
    (tmp_path / "target").write_bytes(b"old")
    reports: list[str] = []
    transfers = Transfers(Progress(wanted=False), report=reports.append)
    source = Location(TornLayer(files), str(tmp_path / "source"), "photos")
    transfers.copy([source], Location(files, str(tmp_path / "target")))
    transfers.copy([source], Location(files, str(tmp_path / "new")))
    assert transfers.failures == len(reports) == 2
    assert (tmp_path / "target").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


def test_a_source_that_shrank_is_not_published(files: LocalFiles, tmp_path: Path) -> None:
    new_file = files.create_new_file(str(tmp_path / "a"), WriteOptions(size=10))
    new_file.write(b"short")
    with pytest.raises(RevisionMismatchFileSystemError):
        new_file.commit()
    new_file.discard()
    assert os.listdir(tmp_path) == []


def test_names_that_a_storage_makes_up_are_not_written(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "good").write_bytes(b"x")
    (tmp_path / "down").mkdir()
    reports: list[str] = []
    transfers = Transfers(Progress(wanted=False), report=reports.append)
    source = Location(StrangeLayer(files), str(tmp_path / "source"), "photos")
    transfers.copy([source], Location(files, str(tmp_path / "down" / "deep")), recursive=True)
    assert os.listdir(tmp_path / "down" / "deep") == ["good"]
    assert os.listdir(tmp_path / "down") == ["deep"]
    assert len(reports) == 2


def test_errors_are_told_apart(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "full" / "inner").mkdir(parents=True)
    with pytest.raises(NotFoundFileSystemError):
        files.get_metadata(str(tmp_path / "missing"))
    with pytest.raises(NotADirectoryFileSystemError):
        list(files.list_dir(str(tmp_path / "file")))
    with pytest.raises(IsADirectoryFileSystemError):
        list(files.read(str(tmp_path / "full")))
    with pytest.raises(IsADirectoryFileSystemError):
        files.create_new_file(str(tmp_path / "full"))
    with pytest.raises(IsADirectoryFileSystemError):
        files.delete(str(tmp_path / "full"))
    with pytest.raises(DirectoryNotEmptyFileSystemError):
        files.delete_dir(str(tmp_path / "full"))
    with pytest.raises(AlreadyExistsFileSystemError):
        files.make_dir(str(tmp_path / "full"))
    with pytest.raises(InvalidPathFileSystemError):
        files.get_metadata("/" + "a" * 300)
    with pytest.raises(InvalidPathFileSystemError):
        files.get_metadata("/a\x00b")


def test_a_pipe_is_neither_read_nor_replaced(files: LocalFiles, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PermissionDeniedFileSystemError):
        list(files.read(str(tmp_path / "pipe")))
    with pytest.raises(PermissionDeniedFileSystemError):
        files.create_new_file(str(tmp_path / "pipe"))


def test_a_link_is_followed_and_stays_a_link(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.write_all(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_link_to_nowhere_is_listed_and_fails_alone(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "dead").symlink_to("missing")
    (tmp_path / "source" / "good").write_bytes(b"x")
    reports: list[str] = []
    transfers = Transfers(Progress(wanted=False), report=reports.append)
    source = Location(files, str(tmp_path / "source"))
    transfers.copy([source], Location(files, str(tmp_path / "target")), recursive=True)
    assert os.listdir(tmp_path / "target") == ["good"]
    assert len(reports) == 1


def test_a_circle_of_links_ends(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    transfers = Transfers(Progress(wanted=False), report=lambda _: None)
    source = Location(files, str(tmp_path / "a"))
    transfers.copy([source], Location(files, str(tmp_path / "copy")), recursive=True)
    assert transfers.failures == 1
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "copy").rglob("*")) == ["copy/b", "copy/b/up"]


def test_modes(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"")
    (tmp_path / "old").chmod(0o640)
    files.write_all(str(tmp_path / "old"), b"new")
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        files.write_all(str(tmp_path / "new"), b"")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_expected_nothing_refuses_what_came_meanwhile(files: LocalFiles, tmp_path: Path) -> None:
    new_file = files.create_new_file(str(tmp_path / "a"), WriteOptions(expected=NOTHING))
    new_file.write(b"ours")
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(AlreadyExistsFileSystemError):
        new_file.commit()
    new_file.discard()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_expected_revision(files: LocalFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    revision = files.write_all(path, b"one").revision
    assert revision is not None
    files.write_all(path, b"two!", WriteOptions(expected=revision))
    with pytest.raises(RevisionMismatchFileSystemError):
        files.write_all(path, b"three", WriteOptions(expected=revision))
    with pytest.raises(RevisionMismatchFileSystemError):
        list(files.read(path, expected=revision))
    assert files.read_all(path) == b"two!"


@given(content=st.binary(max_size=50), start=st.integers(0, 60), length=st.none() | st.integers(0, 60))
def test_ranges(content: bytes, start: int, length: int | None, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = LocalFiles()
    path = str(tmp_path_factory.getbasetemp() / f"ranges-{os.getpid()}")
    with files.create_new_file(path) as new_file:
        new_file.write(content)
        new_file.commit()
    end = None if length is None else start + length
    assert b"".join(files.read(path, start, length)) == content[start:end]


def test_keep_and_times(files: LocalFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    files.write_all(path, b"0123456789")
    then = datetime(2001, 2, 3, tzinfo=UTC)
    with files.create_new_file(path, WriteOptions(modified_datetime=then)) as new_file:
        new_file.keep(5, 3)
        new_file.write(b"!")
        assert new_file.offset == 4
        metadata = new_file.commit()
        with pytest.raises(ValueError, match="committed"):
            new_file.commit()
    assert files.read_all(path) == b"567!"
    assert metadata.modified_datetime == then


def test_rename_keeps_to_the_rules(files: LocalFiles, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    files.write_all(one, b"1")
    files.write_all(two, b"2")
    with pytest.raises(AlreadyExistsFileSystemError):
        files.rename(one, two)
    files.rename(one, two, overwrite=True)
    assert files.read_all(two) == b"1"
    assert not files.exists(one)


@pytest.mark.parametrize(
    ("raw", "expected"), [("/", "/"), ("//x", "/x"), ("/a/../b/", "/b"), ("sub/x", "/here/sub/x"), (".", "/here")]
)
def test_local_paths(raw: str, expected: str) -> None:
    assert make_local_path(raw, "/here") == expected


def test_the_home_folder_has_its_sign() -> None:
    assert make_local_path("~/x", "/here") == os.path.join(os.environ["HOME"], "x")
