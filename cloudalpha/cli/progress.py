"""Progress bars of file commands: on stderr, and only when a person watches (a terminal)."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cloudalpha import paths

if TYPE_CHECKING:
    import rich.progress

MAX_NAME_CHARACTERS = 40


class Progress:
    """One bar for the file under way. A context manager; everything is silent unless stderr is a terminal."""

    def __init__(self, wanted: bool = True) -> None:
        self._bars: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        if wanted and sys.stderr.isatty():
            self._bars = _make_bars()

    def begin(self, path: str, num_bytes: int | None) -> None:
        """Begin a file; num_bytes: its size, None where it is not known."""
        if self._bars is not None:
            self.end()
            name = paths.printable(paths.get_name(path) or path)
            if len(name) > MAX_NAME_CHARACTERS:
                name = name[: MAX_NAME_CHARACTERS - 3] + "..."
            self._task = self._bars.add_task(name, total=num_bytes)

    def advance(self, num_bytes: int) -> None:
        """Tell of bytes that have arrived."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, num_bytes)

    def end(self) -> None:
        """The file is done, or given up."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self.end()
            self._bars.stop()


def _make_bars() -> rich.progress.Progress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
