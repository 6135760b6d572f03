"""`cloudalpha config check` and `cloudalpha config show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cloudalpha.cli.output import print_json, print_line

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file. Without it $CLOUDALPHA_CONFIG, ./cloudalpha.toml, the user's configuration folder, /etc/cloudalpha.",
    ),
]
JSONOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Look at the configuration.", no_args_is_help=True, rich_markup_mode=None)
    group.command("check")(check)
    group.command("show")(show)
    app.add_typer(group, name="config")


def check(config: ConfigOption = None) -> None:
    """Tell every mistake in the configuration, one line each; start nothing."""
    from cloudalpha.configurator.loader import load

    configuration = load(config)
    counts = [
        f"{len(getattr(configuration, name))} {name if len(getattr(configuration, name)) != 1 else name[:-1]}"
        for name in ("managers", "accounts", "users")
    ]
    print_line(f"{configuration.origin}: no mistakes; {', '.join(counts)}")


def show(config: ConfigOption = None, as_json: JSONOption = False) -> None:
    """Print the effective values: the file, the environment over it, and the defaults. Secrets are masked."""
    from cloudalpha.configurator.loader import load

    described = load(config).describe()
    if as_json:
        print_json(described)
        return
    for line in _format_table(described, ()):
        print_line(line)


def _format_table(table: dict[str, Any], place: tuple[str, ...]) -> list[str]:
    """A table as TOML writes it; what has no value is left out."""
    values = {name: value for name, value in table.items() if value is not None}
    sections = {name: value for name, value in values.items() if isinstance(value, dict) and _is_section(name, place)}
    lines = [f"{_format_key(name)} = {_format_value(value)}" for name, value in values.items() if name not in sections]
    if place and (lines or not sections):
        lines = [f"[{'.'.join(map(_format_key, place))}]", *lines, ""]
    elif lines:
        lines.append("")
    for name, section in sections.items():
        lines += _format_table(section, (*place, name)) if section or place else []
    return lines


def _is_section(name: str, place: tuple[str, ...]) -> bool:
    """Whether a dict is written as a section of its own rather than in one line: not where it is the value of a user's or a manager's key."""
    return len(place) < 2 or (place[0] == "accounts" and len(place) == 2 and name.isidentifier())


def _format_key(name: str) -> str:
    import json

    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _format_value(value: Any) -> str:
    import json

    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_format_key(k)} = {_format_value(v)}" for k, v in value.items() if v is not None) + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_format_value, value)) + "]"
    return json.dumps(value)
