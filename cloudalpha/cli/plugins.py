"""`cloudalpha plugins`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cloudalpha.cli.config import JSONOption
from cloudalpha.cli.output import print_table

COLUMNS = ("kind", "name", "state", "distribution", "version", "note")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plugins")(plugins)


def plugins(as_json: JSONOption = False) -> None:
    """List the services, layers and managers that are installed: version, where from, and what is missing or broken."""
    import logging

    from cloudalpha.configurator.plug_ins import PlugIns

    logger = logging.getLogger("cloudalpha.configurator")
    logger.disabled = True  # the table says what the log would
    try:
        found = PlugIns().describe_all()
    finally:
        logger.disabled = False
    rows = []
    for plug_in in found:
        hint = plug_in.get_hint()
        state = "missing" if hint else "broken" if plug_in.problem else "ok"
        rows.append(asdict(plug_in) | {"state": state, "note": hint or plug_in.problem})
    print_table(rows, as_json, COLUMNS, empty="no plug-ins are installed")
