"""`rclone serve s3`: the bad clone. It ignores conditions, forgets metadata, and cannot copy parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.processes import HOST, Processes, get_free_ports, get_program, is_listening
from tests.servers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server


def find_missing() -> list[str]:
    """Programs that it needs and that are not installed: none, it comes with the tools of setup.cfg."""
    return []


@contextlib.contextmanager
def run(folder: Path) -> Iterator[S3Server]:
    """A server over a folder of this machine. folder: for that, its cache and its log."""
    [port] = get_free_ports(1)
    for name in ("files", "cache"):
        (folder / name).mkdir()
    with Processes(folder) as processes:
        pid = processes.start(
            "rclone", get_program("rclone"), "serve", "s3", folder / "files", "--addr", f"{HOST}:{port}",
            "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--vfs-cache-mode", "writes", "--cache-dir", folder / "cache",
            environ={"RCLONE_CONFIG": "/dev/null"},
        )  # fmt: skip
        processes.wait_until(lambda: is_listening(port))
        yield S3Server("rclone", f"http://{HOST}:{port}", ACCESS_KEY, SECRET_KEY, "us-east-1", pid)
