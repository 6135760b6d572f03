"""LocalFileSystem: the files beneath one folder of this machine."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from io import FileIO
from typing import BinaryIO, cast

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, Space, utc
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.services.local.beneath import Place
from cloudalpha.services.local.errors import translate, translated
from cloudalpha.services.local.file_stream import FileStream
from cloudalpha.services.local.new_file import LocalNewFile, to_ns
from cloudalpha.services.local.sweep import Sweep, clear_hidden, sweep_names
from cloudalpha.services.local.system_calls import rename_no_replace
from cloudalpha.services.local.temporary_file import is_hidden
from cloudalpha.services.local.tree import Tree

MAX_SWEPT = 1000
"""Leftovers that one listing removes at most."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY


class LocalFileSystem(FileSystem):
    """Files and folders as they are on the disk; nothing beside them is stored.

    Symbolic links that stay beneath the folder are followed. One that leaves it, leads nowhere or is not to be followed is shown as an empty
    file that cannot be read; so are pipes, sockets and devices. Deleting or renaming a link concerns the link, never what it leads to.
    """

    def __init__(self, tree: Tree) -> None:
        """Take over the tree: `close` closes it."""
        self.capabilities = Capabilities(
            server_side_keep=True,
            server_side_copy=True,
            atomic_rename=True,
            sets_modified=True,
            max_name_bytes=os.fpathconf(tree.root.fd, "PC_NAME_MAX"),
        )
        self._tree = tree
        self._sweep: Sweep | None = None

    def start_sweep(self) -> Sweep:
        """Begin to remove, in the background, what a crash left behind."""
        self._sweep = Sweep(self._tree.root.fd)
        return self._sweep

    def get_metadata(self, path: str) -> FileMetadata:
        _refuse_hidden(path, NotFoundFileSystemError)
        try:
            return self._make_metadata(path, self._tree.get_stat(path))
        except OSError as error:
            raise translate(error, path) from error

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        _refuse_hidden(path, NotFoundFileSystemError)
        prefix = path if path == paths.ROOT else path + "/"
        make, make_of_file = self._make_metadata, self._make_file_metadata
        leftovers: list[str] = []
        with translated(path):
            fd = self._tree.root.open(path, _FOLDER)
            try:
                with os.scandir(fd) as entries:
                    for entry in entries:
                        name = entry.name if _decode is None else _decode(entry.name)
                        if name.startswith(".cloudalpha-") and is_hidden(name):
                            leftovers.append(name)
                            continue
                        try:
                            status = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:  # deleted since the page was read
                            continue
                        if stat.S_ISREG(status.st_mode):
                            yield make_of_file(prefix + name, status.st_size, status)
                            continue
                        if stat.S_ISLNK(status.st_mode):
                            status = self._follow(prefix + name, status)
                        yield make(prefix + name, status)
                sweep_names(fd, leftovers[:MAX_SWEPT])
            finally:
                os.close(fd)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        fd, status = self._open_file(path)
        stream = FileStream(path, fd, status, self._tree.revisions)
        if expected not in (ANYTHING, stream.revision):
            stream.close()
            raise RevisionMismatchFileSystemError(path)
        stream.seek(start_byte, num_bytes)
        return stream

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        _refuse_hidden(path, InvalidPathFileSystemError)
        return LocalNewFile(self._tree, path, options)

    def delete(self, path: str) -> None:
        _refuse_hidden(path, NotFoundFileSystemError)
        with translated(path), self._tree.root.find(path, follow=False) as place, self._tree.lock(place):
            os.unlink(place.name, dir_fd=place.dir_fd)

    def make_dir(self, path: str) -> None:
        _refuse_hidden(path, InvalidPathFileSystemError)
        if path == paths.ROOT:
            raise AlreadyExistsFileSystemError(path)
        mode = self._tree.dir_mode
        with translated(path), self._tree.root.find(path, follow=False) as place:
            os.mkdir(place.name, 0o777 if mode is None else mode & 0o700, dir_fd=place.dir_fd)
            if mode is not None:
                _set_dir_mode(place, mode)
            self._tree.sync_dir(place.dir_fd)

    def delete_dir(self, path: str) -> None:
        _refuse_hidden(path, NotFoundFileSystemError)
        if path == paths.ROOT:
            raise PermissionDeniedFileSystemError(path, "the root cannot be deleted")
        with translated(path), self._tree.root.find(path, follow=False) as place, self._tree.lock(place):
            try:
                _remove_dir(place)
            except NotADirectoryError:
                if not stat.S_ISDIR(self._tree.get_stat(path).st_mode):
                    raise
                if next(self.list_dir(path), None) is not None:
                    raise DirectoryNotEmptyFileSystemError(path) from None
                os.unlink(place.name, dir_fd=place.dir_fd)  # a link to an empty folder, which stays

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        _refuse_hidden(old_path, NotFoundFileSystemError)
        _refuse_hidden(new_path, InvalidPathFileSystemError)
        if old_path == paths.ROOT:
            raise PermissionDeniedFileSystemError(old_path, "the root cannot be renamed")
        with translated(old_path), self._tree.root.find(old_path, follow=False) as old_place:
            is_dir = stat.S_ISDIR(self._tree.get_stat(old_path).st_mode)
            if old_path == new_path:
                return
            if is_dir and paths.is_within(new_path, old_path):
                raise InvalidPathFileSystemError(new_path, "a folder cannot be moved or copied into itself")
            if new_path == paths.ROOT:
                raise AlreadyExistsFileSystemError(new_path) if is_dir else IsADirectoryFileSystemError(new_path)
            with translated(new_path), self._tree.root.find(new_path, follow=False) as new_place:
                if self._move(old_place, new_place, lambda: self._check_replace(is_dir, new_path, overwrite)):
                    return
        super().rename(old_path, new_path, overwrite)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        _refuse_hidden(copy_path, InvalidPathFileSystemError)
        if self.get_metadata(path).is_dir:
            super().copy(path, copy_path, overwrite)  # makes the folders, and comes back for each file
        elif self._check_move(path, copy_path, overwrite):
            self._copy_file(path, copy_path, ANYTHING if overwrite else NOTHING)

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        _refuse_hidden(path, NotFoundFileSystemError)
        modified_ns = to_ns(modified_datetime)
        root_fd = self._tree.root.fd
        with translated(path):
            if path == paths.ROOT:
                os.utime(root_fd, ns=(os.fstat(root_fd).st_atime_ns, modified_ns))
                return
            with self._tree.root.find(path, follow=True) as place, self._tree.lock(place):
                before = os.lstat(place.name, dir_fd=place.dir_fd)
                times = (before.st_atime_ns, modified_ns)
                os.utime(place.name, ns=times, dir_fd=place.dir_fd, follow_symlinks=False)
                after = os.lstat(place.name, dir_fd=place.dir_fd)
                self._tree.revisions.carry_over(before, after, modified_ns)

    def get_space(self) -> Space:
        with translated(paths.ROOT):
            status = os.fstatvfs(self._tree.root.fd)
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    def get_native_file(self, path: str) -> BinaryIO | None:
        return cast(BinaryIO, FileIO(self._open_file(path)[0], "rb"))

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.stop()
        self._tree.root.close()

    def _open_file(self, path: str) -> tuple[int, os.stat_result]:
        _refuse_hidden(path, NotFoundFileSystemError)
        with translated(path):
            return self._tree.open_file(path)

    def _make_metadata(self, path: str, status: os.stat_result) -> FileMetadata:
        if stat.S_ISDIR(status.st_mode):
            return FileMetadata(path, True, 0, utc(status.st_mtime))
        return self._make_file_metadata(path, status.st_size if stat.S_ISREG(status.st_mode) else 0, status)

    def _make_file_metadata(self, path: str, size: int, status: os.stat_result) -> FileMetadata:
        # Listings make one for each entry: past the Python function that a named tuple's own constructor is.
        revision = self._tree.revisions.get(status)
        return tuple.__new__(FileMetadata, (path, False, size, utc(status.st_mtime), None, None, revision, None, None))

    def _follow(self, path: str, link_status: os.stat_result) -> os.stat_result:
        """The status of what a link in a listing leads to, as `get_metadata` tells it."""
        try:
            return self._tree.get_stat(path)
        except OSError:  # its folder was moved meanwhile
            return link_status

    def _move(self, old_place: Place, new_place: Place, check_replace: Callable[[], None]) -> bool:
        """Rename within one device; False when the two are on different ones. check_replace raises unless what is there may be replaced."""
        with self._tree.lock(old_place, new_place):
            before = old_place.get_stat()
            try:
                rename_no_replace(old_place.dir_fd, old_place.name, new_place.dir_fd, new_place.name)
            except FileExistsError:
                check_replace()
                _replace(old_place, new_place)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return False
                raise
            after = new_place.get_stat()
            if before is not None and after is not None:
                self._tree.revisions.carry_over(before, after)
        self._tree.sync_dir(new_place.dir_fd)
        if not os.path.sameopenfile(old_place.dir_fd, new_place.dir_fd):
            self._tree.sync_dir(old_place.dir_fd)
        return True

    def _check_replace(self, is_dir: bool, new_path: str, overwrite: bool) -> None:
        is_target_dir = stat.S_ISDIR(self._tree.get_stat(new_path).st_mode)
        if is_target_dir and not is_dir:
            raise IsADirectoryFileSystemError(new_path)
        if is_dir or not overwrite:
            raise AlreadyExistsFileSystemError(new_path)

    def _copy_file(self, path: str, copy_path: str, expected: Expected) -> None:
        fd, status = self._open_file(path)
        try:
            options = WriteOptions(expected, size=status.st_size, modified_datetime=utc(status.st_mtime))
            with LocalNewFile(self._tree, copy_path, options) as new_file, translated(copy_path):
                new_file.append_range(fd, 0, status.st_size)
                now = os.fstat(fd)
                if (now.st_size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
                    raise RevisionMismatchFileSystemError(path)
                new_file.commit()
        finally:
            os.close(fd)


def _refuse_hidden(path: str, error_class: type[FileSystemError]) -> None:
    if is_hidden(path):
        raise error_class(path)


def _remove_dir(place: Place) -> None:
    """Remove an empty folder, or one that holds hidden files alone. Raises NotADirectoryError, OSError with ENOTEMPTY."""
    try:
        os.rmdir(place.name, dir_fd=place.dir_fd)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        fd = os.open(place.name, _FOLDER | os.O_NOFOLLOW, dir_fd=place.dir_fd)
        try:
            if not clear_hidden(fd):
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY)) from error
        finally:
            os.close(fd)
        os.rmdir(place.name, dir_fd=place.dir_fd)


