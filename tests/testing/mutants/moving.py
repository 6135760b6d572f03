"""Broken in folders, moves, names, times and the rest."""

from __future__ import annotations

import tempfile
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
)
from cloudalpha.file_metadata import Space
from cloudalpha.file_system import ANYTHING, NOTHING, NewFile, WriteOptions
from cloudalpha.layer import Layer
from cloudalpha.services.memory.file_system import MemoryFileSystem
from tests.testing.mutants.base import MUTANTS, Mutant, wait_a_moment

# Folders


class DeletesFullFolders(Mutant):
    def delete_dir(self, path: str) -> None:
        for entry in list(self.inner.list_dir(path)):
            self.inner.delete_tree(entry.path)
        super().delete_dir(path)


class DeletesFoldersAsFiles(Mutant):
    def delete(self, path: str) -> None:
        if self.inner.is_dir(path):
            super().delete_dir(path)
        else:
            super().delete(path)


class MakesFolderTwice(Mutant):
    def make_dir(self, path: str) -> None:
        if not self.inner.is_dir(path):
            super().make_dir(path)


class MakesParentsToo(Mutant):
    def make_dir(self, path: str) -> None:
        self.inner.make_dirs(paths.get_parent(path))
        super().make_dir(path)


class FolderGoesWithItsLastFile(Mutant):
    def delete(self, path: str) -> None:
        super().delete(path)
        parent = paths.get_parent(path)
        if parent != "/" and not list(self.inner.list_dir(parent)):
            self.inner.delete_dir(parent)


class RootCanBeDeleted(Mutant):
    def delete_dir(self, path: str) -> None:
        if path != "/":
            super().delete_dir(path)


class TreeIsOnePage(Mutant):
    def delete_tree(self, path: str) -> None:
        if self.inner.is_file(path):
            self.inner.delete(path)
            return
        for entry in list(self.inner.list_dir(path))[:1000]:
            self.inner.delete_tree(entry.path)
        if not list(self.inner.list_dir(path)):
            self.inner.delete_dir(path)


class TreeTakesSiblings(Mutant):
    def delete_tree(self, path: str) -> None:
        self.inner.get_metadata(path)
        for entry in list(self.inner.list_dir(paths.get_parent(path))):
            if entry.path.startswith(path):
                self.inner.delete_tree(entry.path)


class TreeOfTheRootIsDeleted(Mutant):
    def delete_tree(self, path: str) -> None:
        for each in [entry.path for entry in self.inner.list_dir("/")] if path == "/" else [path]:
            self.inner.delete_tree(each)


class TreeIsNeverMissing(Mutant):
    def delete_tree(self, path: str) -> None:
        if self.inner.exists(path):
            self.inner.delete_tree(path)


# Rename and copy


