"""Layer: a FileSystem around one other FileSystem.

It forwards everything, explicitly; a layer overrides what it changes. A layer is configured as `[accounts.NAME.LAYER]`, and is made
once for each account that names it in `layers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from cloudalpha.capabilities import Capabilities
from cloudalpha.file_metadata import FileMetadata, Space
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.settings import Options


@dataclass(frozen=True, slots=True)
class LayerContext:
    """What a layer may need to know of where it stands.

    account_name: the account that it belongs to. state_dir: a folder of this layer's own, mode 0700, kept between runs.
    """

    account_name: str
    state_dir: Path


class Layer(FileSystem):
    """A FileSystem that hands every call to `inner`.

    `rename`, `copy` and `delete_tree` of a folder are handed on whole: the storage may be able to do them at once. A layer that has to look at each
    path beneath overrides them too, by `FileSystem.delete_tree(self, path)` and the like where they are to be made of its own other methods.

    options_class: what the layer's section of the configuration takes. A layer that is named in the configuration is made as
    `TheLayer.from_options(inner, options, context)`.
    """

    options_class: ClassVar[type[Options]] = Options

    def __init__(self, inner: FileSystem) -> None:
        self.inner = inner

    @classmethod
    def from_options(cls, inner: FileSystem, options: Any, context: LayerContext) -> Self:
        """The layer as an account's configuration describes it."""
        return cls(inner)

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # a property here, so that it follows the inner one
        return self.inner.capabilities

    def get_metadata(self, path: str) -> FileMetadata:
        return self.inner.get_metadata(path)

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        return self.inner.list_dir(path)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        return self.inner.read(path, start_byte, num_bytes, expected)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        return self.inner.create_new_file(path, options)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def make_dir(self, path: str) -> None:
        self.inner.make_dir(path)

    def delete_dir(self, path: str) -> None:
        self.inner.delete_dir(path)

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self.inner.rename(old_path, new_path, overwrite)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        self.inner.copy(path, copy_path, overwrite)

    def delete_tree(self, path: str) -> None:
        self.inner.delete_tree(path)

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        self.inner.set_modified_datetime(path, modified_datetime)

    def get_space(self) -> Space | None:
        return self.inner.get_space()

    def get_native_file(self, path: str) -> BinaryIO | None:
        return self.inner.get_native_file(path)

    def close(self) -> None:
        self.inner.close()


class NewFileLayer(NewFile):
    """A NewFile that hands every call to `inner_file`: for layers that change what is written."""

    def __init__(self, inner_file: NewFile) -> None:
        self.inner_file = inner_file
        self.path = inner_file.path

    @property
    def offset(self) -> int:  # type: ignore[override]  # follows the inner one
        return self.inner_file.offset

    @property
    def token(self) -> str | None:  # type: ignore[override]  # follows the inner one
        return self.inner_file.token

    def write(self, data: bytes) -> None:
        self.inner_file.write(data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.inner_file.keep(start_byte, num_bytes)

    def commit(self) -> FileMetadata:
        return self.inner_file.commit()

    def discard(self) -> None:
        self.inner_file.discard()

    def get_native_file(self) -> BinaryIO | None:
        return self.inner_file.get_native_file()