def _replace(old_place: Place, new_place: Place) -> None:
    """Rename a file over a file."""
    old, new = old_place.get_stat(), new_place.get_stat()
    if old is not None and new is not None and os.path.samestat(old, new) and not _is_one_entry(old_place, new_place):
        os.unlink(old_place.name, dir_fd=old_place.dir_fd)  # two names of one file: rename(2) would leave both
    else:
        os.rename(old_place.name, new_place.name, src_dir_fd=old_place.dir_fd, dst_dir_fd=new_place.dir_fd)


def _is_one_entry(place: Place, other: Place) -> bool:
    """Whether two ways lead to one entry of one folder: through a link to the folder, or by letter case where the folder ignores that."""
    same_name = paths.decode(place.name).casefold() == paths.decode(other.name).casefold()
    return same_name and os.path.sameopenfile(place.dir_fd, other.dir_fd)


def _set_dir_mode(place: Place, mode: int) -> None:
    fd = os.open(place.name, _FOLDER | os.O_NOFOLLOW, dir_fd=place.dir_fd)
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _decode_name(name: str) -> str:
    """The name where Python's own encoding of names is another than UTF-8."""
    return paths.decode(os.fsencode(name))


_decode = None if sys.getfilesystemencoding() == "utf-8" else _decode_name
