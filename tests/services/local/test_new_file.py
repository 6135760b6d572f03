"""LocalNewFile: publication, durability, keep, and what happens when the disk does not want to."""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import NOTHING, WriteOptions
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.temporary_file import TemporaryFile
from cloudalpha.services.local.tree import Tree


def list_disk(root: Path) -> list[str]:
    """All names that are really there."""
    return sorted(os.listdir(root))


def list_unnamed() -> list[str]:
    """Files without a name that this process has open."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return [link for link in links if link.endswith(" (deleted)") and "root" in link]


class TestPublication:
    def test_nothing_is_seen_before(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"old")
        with file_system.create_new_file("/file") as new_file:
            new_file.write(b"new")
            assert (root / "file").read_bytes() == b"old"
            assert [entry.name for entry in file_system.list_dir("/")] == ["file"]
            assert all(name == "file" or name.startswith(".cloudalpha-") for name in list_disk(root))
            new_file.commit()
            assert list_disk(root) == ["file"]
        assert (root / "file").read_bytes() == b"new"
        assert list_unnamed() == []

    def test_no_name_at_all_where_the_disk_can(self, root: Path) -> None:
        file_system = LocalFileSystem(Tree(root))
        with file_system.create_new_file("/file") as new_file:
            new_file.write(b"x")
            assert list_disk(root) == []
        file_system.close()

    def test_without_proc(self, root: Path) -> None:
        """In a bare chroot no name can be given later, so that a hidden one is taken at once."""
        tree = Tree(root)
        tree.has_unnamed = False
        file_system = LocalFileSystem(tree)
        with file_system.create_new_file("/file") as new_file:
            new_file.write(b"x")
            assert len(list_disk(root)) == 1
            new_file.commit()
        assert list_disk(root) == ["file"]
        file_system.close()

    def test_folder_that_was_moved_meanwhile(self, file_system: LocalFileSystem, root: Path) -> None:
        """A path is a path: the file goes to where the folder of that name is at the commit."""
        (root / "folder").mkdir()
        new_file = file_system.create_new_file("/folder/file")
        new_file.write(b"x")
        (root / "folder").rename(root / "moved")
        (root / "folder").mkdir()
        new_file.commit()
        assert list_disk(root / "folder") == ["file"]
        assert list_disk(root / "moved") == []

    def test_metadata_of_the_commit_is_that_of_the_listing(self, file_system: LocalFileSystem) -> None:
        for options in (WriteOptions(), WriteOptions(expected=NOTHING), WriteOptions(modified_datetime=None)):
            path = f"/{options.expected}"
            metadata = file_system.write_all(path, b"content", options)
            assert metadata == file_system.get_metadata(path)
            assert metadata in list(file_system.list_dir("/"))

    def test_time_is_that_of_the_commit(self, file_system: LocalFileSystem) -> None:
        before = datetime.now(UTC) - timedelta(microseconds=1)
        with file_system.create_new_file("/file") as new_file:
            metadata = new_file.commit()
        assert metadata.modified_datetime is not None
        assert before <= metadata.modified_datetime <= datetime.now(UTC)

    @pytest.mark.parametrize("expected", ["anything", "nothing", "revision"])
    def test_two_commits(self, file_system: LocalFileSystem, expected: str) -> None:
        file_system.write_all("/file", b"old")
        options = WriteOptions()
        if expected == "revision":
            options = WriteOptions(expected=file_system.get_metadata("/file").revision or "")
        path = "/file" if expected != "nothing" else "/new"
        with file_system.create_new_file(path, options) as new_file:
            new_file.commit()
            with pytest.raises(ValueError):
                new_file.commit()

    def test_native_file_is_closed_with_it(self, file_system: LocalFileSystem) -> None:
        """A number that is used later must not be that of somebody else's file by then."""
        for end in ("commit", "discard"):
            new_file = file_system.create_new_file("/file")
            native_file = new_file.get_native_file()
            assert native_file is not None
            getattr(new_file, end)()
            assert native_file.closed

    def test_offset_follows_the_native_file(self, file_system: LocalFileSystem) -> None:
        with file_system.create_new_file("/file", WriteOptions(size=5)) as new_file:
            native_file = new_file.get_native_file()
            assert native_file is not None
            os.pwrite(native_file.fileno(), b"56789", 5)
            assert new_file.offset == 10
            with pytest.raises(FileSystemError):
                new_file.commit()


