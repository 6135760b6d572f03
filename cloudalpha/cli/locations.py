"""What `ACCOUNT:PATH` on a command line means, and the accounts behind it."""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import typer

from cloudalpha import paths
from cloudalpha.cli.local_files import LocalFiles, make_local_path
from cloudalpha.cli.output import EXIT_USAGE
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import FileSystem

if TYPE_CHECKING:
    from cloudalpha.data_store import DataStore


class WrongUsageError(typer.TyperException):
    """The words of a command make no sense: exit code 2."""

    exit_code = EXIT_USAGE


class Accounts(Protocol):
    """The accounts of a configuration: `cloudalpha.configurator.accounts.Accounts`, or less."""

    def get_names(self) -> list[str]:
        """The names of all accounts."""

    def get_file_system(self, name: str) -> FileSystem:
        """The files of an account, connected. Raises AccountError, or FileSystemError for an outage."""

    def get_card(self, name: str) -> dict[str, str]:
        """What the service of an account says of its storage. Raises as `get_file_system`."""

    def close(self) -> None:
        """Close them all."""


@dataclass(frozen=True, slots=True)
class Location:
    """A path of one FileSystem.

    account_name: None for a local path. slash: it was written with a slash at its end, so a folder is meant.
    content: it was written as "." or "..", or is a whole account: what the folder holds is meant, not the folder by its name.
    """

    file_system: FileSystem
    path: str
    account_name: str | None = None
    slash: bool = False
    content: bool = False

    def __str__(self) -> str:
        text = paths.printable(self.path)
        return text if self.account_name is None else f"{self.account_name}:{text}"

    @property
    def name(self) -> str:
        """The last name of the path."""
        return paths.get_name(self.path)

    def at(self, path: str) -> Location:
        """Another path of the same FileSystem."""
        return replace(self, path=path, slash=False, content=False)

    def join(self, name: str) -> Location:
        """An entry of this folder."""
        return self.at(paths.join(self.path, name))

    def find(self) -> FileMetadata | None:
        """What is there; None for nothing."""
        return self.file_system.get_metadata(self.path) if self.file_system.exists(self.path) else None

    def is_same(self, other: Location) -> bool:
        """Whether both are one path of one FileSystem."""
        return self.file_system is other.file_system and self.path == other.path


class Locations:
    """Turns the words of a command line into locations. A context manager, closed at its end; within it SIGTERM and SIGHUP stop a command
    as Ctrl-C does, so that what it has begun is discarded.

    accounts: closed with it, and so is data_store, where they keep their values.
    """

    def __init__(self, accounts: Accounts, data_store: DataStore | None = None) -> None:
        self.accounts = accounts
        self._data_store = data_store
        self._local_files = LocalFiles()
        self._handlers: dict[signal.Signals, Any] = {}

    def parse(self, text: str, working: Location | None = None) -> Location:
        """The location of `ACCOUNT:PATH`, or of a path relative to `working`.

        Raises WrongUsageError where there is no such account, InvalidPathFileSystemError, and what `Account.connect` does.
        """
        name, colon, path = text.partition(":")
        if not colon or "/" in name or name in (".", "..", ""):
            if working is None:
                example = next(iter(sorted(self.accounts.get_names())), "photos")
                raise WrongUsageError(f"{paths.printable(text)}: write ACCOUNT:PATH, for example {example}:/")
            path = paths.normalize(text, working.path)
            return replace(working, path=path, slash=text.endswith("/"), content=_means_content(text, path))
        if name not in self.accounts.get_names():
            raise WrongUsageError(f"no account {name!r}: {self._list_names()}")
        path = paths.normalize(path or paths.ROOT)
        return Location(self.accounts.get_file_system(name), path, name, text.endswith("/"), _means_content(text, path))

    def parse_any(self, text: str) -> Location:
        """The same; what is not `ACCOUNT:PATH` is a local path."""
        name, colon, _ = text.partition(":")
        if not colon or "/" in name or name.startswith("."):
            return self.parse_local(text)
        if name not in self.accounts.get_names():
            raise WrongUsageError(
                f"no account {name!r}: {self._list_names()}; a local file is written ./{paths.printable(text)}"
            )
        return self.parse(text)

    def parse_local(self, text: str, working_dir: str = "") -> Location:
        """The location of a local path, relative to working_dir (or to the process's own)."""
        path = make_local_path(text, working_dir)
        return Location(self._local_files, path, None, text.endswith("/"), _means_content(text, path))

    def close(self) -> None:
        """Close the accounts, and what they keep their values in."""
        self.accounts.close()
        if self._data_store is not None:
            self._data_store.close()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _list_names(self) -> str:
        names = ", ".join(sorted(self.accounts.get_names()))
        return f"there are: {names}" if names else "the configuration has none"


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def open_locations(config: Path | None) -> Locations:
    """The accounts of a configuration file, or of the one that is found. Raises SettingError."""
    from cloudalpha.configurator.accounts import make_accounts
    from cloudalpha.configurator.loader import load
    from cloudalpha.data_store import DataStore

    # What goes wrong is told on stderr in one line; without a handler Python would print log records there too.
    logger = logging.getLogger("cloudalpha")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    configuration = load(config)
    data_store = DataStore.get_instance(configuration.state_dir)
    return Locations(make_accounts(configuration, data_store), data_store)


def _means_content(text: str, path: str) -> bool:
    return path == paths.ROOT or text.replace(":", "/").rsplit("/", 1)[-1] in (".", "..")
