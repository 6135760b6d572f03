"""The interface between those who keep files and those who use them.

A service supplies a `FileSystem`; a layer is one around another; managers use one through a `FileSystemView`. Paths are absolute and
normalized (`cloudalpha.paths`). Calls block. A FileSystem is shared by threads; a stream that `read` or `list_dir` returns, and a `NewFile`,
belongs to one thread at a time.

An iterator's errors come at the latest with its first item. One that is not read to its end should be closed (`close_stream`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import BinaryIO, Final, Self, final

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, Space
from cloudalpha.progress import report


class Condition(Enum):
    """What a path is expected to hold, where it is not one revision."""

    ANYTHING = "anything"
    NOTHING = "nothing"


ANYTHING: Final = Condition.ANYTHING
NOTHING: Final = Condition.NOTHING
Expected = Condition | str


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a new file is to be written.

    expected: ANYTHING overwrites a file; NOTHING refuses with AlreadyExists-, a revision with RevisionMismatchFileSystemError,
        when the path holds something else at commit.
    size: bytes of the whole content, where it is known beforehand; a commit of any other size is refused.
    modified_datetime: aware; None means the time of the commit. Ignored where the storage keeps no times (`sets_modified`).
    resume: the token of a NewFile that was neither committed nor discarded.
    """

    expected: Expected = ANYTHING
    size: int | None = None
    modified_datetime: datetime | None = None
    resume: str | None = None


