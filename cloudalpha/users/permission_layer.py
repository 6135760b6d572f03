"""PermissionLayer: asks the permissions of a user before every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    IsADirectoryFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.layer import Layer, NewFileLayer
from cloudalpha.users.permissions import Permission, Permissions, format_verbs

_DELETE_TREE = Permission.LIST | Permission.DELETE | Permission.DELETE_DIR


class PermissionLayer(Layer):
    """A FileSystem in which one user may do what the permissions say. What is not permitted is PermissionDenied-, whether anything is there or not.

    Metadata of a path may be had by whoever may do anything at it or beneath it: without it no client can walk anywhere. Listings hide nothing.
    Writing a file needs UPLOAD where none is, OVERWRITE where one is; APPEND alone lets a user write behind what a file holds, and nothing
    else. OVERWRITE includes that, because it can do as much. A time that is given with an upload belongs to the upload.
    `rename` needs RENAME at the old path, and to write at the new one; `copy` to read, and to write. For a folder that holds for everything
    beneath both paths; a folder that is copied also needs LIST there and MAKE_DIR here. Nobody comes to read a file by moving it: a
    path without DOWNLOAD cannot be moved to one with it.
    """

    def __init__(self, inner: FileSystem, permissions: Permissions) -> None:
        super().__init__(inner)
        self._permissions = permissions

    def get_metadata(self, path: str) -> FileMetadata:
        if not self._permissions.may_see(path):
            raise PermissionDeniedFileSystemError(path)
        return self.inner.get_metadata(path)

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        self._check(path, Permission.LIST)
        return self.inner.list_dir(path)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        self._check(path, Permission.DOWNLOAD)
        return self.inner.read(path, start_byte, num_bytes, expected)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        permission = self._permissions.get(path)
        if not permission & (Permission.UPLOAD | Permission.OVERWRITE | Permission.APPEND):
            raise _denied(path, Permission.UPLOAD)
        if options.expected is NOTHING:
            _require(path, permission, Permission.UPLOAD)
            return self.inner.create_new_file(path, options)
        if Permission.OVERWRITE in permission and (Permission.UPLOAD in permission or options.expected is not ANYTHING):
            return self._create_any(path, options, permission)
        existing = self._find(path)
        if existing is not None and existing.is_dir:
            raise IsADirectoryFileSystemError(path)
        if existing is None:
            _require(path, permission, Permission.UPLOAD)
            return self._create_first(path, options)
        if Permission.OVERWRITE in permission:
            return self._create_any(path, options, permission)
        _require(path, permission, Permission.APPEND, message_for=Permission.OVERWRITE)
        return self._create_appended(path, options, existing)

    def delete(self, path: str) -> None:
        self._check(path, Permission.DELETE)
        self.inner.delete(path)

    def make_dir(self, path: str) -> None:
        self._check(path, Permission.MAKE_DIR)
        self.inner.make_dir(path)

    def delete_dir(self, path: str) -> None:
        self._check(path, Permission.DELETE_DIR)
        self.inner.delete_dir(path)

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        source = self._permissions.get_everywhere(old_path)
        _require(old_path, source, Permission.RENAME)
        if Permission.DOWNLOAD not in source and Permission.DOWNLOAD in self._permissions.get_anywhere(new_path):
            raise PermissionDeniedFileSystemError(
                old_path, "what you may not download cannot be moved to where you may"
            )
        self._move(self.inner.rename, old_path, new_path, overwrite)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        source = self._permissions.get_everywhere(path)
        _require(path, source, Permission.DOWNLOAD)
        target = self._permissions.get_everywhere(copy_path)
        may_copy_folders = Permission.LIST in source and Permission.MAKE_DIR in target
        if not may_copy_folders and self.inner.get_metadata(path).is_dir:
            _require(path, source, Permission.LIST)
            _require(copy_path, target, Permission.MAKE_DIR)
        self._move(self.inner.copy, path, copy_path, overwrite)

    def delete_tree(self, path: str) -> None:
        if _DELETE_TREE in self._permissions.get_everywhere(path):
            self.inner.delete_tree(path)
        else:  # what is permitted differs beneath the path, or a file is all that may be deleted: each path is asked for by itself
            FileSystem.delete_tree(self, path)

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        self._check(path, Permission.SET_TIMES)
        self.inner.set_modified_datetime(path, modified_datetime)

    def get_native_file(self, path: str) -> BinaryIO | None:
        self._check(path, Permission.DOWNLOAD)
        return self.inner.get_native_file(path)

    def close(self) -> None:
        """Nothing: the accounts beneath are closed by those who opened them."""

    def _check(self, path: str, needed: Permission) -> None:
        _require(path, self._permissions.get(path), needed)

    def _move(self, move: Callable[[str, str, bool], None], path: str, new_path: str, overwrite: bool) -> None:
        """Rename or copy, once the old path has been checked."""
        permission = self._permissions.get_everywhere(new_path)
        if Permission.UPLOAD not in permission:
            _require(new_path, permission, Permission.OVERWRITE, message_for=Permission.UPLOAD)
            replaced = self._find(new_path) if overwrite else None
            if replaced is None or replaced.is_dir:
                raise _denied(new_path, Permission.UPLOAD)
        if not overwrite or Permission.OVERWRITE in permission:
            move(path, new_path, overwrite)
            return
        try:
            move(path, new_path, False)
        except AlreadyExistsFileSystemError as error:
            raise _denied(new_path, Permission.OVERWRITE) from error

    def _create_any(self, path: str, options: WriteOptions, permission: Permission) -> NewFile:
        new_file = self.inner.create_new_file(path, options)
        return new_file if Permission.DOWNLOAD in permission else _UnreadFile(new_file)

    def _create_first(self, path: str, options: WriteOptions) -> NewFile:
        """A file where none is, and where none may be replaced that comes meanwhile."""
        if options.expected is not ANYTHING:
            raise RevisionMismatchFileSystemError(path)
        try:
            return _FirstFile(self.inner.create_new_file(path, replace(options, expected=NOTHING)))
        except AlreadyExistsFileSystemError as error:
            raise _denied(path, Permission.OVERWRITE) from error

    def _create_appended(self, path: str, options: WriteOptions, existing: FileMetadata) -> NewFile:
        if options.resume is not None:
            raise PermissionDeniedFileSystemError(path, "who may only append cannot resume an earlier upload")
        if options.expected is ANYTHING and existing.revision is not None:
            options = replace(options, expected=existing.revision)
        return _AppendedFile(self.inner.create_new_file(path, options), existing.size)


class _UnreadFile(NewFileLayer):
    """A NewFile of a user who may not read what it replaces: parts of that are kept, never copied by way of the session."""

    def get_native_file(self) -> BinaryIO | None:
        """None: to edit through a descriptor, the old content would have to be read first."""
        return None


class _FirstFile(NewFileLayer):
    """A NewFile of a user who may not overwrite."""

    def commit(self) -> FileMetadata:
        try:
            return self.inner_file.commit()
        except AlreadyExistsFileSystemError as error:
            raise _denied(self.path, Permission.OVERWRITE) from error


class _AppendedFile(NewFileLayer):
    """A NewFile of a user who may only append: it keeps all that was there, in its place, before anything is written.

    size: bytes of the file that is there.
    """

    def __init__(self, inner_file: NewFile, size: int) -> None:
        super().__init__(inner_file)
        self._size = size

    def write(self, data: bytes) -> None:
        if len(data):
            self._check_kept()
        self.inner_file.write(data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        offset = self.inner_file.offset
        if offset < self._size and (start_byte != offset or offset + num_bytes > self._size):
            raise _denied(self.path, Permission.OVERWRITE)
        self.inner_file.keep(start_byte, num_bytes)

    def commit(self) -> FileMetadata:
        self._check_kept()
        return self.inner_file.commit()

    def get_native_file(self) -> BinaryIO | None:
        """None: through it everything could be changed."""
        return None

    def _check_kept(self) -> None:
        if self.inner_file.offset < self._size:
            raise _denied(self.path, Permission.OVERWRITE)


def _require(path: str, granted: Permission, needed: Permission, message_for: Permission | None = None) -> None:
    if needed not in granted:
        raise _denied(path, message_for or needed)


def _denied(path: str, needed: Permission) -> PermissionDeniedFileSystemError:
    return PermissionDeniedFileSystemError(path, f"you lack the permission: {format_verbs(needed)}")
