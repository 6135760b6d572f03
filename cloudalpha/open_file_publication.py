"""Publication: how a draft comes to its path."""

from __future__ import annotations

import logging
from datetime import datetime

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.logs import log_event
from cloudalpha.open_file_content import DraftContent

_logger = logging.getLogger("cloudalpha.open_file")


class Publication:
    """Begins the NewFiles of a draft, and commits one under the path that the draft has by then.

    path: where the draft is published; `move` changes it. is_exclusive: nothing may be there. kept_version: what the path must hold when some of
    that is kept; None when nothing is. modified_datetime: the time of the last change that the client wants. new_file: the newest that was begun.

    Belongs to one thread at a time, but for `path` and `modified_datetime`.
    """

    def __init__(self, file_system: FileSystem, path: str) -> None:
        self.path = path
        self.is_exclusive = False
        self.kept_version: Expected | None = None
        self.modified_datetime: datetime | None = None
        self.new_file: NewFile | None = None
        self._file_system = file_system
        self._new_file_path = path
        self._is_new_file_exclusive = False
        self._new_file_modified: datetime | None = None
        self._is_folder_moved = False

    def begin(self) -> NewFile:
        """A NewFile for the path, in the place of the one so far."""
        self._new_file_modified = self.modified_datetime
        self._new_file_path = self.path
        self._is_new_file_exclusive = self.is_exclusive
        expected: Expected = NOTHING if self.is_exclusive else ANYTHING
        if self.kept_version is not None:
            expected = self.kept_version
        options = WriteOptions(expected=expected, modified_datetime=self._new_file_modified)
        self.new_file = self._file_system.create_new_file(self.path, options)
        return self.new_file

    def get_new_file(self) -> NewFile:
        """The NewFile to write to: the one that was begun, if it leads to the path and has the time that the client wants by now."""
        has_time = self._new_file_modified == self.modified_datetime
        if self.new_file is not None and has_time and self._leads_to_path():
            return self.new_file
        self.discard()
        return self.begin()

    def discard(self) -> None:
        """Forget the NewFile."""
        new_file, self.new_file = self.new_file, None
        if new_file is not None:
            new_file.discard()

    def move(self, path: str, is_folder_moved: bool, is_exclusive: bool) -> None:
        """The path was renamed; is_folder_moved: with a folder above it. is_exclusive: nothing may be at the new one."""
        if path != self.path:
            self.is_exclusive = is_exclusive
        self.path = path
        self._is_folder_moved |= is_folder_moved

    def commit(self, content: DraftContent) -> FileMetadata:
        """Publish the content at the path, and only there.

        Content whose NewFile was begun for an old name is sent again. Where that NewFile expects nothing there, or it is the only way left and
        nothing is there, it is published under the old name for a moment and renamed, which saves sending everything again.
        Raises UnsupportedOperationFileSystemError when neither can be done.
        """
        if self._leads_to_path():
            return content.prepare().commit()
        if self._can_commit_at_old_path(content):
            metadata = self._commit_at_old_path(content)
            if metadata is not None:
                return metadata
        if not content.can_send_again():
            message = "the file was renamed while it was open, and the spool has no copy of it to send again"
            raise UnsupportedOperationFileSystemError(self.path, message)
        return content.send_again(self.begin).commit()

    def _leads_to_path(self) -> bool:
        """Whether the NewFile is one for the path, on the conditions that hold by now."""
        return self._new_file_path == self.path and self._is_new_file_exclusive == self.is_exclusive

    def _can_commit_at_old_path(self, content: DraftContent) -> bool:
        if self._new_file_path == self.path or self.kept_version is not None or self._is_folder_moved:
            return False
        if self._is_new_file_exclusive:
            return True
        return not content.can_send_again() and not self._file_system.exists(self._new_file_path)

    def _commit_at_old_path(self, content: DraftContent) -> FileMetadata | None:
        """What is published; None when somebody else's file is under the old name, which stays."""
        new_file = content.prepare()
        if self._leads_to_path():  # preparing has begun another one
            return new_file.commit()
        try:
            metadata = new_file.commit()
        except AlreadyExistsFileSystemError:
            return None
        try:
            self._file_system.rename(self._new_file_path, self.path, overwrite=not self.is_exclusive)
        except BaseException:
            self._file_system.delete(self._new_file_path)
            raise
        return metadata.at(self.path)

    def set_time(self, metadata: FileMetadata, is_committed: bool) -> FileMetadata:
        """See that what is published has the time that the client wants; what is there then.

        is_committed: content was published with it; then a time that cannot be set is logged, and fails nothing. Where the time is all that there
        is to publish, it raises.
        """
        wanted, self.modified_datetime = self.modified_datetime, None
        if wanted is None or (is_committed and wanted == self._new_file_modified):
            return metadata
        try:
            self._file_system.set_modified_datetime(self.path, wanted)
            return self._file_system.get_metadata(self.path)
        except FileSystemError as error:
            if not is_committed:
                raise
            if not isinstance(error, UnsupportedOperationFileSystemError):
                log_event(_logger, "time_not_set", logging.WARNING, path=self.path, error=error.message)
            return metadata
