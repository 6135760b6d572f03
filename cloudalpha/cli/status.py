"""`cloudalpha status`: what a running gateway says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cloudalpha.cli.config import ConfigOption, JSONOption
from cloudalpha.cli.output import EXIT_FAILED, fail, print_json, print_line, print_table

_COLUMNS = {
    "managers": ("name", "state", "endpoints", "sessions", "error"),
    "accounts": ("name", "service", "layers", "state", "error"),
    "sessions": (),
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(print_status)


def print_status(
    state_dir: Annotated[
        Path | None,
        typer.Option(
            "--state-dir", metavar="DIR", help="The state folder of the gateway, instead of that of the configuration."
        ),
    ] = None,
    as_json: JSONOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what runs: managers and where they listen, accounts and whether they work, sessions, and why something failed.

    The exit code is 1 when no gateway runs, or when a manager or an account of it failed.
    """
    from cloudalpha.configurator.status import read_statuses

    folders = [state_dir] if state_dir is not None else _find_state_dirs(config)
    statuses = [status for folder in folders if folder.is_dir() for status in read_statuses(folder)]
    if as_json:
        print_json(statuses)
    if not statuses:
        fail(f"no gateway runs with the state folder {' or '.join(map(str, folders))}")
    if not as_json:
        for status in statuses:
            _print_status(status)
    parts = [part for status in statuses for name in ("managers", "accounts") for part in status.get(name) or []]
    if any(part.get("state") == "failed" for part in parts):
        raise typer.Exit(EXIT_FAILED)


def _find_state_dirs(config: Path | None) -> list[Path]:
    """Where gateways keep their status: the configuration's state folder, and, unless one configuration is named, the demo's."""
    from cloudalpha.cli.demo import STATE_FOLDER
    from cloudalpha.configurator.loader import load
    from cloudalpha.configurator.values import find_file
    from cloudalpha.data_store import get_default_state_dir

    default = get_default_state_dir()
    file = config or find_file()
    folders = [load(file).state_dir if file is not None else default]
    return folders if config is not None else [*folders, default / STATE_FOLDER]


def _print_status(status: dict[str, Any]) -> None:
    print_line(
        f"gateway {status.get('pid')}, since {status.get('started')}, configuration {status.get('configuration')}"
    )
    for name, columns in _COLUMNS.items():
        print_line()
        print_line(f"{name}:")
        print_table(status.get(name) or [], columns=columns, empty="none")
