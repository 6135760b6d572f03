"""`cloudalpha serve` as a process of its own."""

from __future__ import annotations

import contextlib
import ftplib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from cloudalpha.testing.waiting import wait_until

PASSWORD = "correct-horse-battery"


class Serving:
    """The command, started in `folder`, where its state goes too; leaving the `with` block kills it if it still runs.

    args: what follows `serve`. environ: variables beside those of the tests. wait: until it says `ready`.
    """

    def __init__(
        self, folder: Path, *args: str | Path, environ: dict[str, str] | None = None, wait: bool = True
    ) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.lines: list[str] = []
        self._wait = wait
        environment = {**os.environ, "XDG_STATE_HOME": str(self.state_dir), "CLOUDALPHA_DEMO_PASSWORD": PASSWORD}
        self._stderr = open(folder / "stderr", "a+", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cloudalpha", "serve", *map(str, args)],
            cwd=folder,
            env=environment | (environ or {}),
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def out(self) -> str:
        return "\n".join(self.lines)

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text()

    def get_port(self, scheme: str) -> int:
        """The port that it says it listens on."""
        match = re.search(rf"\b{scheme}://127\.0\.0\.1:(\d+)", self.out)
        assert match, self.out
        return int(match[1])

    def ftp(self, user: str = "demo", password: str = PASSWORD) -> ftplib.FTP:
        """A client that is logged in."""
        client = ftplib.FTP(timeout=20)  # noqa: S321 - FTP is what is tested
        client.connect("127.0.0.1", self.get_port("ftp"))
        try:
            client.login(user, password)
        except BaseException:
            client.close()
            raise
        return client

    @contextlib.contextmanager
    def sftp(self, user: str = "demo", password: str = PASSWORD):  # type: ignore[no-untyped-def]
        """A client that is logged in."""
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            port = self.get_port("sftp")
            client.connect("127.0.0.1", port, user, password, timeout=20, look_for_keys=False, allow_agent=False)
            yield client.open_sftp()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 40) -> int:
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.err, timeout=20, message=lambda: self.err)

    def __enter__(self) -> Self:
        if self._wait:
            try:
                wait_until(self._is_ready, timeout=40, message=lambda: self.out + self.err)
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None or "ready" in self.lines, self.out + self.err
        return "ready" in self.lines

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
