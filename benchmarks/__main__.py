"""Runs the benchmarks: see `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.peers import STARTERS, Bench, Peer, open_bench
from benchmarks.report import Figures, make_overview, make_table, save, update_page
from benchmarks.rows import ROWS, Row, prepare


def main() -> int:
    """Run what the arguments ask for; 0 when every figure was had."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="CloudAlpha beside its peers, in one run."
    )
    parser.add_argument(
        "--row", action="append", help="only rows whose names contain this; may be given more than once"
    )
    parser.add_argument("--peers", default=",".join(STARTERS), help="which servers, apart by commas (default: all)")
    parser.add_argument("--protocols", default="sftp,ftp,ftps", help="which protocols, apart by commas")
    parser.add_argument("--repeats", type=int, default=5, help="how often each question is asked (default: 5)")
    parser.add_argument("--heavy-repeats", type=int, default=0, help="the same for heavy rows (default: as --repeats)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the tree is made; best a tmpfs")  # noqa: S108
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"), help="where JSON is kept")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    arguments = parser.parse_args()
    wanted = arguments.row or [""]
    rows = [row for row in ROWS if any(part in row.name for part in wanted)]
    figures: Figures = {}
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(1)
    )  # the servers are stopped, the tree goes, and what is measured stays
    try:
        failures = run(arguments, rows, figures)
    finally:
        print(make_table(rows, figures))
        path = save(arguments.results, rows, figures, arguments.repeats)
        if arguments.readme:
            update_page(Path(__file__).parent.parent / "README.md", make_overview(rows, figures))
        print(f"\nkept as {path.name}", file=sys.stderr)
    print(f"failures: {failures}", file=sys.stderr)
    return 1 if failures else 0


def run(arguments: argparse.Namespace, rows: list[Row], figures: Figures) -> int:
    """Start the servers and ask them everything; how many times no answer came."""
    failures = 0
    protocols = set(arguments.protocols.split(","))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, open_bench(Path(folder) / "bench") as bench:
        prepare(bench, {row.name for row in rows})
        peers = [peer for name in arguments.peers.split(",") for peer in STARTERS[name](bench)]
        for row in rows:
            repeats = arguments.heavy_repeats or arguments.repeats if row.heavy else arguments.repeats
            asked = [peer for peer in peers if peer.protocol in protocols and row.can_ask(peer)]
            failures += run_row(bench, row, asked, repeats, figures)
            print(make_table([row], figures), file=sys.stderr)
    return failures


def run_row(bench: Bench, row: Row, peers: list[Peer], repeats: int, figures: Figures) -> int:
    """Ask one question of every peer in turn, so many times; how many times no answer came."""
    failures = 0
    for repeat in range(repeats):
        for peer in peers:
            print(
                f"{row.name} {repeat + 1}/{repeats}: {peer.name} {peer.protocol}".ljust(79), end="\r", file=sys.stderr
            )
            try:
                answer = row.measure(bench, peer)
            except Exception as error:  # noqa: BLE001 - a peer that cannot do it is a result, and the others go on
                failures += 1
                print(f"\n{row.name}: {peer.name} over {peer.protocol}: {error}", file=sys.stderr)
                continue
            kept = figures.setdefault((row.name, peer.protocol, peer.name), {})
            for name, value in answer.items():
                kept.setdefault(name, []).append(value)
    return failures


if __name__ == "__main__":
    sys.exit(main())