class NewFile(ABC):
    """Content on its way to a path. Nobody sees any of it before `commit`; leaving the `with` block without commit discards.

    path: where it will be.
    offset: how many bytes it holds so far; more than 0 at the start only after `WriteOptions.resume`.
    token: what `WriteOptions.resume` takes to go on after a restart; None where that cannot be done.

    After any error only `discard` is allowed, but for a commit refused by its condition.
    """

    path: str
    offset: int = 0
    token: str | None = None

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append bytes (any bytes-like object, of any length)."""

    @abstractmethod
    def keep(self, start_byte: int, num_bytes: int) -> None:
        """Append a range of what the path holds now, moved on the storage's side where it can.

        All kept ranges of a NewFile come from one version: RevisionMismatchFileSystemError, here or at commit, when the path changed since
        the first one, is not of the expected revision, or is shorter than the range. NotFoundFileSystemError when it holds nothing.
        """

    @abstractmethod
    def commit(self) -> FileMetadata:
        """Publish the content, whole and in one step, and return what is there now.

        When it raises, the path holds what it held before. A second commit raises ValueError.
        """

    @abstractmethod
    def discard(self) -> None:
        """Forget the content and free its space. Harmless after commit and when repeated; never raises FileSystemError."""

    def get_native_file(self) -> BinaryIO | None:
        """A real, readable and writable descriptor of the content so far, where one exists.

        Whoever takes it writes by `os.pwrite` and `os.ftruncate` at any offset, does not close it, calls neither `write` nor `keep` from then
        on, and commits as usual: what the descriptor holds is then the content.
        """
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()


class FileSystem(ABC):
    """The files of one account, or what a layer makes of another FileSystem.

    Every method may raise AccessFailed-, PermissionDenied- and InvalidPathFileSystemError beside those that it names; where a folder on the way
    to the path is missing, NotFound-, and where it is a file, NotADirectoryFileSystemError.
    """

    capabilities: Capabilities = Capabilities()

    # Required

    @abstractmethod
    def get_metadata(self, path: str) -> FileMetadata:
        """What is at the path. Raises NotFoundFileSystemError. The root always exists."""

    @abstractmethod
    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        """The entries of a folder, lazily, at most a page of them in memory, in any order, never "." or "..".

        Entries made or deleted during the iteration may or may not appear; all others appear exactly once.
        Raises NotFound-, NotADirectoryFileSystemError.
        """

    @abstractmethod
    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        """The content of a file from start_byte (0 or more), num_bytes of it or all that follow; fewer where the file ends, none beyond.

        All bytes are of one version; where that version can no longer be had, RevisionMismatchFileSystemError. Chunks are never empty.
        expected: a revision that the file must have (RevisionMismatch-). Raises NotFound-, IsADirectoryFileSystemError.
        """

    @abstractmethod
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        """Begin a file that will be at the path after its commit; until then the path holds what it held.

        Raises NotFoundFileSystemError when the folder that it goes into is missing, IsADirectoryFileSystemError when the path is a folder, and
        what `options.expected` calls for: here where it is known already, at commit in any case.
        """

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file. Raises NotFound-, IsADirectoryFileSystemError."""

    @abstractmethod
    def make_dir(self, path: str) -> None:
        """Make a folder; its parent must exist. Raises AlreadyExists-, NotFound-, NotADirectoryFileSystemError."""

    @abstractmethod
    def delete_dir(self, path: str) -> None:
        """Delete an empty folder. Raises DirectoryNotEmpty-, NotFound-, NotADirectoryFileSystemError; PermissionDenied- for the root."""

    # Optional: the default is right for everyone, and slow for some

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        """Move a file, or a folder with all that it holds.

        overwrite: replace a *file* at new_path by a file. Nothing else is ever replaced: AlreadyExistsFileSystemError, IsADirectory- for a file
        onto a folder. A path renamed to itself stays. InvalidPathFileSystemError for a folder into itself. PermissionDenied- for the root.

        The default copies, then deletes; when it raises, old_path is still whole.
        """
        if old_path == paths.ROOT:
            raise PermissionDeniedFileSystemError(old_path, "the root cannot be renamed")
        if self._check_move(old_path, new_path, overwrite):
            self.copy(old_path, new_path, overwrite)
            self.delete_tree(old_path)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        """Copy a file, or a folder with all that it holds; the rules are those of `rename`. Times are kept where the storage keeps any.

        The default moves the bytes through the gateway; an error in a folder leaves what is copied so far.
        """
        if not self._check_move(path, copy_path, overwrite):
            return
        metadata = self.get_metadata(path)
        if metadata.is_dir:
            self.make_dir(copy_path)
            for entry in self.list_dir(path):
                self.copy(entry.path, paths.join(copy_path, entry.name))
            return
        options = WriteOptions(
            expected=ANYTHING if overwrite else NOTHING,
            size=metadata.size,
            modified_datetime=metadata.modified_datetime,
        )
        with self.create_new_file(copy_path, options) as new_file:
            for chunk in self.read(path, expected=metadata.revision or ANYTHING):
                new_file.write(chunk)
            new_file.commit()

    def delete_tree(self, path: str) -> None:
        """Delete a file, or a folder with all that it holds. Raises NotFound-; PermissionDenied- for the root, of which nothing is deleted then.

        An error leaves what is not deleted yet; repeating the call goes on. What others make in the folder meanwhile is deleted too, or is
        DirectoryNotEmptyFileSystemError. The default walks: one call for each folder and file.
        """
        if path == paths.ROOT:
            raise PermissionDeniedFileSystemError(path, "the root cannot be deleted")
        if not self.get_metadata(path).is_dir:
            self.delete(path)
            return
        waiting, folders = [path], []
        num_deleted = 0
        while waiting:
            folder = waiting.pop()
            folders.append(folder)
            for entry in self.list_dir(folder):
                if entry.is_dir:
                    waiting.append(entry.path)
                else:
                    self.delete(entry.path)
                    num_deleted += 1
                    report(num_deleted)
        for folder in reversed(folders):
            self.delete_dir(folder)
            num_deleted += 1
            report(num_deleted)

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        """Set the time of the last change (aware). Raises UnsupportedOperationFileSystemError where the storage cannot."""
        self.get_metadata(path)
        raise UnsupportedOperationFileSystemError(path, "this storage keeps no times of its own choosing")

    def get_space(self) -> Space | None:
        """The space of the account; None where the storage does not tell."""
        return None

    def get_native_file(self, path: str) -> BinaryIO | None:
        """A real descriptor of a file's whole content, where one exists; its reader closes it. Raises as `read`."""
        return None

    def close(self) -> None:  # noqa: B027 - most file systems have nothing to close
        """Finish what is under way and release connections; repeated calls are harmless. Nothing else may be called afterwards."""

    # Derived

    @final
    def exists(self, path: str) -> bool:
        """Whether a file or folder is there. False for not-found alone: an outage is an error."""
        return self._find(path) is not None

    @final
    def is_dir(self, path: str) -> bool:
        """Whether a folder is there."""
        metadata = self._find(path)
        return metadata is not None and metadata.is_dir

    @final
    def is_file(self, path: str) -> bool:
        """Whether a file is there."""
        metadata = self._find(path)
        return metadata is not None and not metadata.is_dir

    @final
    def get_size(self, path: str) -> int:
        """The bytes of a file. Raises IsADirectoryFileSystemError."""
        metadata = self.get_metadata(path)
        if metadata.is_dir:
            raise IsADirectoryFileSystemError(path)
        return metadata.size

    @final
    def read_all(self, path: str) -> bytes:
        """The whole content of a file, in memory."""
        return b"".join(self.read(path))

    @final
    def write_all(self, path: str, data: bytes, options: WriteOptions = WriteOptions()) -> FileMetadata:
        """Write a whole file from memory."""
        with self.create_new_file(path, options) as new_file:
            new_file.write(data)
            return new_file.commit()

    @final
    def make_dirs(self, path: str) -> None:
        """Make a folder and those above it that are missing; one that is there already is welcome."""
        metadata = self._find(path)
        if metadata is None:
            self.make_dirs(paths.get_parent(path))
            try:
                self.make_dir(path)
            except AlreadyExistsFileSystemError:
                if not self.is_dir(path):
                    raise
        elif not metadata.is_dir:
            raise NotADirectoryFileSystemError(path)

    @final
    def walk(self, path: str) -> Iterator[FileMetadata]:
        """Everything beneath a folder, a folder before what it holds."""
        for entry in self.list_dir(path):
            yield entry
            if entry.is_dir:
                yield from self.walk(entry.path)

    def _find(self, path: str) -> FileMetadata | None:
        try:
            return self.get_metadata(path)
        except (NotFoundFileSystemError, NotADirectoryFileSystemError):
            return None

    def _check_move(self, old_path: str, new_path: str, overwrite: bool) -> bool:
        """The rules of `rename` and `copy`; False when there is nothing to do."""
        source = self.get_metadata(old_path)
        if old_path == new_path:
            return False
        if source.is_dir and paths.is_within(new_path, old_path):
            raise InvalidPathFileSystemError(new_path, "a folder cannot be moved or copied into itself")
        target = self._find(new_path)
        if target is not None:
            if target.is_dir and not source.is_dir:
                raise IsADirectoryFileSystemError(new_path)
            if target.is_dir or source.is_dir or not overwrite:
                raise AlreadyExistsFileSystemError(new_path)
        return True


def close_stream(stream: Iterator[object]) -> None:
    """Release what an iterator of `read` or `list_dir` holds, read to its end or not."""
    close = getattr(stream, "close", None)
    if close is not None:
        close()
