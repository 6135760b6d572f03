"""Copying, moving and deleting files and folders between accounts and local folders.

What fails is reported, one line each, and the rest goes on. A file appears under its name when it is whole, or not at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cloudalpha import paths
from cloudalpha.cli.locations import Location
from cloudalpha.cli.output import print_line
from cloudalpha.cli.progress import Progress
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, WriteOptions, close_stream

PIPE_CHUNK_BYTES = 1 << 18


def print_failure(message: str) -> None:
    """Report what failed on stderr."""
    print_line(f"cloudalpha: {message}", error=True)


class Transfers:
    """One command's copies, moves and deletions.

    overwrite: replace files that are there; otherwise they are left, which is no failure.
    report: called with one line for whatever fails. failures: how often it was.
    """

    def __init__(
        self, progress: Progress, overwrite: bool = True, report: Callable[[str], None] = print_failure
    ) -> None:
        self.progress = progress
        self.overwrite = overwrite
        self.failures = 0
        self._report = report

    def copy(self, sources: list[Location], target: Location, recursive: bool = False) -> None:
        """Copy as `cp` does: into target where that is a folder, otherwise to that name. Folders only when recursive."""
        for source, copy_target in self._pair(sources, target):
            self._copy(source, copy_target, recursive, delete_source=False)

    def move(self, sources: list[Location], target: Location) -> None:
        """Move as `mv` does. Between accounts a file is deleted when its copy is whole, a folder when it is empty."""
        for source, move_target in self._pair(sources, target):
            if source.path == paths.ROOT:
                self._fail(f"{source}: a whole account cannot be moved")
            elif source.file_system is not move_target.file_system:
                self._copy(source, move_target, recursive=True, delete_source=True)
            else:
                self._rename(source, move_target)

    def receive(self, stream: BinaryIO, target: Location) -> None:
        """Write what a pipe delivers, until its end, to a file."""
        try:
            options = WriteOptions(expected=ANYTHING if self.overwrite else NOTHING)
            self.progress.begin(target.path, None)
            with target.file_system.create_new_file(target.path, options) as new_file:
                while chunk := stream.read(PIPE_CHUNK_BYTES):
                    new_file.write(chunk)
                    self.progress.advance(len(chunk))
                new_file.commit()
        except FileSystemError as error:
            self._fail(f"{target}: {error.message}")
        finally:
            self.progress.end()

    def delete(self, location: Location, recursive: bool = False, missing_too: bool = False) -> None:
        """Delete a file, or, when recursive, a folder with all that it holds. missing_too: nothing there is no failure."""
        try:
            if not location.file_system.get_metadata(location.path).is_dir:
                location.file_system.delete(location.path)
                return
            if not recursive:
                raise IsADirectoryFileSystemError(location.path, "is a directory (delete it with -r)")
            if location.path == paths.ROOT:
                raise PermissionDeniedFileSystemError(
                    location.path, "a whole account is not deleted; name what is in it"
                )
        except NotFoundFileSystemError as error:
            if not missing_too:
                self._fail(f"{location}: {error.message}")
        except FileSystemError as error:
            self._fail(f"{location}: {error.message}")
        else:
            self._delete_tree(location)

    def _pair(self, sources: list[Location], target: Location) -> Iterator[tuple[Location, Location]]:
        """Each source with the path that it goes to."""
        try:
            found = target.find()
        except FileSystemError as error:
            self._fail(f"{target}: {error.message}")
            return
        if len(sources) > 1 and (found is None or not found.is_dir):
            self._fail(f"{target}: not a directory, and several sources need one")
            return
        for source in sources:
            into = found is not None and found.is_dir and not source.content
            yield source, target.join(source.name) if into else target

    def _rename(self, source: Location, target: Location) -> None:
        try:
            if source.is_same(target):
                raise AlreadyExistsFileSystemError(target.path, "the same file")
            if self.overwrite or not target.find():
                self._check_slash(source, target)
                with self.progress.following(source.path):
                    source.file_system.rename(source.path, target.path, overwrite=self.overwrite)
        except FileSystemError as error:
            self._fail(f"{source}: not moved to {target}: {error.message}")

    def _copy(self, source: Location, target: Location, recursive: bool, delete_source: bool) -> None:
        try:
            metadata = source.file_system.get_metadata(source.path)
            if metadata.is_dir and not recursive:
                raise IsADirectoryFileSystemError(source.path, "is a directory (copy it with -r)")
            if (
                metadata.is_dir
                and source.file_system is target.file_system
                and paths.is_within(target.path, source.path)
            ):
                raise InvalidPathFileSystemError(target.path, "a folder cannot be copied into itself")
            self._check_slash(source, target)
        except FileSystemError as error:
            self._fail(f"{source}: not copied to {target}: {error.message}")
            return
        if metadata.is_dir:
            if not self._copy_by_storage(source, target):
                self._copy_tree(source, target, delete_source)
        else:
            self._copy_file(source, metadata, target, delete_source)

    def _check_slash(self, source: Location, target: Location) -> None:
        """`cp file missing/` is a mistake: nobody wants a file of that name."""
        if target.slash and not source.file_system.is_dir(source.path) and not target.find():
            raise NotFoundFileSystemError(target.path, "no such directory")

    def _copy_by_storage(self, source: Location, target: Location) -> bool:
        """Let the storage copy a whole folder by itself. False where it cannot or fails: then each file is copied, and each failure told, alone."""
        if source.file_system is not target.file_system or not source.file_system.capabilities.server_side_copy:
            return False
        try:
            if target.find() is not None:
                return False
            with self.progress.following(source.path):
                source.file_system.copy(source.path, target.path)
        except FileSystemError:
            return False
        return True

    def _copy_tree(self, source: Location, target: Location, delete_source: bool) -> None:
        """Folders wait on a list, not on Python's stack: nothing bounds how deep a tree is."""
        waiting = [(source, target)]
        done: list[Location] = []
        failures = self.failures
        while waiting:
            folder, copy_folder = waiting.pop()
            try:
                _make_folder(copy_folder)
                for entry in folder.file_system.list_dir(folder.path):
                    found, copy_found = folder.join(entry.name), copy_folder.join(entry.name)
                    if not paths.is_valid_name(entry.name):
                        self._fail(f"{found}: not copied: its name cannot be used elsewhere")
                    elif entry.is_dir:
                        waiting.append((found, copy_found))
                    else:
                        self._copy_file(found, entry, copy_found, delete_source)
            except FileSystemError as error:
                self._fail(f"{folder}: not copied to {copy_folder}: {error.message}")
            done.append(folder)
        if delete_source and self.failures == failures:
            self._delete_folders(done)

    def _copy_file(self, source: Location, metadata: FileMetadata, target: Location, delete_source: bool) -> None:
        try:
            if source.is_same(target):
                raise AlreadyExistsFileSystemError(target.path, "the same file")
            if not self.overwrite and target.find():
                return
            self._copy_content(source, metadata, target)
            if delete_source:
                source.file_system.delete(source.path)
        except FileSystemError as error:
            self._fail(f"{source}: not copied to {target}: {error.message}")
        finally:
            self.progress.end()

    def _copy_content(self, source: Location, metadata: FileMetadata, target: Location) -> None:
        if source.file_system is target.file_system and source.file_system.capabilities.server_side_copy:
            with self.progress.following(source.path):
                source.file_system.copy(source.path, target.path, self.overwrite)
            return
        self.progress.begin(source.path, metadata.size)
        options = WriteOptions(
            expected=ANYTHING if self.overwrite else NOTHING,
            size=metadata.size,
            modified_datetime=metadata.modified_datetime,
        )
        with target.file_system.create_new_file(target.path, options) as new_file:
            stream = source.file_system.read(source.path, expected=metadata.revision or ANYTHING)
            try:
                for chunk in stream:
                    new_file.write(chunk)
                    self.progress.advance(len(chunk))
            finally:
                close_stream(stream)
            new_file.commit()

    def _delete_tree(self, location: Location) -> None:
        with contextlib.suppress(FileSystemError), self.progress.following(location.path):
            location.file_system.delete_tree(location.path)
            return
        # Something could not be deleted: go on with the rest, and tell what it was.
        waiting, folders = [location], []
        failures = self.failures
        while waiting:
            folder = waiting.pop()
            folders.append(folder)
            try:
                for entry in folder.file_system.list_dir(folder.path):
                    if entry.is_dir:
                        waiting.append(folder.at(entry.path))
                    else:
                        self._delete_file(folder.at(entry.path))
            except FileSystemError as error:
                self._fail(f"{folder}: not deleted: {error.message}")
        if self.failures == failures:
            self._delete_folders(folders)

    def _delete_file(self, location: Location) -> None:
        try:
            location.file_system.delete(location.path)
        except NotFoundFileSystemError:
            return  # somebody else was faster
        except FileSystemError as error:
            self._fail(f"{location}: not deleted: {error.message}")

    def _delete_folders(self, folders: list[Location]) -> None:
        """Delete empty folders; each stands in the list before those that it holds."""
        for folder in reversed(folders):
            try:
                folder.file_system.delete_dir(folder.path)
            except FileSystemError as error:
                self._fail(f"{folder}: not deleted: {error.message}")

    def _fail(self, message: str) -> None:
        self.failures += 1
        self._report(message)


def _make_folder(location: Location) -> None:
    found = location.find()
    if found is None:
        location.file_system.make_dir(location.path)
    elif not found.is_dir:
        raise NotADirectoryFileSystemError(location.path)
