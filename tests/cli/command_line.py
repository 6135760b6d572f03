"""Running the command line in this process."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from cloudalpha.cli.app import run


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class CommandLine:
    """Runs commands with a configuration of two accounts: `photos` (service `local`, the folder `root`) and `notes` (likewise)."""

    folder: Path

    def __post_init__(self) -> None:
        self.root.mkdir()
        self.notes.mkdir()
        self.config.write_text(
            f'state_dir = "{self.folder / "state"}"\n\n'
            f'[accounts.photos]\nservice = "local"\nroot = "{self.root}"\n\n'
            f'[accounts.notes]\nservice = "local"\nroot = "{self.notes}"\n'
        )

    @property
    def config(self) -> Path:
        return self.folder / "cloudalpha.toml"

    @property
    def root(self) -> Path:
        return self.folder / "photos"

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    @property
    def local(self) -> Path:
        path = self.folder / "here"
        path.mkdir(exist_ok=True)
        return path

    def run(self, *args: str | Path, stdin: bytes = b"", code: int | None = 0) -> Outcome:
        """Run a command; code: the exit code that it must have, None for any."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with (
            mock.patch.dict("os.environ", {"CLOUDALPHA_CONFIG": str(self.config)}),
            mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8")),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            found = run([str(arg) for arg in args])
        out.flush()
        err.flush()
        raw = out.buffer.getvalue()  # type: ignore[attr-defined]
        outcome = Outcome(found, raw.decode("utf-8", "replace"), err.buffer.getvalue().decode(), raw)  # type: ignore[attr-defined]
        assert code is None or outcome.code == code, outcome
        return outcome
