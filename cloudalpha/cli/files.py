"""`cloudalpha ls cat cp mv rm mkdir tree du`: files without a server."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

from cloudalpha.cli.config import ConfigOption, JSONOption
from cloudalpha.cli.locations import Location, WrongUsageError, open_locations
from cloudalpha.cli.output import EXIT_FAILED, print_line
from cloudalpha.exceptions import FileSystemError

_REMOTE = "ACCOUNT:PATH"
_ANY = "ACCOUNT:PATH or a local path"
RemotePaths = Annotated[
    list[str], typer.Argument(metavar=f"{_REMOTE}...", help=f"{_REMOTE}, for example photos:/2024.")
]
AnyPaths = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE... TARGET", help=f"{_ANY}; what has no colon before its first slash is local."),
]
NoOverwriteOption = Annotated[
    bool, typer.Option("--no-overwrite", "-n", help="Leave files that are there as they are.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ls")(list_files)
    app.command("cat")(print_content)
    app.command("cp")(copy)
    app.command("mv")(move)
    app.command("rm")(remove)
    app.command("mkdir")(make_folders)
    app.command("tree")(print_trees)
    app.command("du")(print_sums)


def list_files(
    locations: RemotePaths,
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With sizes in bytes and times of the last change, in UTC.")
    ] = False,
    unsorted: Annotated[
        bool,
        typer.Option(
            "--unsorted", "-U", help="In the order of the storage, from the first name on: for folders of millions."
        ),
    ] = False,
    as_json: JSONOption = False,
    config: ConfigOption = None,
) -> None:
    """List folders; a folder's name ends in a slash."""
    from cloudalpha.cli.listing import describe_entry, list_entries, print_entries
    from cloudalpha.cli.output import print_json

    rows = []
    with _Run(config) as run:
        for location in run.parse(locations):
            with run.reporting(location):
                entries = list_entries(location)
                if not unsorted:
                    entries = sorted(entries, key=lambda entry: entry.name)
                if as_json:
                    rows += [describe_entry(entry) for entry in entries]
                    continue
                if len(locations) > 1:
                    print_line(f"{location}:")
                print_entries(entries, long)
        if as_json:
            print_json(rows)


def print_content(locations: RemotePaths, config: ConfigOption = None) -> None:
    """Write the content of files to stdout."""
    with _Run(config) as run:
        for location in run.parse(locations):
            with run.reporting(location):
                for chunk in location.file_system.read(location.path):
                    sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def copy(
    locations: AnyPaths,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", "-R", help="Folders too, with all that they hold.")
    ] = False,
    no_overwrite: NoOverwriteOption = False,
    quiet: QuietOption = False,
    config: ConfigOption = None,
) -> None:
    """Copy files and folders: between accounts, from and to local folders.

    Into TARGET where that is a folder, otherwise to that name. The source "-" is stdin. Times of the last change are kept where the
    storage keeps any. What fails is reported, and the rest is copied; then the exit code is 1. No file appears before it is whole.
    """
    from cloudalpha.cli.progress import Progress
    from cloudalpha.cli.transfers import Transfers

    with _Run(config) as run, Progress(not quiet) as progress:
        sources, target = run.parse_sources(locations)
        transfers = Transfers(progress, not no_overwrite)
        if sources is None:
            transfers.receive(sys.stdin.buffer, target)
        else:
            transfers.copy(sources, target, recursive)
        run.failures += transfers.failures


def move(
    locations: AnyPaths,
    no_overwrite: NoOverwriteOption = False,
    quiet: QuietOption = False,
    config: ConfigOption = None,
) -> None:
    """Move or rename files and folders, with all that they hold.

    Within one account this is a rename. Between accounts a file is copied, and deleted when its copy is whole.
    """
    from cloudalpha.cli.progress import Progress
    from cloudalpha.cli.transfers import Transfers

    with _Run(config) as run, Progress(not quiet) as progress:
        sources, target = run.parse_sources(locations)
        if sources is None:
            raise WrongUsageError("mv - : stdin cannot be moved; use cp")
        transfers = Transfers(progress, not no_overwrite)
        transfers.move(sources, target)
        run.failures += transfers.failures


def remove(
    locations: RemotePaths,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", "-R", help="Folders too, with all that they hold.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="What is not there is no failure.")] = False,
    quiet: QuietOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete files, and with -r folders."""
    from cloudalpha.cli.progress import Progress
    from cloudalpha.cli.transfers import Transfers

    with _Run(config) as run, Progress(not quiet) as progress:
        transfers = Transfers(progress)
        for location in run.parse(locations):
            transfers.delete(location, recursive, missing_too=force)
        run.failures += transfers.failures


def make_folders(
    locations: RemotePaths,
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Those above too; one that is there already is welcome.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make folders."""
    with _Run(config) as run:
        for location in run.parse(locations):
            with run.reporting(location):
                if parents:
                    location.file_system.make_dirs(location.path)
                else:
                    location.file_system.make_dir(location.path)


def print_trees(
    locations: RemotePaths,
    depth: Annotated[int | None, typer.Option("--depth", "-d", min=0, help="At most so many levels.")] = None,
    as_json: JSONOption = False,
    config: ConfigOption = None,
) -> None:
    """Show folders and all that they hold."""
    from cloudalpha.cli.listing import print_tree

    with _Run(config) as run:
        for location in run.parse(locations):
            with run.reporting(location):
                run.failures += print_tree(location, depth, as_json)


def print_sums(
    locations: RemotePaths,
    depth: Annotated[
        int, typer.Option("--depth", "-d", min=0, help="Folders within, so many levels deep, one by one too.")
    ] = 0,
    exact: Annotated[bool, typer.Option("--bytes", "-b", help="Sizes in bytes.")] = False,
    as_json: JSONOption = False,
    config: ConfigOption = None,
) -> None:
    """Sum up what folders hold: bytes, files, folders."""
    from cloudalpha.cli.listing import format_size, measure
    from cloudalpha.cli.output import print_table

    rows = []
    with _Run(config) as run:
        for location in run.parse(locations):
            with run.reporting(location):
                rows += measure(location, depth)
        if not as_json and not exact:
            rows = [row | {"bytes": format_size(row["bytes"])} for row in rows]
        if rows or as_json:
            print_table(rows, as_json)


class _Run:
    """One command on files: what fails is reported, the rest goes on, and the exit code tells at the end."""

    def __init__(self, config: Path | None) -> None:
        self._config = config
        self.failures = 0

    def __enter__(self) -> _Run:
        self._locations = open_locations(self._config).__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._locations.__exit__(exc_type, exc, traceback)
        if exc_type is None and self.failures:
            raise typer.Exit(EXIT_FAILED)

    def parse(self, texts: list[str]) -> list[Location]:
        return [self._locations.parse(text) for text in texts]

    def parse_sources(self, texts: list[str]) -> tuple[list[Location] | None, Location]:
        """The sources and the target; None for stdin."""
        if len(texts) < 2:
            raise WrongUsageError("SOURCE and TARGET are needed")
        target = self._locations.parse_any(texts[-1])
        if texts[:-1] == ["-"]:
            return None, target
        return [self._locations.parse_any(text) for text in texts[:-1]], target

    @contextlib.contextmanager
    def reporting(self, location: Location) -> Iterator[None]:
        """A block whose FileSystemError is reported, and counted."""
        try:
            yield
        except FileSystemError as error:
            place = location.at(error.path) if error.path else location
            print_line(f"cloudalpha: {place}: {error.message}", error=True)
            self.failures += 1