class TestConditions:
    def test_check_and_publication_are_one_step(
        self, file_system: LocalFileSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second writer comes when the first has been checked, and is not published yet."""
        file_system.write_all("/file", b"old")
        options = WriteOptions(expected=file_system.get_metadata("/file").revision or "")
        results: list[str] = []

        def write(content: bytes) -> None:
            try:
                file_system.write_all("/file", content, options)
            except RevisionMismatchFileSystemError:
                results.append("refused")
            else:
                results.append("stored")

        second = threading.Thread(target=write, args=(b"second",))
        real = TemporaryFile.publish

        def publish(self: TemporaryFile, *args: Any, **arguments: Any) -> None:
            if second.ident is None:
                second.start()
                second.join(0.3)  # it waits, so that this time passes in full
            real(self, *args, **arguments)

        monkeypatch.setattr(TemporaryFile, "publish", publish)
        write(b"first")
        second.join()
        assert sorted(results) == ["refused", "stored"]
        assert file_system.read_all("/file") == b"first"


class TestDurability:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        calls: list[str] = []

        def watch(name: str, describe: Callable[..., str]) -> None:
            real = getattr(os, name)

            def call(*args: object, **options: object) -> object:
                calls.append(describe(*args))
                return real(*args, **options)

            monkeypatch.setattr(os, name, call)

        def describe_sync(fd: int) -> str:
            return "sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file"

        watch("fsync", describe_sync)
        for name in ("link", "rename", "mkdir"):
            watch(name, lambda *args, name=name: name)
        watch("fchmod", lambda *args: "attributes")
        watch("utime", lambda *args: "attributes")
        return calls

    def test_file_then_name_then_folder(self, root: Path, calls: list[str]) -> None:
        file_system = LocalFileSystem(Tree(root))
        file_system.write_all("/file", b"x")
        assert calls == ["attributes", "sync file", "link", "sync folder"]
        calls.clear()
        file_system.write_all("/file", b"y")
        assert calls == ["attributes", "attributes", "sync file", "link", "link", "rename", "sync folder"]
        file_system.close()

    def test_folders_and_moves(self, root: Path, calls: list[str]) -> None:
        file_system = LocalFileSystem(Tree(root))
        file_system.make_dir("/folder")
        assert calls == ["mkdir", "sync folder"]
        calls.clear()
        file_system.rename("/folder", "/other")
        assert calls == ["sync folder"]
        file_system.make_dir("/target")
        calls.clear()
        file_system.rename("/other", "/target/other")
        assert calls == ["sync folder", "sync folder"]
        file_system.close()

    def test_setting(self, root: Path, calls: list[str]) -> None:
        file_system = LocalFileSystem(Tree(root, fsync=False))
        file_system.write_all("/file", b"x")
        file_system.make_dir("/folder")
        file_system.rename("/file", "/folder/file")
        assert not [call for call in calls if call.startswith("sync")]
        file_system.close()


class TestAccess:
    ACL = "system.posix_acl_access"

    @staticmethod
    def make_acl() -> bytes:
        """As setfacl -m user:1234:rw- on a file of mode 0644: acl(5), version 2 of the kernel's format."""
        entries = ((0x01, 6, -1), (0x02, 6, 1234), (0x04, 4, -1), (0x10, 6, -1), (0x20, 4, -1))
        return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)

    def test_access_list_of_an_overwritten_file_is_kept(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"old")
        try:
            os.setxattr(root / "file", self.ACL, self.make_acl())
        except OSError as error:
            assert error.errno == errno.EOPNOTSUPP
            pytest.skip("this disk has no access lists")
        mode = (root / "file").stat().st_mode
        file_system.write_all("/file", b"new")
        assert os.getxattr(root / "file", self.ACL) == self.make_acl()
        assert (root / "file").stat().st_mode == mode

    @pytest.mark.root
    def test_group_of_the_folder_is_handed_down(self, file_system: LocalFileSystem, root: Path) -> None:
        os.chown(root, 0, 1234)
        root.chmod(0o2770)
        file_system.write_all("/file", b"x")
        file_system.make_dir("/folder")
        assert (root / "file").stat().st_gid == (root / "folder").stat().st_gid == 1234
        assert (root / "folder").stat().st_mode & stat.S_ISGID

    def test_program_does_not_stay_privileged(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"old")
        (root / "file").chmod(0o6755)
        file_system.write_all("/file", b"new")
        assert stat.S_IMODE((root / "file").stat().st_mode) == 0o755


