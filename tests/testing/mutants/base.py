"""How a FileSystem is broken, and the list of those that are."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cloudalpha.file_system import FileSystem, NewFile, WriteOptions
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
