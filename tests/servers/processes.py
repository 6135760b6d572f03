"""Programs that a test starts on this machine, on free ports of 127.0.0.1, and stops by their process ids."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from cloudalpha.testing.waiting import wait_until

HOST = "127.0.0.1"


class Processes:
    """Processes that belong together, as a context manager: leaving it stops those that run, the newest first.

    folder: for their logs. Everything that a process wrote is in `get_log(name)`, and in the errors of those that do not start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str | Path, environ: dict[str, str] | None = None) -> int:
        """Start one and return its process id, without waiting. environ: variables beside those of the tests."""
        with self._get_log_path(name).open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl+C is for the tests; they stop their servers in order
            )
        self._running[name] = process
        return process.pid

    def wait_until(self, is_ready: Callable[[], object], timeout: float = 60) -> None:
        """Wait until the processes are ready; AssertionError, with their logs, when one ends or they are not in time (seconds)."""

        def look() -> bool:
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            assert not ended, f"ended: {', '.join(ended)}\n{self.get_logs(ended)}"
            return bool(is_ready())

        wait_until(look, timeout, lambda: self.get_logs(self._running))

    def get_logs(self, names: Iterable[str]) -> str:
        """The last lines that processes wrote."""
        return "\n".join(
            f"--- {name}\n{self._get_log_path(name).read_text(errors='replace')[-2000:]}" for name in names
        )

    def stop(self) -> None:
        """Ask every process to end, wait, and kill those that do not."""
        while self._running:
            _, process = self._running.popitem()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _get_log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def get_free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def is_listening(port: int) -> bool:
    """Whether somebody takes connections on a port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def ask(url: str, method: str, path: str, body: bytes | None = None) -> int:
    """Make one HTTP request; its status."""
    with contextlib.closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)) as connection:
        connection.request(method, path, body)
        return connection.getresponse().status


def find_program(name: str) -> str | None:
    """Where a program is: beside this Python, on the path, or among those of the administrator."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def get_program(name: str) -> str:
    """The same, for one that must be there."""
    program = find_program(name)
    assert program is not None, f"not installed: {name}"
    return program