class TestFailures:
    """Each call of the system fails once: the old content stays, the space is free, and the failure stays one."""

    FAILURES = (
        ("write", errno.ENOSPC, InsufficientSpaceFileSystemError),
        ("write", errno.EDQUOT, InsufficientSpaceFileSystemError),
        ("write", errno.EIO, AccessFailedFileSystemError),
        ("fsync", errno.EIO, AccessFailedFileSystemError),
        ("utime", errno.EIO, AccessFailedFileSystemError),
        ("fchmod", errno.EIO, AccessFailedFileSystemError),
        ("rename", errno.ENOSPC, InsufficientSpaceFileSystemError),
    )

    @pytest.mark.parametrize(("call", "code", "error_class"), FAILURES)
    def test_one(
        self,
        file_system: LocalFileSystem,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        call: str,
        code: int,
        error_class: type[FileSystemError],
    ) -> None:
        (root / "file").write_bytes(b"old")
        new_file = file_system.create_new_file("/file")
        new_file.write(b"some")

        def fail(*args: object, **options: object) -> None:
            raise OSError(code, "a text with /the/path of the machine")

        with monkeypatch.context() as context:
            context.setattr(os, call, fail)
            with pytest.raises(error_class) as caught:
                new_file.write(b"more")
                new_file.commit()
        assert "/the/path" not in str(caught.value)
        assert caught.value.path == "/file"
        assert list_disk(root) == ["file"]
        assert list_unnamed() == []
        for again in (lambda: new_file.write(b"x"), new_file.commit, lambda: new_file.keep(0, 1)):
            with pytest.raises(error_class):
                again()
        new_file.discard()
        assert (root / "file").read_bytes() == b"old"
        file_system.write_all("/file", b"new")
        assert (root / "file").read_bytes() == b"new"

    def test_folder_that_is_not_confirmed(
        self, file_system: LocalFileSystem, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client must not be told that it is stored."""
        real = os.fsync

        def fail(fd: int) -> None:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(errno.EIO, "text")
            real(fd)

        monkeypatch.setattr(os, "fsync", fail)
        with file_system.create_new_file("/file") as new_file:
            new_file.write(b"x")
            for _ in range(2):
                with pytest.raises(AccessFailedFileSystemError):
                    new_file.commit()
        assert list_disk(root) == ["file"]
        assert list_unnamed() == []

    def test_short_writes(self, file_system: LocalFileSystem, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """write(2) may take less than it was given."""
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
        file_system.write_all("/file", b"0123456789")
        assert (root / "file").read_bytes() == b"0123456789"

    @pytest.mark.root
    @pytest.mark.parametrize("way", ["write", "native"])
    def test_disk_full(self, file_system: LocalFileSystem, other_device: Path, way: str) -> None:
        path = f"/{other_device.name}/file"
        file_system.write_all(path, b"old")
        space = file_system_free(other_device)
        with file_system.create_new_file(path) as new_file, pytest.raises(InsufficientSpaceFileSystemError):
            if way == "write":
                for _ in range(100):
                    new_file.write(b"x" * 100_000)
            else:
                native_file = new_file.get_native_file()
                assert native_file is not None
                try:
                    for number in range(100):
                        os.pwrite(native_file.fileno(), b"x" * 100_000, number * 100_000)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    raise InsufficientSpaceFileSystemError(path) from error
        assert (other_device / "file").read_bytes() == b"old"
        assert list_disk(other_device) == ["file"]
        assert file_system_free(other_device) == space
        file_system.write_all(path, b"new")

    @pytest.mark.root
    def test_keep_on_a_full_disk(self, file_system: LocalFileSystem, other_device: Path) -> None:
        path = f"/{other_device.name}/file"
        file_system.write_all(path, b"x" * 600_000)
        with pytest.raises(InsufficientSpaceFileSystemError), file_system.create_new_file(path) as new_file:
            new_file.keep(0, 600_000)
        assert (other_device / "file").stat().st_size == 600_000
        assert list_disk(other_device) == ["file"]


def file_system_free(folder: Path) -> int:
    return os.statvfs(folder).f_bavail
