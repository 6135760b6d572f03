"""The SCP protocol, as `scp -O` and older clients speak it: `scp -t` takes files, `scp -f` sends them.

There is no specification but OpenSSH's scp.c. Lines of control (T: times, C: a file, D and E: into and out of a folder) are answered by one byte:
0 for done, 1 and a line for an error, 2 and a line for the end. A transfer is a plain sequence of blocking calls, in one thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import shlex
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from cloudalpha import paths
from cloudalpha.exceptions import FileSystemError
from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.managers.sftp.errors import get_status
from cloudalpha.managers.sftp.packets import Status, StatusError
from cloudalpha.managers.sftp.pipe import Pipe, PipeLostError, Wire

_CHUNK_BYTES = 256 * 1024
_MAX_LINE_BYTES = 8192
_MAX_MATCHES = 10_000


class SCPCommand(NamedTuple):
    """An scp command line as a client's scp sends it."""

    is_sink: bool
    is_recursive: bool
    keeps_times: bool
    must_be_dir: bool
    paths: list[str]


def parse_command(command: str) -> SCPCommand | None:
    """The command, or None for anything that is not an scp's own."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if len(words) < 3 or words[0] != "scp":
        return None
    letters: set[str] = set()
    index = 1
    while index < len(words) and words[index].startswith("-") and len(words[index]) > 1:
        index += 1
        if words[index - 1] == "--":
            break
        letters.update(words[index - 1][1:])
    operands = words[index:]
    if not operands or letters - set("tfrpdvq") or ("t" in letters) == ("f" in letters):
        return None
    if "t" in letters and len(operands) > 1:
        return None
    return SCPCommand("t" in letters, "r" in letters, "p" in letters, "d" in letters, operands)


class SCPTransfer:
    """One scp command, from its start to its exit status. `run` is for a thread, everything else for the event loop."""

    def __init__(self, wire: Wire, view: FileSystemView, loop: asyncio.AbstractEventLoop, command: SCPCommand) -> None:
        self._command = command
        self._view = view
        self._wire = wire
        self._pipe = Pipe(wire, loop)
        self.is_busy = True
        self.feed = self._pipe.feed
        self.end = self._pipe.end
        self.pause_writing = self._pipe.pause_writing
        self.resume_writing = self._pipe.resume_writing
        self.lose = self._pipe.lose

    def run(self) -> None:
        """Carry out the command. A lost connection ends it; the session's end discards what was not finished."""
        try:
            runner = _Sink if self._command.is_sink else _Source
            self._pipe.finish(runner(self._pipe, self._view, self._command).run())
        except PipeLostError:
            self._pipe.finish(1)  # the client may have ended in the middle and still wait for the channel's end
        except Exception as error:  # noqa: BLE001 - get_status logs what nobody foresaw
            with contextlib.suppress(PipeLostError):
                self._pipe.write(_make_error(b"\2", get_status(error)[1]))
            self._pipe.finish(1)
        finally:
            self._pipe.call(self._leave)

    @property
    def is_working(self) -> bool:
        """A transfer that does not move is idle."""
        return False

    def refuse(self, text: str) -> None:
        """End the command with an error instead of carrying it out. On the event loop."""
        self._leave()
        self._wire.write(_make_error(b"\2", text))
        self._wire.finish(1)

    def _leave(self) -> None:
        self.is_busy = False


class _FatalError(Exception):
    """The client cannot go on; its message is for the log."""


def _make_error(kind: bytes, text: str, path: str = "") -> bytes:
    name = paths.printable(path) + ": " if path else ""
    return kind + f"scp: {name}{text}\n".encode("utf-8", "replace")


class _Side:
    """What both directions have in common. Errors of one file are told to the client and counted; the others go on."""

    def __init__(self, pipe: Pipe, view: FileSystemView, command: SCPCommand) -> None:
        self.pipe = pipe
        self.view = view
        self.command = command
        self.num_errors = 0

    def tell_ok(self) -> None:
        self.pipe.write(b"\0")

    def tell_error(self, path: str, error: Exception) -> None:
        self.num_errors += 1
        self.pipe.write(_make_error(b"\1", get_status(error)[1], path))

    def take_answer(self) -> bool:
        """The other side's answer: True for done, False for an error of one file."""
        answer = self.pipe.read(1)
        if answer == b"\0":
            return True
        if not answer:
            raise PipeLostError
        self.pipe.read_line(_MAX_LINE_BYTES)
        self.num_errors += 1
        if answer != b"\1":
            raise _FatalError
        return False


