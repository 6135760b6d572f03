"""Open files against a model: over a storage of streams and one of descriptors, with much spool, little, and none."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings

from cloudalpha.file_system import FileSystem
from cloudalpha.open_file import OpenFileSettings
from cloudalpha.services.memory.file_system import MemoryFileSystem
from tests.local_files import make_local_file_system
from tests.open_file_machine import OpenFileMachine, SmallChunks


class StreamedMachine(OpenFileMachine):
    def make_file_system(self) -> FileSystem:
        return SmallChunks(MemoryFileSystem())


class ScarceSpoolMachine(StreamedMachine):
    may_refuse = True
    spool_size = 100


class NoSpoolMachine(StreamedMachine):
    may_refuse = True
    spool_size = 0


class UnbufferedMachine(StreamedMachine):
    settings = OpenFileSettings(read_ahead=0, jump=0, write_buffer=1, write_window=0)


class NoSpoolUnbufferedMachine(NoSpoolMachine):
    settings = OpenFileSettings(read_ahead=0, jump=0, write_buffer=1, write_window=0)


class NativeMachine(OpenFileMachine):
    spool_size = 0

    def make_file_system(self) -> FileSystem:
        self.folder = tempfile.TemporaryDirectory()
        return make_local_file_system(Path(self.folder.name))

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class DefaultMachine(StreamedMachine):
    settings = OpenFileSettings()


_machine_settings = settings(max_examples=40, stateful_step_count=40)
for _machine in (
    StreamedMachine,
    ScarceSpoolMachine,
    NoSpoolMachine,
    UnbufferedMachine,
    NoSpoolUnbufferedMachine,
    NativeMachine,
    DefaultMachine,
):
    _machine.TestCase.settings = _machine_settings

TestStreamed = StreamedMachine.TestCase
TestScarceSpool = ScarceSpoolMachine.TestCase
TestNoSpool = NoSpoolMachine.TestCase
TestUnbuffered = UnbufferedMachine.TestCase
TestNoSpoolUnbuffered = NoSpoolUnbufferedMachine.TestCase
TestNative = NativeMachine.TestCase
TestDefault = DefaultMachine.TestCase
