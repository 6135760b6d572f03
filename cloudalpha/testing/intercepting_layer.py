"""InterceptingLayer: a layer all of whose calls pass through one place; the base of the layers for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO, Generic, TypeVar

from cloudalpha.file_metadata import FileMetadata, Space
from cloudalpha.file_system import ANYTHING, Expected, NewFile, WriteOptions, close_stream
from cloudalpha.layer import Layer, NewFileLayer

T = TypeVar("T")


class InterceptingLayer(Layer):
    """Hands every call to `intercept`; what streams yield, to `watch_entry` and `watch_chunk`.

    Derived methods (`exists`, `walk` ...) are seen as the calls that they are made of; methods of a NewFile as `NewFile.write` and so on.
    """

    def intercept(self, call: str, path: str, action: Callable[[], T]) -> T:
        """Carry out one call. call: the method's name. action: does it."""
        return action()

    def watch_entry(self, path: str, entry: FileMetadata) -> None:
        """One entry of a listing of `path` passes."""

    def watch_chunk(self, path: str, chunk: bytes) -> None:
        """One chunk of the content of `path` passes."""

    def wrap_new_file(self, new_file: NewFile) -> NewFile:
        """What `create_new_file` returns for the inner NewFile."""
        return InterceptedNewFile(new_file, self)

    def get_metadata(self, path: str) -> FileMetadata:
        return self.intercept("get_metadata", path, lambda: self.inner.get_metadata(path))

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        entries = self.intercept("list_dir", path, lambda: self.inner.list_dir(path))
        return WatchedStream(entries, lambda entry: self.watch_entry(path, entry))

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        chunks = self.intercept("read", path, lambda: self.inner.read(path, start_byte, num_bytes, expected))
        return WatchedStream(chunks, lambda chunk: self.watch_chunk(path, chunk))

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file = self.intercept("create_new_file", path, lambda: self.inner.create_new_file(path, options))
        return self.wrap_new_file(new_file)

    def delete(self, path: str) -> None:
        self.intercept("delete", path, lambda: self.inner.delete(path))

    def make_dir(self, path: str) -> None:
        self.intercept("make_dir", path, lambda: self.inner.make_dir(path))

    def delete_dir(self, path: str) -> None:
        self.intercept("delete_dir", path, lambda: self.inner.delete_dir(path))

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self.intercept("rename", old_path, lambda: self.inner.rename(old_path, new_path, overwrite))

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        self.intercept("copy", path, lambda: self.inner.copy(path, copy_path, overwrite))

    def delete_tree(self, path: str) -> None:
        self.intercept("delete_tree", path, lambda: self.inner.delete_tree(path))

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        action = self.inner.set_modified_datetime
        self.intercept("set_modified_datetime", path, lambda: action(path, modified_datetime))

    def get_space(self) -> Space | None:
        return self.intercept("get_space", "/", self.inner.get_space)

    def get_native_file(self, path: str) -> BinaryIO | None:
        return self.intercept("get_native_file", path, lambda: self.inner.get_native_file(path))

    def close(self) -> None:
        self.intercept("close", "/", self.inner.close)


class InterceptedNewFile(NewFileLayer):
    """A NewFile whose calls pass through its layer's `intercept`."""

    def __init__(self, inner_file: NewFile, layer: InterceptingLayer) -> None:
        super().__init__(inner_file)
        self.layer = layer

    def write(self, data: bytes) -> None:
        self.layer.intercept("NewFile.write", self.path, lambda: self.inner_file.write(data))

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.layer.intercept("NewFile.keep", self.path, lambda: self.inner_file.keep(start_byte, num_bytes))

    def commit(self) -> FileMetadata:
        return self.layer.intercept("NewFile.commit", self.path, self.inner_file.commit)

    def discard(self) -> None:
        self.layer.intercept("NewFile.discard", self.path, self.inner_file.discard)

    def get_native_file(self) -> BinaryIO | None:
        return self.layer.intercept("NewFile.get_native_file", self.path, self.inner_file.get_native_file)


class WatchedStream(Iterator[T], Generic[T]):
    """An iterator around another: shows each item to `watch`, and closes the other one even when nothing was read."""

    def __init__(self, inner: Iterator[T], watch: Callable[[T], None]) -> None:
        self.inner = inner
        self.watch = watch

    def __next__(self) -> T:
        item = next(self.inner)
        self.watch(item)
        return item

    def close(self) -> None:
        """Release what the inner iterator holds."""
        close_stream(self.inner)
