"""MountedFileSystem: several FileSystems in one tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO, NoReturn

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, Space
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions, close_stream
from cloudalpha.users.subtree import Subtree


class MountedFileSystem(FileSystem):
    """Several mounts in one tree. A mount hides whatever the one around it has at the same path.

    mounts: the point of each -> a Subtree that shows its folder at that point.

    A mount point is a folder in every listing, and so are the folders on the way to it, whether the mount around them has them or not; nothing
    is asked of a mount to show its point. None of them can be renamed, deleted or replaced. In a folder that exists only as a way to a mount
    nothing can be made. Renaming and copying from one account to another moves the bytes through the gateway; within one account,
    also between its mounts, the account does it. Closing the tree leaves the accounts open.
    """

    def __init__(self, mounts: Mapping[str, Subtree]) -> None:
        self._mounts = dict(mounts)
        self._fixed: dict[
            str, set[str]
        ] = {}  # folder -> the mount points in it, and the folders in it on the way to others
        for point in mounts:
            while point != paths.ROOT:
                parent = paths.get_parent(point)
                self._fixed.setdefault(parent, set()).add(point)
                point = parent
        self._num_accounts = len({id(mount.inner) for mount in mounts.values()})

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # a property here, so that it follows the mounts
        return get_weakest([mount.capabilities for mount in self._mounts.values()], self._num_accounts > 1)

    def get_metadata(self, path: str) -> FileMetadata:
        if self._is_fixed(path):
            return self._get_fixed_metadata(path)
        return self._get_mount(path).get_metadata(path)

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        mount = self._find_mount(path)
        fixed = self._fixed.get(path)
        if fixed is None:
            if mount is None:
                raise NotFoundFileSystemError(path)
            return mount.list_dir(path)
        return self._list_with_fixed(path, mount, fixed)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        self._check_is_no_folder(path)
        return self._get_mount(path).read(path, start_byte, num_bytes, expected)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        self._check_is_no_folder(path)
        mount = self._get_mount_to_write(path)
        try:
            return mount.create_new_file(path, options)
        except (NotFoundFileSystemError, NotADirectoryFileSystemError):
            self._refuse_in_way(path)
            raise

    def delete(self, path: str) -> None:
        self._check_is_no_folder(path)
        self._get_mount(path).delete(path)

    def make_dir(self, path: str) -> None:
        if self._is_fixed(path):
            raise AlreadyExistsFileSystemError(path)
        mount = self._get_mount_to_write(path)
        try:
            mount.make_dir(path)
        except (NotFoundFileSystemError, NotADirectoryFileSystemError):
            self._refuse_in_way(path)
            raise

    def delete_dir(self, path: str) -> None:
        if path in self._fixed and path != paths.ROOT:
            raise DirectoryNotEmptyFileSystemError(path, "a mount point lies beneath this folder")
        self._check_not_fixed(path)
        self._get_mount(path).delete_dir(path)

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self._check_not_fixed(old_path)
        self._move(old_path, new_path, overwrite, is_copy=False)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        self._move(path, copy_path, overwrite, is_copy=True)

    def delete_tree(self, path: str) -> None:
        """As every `delete_tree`; a folder beneath which something is mounted is refused, and nothing of it is deleted."""
        self._check_not_fixed(path)
        self._get_mount(path).delete_tree(path)

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        mount = self._find_mount(path)
        if mount is None or (path in self._fixed and path not in self._mounts):
            self.get_metadata(path)
            raise PermissionDeniedFileSystemError(path, "this folder leads to a mount point")
        mount.set_modified_datetime(path, modified_datetime)

    def get_space(self) -> Space | None:
        """The space of the mount at the root; of the only account there is, where none is there."""
        mount = self._mounts.get(paths.ROOT)
        if mount is None and self._num_accounts == 1:
            mount = next(iter(self._mounts.values()))
        return mount.get_space() if mount is not None else None

    def get_native_file(self, path: str) -> BinaryIO | None:
        self._check_is_no_folder(path)
        return self._get_mount(path).get_native_file(path)

    # Which mount

    def _find_mount(self, path: str) -> Subtree | None:
        """The mount that a path lies in: the one with the longest point."""
        while (mount := self._mounts.get(path)) is None:
            if path == paths.ROOT:
                return None
            path = paths.get_parent(path)
        return mount

    def _get_mount(self, path: str) -> Subtree:
        mount = self._find_mount(path)
        if mount is None:
            raise NotFoundFileSystemError(path)
        return mount

    def _get_mount_to_write(self, path: str) -> Subtree:
        mount = self._find_mount(path)
        if mount is None:
            self._refuse_in_way(path)
            raise NotFoundFileSystemError(path)
        return mount

    # Folders that cannot change: mount points, and the ways to them

    def _is_fixed(self, path: str) -> bool:
        return path in self._mounts or path in self._fixed or path == paths.ROOT

    def _get_fixed_metadata(self, path: str) -> FileMetadata:
        """A way to a mount point shows what the mount around it knows of it; a mount point never waits for its account."""
        mount = self._find_mount(path)
        if mount is None or (path in self._mounts and path != paths.ROOT):
            return FileMetadata(path, True)
        try:
            metadata = mount.get_metadata(path)
        except (NotFoundFileSystemError, NotADirectoryFileSystemError):
            return FileMetadata(path, True)
        return metadata if metadata.is_dir else FileMetadata(path, True)

    def _list_with_fixed(self, path: str, mount: Subtree | None, fixed: set[str]) -> Iterator[FileMetadata]:
        left = set(fixed)
        if mount is not None:
            for entry in self._list_around(path, mount):
                if entry[0] not in fixed:
                    yield entry
                elif entry.is_dir and entry.path not in self._mounts:
                    left.discard(entry.path)
                    yield entry
        for each in sorted(left):
            yield FileMetadata(each, True)

    def _list_around(self, path: str, mount: Subtree) -> Iterator[FileMetadata]:
        """What a mount has in a folder where others are mounted; nothing where it has no such folder."""
        try:
            entries = mount.list_dir(path)
            try:
                yield from entries
            finally:
                close_stream(entries)
        except (NotFoundFileSystemError, NotADirectoryFileSystemError):
            if path in self._mounts:
                raise  # the folder that is mounted is gone

    def _check_is_no_folder(self, path: str) -> None:
        if self._is_fixed(path):
            raise IsADirectoryFileSystemError(path)

    def _check_not_fixed(self, path: str) -> None:
        if path in self._mounts:
            raise PermissionDeniedFileSystemError(path, "this folder is a mount point")
        if self._is_fixed(path):
            raise PermissionDeniedFileSystemError(path, "a mount point lies beneath this folder")

    def _refuse_in_way(self, path: str) -> None:
        """Raises when the folder that the path is in exists as a way to a mount only."""
        parent = paths.get_parent(path)
        if self._is_fixed(parent) and parent not in self._mounts:
            _refuse(path)

    # Moving and copying

    def _move(self, old_path: str, new_path: str, overwrite: bool, is_copy: bool) -> None:
        source, target = self._find_mount(old_path), self._find_mount(new_path)
        has_fixed = any(map(self._is_fixed, (old_path, new_path)))
        if source is None or target is None or source.inner is not target.inner or has_fixed:
            # The interface's own way: file by file, through this tree.
            if not has_fixed or self._check_move(old_path, new_path, overwrite):
                self._get_mount_to_write(new_path)
                (super().copy if is_copy else super().rename)(old_path, new_path, overwrite)
            return
        if source is target:
            (source.copy if is_copy else source.rename)(old_path, new_path, overwrite)
            return
        # Two mounts of one account, which may even show the same file: only the account can tell.
        account = source.inner
        with source.translated_errors(old_path):
            (account.copy if is_copy else account.rename)(
                source.to_inner(old_path), target.to_inner(new_path), overwrite
            )


def _refuse(path: str) -> NoReturn:
    raise PermissionDeniedFileSystemError(
        path, "this folder only leads to mount points; nothing else can be kept in it"
    )


def get_weakest(capabilities: Sequence[Capabilities], has_borders: bool = False) -> Capabilities:
    """What all of several can do; with borders between them no rename or copy is sure to be the storage's own."""
    sizes = [each.max_file_size for each in capabilities if each.max_file_size is not None]
    part_sizes = [each.part_size for each in capabilities if each.part_size is not None]
    return Capabilities(
        atomic_condition=all(each.atomic_condition for each in capabilities),
        server_side_keep=all(each.server_side_keep for each in capabilities),
        resumable_upload=all(each.resumable_upload for each in capabilities),
        server_side_copy=all(each.server_side_copy for each in capabilities) and not has_borders,
        atomic_rename=all(each.atomic_rename for each in capabilities) and not has_borders,
        sets_modified=all(each.sets_modified for each in capabilities),
        case_sensitive=all(each.case_sensitive for each in capabilities),
        max_name_bytes=min(each.max_name_bytes for each in capabilities),
        max_file_size=min(sizes, default=None),
        content_hash=tuple(
            name for name in capabilities[0].content_hash if all(name in each.content_hash for each in capabilities)
        ),
        parallel_ranges=min(each.parallel_ranges for each in capabilities),
        part_size=max(part_sizes, default=None),
    )