class _Sink(_Side):
    """Takes files of the client."""

    def run(self) -> int:
        target = self.view.resolve(self.command.paths[0])
        if self.command.must_be_dir and not self.view.is_dir(target):
            self.pipe.write(_make_error(b"\2", "not a directory", target))
            return 1
        self.tell_ok()
        with contextlib.suppress(_FatalError):
            self._take_entries(target, 0)
        return 1 if self.num_errors else 0

    def _take_entries(self, dir_path: str, depth: int) -> None:
        """Control lines until the end of the folder, or of the command."""
        modified: datetime | None = None
        while (line := self.pipe.read_line(_MAX_LINE_BYTES)) is not None:
            kind, rest = line[:1], line[1:]
            if kind == b"T":
                modified = _parse_times(rest)
                self.tell_ok()
            elif kind == b"E" and depth:
                self.tell_ok()
                return
            elif kind in (b"C", b"D"):
                self._take_entry(kind, rest, dir_path, modified, depth)
                modified = None
            elif kind == b"\1":
                self.num_errors += 1
            else:
                if kind != b"\2":
                    self.pipe.write(_make_error(b"\2", "this is not the SCP protocol"))
                self.num_errors += 1
                raise _FatalError
        if depth:
            raise PipeLostError

    def _take_entry(self, kind: bytes, rest: bytes, dir_path: str, modified: datetime | None, depth: int) -> None:
        size, name = _parse_entry(rest)
        try:
            path = self.view.resolve(paths.encode(paths.join(dir_path, name)))
            if not depth and not self.view.is_dir(dir_path):
                path = dir_path
            if kind == b"D":
                if not self.command.is_recursive:
                    raise StatusError(Status.FAILURE, "a directory without -r")
                if not self.view.is_dir(path):
                    self.view.make_dir(path)
        except (FileSystemError, StatusError) as error:
            self.tell_error(paths.join(dir_path, name), error)
            return
        if kind == b"C":
            self._take_file(path, size, modified)
            return
        self.tell_ok()
        self._take_entries(path, depth + 1)
        if modified is not None:
            self._set_times(path, modified)

    def _set_times(self, path: str, modified: datetime) -> None:
        with contextlib.suppress(FileSystemError):  # a folder's time is welcome, not promised
            self.view.set_modified_datetime(path, modified)

    def _take_file(self, path: str, size: int, modified: datetime | None) -> None:
        """A file is finished only when all its bytes have come and the client says that they are right."""
        try:
            file = self.view.open(path, write=True, create=True, truncate=True, is_sequential=True)
        except FileSystemError as error:
            self.tell_error(path, error)
            return
        failure: Exception | None = None
        try:
            if modified is not None:  # before the content: many storages take a time only with the beginning of a file
                file.set_modified_datetime(modified)
            self.tell_ok()
            failure = self._take_content(file.write_at, size)
            if not self.take_answer():
                file.discard("the client met an error")
                self.tell_ok()
                return
            if failure is None:
                try:
                    file.finish()
                except Exception as error:  # noqa: BLE001 - whatever it is, the client must not hear "done"
                    failure = error
        finally:
            file.discard("not finished")
        if failure is not None:
            self.tell_error(path, failure)
        else:
            self.tell_ok()

    def _take_content(self, write_at: Callable[[int, bytes], None], size: int) -> Exception | None:
        """All announced bytes, which the client sends in any case; the first error of storing them."""
        offset = 0
        failure: Exception | None = None
        while offset < size:
            data = self.pipe.read(min(_CHUNK_BYTES, size - offset))
            if not data:
                raise PipeLostError
            if failure is None:
                try:
                    write_at(offset, data)
                except Exception as error:  # noqa: BLE001 - told to the client once its bytes are through
                    failure = error
            offset += len(data)
        return failure


def _parse_times(rest: bytes) -> datetime | None:
    words = rest.split()
    if len(words) != 4 or not words[0].isdigit() or len(words[0]) > 15:
        raise StatusError(Status.BAD_MESSAGE, "the times are not well-formed")
    return utc(int(words[0]))


def _parse_entry(rest: bytes) -> tuple[int, str]:
    words = rest.split(b" ", 2)
    if len(words) != 3 or not words[1].isdigit() or len(words[1]) > 18:
        raise StatusError(Status.BAD_MESSAGE, "the file's line is not well-formed")
    name = paths.decode(words[2])
    if name in ("", ".", "..") or "/" in name:
        raise StatusError(Status.BAD_MESSAGE, "a file's name is not a path")
    return int(words[1]), name


