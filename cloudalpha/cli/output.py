"""What commands print: tables or JSON on stdout, one line that says what to do on stderr, and the exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import typer

from cloudalpha import paths

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


def print_line(text: str = "", error: bool = False) -> None:
    """Print one line at once, control characters escaped: what a storage or a client named must not steer a terminal.

    error: to stderr.
    """
    printable = text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    print(printable, file=sys.stderr if error else sys.stdout, flush=True)


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON does not know (datetimes, paths) is written as text."""
    print(json.dumps(value, indent=2, default=str), flush=True)


def print_table(
    rows: Iterable[Mapping[str, Any]], as_json: bool = False, columns: Sequence[str] = (), empty: str = ""
) -> None:
    """Print rows as an aligned table, or as a JSON list of objects.

    columns: which fields, in what order; without them those of the first row. JSON always holds every field.
    empty: what to say, instead of an empty table, when there are no rows.
    """
    table = list(rows)
    if as_json:
        print_json(table)
        return
    if not table:
        if empty:
            print_line(empty)
        return
    names = list(columns or table[0])
    lines = [[name.upper().replace("_", " ") for name in names]]
    lines += [[_cell(row.get(name)) for name in names] for row in table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    for line in lines:
        print_line("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """End the command: one line on stderr, and an exit code (EXIT_FAILED, or EXIT_USAGE for wrong usage)."""
    print_line(f"cloudalpha: {message}", error=True)
    raise typer.Exit(code)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_cell, value))
    return paths.printable(str(value))
