"""Client: how one program is told to transfer files; Command: one call of it, to run, or to start and kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.servers.gateway import Endpoint

TIMEOUT = 60.0
"""Seconds after which a client that hangs fails its test."""

SLOW_RATE = 400_000
"""Bytes a second of an upload that is to be killed under way."""


class FailedCommandError(AssertionError):
    """A client ended with an error, or did not end."""


@dataclass(frozen=True)
class Command:
    """A call of a program. text, source: what it reads on its standard input; nothing without."""

    arguments: tuple[str, ...]
    text: str = ""
    source: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def start(self, cwd: Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The program, running, with its output in a file; whatever of it still runs at the end is killed."""
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(output.open("wb"))
            script = output.with_suffix(".in")
            script.write_text(self.text)
            stdin = stack.enter_context((self.source or script).open("rb"))
            process = subprocess.Popen(
                self.arguments,
                stdin=stdin,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=os.environ | dict(self.environ),
                start_new_session=True,  # so that it can be killed with all its children, and asks no terminal
            )
            try:
                yield process
            finally:
                kill_all(process)

    def run(self, cwd: Path, timeout: float = TIMEOUT) -> str:
        """Run it to its end, and return its output. Raises FailedCommandError when that is not a success."""
        output = cwd / f".output-{os.urandom(4).hex()}"
        with self.start(cwd, output) as process:
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise FailedCommandError(f"{self.arguments} hangs:\n{output.read_text(errors='replace')}") from None
        text = output.read_text(errors="replace")
        if code:
            raise FailedCommandError(f"{self.arguments} ended with {code}:\n{self.text}\n{text}")
        return text


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a program and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Client(ABC):
    """How one client is told what to do. Local paths are absolute; so are remote ones, and they are made of plain characters.

    folder: where it may keep files of its own. programs: what must be installed. keeps_times: trees keep the times of their files.
    resume_bytes: how large a file it can resume.
    """

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]] = ()
    keeps_times: ClassVar[bool] = False
    has_trees: ClassVar[bool] = False
    has_resume_put: ClassVar[bool] = False
    has_resume_get: ClassVar[bool] = False
    resume_bytes: ClassVar[int] = 3_000_017

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        self.endpoint = endpoint
        self.folder = folder

    @abstractmethod
    def put(self, local: Path, remote: str) -> Command:
        """Upload a file; one that is there is replaced."""

    @abstractmethod
    def get(self, remote: str, local: Path) -> Command:
        """Download a file."""

    def slow_put(self, local: Path, remote: str) -> Command:
        """Upload a large file, so slowly that it can be killed in the middle."""
        return self.put(local, remote)

    def put_tree(self, local: Path, remote: str) -> Command:
        """Upload a folder; the remote one does not exist, and has the same last name."""
        raise AssertionError(f"{self.name} moves no trees")

    def get_tree(self, remote: str, local: Path) -> Command:
        """Download a folder; the local one does not exist, and has the same last name."""
        raise AssertionError(f"{self.name} moves no trees")

    def resume_put(self, local: Path, remote: str) -> Command:
        """Send what is missing at the end of a remote file."""
        raise AssertionError(f"{self.name} resumes no uploads")

    def resume_get(self, remote: str, local: Path) -> Command:
        """Fetch what is missing at the end of a local file."""
        raise AssertionError(f"{self.name} resumes no downloads")

    @classmethod
    def get_missing_programs(cls) -> list[str]:
        """Programs that are not installed."""
        return [name for name in cls.programs if shutil.which(name) is None]

    def write_file(self, name: str, text: str) -> Path:
        """A file of its own, private; the same call gives the same file."""
        path = self.folder / name
        if not path.exists() or path.read_text() != text:
            path.touch(0o600)
            path.write_text(text)
        return path


def split_remote(remote: str) -> tuple[str, str]:
    """The folder and the name of a remote path."""
    folder, _, name = remote.rpartition("/")
    return folder or "/", name
