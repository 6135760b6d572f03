"""A state machine that does at random what can be done, on the FileSystem and on a model, and compares."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
)
from cloudalpha.file_system import ANYTHING, NOTHING, FileSystem, NewFile, WriteOptions
from cloudalpha.testing.contract.base import ContractTests
from cloudalpha.testing.same_bytes import assert_same_bytes

PATHS = st.sampled_from(["/a", "/b", "/ab", "/ü x", "/a/a", "/a/b", "/a/b/a", "/a/b/ab", "/b/a", "/ab/a"])
CONTENTS = st.binary(max_size=40)


class Model:
    """A FileSystem as a dictionary: path -> content, None for a folder. Raises the errors of the contract."""

    def __init__(self) -> None:
        self.nodes: dict[str, bytes | None] = {"/": None}

    def check_parents(self, path: str) -> None:
        """Raise when the folder that the path lies in is none."""
        above = "/"
        for name in paths.get_names(path)[:-1]:
            above = paths.join(above, name)
            if above not in self.nodes:
                raise NotFoundFileSystemError(path)
            if self.nodes[above] is not None:
                raise NotADirectoryFileSystemError(path)

    def get(self, path: str) -> bytes | None:
        self.check_parents(path)
        if path not in self.nodes:
            raise NotFoundFileSystemError(path)
        return self.nodes[path]

    def check_new(self, path: str, expected: object) -> None:
        self.check_parents(path)
        if path in self.nodes and self.nodes[path] is None:
            raise IsADirectoryFileSystemError(path)
        if path in self.nodes and expected is NOTHING:
            raise AlreadyExistsFileSystemError(path)

    def delete(self, path: str) -> None:
        if self.get(path) is None:
            raise IsADirectoryFileSystemError(path)
        del self.nodes[path]

    def make_dir(self, path: str) -> None:
        self.check_parents(path)
        if path in self.nodes:
            raise AlreadyExistsFileSystemError(path)
        self.nodes[path] = None

    def delete_dir(self, path: str) -> None:
        if self.get(path) is not None:
            raise NotADirectoryFileSystemError(path)
        if self.below(path):
            raise DirectoryNotEmptyFileSystemError(path)
        del self.nodes[path]

    def move(self, old_path: str, new_path: str, overwrite: bool, keep_old: bool) -> None:
        old = self.get(old_path)
        if old_path == new_path:
            return
        if old is None and paths.is_within(new_path, old_path):
            raise InvalidPathFileSystemError(new_path)
        if new_path in self.nodes:
            if old is not None and self.nodes[new_path] is None:
                raise IsADirectoryFileSystemError(new_path)
            if old is None or not overwrite:
                raise AlreadyExistsFileSystemError(new_path)
        self.check_parents(new_path)
        for path in [old_path, *self.below(old_path)]:
            self.nodes[paths.rebase(path, old_path, new_path)] = self.nodes[path]
            if not keep_old:
                del self.nodes[path]

    def list_files(self) -> list[tuple[str, bytes]]:
        return sorted((path, content) for path, content in self.nodes.items() if content is not None)

    def below(self, path: str) -> list[str]:
        return [other for other in self.nodes if other != path and paths.is_within(other, path)]


class FileSystemMachine(RuleBasedStateMachine):
    """Each run has a folder of its own, in the place of the model's root."""

    file_system: FileSystem
    folder: str
    numbers: itertools.count[int]

    def __init__(self) -> None:
        super().__init__()
        self.base = f"{self.folder}/{next(self.numbers)}"
        self.file_system.make_dir(self.base)
        self.model = Model()
        self.open_files: list[tuple[str, NewFile, bytes]] = []

    def teardown(self) -> None:
        for _, new_file, _ in self.open_files:
            new_file.discard()
        self.file_system.delete_tree(self.base)

    @rule(path=PATHS, content=CONTENTS, expected=st.sampled_from([ANYTHING, NOTHING]))
    def write(self, path: str, content: bytes, expected: Any) -> None:
        self.both(
            lambda: self.file_system.write_all(self.base + path, content, WriteOptions(expected)),
            lambda: self._model_write(path, content, expected),
        )

    @rule(path=PATHS, content=CONTENTS)
    def begin(self, path: str, content: bytes) -> None:
        def create() -> None:
            new_file = self.file_system.create_new_file(self.base + path)
            new_file.write(content)
            self.open_files.append((path, new_file, content))

        if len(self.open_files) < 5:
            self.both(create, lambda: self.model.check_new(path, ANYTHING))

    @precondition(lambda self: self.open_files)
    @rule(number=st.integers(0, 4), commit=st.booleans(), more=CONTENTS)
    def end(self, number: int, commit: bool, more: bytes) -> None:
        path, new_file, content = self.open_files.pop(number % len(self.open_files))
        new_file.write(more)
        try:
            self.model.check_parents(path)
        except FileSystemError:
            commit = False  # whether a commit makes the folder again is not laid down
        if commit:
            self.both(new_file.commit, lambda: self._model_write(path, content + more, ANYTHING))
        new_file.discard()

    @precondition(lambda self: self.model.list_files())
    @rule(number=st.integers(0, 9), start=st.integers(0, 50), end=st.integers(0, 50), data=CONTENTS)
    def edit(self, number: int, start: int, end: int, data: bytes) -> None:
        path, old = self._pick(number)
        start = min(start, len(old))
        end = max(start, min(end, len(old)))
        with self.file_system.create_new_file(self.base + path) as new_file:
            new_file.keep(0, start)
            new_file.write(data)
            new_file.keep(end, len(old) - end)
            new_file.commit()
        self.model.nodes[path] = old[:start] + data + old[end:]

    @rule(path=PATHS)
    def delete(self, path: str) -> None:
        self.both(lambda: self.file_system.delete(self.base + path), lambda: self.model.delete(path))

    @rule(path=PATHS)
    def make_dir(self, path: str) -> None:
        self.both(lambda: self.file_system.make_dir(self.base + path), lambda: self.model.make_dir(path))

    @rule(path=PATHS)
    def delete_dir(self, path: str) -> None:
        self.both(lambda: self.file_system.delete_dir(self.base + path), lambda: self.model.delete_dir(path))

    @rule(old_path=PATHS, new_path=PATHS, overwrite=st.booleans(), keep_old=st.booleans())
    def move(self, old_path: str, new_path: str, overwrite: bool, keep_old: bool) -> None:
        action = self.file_system.copy if keep_old else self.file_system.rename
        self.both(
            lambda: action(self.base + old_path, self.base + new_path, overwrite),
            lambda: self.model.move(old_path, new_path, overwrite, keep_old),
        )

    @precondition(lambda self: self.model.list_files())
    @rule(number=st.integers(0, 9), start=st.integers(0, 50), num_bytes=st.none() | st.integers(0, 50))
    def read(self, number: int, start: int, num_bytes: int | None) -> None:
        path, content = self._pick(number)
        end = None if num_bytes is None else start + num_bytes
        assert_same_bytes(b"".join(self.file_system.read(self.base + path, start, num_bytes)), content[start:end])

    @invariant()
    def same_tree(self) -> None:
        found = {}
        for entry in self.file_system.walk(self.base):
            path = paths.rebase(entry.path, self.base, "/")
            assert path not in found
            found[path] = None if entry.is_dir else self.file_system.read_all(entry.path)
            assert entry.size == len(found[path] or b"")
        assert found == {path: content for path, content in self.model.nodes.items() if path != "/"}

    def both(self, real: Any, model: Any) -> None:
        """Do it to both; the outcome must be the same."""
        outcomes = []
        for action in (model, real):
            try:
                action()
            except FileSystemError as error:
                outcomes.append(type(error).__name__)
            else:
                outcomes.append("done")
        assert outcomes[0] == outcomes[1], f"expected {outcomes[0]}, but: {outcomes[1]}"

    def _pick(self, number: int) -> tuple[str, bytes]:
        files = self.model.list_files()
        return files[number % len(files)]

    def _model_write(self, path: str, content: bytes, expected: object) -> None:
        self.model.check_new(path, expected)
        self.model.nodes[path] = content


class StateMachineTests(ContractTests):
    def test_any_sequence_of_calls(self, file_system: FileSystem, folder: str) -> None:
        attributes = {"file_system": file_system, "folder": folder, "numbers": itertools.count()}
        machine = type("Machine", (FileSystemMachine,), attributes)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=self.num_examples,
                stateful_step_count=self.num_steps,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
