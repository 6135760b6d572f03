"""Writes docs/settings.md and docs/commands.md from the code: `make docs`. A test fails when they are out of step."""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cloudalpha.cli.app import make_app
from cloudalpha.configurator.configuration import SECTIONS, GeneralOptions
from cloudalpha.configurator.plug_ins import Kind, PlugIns
from cloudalpha.settings import parse_duration, parse_size
from cloudalpha.users.record import UserOptions

DOCS = Path(__file__).parent
HELP_COLUMNS = 100

_GENERATED = "<!-- Made by `make docs` from the code; change it there. -->\n"
_TYPES: dict[object, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
}
_SIZE_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_DURATION_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def make_settings_page() -> str:
    """Every section of the configuration with its settings."""
    parts = [
        "# Settings\n",
        _GENERATED,
        "One TOML file holds them all; `cloudalpha config check` tells every mistake in it, `cloudalpha config show` what holds in the end.\n"
        'Sizes are written like `"20 GiB"`, durations like `"5m"`; any value may be `"env:NAME"` or `"file:PATH"`.\n'
        "An environment variable overrides the file: `CLOUDALPHA_MANAGERS__FTP__PORT=2121` is `port` of `[managers.ftp]`.\n",
        *_make_section("At the top, before any section", GeneralOptions),
    ]
    plug_ins = PlugIns()
    for name in _get_built_in(plug_ins, "manager"):
        parts += _make_section(f"`[managers.{name}]`", plug_ins.load("manager", name).settings_class)
    parts += [
        "## `[accounts.NAME]`\n",
        "`service` names the service, `layers` the layers around it, outermost first; the other settings are those of the service:\n",
    ]
    for name in _get_built_in(plug_ins, "service"):
        service = plug_ins.load("service", name)
        parts += _make_section(f'`[accounts.NAME]` where `service = "{name}"`', service.options_class, 3)
        if service.settings_class.model_fields:
            parts += _make_section(f"`[services.{name}]`, shared by these accounts", service.settings_class, 3)
    for name in _get_built_in(plug_ins, "layer"):
        layer = plug_ins.load("layer", name)
        parts += _make_section(f'`[accounts.NAME.{name}]`, where `layers` names `"{name}"`', layer.options_class, 3)
    parts += _make_section("`[users.NAME]`", UserOptions)
    for name, model in SECTIONS.items():
        parts += _make_section(f"`[{name}]`", model)
    return "\n".join(parts)


def make_commands_page() -> str:
    """The help of every command."""
    command = typer.main.get_command(make_app())
    parts = ["# Commands\n", _GENERATED]
    for path, text in _get_helps(command, "cloudalpha", None):
        parts += [f"## {path}\n", "```", text, "```", ""]
    return "\n".join(parts)


def _get_built_in(plug_ins: PlugIns, kind: Kind) -> list[str]:
    """Plug-ins of this package; others that happen to be installed have documentation of their own."""
    return [name for name in plug_ins.get_names(kind) if plug_ins.describe(kind, name).distribution == "cloudalpha"]


def _make_section(title: str, model: type[BaseModel], level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    if not model.model_fields:
        yield "Nothing can be set.\n"
        return
    yield "| setting | value | default | |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        description = _escape(" ".join((field.description or "").split()))
        yield f"| `{name}` | {_escape(_describe_type(field))} | {_escape(_describe_default(field))} | {description} |"
    yield ""


def _describe_type(field: FieldInfo) -> str:
    for metadata in field.metadata:
        if unit := _get_unit(metadata):
            return unit
    return _describe_annotation(field.annotation)


def _describe_annotation(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        units = [unit for metadata in arguments[1:] if (unit := _get_unit(metadata))]
        return units[0] if units else _describe_annotation(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe_annotation(argument) for argument in arguments if argument is not type(None))
    if origin is dict:
        return f"table of {_describe_annotation(arguments[1])}"
    if origin in (list, tuple, set, frozenset):
        return f"list of {_describe_annotation(arguments[0])}"
    return _TYPES.get(annotation, "text")


def _get_unit(metadata: object) -> str | None:
    function = getattr(metadata, "func", None)
    return "size" if function is parse_size else "duration" if function is parse_duration else None


def _describe_default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None:
        factory = field.default_factory
        return _describe_value(factory(), field) if inspect.isclass(factory) else "found out at the start"
    return _describe_value(field.default, field)


def _describe_value(value: object, field: FieldInfo) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    unit = _describe_type(field)
    if isinstance(value, int | float) and unit in ("size", "duration"):
        return f"`{_describe_quantity(value, unit)}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(_quote(item) for item in value)}]`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{_quote(key)} = {_quote(item)}" for key, item in value.items()) + "}`"
    return f"`{_quote(value)}`"


def _describe_quantity(value: float, unit: str) -> str:
    for name, factor in _SIZE_UNITS if unit == "size" else _DURATION_UNITS:
        if value and value % factor == 0:
            return f'"{value / factor:g}{" " if unit == "size" else ""}{name}"'
    return f'"{value:g}s"' if unit == "duration" else f"{value:g}"


def _quote(value: object) -> str:
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _get_helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    settings = command.context_settings
    context = command.context_class(command, info_name=name, parent=parent, terminal_width=HELP_COLUMNS, **settings)
    text = command.get_help(context)
    yield context.command_path, "\n".join(line.rstrip() for line in text.strip().splitlines())
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from _get_helps(inner, inner_name, context)


PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "settings.md": make_settings_page,
    DOCS / "commands.md": make_commands_page,
}


def main() -> None:
    """Write the pages that have changed."""
    for path, make in PAGES.items():
        text = make()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{os.path.relpath(path)} is written")


if __name__ == "__main__":
    main()