class RenameAlwaysOverwrites(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        super().rename(old_path, new_path, True)


class RenameNeverOverwrites(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        super().rename(old_path, new_path, False)


class RenameLeavesAGap(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        if overwrite and old_path != new_path and self.inner.is_file(new_path) and self.inner.is_file(old_path):
            self.inner.delete(new_path)
            wait_a_moment()
        super().rename(old_path, new_path, overwrite)


class RenameOfOneLevel(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        super().rename(old_path, new_path, overwrite)
        for entry in list(self.inner.list_dir(new_path)) if self.inner.is_dir(new_path) else ():
            if entry.is_dir and old_path != new_path:
                self.inner.delete_tree(entry.path)


class RenameTakesSiblings(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        super().rename(old_path, new_path, overwrite)
        for entry in list(self.inner.list_dir(paths.get_parent(old_path))):
            if entry.path.startswith(old_path + ".") and old_path != new_path:
                self.inner.rename(entry.path, new_path + entry.path[len(old_path) :], True)


class RenameIsACopy(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self.inner.copy(old_path, new_path, overwrite)


class RenameByCopyClaimsToBeAtomic(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self.inner.copy(old_path, new_path, overwrite)
        wait_a_moment()
        if old_path != new_path:
            self.inner.delete_tree(old_path)


class RenameOntoItselfFails(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        if old_path == new_path:
            raise AlreadyExistsFileSystemError(new_path)
        super().rename(old_path, new_path, overwrite)


class RenameReplacesEmptyFolders(Mutant):
    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        both = self.inner.is_dir(new_path) and self.inner.is_dir(old_path) and not paths.is_within(new_path, old_path)
        if overwrite and both and not list(self.inner.list_dir(new_path)):
            self.inner.delete_dir(new_path)
        super().rename(old_path, new_path, overwrite)


class CopyLosesTheTime(Mutant):
    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        super().copy(path, copy_path, overwrite)
        if path != copy_path:
            self.inner.set_modified_datetime(copy_path, datetime.now().astimezone())


class CopyOfFilesOnly(Mutant):
    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        super().copy(path, copy_path, overwrite)
        if path != copy_path and self.inner.is_dir(copy_path):
            for entry in list(self.inner.list_dir(copy_path)):
                if entry.is_dir and not list(self.inner.list_dir(entry.path)):
                    self.inner.delete_dir(entry.path)


# Names


class _Renaming(Layer):
    """Alters names on their way in; what is listed has the altered ones."""

    def __init__(self, alter: Callable[[str], str]) -> None:
        super().__init__(MemoryFileSystem())
        self.alter = alter

    def get_metadata(self, path: str) -> Any:
        return self.inner.get_metadata(self.alter(path))

    def list_dir(self, path: str) -> Iterator[Any]:
        return self.inner.list_dir(self.alter(path))

    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        return self.inner.read(self.alter(path), start_byte, num_bytes, expected)

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        return self.inner.create_new_file(self.alter(path), options)

    def delete(self, path: str) -> None:
        self.inner.delete(self.alter(path))

    def make_dir(self, path: str) -> None:
        self.inner.make_dir(self.alter(path))

    def delete_dir(self, path: str) -> None:
        self.inner.delete_dir(self.alter(path))

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self.inner.rename(self.alter(old_path), self.alter(new_path), overwrite)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        self.inner.copy(self.alter(path), self.alter(copy_path), overwrite)


def _each_name(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda path: "/" + "/".join(change(name) for name in path[1:].split("/"))


MUTANTS["NamesAreComposed"] = lambda: _Renaming(lambda path: unicodedata.normalize("NFC", path))
MUTANTS["NamesAreSmall"] = lambda: _Renaming(str.lower)
MUTANTS["NamesAreStripped"] = lambda: _Renaming(_each_name(lambda name: name.strip() or name))
MUTANTS["NamesAreCut"] = lambda: _Renaming(_each_name(lambda name: name[:63]))
MUTANTS["NamesAreUnquoted"] = lambda: _Renaming(lambda path: path.replace("%2F", "_").replace("+", " "))
MUTANTS["NamesAreText"] = lambda: _Renaming(lambda path: path.encode("utf-8", "replace").decode())


class LongNamesAreTaken(MemoryFileSystem):
    def _check_place(self, path: str) -> Any:
        return self._find_node(path)


MUTANTS["LongNamesAreTaken"] = LongNamesAreTaken


# Times, space, hashes, descriptors


class TimesAreLocal(Mutant):
    def get_metadata(self, path: str) -> Any:
        metadata = super().get_metadata(path)
        moment = metadata.modified_datetime
        return metadata._replace(modified_datetime=moment and moment.replace(tzinfo=None))


class TimesAreForgotten(Mutant):
    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        self.inner.get_metadata(path)


class WrittenTimesAreForgotten(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        return self.inner.create_new_file(path, replace(options, modified_datetime=None))


class ZoneIsIgnored(Mutant):
    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        from datetime import UTC

        self.inner.set_modified_datetime(path, modified_datetime.replace(tzinfo=UTC))


class SpaceIsNegative(Mutant):
    def get_space(self) -> Space:
        return Space(100, -5)


class HashIsWrong(Mutant):
    def __init__(self) -> None:
        Layer.__init__(self, MemoryFileSystem(content_hash=["sha256"]))

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file: Any = self.inner.create_new_file(path, options)
        commit = new_file.commit
        new_file.commit = lambda: commit()._replace(content_hash="sha256:" + "0" * 64)
        return new_file  # type: ignore[no-any-return]


class NativeFileIsShort(Mutant):
    def get_native_file(self, path: str) -> Any:
        native_file = tempfile.TemporaryFile()  # noqa: SIM115 - its reader closes it
        native_file.write(self.inner.read_all(path)[:-1])
        native_file.flush()
        return native_file


class DescriptorIsLeft(Mutant):
    def __init__(self) -> None:
        super().__init__()
        self.left: list[Any] = []

    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        self.left.append(tempfile.TemporaryFile())  # noqa: SIM115 - the fault
        return self.inner.read(path, start_byte, num_bytes, expected)

    def __del__(self) -> None:
        for file in self.left:
            file.close()


class ThreadIsLeft(Mutant):
    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()

    def list_dir(self, path: str) -> Any:
        threading.Thread(target=self.over.wait, args=(30,), daemon=True).start()
        return self.inner.list_dir(path)

    def __del__(self) -> None:
        self.over.set()


class ResumeForgetsWhatWasSent(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file: Any = self.inner.create_new_file(path, options)
        if options.resume is not None:
            new_file._content = bytearray(b"?" * (len(new_file._content) // 2))
            new_file.offset = len(new_file._content)
        return new_file  # type: ignore[no-any-return]


class NothingMayNeverBeThere(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        if options.expected is NOTHING:
            raise AlreadyExistsFileSystemError(path)
        return self.inner.create_new_file(path, options)
