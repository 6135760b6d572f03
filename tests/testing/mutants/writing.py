"""Broken in writing, keeping and conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloudalpha import paths
from cloudalpha.exceptions import (
    FileSystemError,
)
from cloudalpha.file_system import ANYTHING, FileSystem, NewFile, WriteOptions
from cloudalpha.layer import NewFileLayer
from tests.testing.mutants.base import Mutant, broken_new_file, wait_a_moment

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
