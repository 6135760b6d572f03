"""MemoryFileSystems that are each broken in one way. Each must fail FileSystemTests, or those prove nothing."""

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
    FileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_metadata import Space
from cloudalpha.file_system import ANYTHING, NOTHING, FileSystem, NewFile, WriteOptions
from cloudalpha.layer import Layer, NewFileLayer
from cloudalpha.services.memory.file_system import MemoryFileSystem

MUTANTS: dict[str, Callable[[], FileSystem]] = {}


class Mutant(Layer):
    """A layer that breaks the memory service within; subclasses are added to MUTANTS."""

    def __init__(self) -> None:
        super().__init__(MemoryFileSystem())

    def __init_subclass__(cls) -> None:
        MUTANTS[cls.__name__] = cls


def broken_new_file(broken: type[NewFileLayer]) -> type[NewFileLayer]:
    """Make a mutant of a NewFile that is broken."""

    def create_new_file(self: Layer, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file = broken(self.inner.create_new_file(path, options))
        new_file.files, new_file.options = self.inner, options  # type: ignore[attr-defined]
        return new_file

    type(broken.__name__, (Mutant,), {"create_new_file": create_new_file})
    return broken


def wait_a_moment() -> None:
    """Give other threads the chance to see what nobody should."""
    threading.Event().wait(0.002)


# What is seen before the commit


class VisibleAtOnce(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        if not self.inner.exists(path):
            self.inner.write_all(path, b"", options)
        return self.inner.create_new_file(path, replace(options, expected=ANYTHING))


@broken_new_file
class VisibleWhileWriting(NewFileLayer):
    files: FileSystem

    def write(self, data: bytes) -> None:
        super().write(data)
        self.files.write_all(self.path, bytes(data))


@broken_new_file
class DiscardPublishes(NewFileLayer):
    def discard(self) -> None:
        try:
            self.inner_file.commit()
        except ValueError:
            return


@broken_new_file
class LeavingPublishes(NewFileLayer):
    def __exit__(self, *args: Any) -> None:
        if args[0] is None:
            DiscardPublishes.discard(self)  # type: ignore[arg-type]
        self.discard()


@broken_new_file
class DeletesBeforeCommit(NewFileLayer):
    files: FileSystem

    def commit(self) -> Any:
        if self.files.is_file(self.path) and not isinstance(self.options.expected, str):  # type: ignore[attr-defined]
            self.files.delete(self.path)
            wait_a_moment()
        return super().commit()


@broken_new_file
class TornCommit(NewFileLayer):
    files: FileSystem

    def commit(self) -> Any:
        if self.files.is_file(self.path):
            with self.files.create_new_file(self.path) as half:
                half.write(b"half")
                half.commit()
            wait_a_moment()
        return super().commit()


@broken_new_file
class CommitTwice(NewFileLayer):
    def commit(self) -> Any:
        try:
            self.metadata = super().commit()
        except ValueError:
            return self.metadata
        return self.metadata


@broken_new_file
class SizeIsNotChecked(NewFileLayer):
    def __init__(self, inner_file: Any) -> None:
        inner_file._options = replace(inner_file._options, size=None)
        super().__init__(inner_file)


class TempFileIsListed(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file = self.inner.create_new_file(path, options)
        self.inner.write_all(path[:200] + ".part", b"")
        return new_file


# What is written


@broken_new_file
class LastByteLost(NewFileLayer):
    def write(self, data: bytes) -> None:
        super().write(data[:-1] if len(data) > 100_000 else data)


@broken_new_file
class OffsetByItems(NewFileLayer):
    total = 0
    offset = property(lambda self: self.total)  # type: ignore[assignment]

    def write(self, data: bytes) -> None:
        super().write(data)
        self.total += len(data)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        super().keep(start_byte, num_bytes)
        self.total += num_bytes


@broken_new_file
class KeepsTheBuffer(NewFileLayer):
    def __init__(self, inner_file: NewFile) -> None:
        super().__init__(inner_file)
        self.waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.waiting.append(data)

    def commit(self) -> Any:
        self._flush()
        return super().commit()

    def keep(self, start_byte: int, num_bytes: int) -> None:
        self._flush()
        super().keep(start_byte, num_bytes)

    @property
    def offset(self) -> int:  # type: ignore[override]
        return self.inner_file.offset + sum(memoryview(data).nbytes for data in self.waiting)

    def _flush(self) -> None:
        for data in self.waiting:
            self.inner_file.write(data)
        self.waiting = []


class MakesMissingFolders(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        self.inner.make_dirs(paths.get_parent(path))
        return self.inner.create_new_file(path, options)


# Keep


@broken_new_file
class KeepWritesZeros(NewFileLayer):
    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.inner_file.keep(0, 0)
        self.inner_file.write(bytes(num_bytes))


@broken_new_file
class KeepIsLost(NewFileLayer):
    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.inner_file.keep(start_byte, 0)


@broken_new_file
class KeepMovesByOne(NewFileLayer):
    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.inner_file.keep(max(start_byte - 1, 0), num_bytes)


@broken_new_file
class KeepOfAnyVersion(NewFileLayer):
    def keep(self, start_byte: int, num_bytes: int) -> None:
        self.inner_file._kept_revision = None  # type: ignore[attr-defined]
        self.inner_file.keep(start_byte, num_bytes)


@broken_new_file
class KeepForgetsTheVersion(NewFileLayer):
    def commit(self) -> Any:
        self.inner_file._kept_revision = None  # type: ignore[attr-defined]
        return super().commit()


@broken_new_file
class KeepTakesWhatIsThere(NewFileLayer):
    files: FileSystem

    def keep(self, start_byte: int, num_bytes: int) -> None:
        size = self.files.get_size(self.path)
        start_byte = min(start_byte, size)
        self.inner_file.keep(start_byte, min(num_bytes, size - start_byte))


# Conditions


class NothingIsNotChecked(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        return self.inner.create_new_file(path, replace(options, expected=ANYTHING))


class CheckedAtTheBeginningOnly(Mutant):
    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        new_file: Any = self.inner.create_new_file(path, options)
        new_file._options = replace(options, expected=ANYTHING)
        new_file._kept_revision = None
        return new_file  # type: ignore[no-any-return]


@broken_new_file
class CheckedTooEarly(NewFileLayer):
    def commit(self) -> Any:
        inner: Any = self.inner_file
        inner._file_system._check_target(self.path, inner._options.expected)
        inner._options = replace(inner._options, expected=ANYTHING)
        inner._kept_revision = None
        wait_a_moment()
        return super().commit()


@broken_new_file
class RefusedCommitDiscards(NewFileLayer):
    def commit(self) -> Any:
        try:
            return super().commit()
        except FileSystemError:
            self.discard()
            raise


class RevisionIsTheSize(Mutant):
    def get_metadata(self, path: str) -> Any:
        metadata = super().get_metadata(path)
        return metadata if metadata.is_dir else metadata._replace(revision=str(metadata.size))

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        if isinstance(options.expected, str) and self.get_metadata(path).revision == options.expected:
            options = replace(options, expected=ANYTHING)
        new_file = self.inner.create_new_file(path, options)
        commit = new_file.commit
        new_file.commit = lambda: commit() and self.get_metadata(path)  # type: ignore[method-assign]
        return new_file

    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        if expected == self.get_metadata(path).revision:
            expected = ANYTHING
        return self.inner.read(path, start_byte, num_bytes, expected)


# Reading


class ReadsOneByteTooMany(Mutant):
    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        return self.inner.read(path, start_byte, num_bytes and num_bytes + 1, expected)


class ReadsFromTheStart(Mutant):
    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        return self.inner.read(path, start_byte if start_byte < 262144 else 0, num_bytes, expected)


class ReadsAllForNothing(Mutant):
    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        return self.inner.read(path, start_byte, num_bytes or None, expected)


class EmptyChunks(Mutant):
    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        yield from self.inner.read(path, start_byte, num_bytes, expected)
        yield b""


class ReadsAnyRevision(Mutant):
    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        return self.inner.read(path, start_byte, num_bytes)


class ReadsTwoVersions(Mutant):
    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        list(self.inner.read(path, 0, 0, expected))
        while num_bytes is None or num_bytes > 0:
            size = 65536 if num_bytes is None else min(num_bytes, 65536)
            chunk = b"".join(self.inner.read(path, start_byte, size))
            if not chunk:
                return
            yield chunk
            start_byte += len(chunk)
            num_bytes = None if num_bytes is None else num_bytes - len(chunk)


class SharedStream(Mutant):
    stream: Any = None

    def read(self, path: str, start_byte: int = 0, num_bytes: Any = None, expected: Any = ANYTHING) -> Any:
        self.stream = self.inner.read(path, start_byte, num_bytes, expected)
        while (chunk := next(self.stream, None)) is not None:
            yield chunk


# Listing


class PageIsLost(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        for number, entry in enumerate(self.inner.list_dir(path)):
            if not 1000 <= number < 2000:
                yield entry


class PageBoundaryTwice(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        for number, entry in enumerate(self.inner.list_dir(path), 1):
            yield entry
            if number % 1000 == 0:
                yield entry


class PagesByOffset(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        start = 0
        while page := list(self.inner.list_dir(path))[start : start + 10]:
            yield from page
            start += 10


class ListsItself(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        yield self.inner.get_metadata(path)
        yield from self.inner.list_dir(path)


class ListsEverythingBelow(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        return self.inner.walk(path)


class StaleListing(Mutant):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[str, list[Any]] = {}

    def list_dir(self, path: str) -> Iterator[Any]:
        if path not in self.cache:
            self.cache[path] = list(self.inner.list_dir(path))
        return iter(self.cache[path])


class ListsByPrefix(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        yield from self.inner.list_dir(path)
        for entry in self.inner.list_dir(paths.get_parent(path)):
            if entry.path != path and entry.path.startswith(path) and path != "/":
                yield entry


class MissingFolderIsEmpty(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        return self.inner.list_dir(path) if self.inner.exists(path) else iter(())


class ListingWithoutSizes(Mutant):
    def list_dir(self, path: str) -> Iterator[Any]:
        return (entry._replace(size=0) for entry in self.inner.list_dir(path))


# Errors


class EverythingIsNotFound(Mutant):
    def get_metadata(self, path: str) -> Any:
        try:
            return super().get_metadata(path)
        except NotADirectoryFileSystemError as error:
            raise NotFoundFileSystemError(path) from error


class EverythingIsForbidden(Mutant):
    def delete(self, path: str) -> None:
        try:
            super().delete(path)
        except IsADirectoryFileSystemError as error:
            raise PermissionDeniedFileSystemError(path) from error


class ErrorsWithoutPath(Mutant):
    def make_dir(self, path: str) -> None:
        try:
            super().make_dir(path)
        except FileSystemError as error:
            raise error.at("(unknown)") from error


class PythonErrors(Mutant):
    def delete(self, path: str) -> None:
        try:
            super().delete(path)
        except NotFoundFileSystemError as error:
            raise FileNotFoundError(path) from error


class MissingFileIsDeleted(Mutant):
    def delete(self, path: str) -> None:
        if self.inner.exists(path):
            super().delete(path)


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
