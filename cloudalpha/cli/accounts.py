"""`cloudalpha account`: the accounts of the configuration, and whether they work."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudalpha.cli.config import ConfigOption, JSONOption
from cloudalpha.cli.locations import WrongUsageError, open_locations
from cloudalpha.cli.output import EXIT_FAILED, print_json, print_line, print_table

if TYPE_CHECKING:
    from cloudalpha.file_system import FileSystem

_PROBE_BYTES = 4096


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="account", help="List accounts, and check that they work.", no_args_is_help=True)
    group.command("list")(list_accounts)
    group.command("check")(check_account)
    app.add_typer(group)


def list_accounts(as_json: JSONOption = False, config: ConfigOption = None) -> None:
    """List the accounts of the configuration: service and layers. Connects to none."""
    from cloudalpha.configurator.loader import load

    accounts = load(config).accounts
    rows = [
        {"name": name, "service": account.service, "layers": [layer.name for layer in account.layers]}
        for name, account in sorted(accounts.items())
    ]
    print_table(rows, as_json, empty="no accounts; add a section [accounts.NAME] to the configuration")


def check_account(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")],
    as_json: JSONOption = False,
    config: ConfigOption = None,
) -> None:
    """Write, read, list and delete a small file of its own name in an account, and print what its storage can do.

    Nothing else is touched. The exit code is 1 when a step fails.
    """
    from cloudalpha.configurator.mistakes import suggest

    with open_locations(config) as locations:
        names = locations.accounts.get_names()
        if name not in names:
            raise WrongUsageError(f"no account is called {name!r}; {suggest(name, names)}")
        accounts = locations.accounts
        check = _Check(lambda: accounts.get_file_system(name), lambda: accounts.get_card(name))
        check.run()
    if as_json:
        print_json({"account": name, "works": check.works, "steps": check.steps, "card": check.card})
    else:
        print_table(check.steps)
        if check.card:
            print_line()
            print_table([{"capability": key.replace("_", " "), name: value} for key, value in check.card.items()])
        print_line()
        print_line(f"{name} works" if check.works else f"{name} does not work")
    if not check.works:
        raise typer.Exit(EXIT_FAILED)


class _Check:
    """Steps on an account, each with its result; the first that fails ends the check, but the probe file is deleted in any case."""

    def __init__(self, connect: Callable[[], FileSystem], get_card: Callable[[], dict[str, str]] = dict) -> None:
        self.steps: list[dict[str, Any]] = []
        self.card: dict[str, Any] = {}
        self.works = True
        self._connect = connect
        self._get_card = get_card
        self._path = f"/cloudalpha-check-{secrets.token_hex(8)}.txt"
        self._content = secrets.token_bytes(_PROBE_BYTES)

    def run(self) -> None:
        file_system = self._step("connect", self._connect)
        if file_system is None:
            return
        self.card = _make_card(file_system, self._get_card)
        written = self._step("write", lambda: file_system.write_all(self._path, self._content)) is not None
        if self.works:
            self._step(
                "metadata", lambda: self._check(file_system.get_size(self._path) == _PROBE_BYTES, "another size")
            )
            self._step("read", lambda: self._check_content(file_system))
            self._step("list", lambda: self._check_list(file_system))
        if written:
            self._step("delete", lambda: self._delete(file_system), always=True)

    def _step(self, name: str, action: Callable[[], Any], always: bool = False) -> Any:
        from cloudalpha.exceptions import CloudAlphaError

        if not self.works and not always:
            return None
        start = time.monotonic()
        problem = None
        result = None
        try:
            result = action()
        except CloudAlphaError as error:
            problem = getattr(error, "message", None) or str(error)
            self.works = False
        milliseconds = round((time.monotonic() - start) * 1000, 1)
        self.steps.append({"step": name, "result": problem or "ok", "milliseconds": milliseconds})
        return result

    def _check(self, is_right: bool, problem: str) -> None:
        from cloudalpha.exceptions import AccessFailedFileSystemError

        if not is_right:
            raise AccessFailedFileSystemError(self._path, f"what comes back is not what was written: {problem}")

    def _check_content(self, file_system: FileSystem) -> None:
        self._check(file_system.read_all(self._path) == self._content, "another content")
        middle = b"".join(file_system.read(self._path, 1000, 500))
        self._check(middle == self._content[1000:1500], "another range")

    def _check_list(self, file_system: FileSystem) -> None:
        self._check(any(entry.path == self._path for entry in file_system.list_dir("/")), "it is not listed")

    def _delete(self, file_system: FileSystem) -> None:
        file_system.delete(self._path)
        self._check(not file_system.exists(self._path), "it is still there after its deletion")


def _make_card(file_system: FileSystem, get_card: Callable[[], dict[str, str]]) -> dict[str, Any]:
    """What the storage can do, layers included, its space, and what its service says of it."""
    from cloudalpha.exceptions import CloudAlphaError, FileSystemError

    try:
        details = get_card()  # first: what it finds out may change the capabilities
    except CloudAlphaError as error:
        details = {"probing": getattr(error, "message", None) or str(error)}
    card = dataclasses.asdict(file_system.capabilities)
    try:
        space = file_system.get_space()
    except FileSystemError as error:
        return card | {"space": error.message} | details
    return card | {"total_bytes": space.total if space else None, "free_bytes": space.free if space else None} | details
