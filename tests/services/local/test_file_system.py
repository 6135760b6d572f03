"""LocalFileSystem: what is particular to files on a disk."""

from __future__ import annotations

import os
import stat
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InvalidPathFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.services.local import file_system as module
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree
from cloudalpha.testing.contract.base import list_names

HIDDEN = ".cloudalpha-0123456789abcdef.tmp"


def list_all(file_system: LocalFileSystem, path: str = "/") -> dict[str, FileMetadata]:
    return {entry.name: entry for entry in file_system.list_dir(path)}


@pytest.mark.root
def test_device_is_not_read(file_system: LocalFileSystem, root: Path) -> None:
    try:
        os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this sandbox makes no devices")
    with pytest.raises(PermissionDeniedFileSystemError):
        file_system.read("/zero")
    assert file_system.get_metadata("/zero").size == 0


class TestHiddenFiles:
    """What an upload leaves in a folder is nobody's business, by whichever way one looks."""

    def test_no_client_sees_or_uses_one(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / HIDDEN).write_bytes(b"x")
        path = "/" + HIDDEN
        assert file_system.exists(path) is False
        for call in (file_system.get_metadata, file_system.read, file_system.delete, file_system.get_native_file):
            with pytest.raises(NotFoundFileSystemError):
                call(path)
        with pytest.raises(NotFoundFileSystemError):
            list(file_system.list_dir(path))
        with pytest.raises(NotFoundFileSystemError):
            file_system.rename(path, "/other")
        with pytest.raises(NotFoundFileSystemError):
            file_system.copy(path, "/other")
        assert (root / HIDDEN).read_bytes() == b"x"

    def test_no_client_makes_one(self, file_system: LocalFileSystem, root: Path) -> None:
        file_system.write_all("/file", b"x")
        file_system.make_dir("/folder")
        for path in ("/" + HIDDEN, f"/folder/{HIDDEN}/below"):
            with pytest.raises(InvalidPathFileSystemError):
                file_system.create_new_file(path)
            with pytest.raises(InvalidPathFileSystemError):
                file_system.make_dir(path)
            for source in ("/file", "/folder"):
                with pytest.raises(InvalidPathFileSystemError):
                    file_system.rename(source, path)
                with pytest.raises(InvalidPathFileSystemError):
                    file_system.copy(source, path)
        assert sorted(os.listdir(root)) == ["file", "folder"]

    @pytest.mark.parametrize("name", [".cloudalpha-", ".cloudalpha-x.tmp", "x" + HIDDEN, HIDDEN + "x", HIDDEN.upper()])
    def test_similar_names_are_for_everybody(self, file_system: LocalFileSystem, name: str) -> None:
        file_system.write_all("/" + name, b"x")
        assert list_names(file_system, "/") == [name]
        file_system.delete("/" + name)

    def test_listing_sweeps(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / HIDDEN).write_bytes(b"left by a crash")
        assert list_all(file_system) == {}
        assert os.listdir(root) == []

    def test_folder_of_leftovers_is_empty(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "folder" / HIDDEN).touch()
        file_system.delete_dir("/folder")
        assert os.listdir(root) == []

    def test_folder_of_leftovers_and_a_file_is_not(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "folder" / HIDDEN).touch()
        (root / "folder" / "file").touch()
        with pytest.raises(DirectoryNotEmptyFileSystemError):
            file_system.delete_dir("/folder")
        assert (root / "folder" / "file").exists()


