"""A run's figures as a table for people, and as JSON for later."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rows import Row

OWN_NAME = "CloudAlpha"
Marks = tuple[str, str]
"""Where a table begins and ends in a page."""
PLAIN_MARKS: Marks = ("<!-- benchmarks: made by `make bench` -->", "<!-- end of benchmarks -->")
S3_MARKS: Marks = ("<!-- benchmarks over S3: made by `make bench` -->", "<!-- end of benchmarks over S3 -->")

Figures = dict[tuple[str, str, str], dict[str, list[float]]]
"""(row, protocol, peer) -> figure -> one value a repeat."""


def make_table(rows: Sequence[Row], figures: Figures) -> str:
    """A Markdown table: a line a row, protocol and peer; the last column is where CloudAlpha stands against the peer."""
    lines = ["| what | over | server | median (min - max) | more | CloudAlpha / server |", "|---|---|---|---|---|---|"]
    for row in rows:
        for protocol in row.protocols:
            own = figures.get((row.name, protocol, OWN_NAME))
            for (name, over, peer), values in figures.items():
                if (name, over) == (row.name, protocol):
                    lines.append(_make_line(row, over, peer, values, own))
    return "\n".join(lines)


def _make_line(
    row: Row, protocol: str, peer: str, values: dict[str, list[float]], own: dict[str, list[float]] | None
) -> str:
    main, *others = row.figures
    samples = values[main]
    text = (
        f"{_number(statistics.median(samples))} {row.figures[main]} ({_number(min(samples))} - {_number(max(samples))})"
    )
    more = ", ".join(f"{name} {_number(statistics.median(values[name]))} {row.figures[name]}" for name in others)
    ratio = ""
    if own is not None and peer != OWN_NAME:
        ratio = ", ".join(f"{name} {_ratio(own[name], values[name])}" for name in row.figures)
    return f"| {row.name} | {protocol} | {peer} | {text} | {more} | {ratio} |"


def _ratio(own: list[float], other: list[float]) -> str:
    divisor = statistics.median(other)
    return f"{statistics.median(own) / divisor:.2f}" if divisor else "-"


def make_overview(rows: Sequence[Row], figures: Figures) -> str:
    """A Markdown table for the README: a line a row and protocol, a column a server, medians of the main figure and of the server's CPU."""
    peers = list(dict.fromkeys(peer for _, _, peer in figures))
    lines = ["| what | over | " + " | ".join(peers) + " |", "|---|---|" + "---|" * len(peers)]
    for row in rows:
        for protocol in row.protocols:
            cells = [_make_cell(row, figures.get((row.name, protocol, peer))) for peer in peers]
            if any(cells):
                lines.append(f"| {row.name} | {protocol} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _make_cell(row: Row, values: dict[str, list[float]] | None) -> str:
    if values is None:
        return ""
    main = next(iter(row.figures))
    text = f"{_number(statistics.median(values[main]))} {row.figures[main]}"
    for name in ("server CPU", "first byte"):
        if name in row.figures:
            text += f", {_number(statistics.median(values[name]))} s {name.removeprefix('server ')}"
    return text


def update_page(page: Path, overview: str, marks: Marks = PLAIN_MARKS) -> None:
    """Put the table between two marks of the page."""
    begin, end = marks
    before, rest = page.read_text().split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n{overview}\n{end}{after}")


def load(path: Path) -> Figures:
    """The figures of a run that was kept."""
    rows = json.loads(path.read_text())["rows"]
    return {(row["row"], row["protocol"], row["peer"]): row["figures"] for row in rows}


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def save(folder: Path, rows: Sequence[Row], figures: Figures, repeats: int) -> Path:
    """Keep a run; the file's path."""
    now = datetime.now(UTC)
    content: dict[str, Any] = {
        "time": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, Linux {platform.release().split('-')[0]}",
        "repeats": repeats,
        "rows": [
            {"row": name, "protocol": protocol, "peer": peer, "figures": values}
            for (name, protocol, peer), values in figures.items()
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    path.with_suffix(".md").write_text(make_table(rows, figures) + "\n")
    return path