class _ReadAt(Protocol):
    def __call__(self, offset: int, num_bytes: int, /) -> bytes: ...


class _Source(_Side):
    """Sends files to the client."""

    def run(self) -> int:
        with contextlib.suppress(_FatalError):
            if not self.take_answer():
                return 1
            for raw in self.command.paths:
                try:
                    for metadata in self._find(raw):
                        self._send(metadata)
                except FileSystemError as error:
                    self.tell_error(raw, error)
        return 1 if self.num_errors else 0

    def _find(self, raw: str) -> Iterator[FileMetadata]:
        """What an operand means: a path, or a pattern as a shell would expand it."""
        path = self.view.resolve(raw)
        if not any(letter in path for letter in "*?[") or self.view.exists(path):
            yield self.view.get_metadata(path)
            return
        matches = self._match(paths.ROOT, paths.get_names(path))
        if not matches:
            yield self.view.get_metadata(path)  # raises what a shell's unexpanded pattern leads to
        for match in matches:
            yield self.view.get_metadata(match)

    def _match(self, dir_path: str, names: list[str]) -> list[str]:
        name, rest = names[0], names[1:]
        if any(letter in name for letter in "*?["):
            found = []
            for entry in self.view.list_dir(dir_path):
                if fnmatch.fnmatchcase(entry.name, name) and (name[0] == "." or entry.name[0] != "."):
                    found.append(entry.path)
                    if len(found) > _MAX_MATCHES:
                        raise StatusError(Status.FAILURE, f"the pattern matches more than {_MAX_MATCHES} names")
        else:
            path = paths.join(dir_path, name)
            found = [path] if self.view.exists(path) else []
        if not rest:
            return sorted(found)
        return [match for path in sorted(found) if self.view.is_dir(path) for match in self._match(path, rest)]

    def _send(self, metadata: FileMetadata) -> None:
        try:
            if metadata.is_dir:
                if not self.command.is_recursive:
                    raise StatusError(Status.FAILURE, "not a regular file")
                self._send_dir(metadata)
            else:
                self._send_file(metadata)
        except (FileSystemError, StatusError) as error:
            self.tell_error(metadata.path, error)

    def _send_line(self, kind: str, size: int, metadata: FileMetadata) -> bool:
        name = paths.encode(metadata.name or "/")
        if b"\n" in name:
            raise StatusError(Status.FAILURE, "SCP cannot name this file")
        if self.command.keeps_times and metadata.modified_datetime is not None:
            seconds = max(int(metadata.modified_datetime.timestamp()), 0)
            self.pipe.write(f"T{seconds} 0 {seconds} 0\n".encode())
            if not self.take_answer():
                return False
        self.pipe.write(f"{kind} {size} ".encode() + name + b"\n")
        return self.take_answer()

    def _send_dir(self, metadata: FileMetadata) -> None:
        entries = self.view.list_dir(metadata.path)
        if not self._send_line("D0755", 0, metadata):
            return
        for entry in entries:
            self._send(entry)
        self.pipe.write(b"E\n")
        self.take_answer()

    def _send_file(self, metadata: FileMetadata) -> None:
        file = self.view.open(metadata.path, read=True)
        try:
            size = file.get_metadata().size
            if not self._send_line("C0644", size, metadata):
                file.discard("refused by the client")
                return
            failure = self._send_content(file.read_at, size)
            if failure is None:
                self.tell_ok()
                file.finish()
            else:
                self.tell_error(metadata.path, failure)
            self.take_answer()
        finally:
            file.discard("not finished")

    def _send_content(self, read_at: _ReadAt, size: int) -> Exception | None:
        """Exactly the announced number of bytes; zeros, and an error behind them, where the file has no more."""
        offset = 0
        failure: Exception | None = None
        while offset < size:
            wanted = min(_CHUNK_BYTES, size - offset)
            data = b""
            if failure is None:
                try:
                    data = read_at(offset, wanted)
                    if not data:
                        failure = StatusError(Status.FAILURE, "the file has become shorter meanwhile")
                except Exception as error:  # noqa: BLE001 - told to the client behind the bytes
                    failure = error
            data = data or bytes(wanted)
            self.pipe.write(data)
            offset += len(data)
        return failure
