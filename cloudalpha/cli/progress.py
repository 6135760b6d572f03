"""Progress bars of file commands: on stderr, and only when a person watches (a terminal)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cloudalpha import paths
from cloudalpha.progress import listening

if TYPE_CHECKING:
    import rich.progress

MAX_NAME_CHARACTERS = 40


class Progress:
    """One bar for the file, or the call of a storage, that is under way. A context manager; everything is silent unless stderr is a terminal."""

    def __init__(self, wanted: bool = True) -> None:
        self._bars: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        if wanted and sys.stderr.isatty():
            self._bars = _make_bars()

    def begin(self, path: str, num_bytes: int | None) -> None:
        """Begin a file; num_bytes: its size, None where it is not known."""
        if self._bars is not None:
            self.end()
            self._task = self._bars.add_task(_shorten(path), total=num_bytes)

    def advance(self, num_bytes: int) -> None:
        """Tell of bytes that have arrived."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, num_bytes)

    def end(self) -> None:
        """The file is done, or given up."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    @contextmanager
    def following(self, path: str) -> Iterator[None]:
        """A bar for one call of a storage, which the `with` block makes, as far as that reports how far it is."""
        if self._bars is None:
            yield
            return
        self.end()
        self._task = self._bars.add_task(_shorten(path), total=None, in_steps=True)
        try:
            with listening(self._follow):
                yield
        finally:
            self.end()

    def _follow(self, done: int, total: int | None) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

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


def _shorten(path: str) -> str:
    name = paths.printable(paths.get_name(path) or path)
    return name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 3] + "..."


def _make_bars() -> rich.progress.Progress:
    from rich import progress, text
    from rich.console import Console

    class Done(progress.DownloadColumn):
        """Bytes of a file, or steps of a call."""

        def render(self, task: progress.Task) -> text.Text:
            if not task.fields.get("in_steps"):
                return super().render(task)
            total = "" if task.total is None else f"/{task.total:.0f}"
            return text.Text(f"{task.completed:.0f}{total}", style="progress.download")

    class Speed(progress.TransferSpeedColumn):
        """Of files only."""

        def render(self, task: progress.Task) -> text.Text:
            return text.Text("") if task.fields.get("in_steps") else super().render(task)

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        Done(binary_units=True),
        Speed(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
