"""A command at a terminal, with somebody who answers."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self


class Terminal:
    """Runs `cloudalpha` with a terminal as stdin and stderr; a context manager that ends it in any case.

    shown: what the terminal has shown so far. out: what came on stdout, after `finish` (stdout is the terminal too when out_too).
    """

    def __init__(self, *args: str, environment: dict[str, str] | None = None, out_too: bool = False) -> None:
        self._master, slave = pty.openpty()
        self.shown = b""
        self.out = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cloudalpha", *args],
            stdin=slave,
            stdout=slave if out_too else subprocess.PIPE,
            stderr=slave,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
        os.close(slave)

    def read_until(self, expected: str, seconds: float = 30.0) -> None:
        """Wait until the terminal shows something."""
        deadline = time.monotonic() + seconds
        new = b""
        while expected.encode() not in new:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{expected!r} did not come: {new!r}"
            new += os.read(self._master, 1)
        self.shown += new

    def write(self, text: str) -> None:
        """Type."""
        os.write(self._master, text.encode())

    def finish(self) -> int:
        """Wait for the end; the exit code."""
        self.out = self._process.communicate(timeout=30)[0] or b""
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        os.close(self._master)
