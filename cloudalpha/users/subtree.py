"""Subtree: a folder of one FileSystem, seen at another path: what a mount is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO, TypeVar

from cloudalpha import paths
from cloudalpha.exceptions import FileSystemError, PermissionDeniedFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions, close_stream
from cloudalpha.layer import Layer, NewFileLayer

T = TypeVar("T")


class Subtree(Layer):
    """The folder `folder` of `inner`, and nothing else of it, with paths as if it were at `point`.

    Its root, the point itself, is neither deleted nor renamed. Errors name the paths that the caller uses. The folder that it shows must exist.
    Closing it leaves `inner` open: it belongs to its account.
    """

    def __init__(self, inner: FileSystem, folder: str = paths.ROOT, point: str = paths.ROOT) -> None:
        super().__init__(inner)
        self.folder = folder
        self.point = point

    def get_metadata(self, path: str) -> FileMetadata:
        with self.translated_errors(path):
            return self.to_outer_metadata(self.inner.get_metadata(self.to_inner(path)))

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        if self.folder == self.point:
            return self.inner.list_dir(path)
        with self.translated_errors(path):
            entries = self.inner.list_dir(self.to_inner(path))
        return self._to_outer_entries(path, entries)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        with self.translated_errors(path):
            chunks = self.inner.read(self.to_inner(path), start_byte, num_bytes, expected)
        return self._translate_stream(path, chunks)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        with self.translated_errors(path):
            return _SubtreeFile(self, path, self.inner.create_new_file(self.to_inner(path), options))

    def delete(self, path: str) -> None:
        with self.translated_errors(path):
            self.inner.delete(self.to_inner(path))

    def make_dir(self, path: str) -> None:
        with self.translated_errors(path):
            self.inner.make_dir(self.to_inner(path))

    def delete_dir(self, path: str) -> None:
        self._check_not_root(path)
        with self.translated_errors(path):
            self.inner.delete_dir(self.to_inner(path))

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self._check_not_root(old_path)
        with self.translated_errors(old_path):
            self.inner.rename(self.to_inner(old_path), self.to_inner(new_path), overwrite)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        with self.translated_errors(path):
            self.inner.copy(self.to_inner(path), self.to_inner(copy_path), overwrite)

    def delete_tree(self, path: str) -> None:
        self._check_not_root(path)
        with self.translated_errors(path):
            self.inner.delete_tree(self.to_inner(path))

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        with self.translated_errors(path):
            self.inner.set_modified_datetime(self.to_inner(path), modified_datetime)

    def get_native_file(self, path: str) -> BinaryIO | None:
        with self.translated_errors(path):
            return self.inner.get_native_file(self.to_inner(path))

    def close(self) -> None:
        pass

    def to_inner(self, path: str) -> str:
        """The path in `inner` of a path here."""
        return paths.rebase(path, self.point, self.folder)

    def to_outer(self, path: str) -> str:
        """The path here of a path in `inner`, which must lie within the folder."""
        return paths.rebase(path, self.folder, self.point)

    def to_outer_metadata(self, metadata: FileMetadata) -> FileMetadata:
        """The same metadata, with the path here."""
        return metadata.at(self.to_outer(metadata.path))

    @contextmanager
    def translated_errors(self, path: str) -> Iterator[None]:
        """Errors of `inner` name the path here; `path` where theirs lies outside."""
        try:
            yield
        except FileSystemError as error:
            is_ours = error.path.startswith("/") and paths.is_within(error.path, self.folder)
            raise error.at(self.to_outer(error.path) if is_ours else path) from error

    def _to_outer_entries(self, path: str, entries: Iterator[FileMetadata]) -> Iterator[FileMetadata]:
        # By the shortest way: a listing may have a million entries.
        make = tuple.__new__
        folder_length = len(self.folder) if self.folder != paths.ROOT else 0
        point = self.point if self.point != paths.ROOT else ""
        try:
            with self.translated_errors(path):
                for entry in entries:
                    yield make(FileMetadata, (point + entry[0][folder_length:], *entry[1:]))
        finally:
            close_stream(entries)

    def _translate_stream(self, path: str, chunks: Iterator[T]) -> Iterator[T]:
        try:
            with self.translated_errors(path):
                yield from chunks
        finally:
            close_stream(chunks)

    def _check_not_root(self, path: str) -> None:
        if path == self.point:
            self.get_metadata(path)
            raise PermissionDeniedFileSystemError(path, "this folder is the root of a mount")


class _SubtreeFile(NewFileLayer):
    """A NewFile with the path and the errors of the Subtree."""

    def __init__(self, subtree: Subtree, path: str, inner_file: NewFile) -> None:
        super().__init__(inner_file)
        self.path = path
        self._subtree = subtree

    def write(self, data: bytes) -> None:
        try:  # no context manager on the way of every write
            self.inner_file.write(data)
        except FileSystemError as error:
            raise error.at(self.path) from error

    def keep(self, start_byte: int, num_bytes: int) -> None:
        with self._subtree.translated_errors(self.path):
            self.inner_file.keep(start_byte, num_bytes)

    def commit(self) -> FileMetadata:
        with self._subtree.translated_errors(self.path):
            return self._subtree.to_outer_metadata(self.inner_file.commit())
