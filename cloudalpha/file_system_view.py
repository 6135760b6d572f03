"""FileSystemView: what one session sees."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import BinaryIO

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, FileSystem, NewFile, WriteOptions, close_stream
from cloudalpha.layer import Layer
from cloudalpha.logs import log_event
from cloudalpha.open_file import OpenFile, OpenFileSettings, Transfer
from cloudalpha.open_file_draft import Draft
from cloudalpha.open_file_reader import PublishedFile
from cloudalpha.paths import ROOT
from cloudalpha.spool import Spool, get_default_spool

RawPath = str | bytes
"""A path as a client sends it: relative to the working directory or absolute, not normalized."""

_READ_BYTES = 256 << 10
_logger = logging.getLogger("cloudalpha.view")


class FileSystemView(Layer):
    """A FileSystem with a working directory and open files, for one session; safe for the session's threads.

    Every method takes paths as clients send them, and raises InvalidPathFileSystemError for those that cannot be one.

    The session sees its own open writes (metadata, listings, reads); everybody else sees them when they are published. The file system around
    which it stands is shared with others: `close` leaves it open.

    user_name, session_id, manager, address: who it is, for the log. home: the first working directory. spool: where unpublished content is
    kept for reading and changing it; None means the process's own.
    """

    def __init__(
        self,
        file_system: FileSystem,
        *,
        user_name: str = "",
        session_id: str = "",
        manager: str = "",
        address: str = "",
        home: RawPath = ROOT,
        spool: Spool | None = None,
        settings: OpenFileSettings = OpenFileSettings(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(file_system)
        self._transfer = Transfer(user_name, manager, address, session_id)
        self._spool = spool if spool is not None else get_default_spool()
        self._settings = settings
        self._working_dir = paths.normalize(home)
        self._lock = threading.Lock()
        self._drafts: dict[str, Draft] = {}  # those that somebody may write to
        self._open_files: dict[OpenFile, None] = {}
        self._is_closed = False

    # Paths

    @property
    def working_dir(self) -> str:
        """Where relative paths start."""
        return self._working_dir

    def change_dir(self, path: RawPath) -> None:
        """Change the working directory. Raises NotFound-, NotADirectory-, PermissionDeniedFileSystemError when it cannot be listed."""
        target = self.resolve(path)
        entries = self.inner.list_dir(target)
        try:
            next(entries, None)
        finally:
            close_stream(entries)
        self._working_dir = target

    def resolve(self, path: RawPath) -> str:
        """The path that the client means, absolute and normalized."""
        return paths.normalize(path, self._working_dir)

    # Open files

    def open(
        self,
        path: RawPath,
        *,
        read: bool = False,
        write: bool = False,
        append: bool = False,
        create: bool = False,
        exclusive: bool = False,
        truncate: bool = False,
        is_sequential: bool = False,
    ) -> OpenFile:
        """Open a file; the flags mean what those of SFTP do (draft-ietf-secsh-filexfer-02, section 6.3).

        append: every write goes to the end; implies write. create: a missing file is new. exclusive: with create, one that is there is
        refused (AlreadyExists-). truncate: it starts empty. Without write, the last three are ignored.

        is_sequential: what is written comes from front to back, and is neither read nor changed before the end: the protocol has no means for
        it. Then it goes to the storage without a copy in the spool. Whoever does it all the same, through this handle or through another one of
        the session, is refused with a reason; a path that is open for writing already is treated as for any handle.

        Nothing is published before `OpenFile.finish`. Raises NotFound-, IsADirectoryFileSystemError.
        """
        target = self.resolve(path)
        if write or append:
            draft = self._open_draft(target, create, exclusive, truncate, is_sequential)
            return self._add(OpenFile(self.inner, draft, read, True, append, self._transfer, self._release))
        with self._lock:
            visible = self._drafts.get(target)
            if visible is not None and visible.is_visible:
                visible.num_users += 1
            else:
                visible = None
        if visible is not None:
            return self._add(OpenFile(self.inner, visible, True, False, False, self._transfer, self._release))
        file = PublishedFile(self.inner, self.inner.get_metadata(target), self._settings)
        file.open()
        return self._add(OpenFile(self.inner, file, True, False, False, self._transfer, self._release))

    def get_open_files(self) -> list[OpenFile]:
        """The files that are open now, in the order of their opening."""
        with self._lock:
            return list(self._open_files)

    def _open_draft(self, path: str, create: bool, exclusive: bool, truncate: bool, is_sequential: bool) -> Draft:
        if path == ROOT:
            raise IsADirectoryFileSystemError(path)
        with self._lock:
            draft = self._drafts.get(path)
            if draft is None or draft.has_failed:
                draft = self._drafts[path] = Draft(self.inner, path, self._spool, self._settings)
            draft.num_users += 1
            draft.num_writers += 1
        try:
            draft.open(create, exclusive, truncate, is_sequential)
        except BaseException:
            self._release_draft(draft, True, False)
            raise
        return draft

    def _add(self, file: OpenFile) -> OpenFile:
        with self._lock:
            self._open_files[file] = None
            is_closed = self._is_closed
        if is_closed:
            file.discard("the session is over")
        return file

    def _release(self, file: OpenFile, is_lost: bool) -> None:
        """Called by an OpenFile that ends."""
        with self._lock:
            self._open_files.pop(file, None)
        if isinstance(file.content, Draft):
            self._release_draft(file.content, file.can_write, is_lost)
        else:
            file.content.close()

    def _release_draft(self, draft: Draft, was_writer: bool, is_lost: bool) -> None:
        with self._lock:
            draft.num_users -= 1
            draft.num_writers -= was_writer
            is_last_writer = was_writer and not draft.num_writers
            is_unused = not draft.num_users
            if is_last_writer and self._drafts.get(draft.path) is draft:
                del self._drafts[draft.path]
        if was_writer and is_lost:
            draft.fail("a transfer of this file was broken off")
        if is_unused:
            draft.close()

    def _get_visible(self, path: str) -> Draft | None:
        draft = self._drafts.get(path) if self._drafts else None
        return draft if draft is not None and draft.is_visible else None

    def _get_drafts_within(self, path: str) -> list[Draft]:
        """Drafts that are written, or still read after their last writer has left."""
        with self._lock:
            read = [file.content for file in self._open_files if isinstance(file.content, Draft)]
            drafts = dict.fromkeys([*self._drafts.values(), *read])
        return [draft for draft in drafts if paths.is_within(draft.path, path) and not draft.is_deleted]

    # Reading

    def get_metadata(self, path: RawPath) -> FileMetadata:
        target = self.resolve(path)
        draft = self._get_visible(target)
        return draft.get_metadata() if draft is not None else self.inner.get_metadata(target)

    def list_dir(self, path: RawPath) -> Iterator[FileMetadata]:
        """As every `list_dir`; names that no client could ask for are left out, and counted in the log."""
        target = self.resolve(path)
        own: dict[str, FileMetadata] = {}
        if self._drafts:
            with self._lock:
                drafts = [draft for draft in self._drafts.values() if draft.is_visible]
            own = {draft.path: draft.get_metadata() for draft in drafts if paths.get_parent(draft.path) == target}
        return _list(target, self.inner.list_dir(target), own)

    def read(
        self, path: RawPath, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        target = self.resolve(path)
        if self._get_visible(target) is None:
            return self.inner.read(target, start_byte, num_bytes, expected)
        if expected is not ANYTHING:
            raise RevisionMismatchFileSystemError(target)
        return self._read_own(target, start_byte, num_bytes)

    def _read_own(self, path: str, start_byte: int, num_bytes: int | None) -> Iterator[bytes]:
        file = self.open(path, read=True)
        try:
            end = file.get_metadata().size if num_bytes is None else start_byte + num_bytes
            while start_byte < end and (data := file.read_at(start_byte, min(_READ_BYTES, end - start_byte))):
                yield data
                start_byte += len(data)
        finally:
            file.finish()

    def get_native_file(self, path: RawPath) -> BinaryIO | None:
        target = self.resolve(path)
        return None if self._get_visible(target) is not None else self.inner.get_native_file(target)

    # Changing

    def create_new_file(self, path: RawPath, options: WriteOptions = WriteOptions()) -> NewFile:
        target = self.resolve(path)
        if options.expected is not ANYTHING and self._get_visible(target) is not None:
            if options.expected is NOTHING:
                raise AlreadyExistsFileSystemError(target)
            raise RevisionMismatchFileSystemError(target)
        return self.inner.create_new_file(target, options)

    def delete(self, path: RawPath) -> None:
        """As every `delete`; open files of the session stay usable, and publish nothing when they are finished."""
        target = self.resolve(path)
        draft = self._drafts.get(target)
        if draft is None:
            self.inner.delete(target)
            return
        with draft.hold():
            try:
                self.inner.delete(target)
            except NotFoundFileSystemError:
                if not draft.is_visible or draft.path != target:
                    raise
            if draft.path == target:
                self._forget(draft)

    def make_dir(self, path: RawPath) -> None:
        target = self.resolve(path)
        if self._get_visible(target) is not None:
            raise AlreadyExistsFileSystemError(target)
        self.inner.make_dir(target)

    def delete_dir(self, path: RawPath) -> None:
        target = self.resolve(path)
        if any(draft.is_visible and draft.path != target for draft in self._get_drafts_within(target)):
            raise DirectoryNotEmptyFileSystemError(target)
        self.inner.delete_dir(target)

    def rename(self, old_path: RawPath, new_path: RawPath, overwrite: bool = False) -> None:
        """As every `rename`; files that are open follow, and are published under the new name only."""
        old, new = self.resolve(old_path), self.resolve(new_path)
        drafts = self._get_drafts_within(old)
        with ExitStack() as held:
            replaced = self._drafts.get(new)
            for draft in sorted(
                {*drafts, *([replaced] if replaced is not None else [])}, key=id
            ):  # no two threads wait for each other
                held.enter_context(draft.hold())
            is_published = self._rename(old, new, overwrite, replaced)
            for draft in drafts:
                is_folder_moved = draft.path != old
                is_exclusive = not (is_folder_moved or is_published or overwrite)
                self._move(draft, paths.rebase(draft.path, old, new), is_folder_moved, is_exclusive)
        for file in self.get_open_files():
            if isinstance(file.content, PublishedFile) and paths.is_within(file.path, old):
                file.content.path = paths.rebase(file.path, old, new)

    def _rename(self, old: str, new: str, overwrite: bool, replaced: Draft | None) -> bool:
        """Rename what is published, and see that what is not may take the new name; whether something was published."""
        if replaced is not None and old != new and replaced.is_visible and not overwrite:
            raise AlreadyExistsFileSystemError(new)
        is_published = self._get_visible(old) is None or self.inner.exists(old)
        if is_published:
            self.inner.rename(old, new, overwrite)
        elif old != new:
            if not overwrite and self.inner.exists(new):
                raise AlreadyExistsFileSystemError(new)
            self.inner.create_new_file(new, WriteOptions(ANYTHING if overwrite else NOTHING)).discard()
        if replaced is not None and old != new:
            self._forget(replaced)
        return is_published

    def _move(self, draft: Draft, path: str, is_folder_moved: bool, is_exclusive: bool) -> None:
        with self._lock:
            if self._drafts.get(draft.path) is draft:
                del self._drafts[draft.path]
                self._drafts[path] = draft
        draft.move(path, is_folder_moved, is_exclusive)

    def _forget(self, draft: Draft) -> None:
        """The draft's path is deleted or replaced: nothing of it is published any more."""
        draft.is_deleted = True
        with self._lock:
            if self._drafts.get(draft.path) is draft:
                del self._drafts[draft.path]

    def copy(self, path: RawPath, copy_path: RawPath, overwrite: bool = False) -> None:
        source, target = self.resolve(path), self.resolve(copy_path)
        if any(draft.is_visible for draft in self._get_drafts_within(source)):
            FileSystem.copy(self, source, target, overwrite)
        else:
            self.inner.copy(source, target, overwrite)

    def delete_tree(self, path: RawPath) -> None:
        target = self.resolve(path)
        if self._get_drafts_within(target):
            FileSystem.delete_tree(self, target)
        else:
            self.inner.delete_tree(target)

    def set_modified_datetime(self, path: RawPath, modified_datetime: datetime) -> None:
        """As every `set_modified_datetime`; of a file that is being written, it takes effect with the commit."""
        target = self.resolve(path)
        draft = self._get_visible(target)
        if draft is not None:
            draft.set_modified_datetime(modified_datetime)
        else:
            self.inner.set_modified_datetime(target, modified_datetime)

    def truncate(self, path: RawPath, size: int) -> None:
        """Cut a file, or extend it by zeros; one that the session writes to is published when that is finished. Raises NotFound-, IsADirectory-."""
        target = self.resolve(path)
        draft = self._get_visible(target)
        if draft is not None:
            draft.truncate(size)
            return
        file = self.open(target, write=True)
        try:
            file.truncate(size)
            file.finish()
        finally:
            file.discard()

    def make_dirs(self, path: RawPath) -> None:  # type: ignore[misc]  # final for those whose paths are normalized
        super().make_dirs(self.resolve(path))

    def close(self) -> None:
        """The session is over, or lost: discard every open file. Harmless when repeated; the file system behind it stays open."""
        with self._lock:
            self._is_closed = True
        for file in self.get_open_files():
            file.discard("the session is over")


def _list(dir_path: str, entries: Iterator[FileMetadata], own: dict[str, FileMetadata]) -> Iterator[FileMetadata]:
    """The entries, with the session's own drafts in place of what is published, without names that cannot be asked for."""
    num_left_out = 0
    plain_length = len(dir_path) + 1 + paths.MAX_NAME_BYTES // 4
    try:
        for entry in entries:
            path = entry[0]
            if not (path.isprintable() and len(path) <= plain_length) and not paths.is_valid_name(paths.get_name(path)):
                num_left_out += 1
            elif own and path in own:
                yield own.pop(path)
            else:
                yield entry
        yield from own.values()
    finally:
        close_stream(entries)
        if num_left_out:
            log_event(_logger, "names_left_out", path=dir_path, count=num_left_out)


__all__ = ["FileSystemError", "FileSystemView", "OpenFile", "OpenFileSettings", "RawPath", "Spool"]
