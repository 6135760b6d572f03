"""Servers that all workers of a test run share: the first that needs one starts it, and it ends after the last, however that ends.

A keeper, a process of its own, runs the server. Whoever uses the server holds a shared lock on a file, which the operating system takes back from
processes that die; the keeper waits until it can lock that file for itself alone, stops the server, and ends.

    python -m tests.servers.shared NAME FOLDER      starts a keeper; ends when the server is ready
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.servers import ceph, moto, rclone_s3, swift
from tests.servers.s3_server import S3Server

RUN: dict[str, Callable[[Path], AbstractContextManager[S3Server]]] = {
    "moto": moto.run,
    "ceph": ceph.run,
    "swift": swift.run,
    "rclone": rclone_s3.run,
}
FIND_MISSING: dict[str, Callable[[], list[str]]] = {
    "moto": moto.find_missing,
    "ceph": ceph.find_missing,
    "swift": swift.find_missing,
    "rclone": rclone_s3.find_missing,
}


@contextlib.contextmanager
def run_alone(name: str) -> Iterator[S3Server]:
    """A server of one's own, to be broken or measured, in a temporary folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder, RUN[name](Path(folder)) as server:
        yield server


@contextlib.contextmanager
def join(name: str, folder: Path) -> Iterator[S3Server]:
    """The server of that name for as long as the context lasts, started if nobody has. folder: what the workers of a run share."""
    state = _get_state(name, folder)
    with contextlib.ExitStack() as stack:
        with _locked(folder / f"{name}.start", fcntl.LOCK_EX):
            stack.enter_context(_locked(folder / f"{name}.use", fcntl.LOCK_SH))
            if not state.exists():
                _start_keeper(name, folder)
            server = S3Server(**json.loads(state.read_text()))
        yield server


@contextlib.contextmanager
def join_in_run(name: str, base_folder: Path) -> Iterator[S3Server]:
    """The same in a run of pytest; the test is skipped where a program is missing. base_folder: of the run's temporary folders (`getbasetemp`)."""
    if missing := FIND_MISSING[name]():
        pytest.skip(f"not installed: {', '.join(missing)}")
    of_all_workers = base_folder.parent if "PYTEST_XDIST_WORKER" in os.environ else base_folder
    folder = of_all_workers / "s3-servers"
    folder.mkdir(exist_ok=True)
    with join(name, folder) as server:
        yield server


def _start_keeper(name: str, folder: Path) -> None:
    command = [sys.executable, "-m", "tests.servers.shared", name, str(folder)]
    root = Path(__file__).parent.parent.parent
    outcome = subprocess.run(
        command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert outcome.returncode == 0, outcome.stderr


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _get_state(name: str, folder: Path) -> Path:
    return folder / f"{name}.json"


def _keep(name: str, folder: Path, tell_ready: Callable[[], None]) -> None:
    """Run a server until nobody uses it."""
    state = _get_state(name, folder)
    with run_alone(name) as server:
        written = state.with_suffix(".new")
        written.write_text(json.dumps(asdict(server)))
        written.rename(state)
        tell_ready()
        with _locked(folder / f"{name}.use", fcntl.LOCK_EX):  # who comes now waits, and then finds no state
            state.unlink()


def main(name: str, folder: Path) -> int:
    """Start a keeper behind us; 0 when the server is ready."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with open(reader, "rb") as pipe:
            return 0 if pipe.read() == b"ready" else 1
    os.setsid()

    def tell_ready() -> None:
        os.write(writer, b"ready")
        os.close(writer)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):  # nobody waits for the end of what the keeper says
            os.dup2(nothing, descriptor)

    try:
        _keep(name, folder, tell_ready)
    except BaseException:  # noqa: BLE001 - the forked process must not go on as its parent
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
