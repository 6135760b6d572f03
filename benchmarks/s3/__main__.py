"""Runs the benchmarks over S3: see `python -m benchmarks.s3 --help`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.__main__ import run_row
from benchmarks.report import S3_MARKS, Figures, make_overview, make_table, save, update_page
from benchmarks.s3.peers import start_peers
from benchmarks.s3.place import open_place
from benchmarks.s3.rows import ROWS, S3Row, prepare

PEERS = (
    "rclone-sftp", "rclone-sftp-off", "rclone-sftp-writes", "rclone-sftp-full", "rclone-ftp", "rclone-ftp-off", "s3transfer",
    "rclone-copy",
)  # fmt: skip
ROOT = Path(__file__).parent.parent


def main() -> int:
    """Run what the arguments ask for; 0 when every figure was had."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3", description="CloudAlpha over S3 beside its peers.")
    parser.add_argument(
        "--row", action="append", help="only rows whose names contain this; may be given more than once"
    )
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="which beside CloudAlpha, apart by commas (default: all)"
    )
    parser.add_argument("--protocols", default="sftp,ftp", help="which protocols, apart by commas")
    parser.add_argument("--repeats", type=int, default=3, help="how often each question is asked (default: 3)")
    parser.add_argument("--heavy-repeats", type=int, default=1, help="the same for heavy rows (default: 1)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where files are made; best a tmpfs")  # noqa: S108
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "s3", help="where JSON is kept")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if any(part in row.name for part in arguments.row or [""])]
    figures: Figures = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are stopped, and what is measured stays
    failures = 1
    try:
        failures = run(arguments, rows, figures)
    finally:
        print(make_table(rows, figures))
        path = save(arguments.results, rows, figures, arguments.repeats)
        if arguments.readme:
            update_page(ROOT.parent / "README.md", make_overview(rows, figures), S3_MARKS)
        print(f"\nkept as {path.name}; failures: {failures}", file=sys.stderr)
    return 1 if failures else 0


def run(arguments: argparse.Namespace, rows: list[S3Row], figures: Figures) -> int:
    """Start the servers and ask them everything; how many times no answer came."""
    failures = 0
    protocols = set(arguments.protocols.split(","))
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        open_place(Path(folder) / "bench", {row.target for row in rows}) as bench,
    ):
        prepare(bench, rows)
        peers = {
            name: start_peers(bench, target, set(arguments.peers.split(","))) for name, target in bench.targets.items()
        }
        for row in rows:
            asked = [peer for peer in peers[row.target] if peer.protocol in protocols and row.can_ask(peer)]
            failures += run_row(bench, row, asked, arguments.heavy_repeats if row.heavy else arguments.repeats, figures)
            print(make_table([row], figures), file=sys.stderr)
    return failures


if __name__ == "__main__":
    sys.exit(main())