class TestNames:
    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(raw=st.binary(min_size=1, max_size=60).filter(lambda raw: paths.is_valid_name(paths.decode(raw))))
    def test_bytes_are_kept(self, root: Path, file_system: LocalFileSystem, raw: bytes) -> None:
        path = "/" + paths.decode(raw)
        file_system.write_all(path, b"x")
        assert os.listdir(os.fsencode(root)) == [raw]
        assert [entry.path for entry in file_system.list_dir("/")] == [path]
        file_system.delete(path)

    def test_whatever_encoding_python_uses_for_names(
        self, root: Path, file_system: LocalFileSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Under an old locale Python decodes names as Latin-1 or ASCII."""
        monkeypatch.setattr(module, "_decode", module._decode_name)
        names = ["ascii", "grün", paths.decode(b"\xff\xfe")]
        for name in names:
            file_system.write_all("/" + name, b"")
        assert list_names(file_system, "/") == sorted(names)

    def test_long_names(self, file_system: LocalFileSystem) -> None:
        assert file_system.capabilities.max_name_bytes == 255
        file_system.write_all("/" + "n" * 255, b"x")
        file_system.rename("/" + "n" * 255, "/" + "m" * 255)
        for call in (file_system.get_metadata, file_system.read, file_system.make_dir, file_system.create_new_file):
            with pytest.raises(InvalidPathFileSystemError):
                call("/" + "n" * 256)

    def test_deepest_path(self, file_system: LocalFileSystem, root: Path) -> None:
        path = ""
        while len(path) < paths.MAX_PATH_BYTES - 202:
            path += "/" + "d" * 200
            file_system.make_dir(path)
        path += "/" + "f" * (paths.MAX_PATH_BYTES - len(path) - 1)
        assert paths.normalize(path) == path
        file_system.write_all(path, b"x")
        assert file_system.read_all(path) == b"x"
        file_system.delete_tree("/" + "d" * 200)


class TestListing:
    def test_one_listing_is_one_listing(
        self, file_system: LocalFileSystem, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(100):
            (root / str(number)).touch()
        calls = []
        real_open = file_system._tree.root.open

        def count(path: str, flags: int) -> int:
            calls.append(path)
            return real_open(path, flags)

        monkeypatch.setattr(file_system._tree.root, "open", count)
        assert len(list_all(file_system)) == 100
        assert calls == ["/"]

    def test_memory_does_not_grow(self, file_system: LocalFileSystem, root: Path) -> None:
        for number in range(5000):
            (root / f"a rather long name, so that it would be seen {number}").touch()
        tracemalloc.start()
        try:
            assert sum(1 for _ in file_system.list_dir("/")) == 5000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 100_000

    def test_what_is_deleted_meanwhile_is_left_out(self, file_system: LocalFileSystem, root: Path) -> None:
        for number in range(10):
            (root / str(number)).touch()
        entries = file_system.list_dir("/")
        seen = {next(entries).name}
        for name in os.listdir(root):
            (root / name).unlink()
        assert seen | {entry.name for entry in entries} == seen

    def test_folder_that_is_left_early_is_closed(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").touch()
        before = os.listdir("/proc/self/fd")
        entries = file_system.list_dir("/")
        next(entries)
        del entries
        assert os.listdir("/proc/self/fd") == before


class TestReading:
    def test_change_in_place_is_noticed(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"a" * 1_000_000)
        stream = file_system.read("/file")
        next(stream)
        with open(root / "file", "r+b") as file:
            file.write(b"b")
        with pytest.raises(RevisionMismatchFileSystemError):
            list(stream)

    def test_file_that_shrinks_is_noticed(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"a" * 1_000_000)
        stream = file_system.read("/file")
        next(stream)
        os.truncate(root / "file", 10)
        with pytest.raises(RevisionMismatchFileSystemError):
            list(stream)

    @pytest.mark.parametrize("change", ["rename", "delete", "set time", "link"])
    def test_other_changes_do_not_disturb(self, file_system: LocalFileSystem, root: Path, change: str) -> None:
        (root / "file").write_bytes(b"a" * 1_000_000)
        stream = file_system.read("/file")
        received = next(stream)
        if change == "rename":
            file_system.rename("/file", "/other")
        elif change == "delete":
            file_system.delete("/file")
        elif change == "set time":
            file_system.set_modified_datetime("/file", datetime(2020, 1, 1, tzinfo=UTC))
        else:
            os.link(root / "file", root / "second")
        assert received + b"".join(stream) == b"a" * 1_000_000

    @pytest.mark.parametrize("start", [2**31, 2**63 - 1, 2**63, 2**70])
    def test_absurd_ranges(self, file_system: LocalFileSystem, start: int) -> None:
        file_system.write_all("/file", b"0123456789")
        assert list(file_system.read("/file", start)) == []
        assert list(file_system.read("/file", 8, start)) == [b"89"]
        assert list(file_system.read("/file", start, start)) == []

    def test_stream_nobody_reads_is_closed(self, file_system: LocalFileSystem) -> None:
        file_system.write_all("/file", b"x")
        before = os.listdir("/proc/self/fd")
        file_system.read("/file")
        assert os.listdir("/proc/self/fd") == before


class TestMoving:
    def test_two_names_of_one_file(self, file_system: LocalFileSystem, root: Path) -> None:
        """rename(2) would do nothing and leave both."""
        (root / "a").write_bytes(b"x")
        os.link(root / "a", root / "b")
        file_system.rename("/a", "/b", overwrite=True)
        assert os.listdir(root) == ["b"]

    def test_two_ways_to_one_name(self, file_system: LocalFileSystem, root: Path) -> None:
        """Through a link to its folder a file is renamed to itself, which must not count as a second name to be dropped."""
        (root / "folder").mkdir()
        (root / "link").symlink_to("folder")
        (root / "folder" / "a").write_bytes(b"x")
        os.link(root / "folder" / "a", root / "elsewhere")
        file_system.rename("/link/a", "/folder/a", overwrite=True)
        with pytest.raises(AlreadyExistsFileSystemError):
            file_system.rename("/link/a", "/folder/a")
        assert (root / "folder" / "a").read_bytes() == b"x"

    @pytest.mark.root
    def test_across_devices(self, file_system: LocalFileSystem, root: Path, other_device: Path) -> None:
        """A mount point beneath the root: copied, then deleted."""
        file_system.make_dir("/folder")
        file_system.write_all("/folder/file", b"content")
        file_system.rename("/folder", f"/{other_device.name}/folder")
        assert file_system.read_all(f"/{other_device.name}/folder/file") == b"content"
        assert not file_system.exists("/folder")
        file_system.rename(f"/{other_device.name}/folder/file", "/file")
        assert (root / "file").read_bytes() == b"content"
        with pytest.raises(PermissionDeniedFileSystemError):
            file_system.rename(f"/{other_device.name}", "/elsewhere")
        with pytest.raises(PermissionDeniedFileSystemError):
            file_system.delete_dir(f"/{other_device.name}")

    def test_copy_keeps_time_and_moves_nothing_through_python(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file_system = LocalFileSystem(Tree(root))
        file_system.write_all("/file", b"x" * 100_000)
        moment = datetime(2010, 1, 2, 3, 4, 5, 6, UTC)
        file_system.set_modified_datetime("/file", moment)
        monkeypatch.setattr(os, "pread", None)
        monkeypatch.setattr(os, "write", None)
        file_system.copy("/file", "/copy")
        monkeypatch.undo()
        assert file_system.get_metadata("/copy").modified_datetime == moment
        assert (root / "copy").read_bytes() == b"x" * 100_000
        file_system.close()


class TestSpace:
    def test_that_of_the_disk(self, file_system: LocalFileSystem, root: Path) -> None:
        space = file_system.get_space()
        status = os.statvfs(root)
        assert space.total == status.f_blocks * status.f_frsize
        assert space.free is not None
        assert 0 <= space.free <= (space.total or 0)


class TestModes:
    def test_by_the_umask(self, file_system: LocalFileSystem, root: Path) -> None:
        old = os.umask(0o027)
        try:
            file_system.write_all("/file", b"x")
            file_system.make_dir("/folder")
        finally:
            os.umask(old)
        assert stat.S_IMODE((root / "file").stat().st_mode) == 0o640
        assert stat.S_IMODE((root / "folder").stat().st_mode) == 0o750

    def test_by_the_options(self, root: Path, any_kernel: None) -> None:
        file_system = LocalFileSystem(Tree(root, file_mode=0o664, dir_mode=0o775))
        file_system.write_all("/file", b"x")
        file_system.make_dir("/folder")
        assert stat.S_IMODE((root / "file").stat().st_mode) == 0o664
        assert stat.S_IMODE((root / "folder").stat().st_mode) == 0o775
        file_system.close()

    def test_of_an_overwritten_file_is_kept(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"old")
        (root / "file").chmod(0o604)
        file_system.write_all("/file", b"new")
        assert stat.S_IMODE((root / "file").stat().st_mode) == 0o604

    @pytest.mark.root
    def test_owner_of_an_overwritten_file_is_kept(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"old")
        os.chown(root / "file", 1234, 5678)
        file_system.write_all("/file", b"new")
        status = (root / "file").stat()
        assert (status.st_uid, status.st_gid) == (1234, 5678)

    @pytest.mark.root
    def test_what_the_gateway_may_not(self, file_system: LocalFileSystem, root: Path) -> None:
        """As an ordinary user: files of others that it may not write, and folders that it may not read."""
        root.chmod(0o777)
        (root / "theirs").write_bytes(b"old")
        (root / "theirs").chmod(0o644)
        (root / "private").mkdir(mode=0o700)
        (root / "drop").mkdir()
        (root / "drop").chmod(0o733)
        os.seteuid(65534)
        try:
            file_system.write_all("/own", b"x")
            file_system.write_all("/own", b"y")
            file_system.write_all("/drop/new", b"x")  # a folder into which one can write, and not look
            refused: list[FileSystemError] = []
            for call in (
                lambda: file_system.write_all("/theirs", b"new"),
                lambda: file_system.write_all("/private/new", b"new"),
                lambda: file_system.get_metadata("/private/new"),
                lambda: list(file_system.list_dir("/private")),
                lambda: list(file_system.list_dir("/drop")),
                lambda: file_system.set_modified_datetime("/theirs", datetime(2020, 1, 1, tzinfo=UTC)),
            ):
                with pytest.raises(PermissionDeniedFileSystemError) as caught:
                    call()
                refused.append(caught.value)
        finally:
            os.seteuid(0)
        assert (root / "theirs").read_bytes() == b"old"
        assert (root / "own").read_bytes() == b"y"
        assert (root / "drop" / "new").read_bytes() == b"x"
        assert not any(str(root) in str(error) for error in refused)
