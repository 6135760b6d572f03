"""Broken in reading, listing, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudalpha import paths
from cloudalpha.exceptions import (
    FileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_system import ANYTHING
from tests.testing.mutants.base import Mutant

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
