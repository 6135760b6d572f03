"""Symbolic links, and what is neither file nor folder."""

from __future__ import annotations

import os
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.services.local.file_system import LocalFileSystem


def list_all(file_system: LocalFileSystem, path: str = "/") -> dict[str, FileMetadata]:
    return {entry.name: entry for entry in file_system.list_dir(path)}


class TestSpecialFiles:
    @pytest.fixture(params=["pipe", "socket"])
    def special(self, request: pytest.FixtureRequest, root: Path) -> Path:
        path = root / "special"
        if request.param == "pipe":
            os.mkfifo(path)
        else:
            directory = os.open(root, os.O_PATH)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(f"/proc/self/fd/{directory}/special")  # the path itself may be too long for a socket
            os.close(directory)
        return path

    def test_shown_as_empty_and_never_opened(self, file_system: LocalFileSystem, special: Path) -> None:
        """Opening a pipe would wait for its other end."""
        metadata = file_system.get_metadata("/special")
        assert (metadata.is_dir, metadata.size) == (False, 0)
        assert list_all(file_system) == {"special": metadata}
        for call in (file_system.read, file_system.get_native_file, file_system.create_new_file):
            with pytest.raises(PermissionDeniedFileSystemError):
                call("/special")
        with pytest.raises(PermissionDeniedFileSystemError):
            file_system.copy("/special", "/copy")
        assert stat.S_IFMT(special.lstat().st_mode) != stat.S_IFREG

    def test_renamed_and_deleted(self, file_system: LocalFileSystem, special: Path) -> None:
        file_system.rename("/special", "/other")
        assert list(list_all(file_system)) == ["other"]
        file_system.delete("/other")
        assert list_all(file_system) == {}


class TestLinks:
    def test_listing_shows_what_they_lead_to(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "file").write_bytes(b"12345")
        (root / "to file").symlink_to("file")
        (root / "to folder").symlink_to("folder")
        (root / "out").symlink_to("/etc/passwd")
        (root / "nowhere").symlink_to("missing")
        (root / "circle").symlink_to("circle")
        entries = list_all(file_system)
        for name, metadata in entries.items():
            assert file_system.get_metadata("/" + name) == metadata
        assert {name: (entry.is_dir, entry.size) for name, entry in entries.items()} == {
            "folder": (True, 0),
            "file": (False, 5),
            "to file": (False, 5),
            "to folder": (True, 0),
            "out": (False, 0),
            "nowhere": (False, 0),
            "circle": (False, 0),
        }

    @pytest.mark.parametrize("target", ["/etc/passwd", "/etc", "../outside", "../.."])
    def test_one_that_leaves_tells_nothing(self, file_system: LocalFileSystem, root: Path, target: str) -> None:
        (root.parent / "outside").write_bytes(b"secret")
        (root / "out").symlink_to(target)
        for path in ("/out", "/out/passwd", "/out/missing"):
            for call in (file_system.read, file_system.get_native_file):
                with pytest.raises(PermissionDeniedFileSystemError) as caught:
                    call(path)
                assert target not in str(caught.value)
        for path in ("/out/passwd", "/out/missing"):
            with pytest.raises(PermissionDeniedFileSystemError):
                file_system.get_metadata(path)
            with pytest.raises(PermissionDeniedFileSystemError):
                file_system.write_all(path, b"overwritten")
        with pytest.raises(PermissionDeniedFileSystemError):
            list(file_system.list_dir("/out"))
        with pytest.raises((PermissionDeniedFileSystemError, IsADirectoryFileSystemError)):
            file_system.write_all("/out", b"overwritten")
        assert (root.parent / "outside").read_bytes() == b"secret"

    def test_writing_through_one(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "folder" / "file").write_bytes(b"old")
        (root / "link").symlink_to("folder/file")
        with file_system.create_new_file("/link") as new_file:
            new_file.keep(0, 3)
            new_file.write(b" and new")
            assert new_file.commit().path == "/link"
        assert (root / "link").is_symlink()
        assert (root / "folder" / "file").read_bytes() == b"old and new"
        assert file_system.get_metadata("/link").revision == file_system.get_metadata("/folder/file").revision

    def test_writing_through_one_that_leads_nowhere_yet(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "link").symlink_to("new")
        file_system.write_all("/link", b"content")
        assert (root / "new").read_bytes() == b"content"

    def test_deleting_and_renaming_concern_the_link(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").write_bytes(b"content")
        (root / "folder").mkdir()
        for name, target in (("a", "file"), ("b", "missing"), ("c", "/etc"), ("d", "folder")):
            (root / name).symlink_to(target)
            file_system.rename("/" + name, "/moved")
            assert os.readlink(root / "moved") == target
            file_system.delete("/moved")
        assert sorted(os.listdir(root)) == ["file", "folder"]

    def test_deleting_a_link_to_a_folder_as_a_folder(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "folder" / "file").touch()
        (root / "link").symlink_to("folder")
        with pytest.raises(DirectoryNotEmptyFileSystemError):
            file_system.delete_dir("/link")
        (root / "folder" / "file").unlink()
        file_system.delete_dir("/link")
        assert os.listdir(root) == ["folder"]

    def test_link_to_a_file_is_no_folder(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").touch()
        (root / "link").symlink_to("file")
        with pytest.raises(NotADirectoryFileSystemError):
            file_system.delete_dir("/link")
        with pytest.raises(NotADirectoryFileSystemError):
            list(file_system.list_dir("/link"))

    def test_link_to_a_folder_is_not_replaced_by_a_file(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "file").touch()
        (root / "link").symlink_to("folder")
        with pytest.raises(IsADirectoryFileSystemError):
            file_system.rename("/file", "/link", overwrite=True)
        with pytest.raises(AlreadyExistsFileSystemError):
            file_system.rename("/link", "/file", overwrite=True)

    def test_time_is_that_of_the_target(self, file_system: LocalFileSystem, root: Path) -> None:
        (root / "file").touch()
        (root / "link").symlink_to("file")
        moment = datetime(2001, 2, 3, 4, 5, 6, 789_012, UTC)
        file_system.set_modified_datetime("/link", moment)
        assert file_system.get_metadata("/file").modified_datetime == moment
        assert (root / "file").stat().st_mtime_ns % 1_000_000_000 == 789_012_000
