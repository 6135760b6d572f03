"""MemoryFileSystem: the contract of `cloudalpha.file_system`, in the shortest code that keeps all of it.

One lock guards the tree and the count of bytes; it is held for dictionary work and for copying what one call brings, never while a caller
consumes a stream. The content of a file never changes once it is committed: a reader holds on to the version that it began with.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, Space
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, FileSystem, NewFile, WriteOptions

CHUNK_SIZE = 256 * 1024
PAGE_SIZE = 1000


@dataclass(slots=True)
class _File:
    content: bytearray
    revision: str
    modified: datetime
    created: datetime
    content_hash: str | None = None


@dataclass(slots=True)
class _Folder:
    created: datetime
    modified: datetime
    entries: dict[str, _File | _Folder] = field(default_factory=dict)


class MemoryFileSystem(FileSystem):
    """Files in memory.

    max_size: bytes that all files together may hold, uncommitted ones included. content_hash: algorithms of hashlib.
    """

    def __init__(self, max_size: int = 1024**3, content_hash: Sequence[str] = ()) -> None:
        self.capabilities = Capabilities(
            atomic_condition=True,
            server_side_keep=True,
            resumable_upload=True,
            server_side_copy=True,
            atomic_rename=True,
            sets_modified=True,
            max_name_bytes=paths.MAX_NAME_BYTES,
            max_file_size=max_size,
            content_hash=tuple(content_hash),
        )
        self._max_size = max_size
        self._used = 0
        self._lock = threading.RLock()
        self._revisions = itertools.count(1)
        self._uploads: dict[str, MemoryNewFile] = {}
        self._root = _Folder(_now(), _now())

    def get_metadata(self, path: str) -> FileMetadata:
        with self._lock:
            return _metadata(path, self._get_node(path))

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        with self._lock:
            folder = self._get_folder(path)
            names = list(folder.entries)
        return self._list_pages(path, folder, iter(names))

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        with self._lock:
            file = self._get_file(path)
            if expected not in (ANYTHING, file.revision):
                raise RevisionMismatchFileSystemError(path)
        end = len(file.content) if num_bytes is None else min(start_byte + num_bytes, len(file.content))
        return _chunks(file.content, start_byte, end)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        with self._lock:
            self._check_target(path, options.expected)
            if options.size is not None and options.resume is None and self._used + options.size > self._max_size:
                raise InsufficientSpaceFileSystemError(path)
            return MemoryNewFile(self, path, options)

    def delete(self, path: str) -> None:
        with self._lock:
            self._used -= len(self._get_file(path).content)
            self._remove(path)

    def make_dir(self, path: str) -> None:
        with self._lock:
            if self._check_place(path) is not None:
                raise AlreadyExistsFileSystemError(path)
            self._insert(path, _Folder(_now(), _now()))

    def delete_dir(self, path: str) -> None:
        with self._lock:
            folder = self._get_folder(path)
            if folder is self._root:
                raise PermissionDeniedFileSystemError(path, "the root cannot be deleted")
            if folder.entries:
                raise DirectoryNotEmptyFileSystemError(path)
            self._remove(path)

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        with self._lock:
            if old_path == paths.ROOT:
                raise PermissionDeniedFileSystemError(old_path, "the root cannot be renamed")
            if self._check_move(old_path, new_path, overwrite):
                self._check_place(new_path)
                self._used -= self._insert(new_path, self._get_node(old_path))
                self._remove(old_path)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        with self._lock:
            if self._check_move(path, copy_path, overwrite):
                self._check_place(copy_path)
                node = self._get_node(path)
                self._reserve(copy_path, _size(node))
                self._used -= self._insert(copy_path, self._copy_node(node))

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        with self._lock:
            self._get_node(path).modified = modified_datetime.astimezone(UTC)

    def get_space(self) -> Space:
        with self._lock:
            return Space(self._max_size, self._max_size - self._used)

    # The tree

    def _find_node(self, path: str) -> _File | _Folder | None:
        """What is at the path; None when nothing is there. Raises for what is wrong on the way to it."""
        node: _File | _Folder = self._root
        names = paths.get_names(path)
        for depth, name in enumerate(names, 1):
            if isinstance(node, _File):
                raise NotADirectoryFileSystemError(path)
            entry = node.entries.get(name)
            if entry is None:
                if depth < len(names):
                    raise NotFoundFileSystemError(path)
                return None
            node = entry
        return node

    def _get_node(self, path: str) -> _File | _Folder:
        node = self._find_node(path)
        if node is None:
            raise NotFoundFileSystemError(path)
        return node

    def _get_folder(self, path: str) -> _Folder:
        node = self._get_node(path)
        if isinstance(node, _File):
            raise NotADirectoryFileSystemError(path)
        return node

    def _get_file(self, path: str) -> _File:
        node = self._get_node(path)
        if isinstance(node, _Folder):
            raise IsADirectoryFileSystemError(path)
        return node

    def _insert(self, path: str, node: _File | _Folder) -> int:
        """Put a node at a path; how many bytes the file took that it replaces."""
        parent = self._get_folder(paths.get_parent(path))
        replaced = parent.entries.get(paths.get_name(path))
        parent.entries[paths.get_name(path)] = node
        parent.modified = _now()
        return _size(replaced) if replaced is not None else 0

    def _remove(self, path: str) -> None:
        parent = self._get_folder(paths.get_parent(path))
        del parent.entries[paths.get_name(path)]
        parent.modified = _now()

    def _copy_node(self, node: _File | _Folder) -> _File | _Folder:
        if isinstance(node, _File):  # content never changes, so that a copy shares it
            return _File(node.content, self._next_revision(), node.modified, _now(), node.content_hash)
        copies = {name: self._copy_node(entry) for name, entry in node.entries.items()}
        return _Folder(_now(), node.modified, copies)

    def _list_pages(self, path: str, folder: _Folder, names: Iterator[str]) -> Iterator[FileMetadata]:
        while page := list(islice(names, PAGE_SIZE)):
            with self._lock:
                entries = [
                    _metadata(paths.join(path, name), folder.entries[name]) for name in page if name in folder.entries
                ]
            yield from entries

    # Writing

    def _check_place(self, path: str) -> _File | _Folder | None:
        """Whether something may be put at the path; what is there now."""
        node = self._find_node(path)
        if len(paths.encode(paths.get_name(path))) > self.capabilities.max_name_bytes:
            raise InvalidPathFileSystemError(path, "the name is too long")
        return node

    def _check_target(self, path: str, expected: Expected) -> None:
        """Whether a new file may be published at the path."""
        node = self._check_place(path)
        if isinstance(node, _Folder):
            raise IsADirectoryFileSystemError(path)
        if node is not None and expected is NOTHING:
            raise AlreadyExistsFileSystemError(path)
        if isinstance(expected, str) and (node is None or node.revision != expected):
            raise RevisionMismatchFileSystemError(path)

    def _reserve(self, path: str, num_bytes: int) -> None:
        if self._used + num_bytes > self._max_size:
            raise InsufficientSpaceFileSystemError(path)
        self._used += num_bytes

    def _next_revision(self) -> str:
        return str(next(self._revisions))

    def _hash(self, content: bytearray) -> str | None:
        hashes = (f"{name}:{hashlib.new(name, content).hexdigest()}" for name in self.capabilities.content_hash)
        return " ".join(hashes) or None


class MemoryNewFile(NewFile):
    """A file that grows in memory. Its bytes count against the account's `max_size` from the moment they are written."""

    token: str

    def __init__(self, file_system: MemoryFileSystem, path: str, options: WriteOptions) -> None:
        self.path = path
        self.token = options.resume or secrets.token_hex(16)
        self._file_system = file_system
        self._options = options
        self._content: bytearray | None = bytearray()
        self._kept_revision = options.expected if isinstance(options.expected, str) else None
        if options.resume is not None:
            self._take_over(options.resume)
        self.offset = len(self._content)
        file_system._uploads[self.token] = self

    def write(self, data: bytes) -> None:
        self._append(memoryview(data).cast("B") if not isinstance(data, bytes) else data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        with self._file_system._lock:
            file = self._file_system._get_file(self.path)
            end = start_byte + num_bytes
            if self._kept_revision not in (None, file.revision) or end > len(file.content):
                raise RevisionMismatchFileSystemError(self.path)
            self._kept_revision = file.revision
            with memoryview(file.content) as view:
                self._append(view[start_byte:end])

    def commit(self) -> FileMetadata:
        content = self._get_content()
        if self._options.size not in (None, len(content)):
            message = f"{len(content)} bytes came instead of {self._options.size}"
            raise FileSystemError(self.path, message)
        content_hash = self._file_system._hash(content)
        with self._file_system._lock:
            self._file_system._check_target(self.path, self._options.expected)
            self._file_system._check_target(self.path, self._kept_revision or ANYTHING)
            modified = (self._options.modified_datetime or _now()).astimezone(UTC)
            file = _File(content, self._file_system._next_revision(), modified, _now(), content_hash)
            self._file_system._used -= self._file_system._insert(self.path, file)
            self._forget()
            return _metadata(self.path, file)

    def discard(self) -> None:
        with self._file_system._lock:
            if self._content is not None:
                self._file_system._used -= len(self._content)
                self._forget()

    def _take_over(self, token: str) -> None:
        lost = self._file_system._uploads.get(token)
        if lost is None or lost.path != self.path:
            raise NotFoundFileSystemError(self.path, "there is no upload to resume")
        self._content, lost._content = lost._content, None
        self._kept_revision = self._kept_revision or lost._kept_revision

    def _append(self, data: bytes | memoryview) -> None:
        with self._file_system._lock:
            content = self._get_content()
            self._file_system._reserve(self.path, len(data))
            content += data
            self.offset = len(content)

    def _get_content(self) -> bytearray:
        if self._content is None:
            raise ValueError("the file is committed or discarded already")
        return self._content

    def _forget(self) -> None:
        self._content = None
        self._file_system._uploads.pop(self.token, None)


def _now() -> datetime:
    return datetime.now(UTC)


def _size(node: _File | _Folder) -> int:
    return len(node.content) if isinstance(node, _File) else sum(_size(entry) for entry in node.entries.values())


def _metadata(path: str, node: _File | _Folder) -> FileMetadata:
    if isinstance(node, _Folder):
        return FileMetadata(path, True, 0, node.modified, node.created)
    return FileMetadata(
        path, False, len(node.content), node.modified, node.created, None, node.revision, node.content_hash
    )


def _chunks(content: bytearray, start: int, end: int) -> Iterator[bytes]:
    view = memoryview(content)
    for position in range(start, end, CHUNK_SIZE):
        yield bytes(view[position : min(position + CHUNK_SIZE, end)])
