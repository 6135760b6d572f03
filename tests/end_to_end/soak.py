"""Soak: `python -m tests.end_to_end.soak --minutes 15` runs every real client against the demo in a loop, and kills one every few seconds.

All the while, every visible file must be whole; at the end nothing may be left over: no descriptor, no thread, no temporary file. What is wrong is
printed, and the exit code is 1. Needs to be root, to see the gateway's threads.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from cloudalpha.services.local.temporary_file import is_hidden
from cloudalpha.testing.waiting import wait_until
from tests.cli.serving import ANY_PORTS, Serving
from tests.end_to_end.clients import CLIENTS, Client, Command, kill_all
from tests.end_to_end.clients.base import TIMEOUT
from tests.end_to_end.whole_files import find_fault, make_record
from tests.servers.gateway import Endpoint, find_leftovers, wait_until_idle

NUM_WORKERS = 4
NUM_NAMES = 6
MAX_BYTES = 4_000_000
MAX_KILL_PAUSE = 3.0
CHECK_PAUSE = 1.0
MAX_GROWTH = 96 << 20
"""Bytes by which the gateway's memory may have grown in the end, beyond what it took once every client had been served."""

_NAME = re.compile(r"file\d+|tree\d+|record\d+|w\d+|shared|(file|record)\d+\.[0-9a-zA-Z]+\.partial")


class Soak:
    """One run. faults: what went wrong; counts: what was done.

    folder: for everything. seconds: how long the clients run. seed: of what is done, not of when.
    """

    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._root = folder / "files"
        self._seconds = seconds
        self._seed = seed
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[bytes], str] = {}
        self._killed: set[int] = set()

    def run(self) -> None:
        """All of it."""
        self._root.mkdir()
        with Serving(self._folder, self._root, *ANY_PORTS) as gateway:
            process = psutil.Process(gateway.process.pid)
            state_dir = gateway.state_dir / "cloudalpha" / "demo"
            endpoint = _get_endpoint(gateway)
            workers = [Worker(self, number, endpoint, self._folder, self._seed) for number in range(NUM_WORKERS)]
            self._run_all([worker.serve_every_client for worker in workers])
            wait_until_idle(state_dir)
            before = _Usage(process)
            threads: list[Callable[[], None]] = [worker.run for worker in workers]
            timer = threading.Timer(self._seconds, self._over.set)
            timer.start()
            self._run_all([*threads, self._kill, self._check])
            timer.cancel()
            wait_until_idle(state_dir)
            self._check_files()
            self._check_usage(process, before)
            self._check_log(gateway)

    def _run_all(self, jobs: list[Callable[[], None]]) -> None:
        threads = [threading.Thread(target=self._guard, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _guard(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - told at the end
            self.add_fault(f"{type(error).__name__}: {error}")
            self._over.set()

    # For workers

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def add_fault(self, text: str) -> None:
        with self._lock:
            self.faults.append(text)

    def execute(self, name: str, command: Command, folder: Path, patience: float | None = None) -> str:
        """Run a client to its end, whichever that is: `done`, `killed`, or what it said when it failed. patience: seconds until it is killed."""
        output = folder / "output"
        with command.start(folder, output) as process:
            with self._lock:
                self._running[process] = name
            try:
                code = process.wait(patience or TIMEOUT)
            except subprocess.TimeoutExpired:
                if patience is None:
                    return f"hangs: {output.read_text(errors='replace')[-500:]}"
                code = self._kill_one(process, random.Random(process.pid))
            finally:
                with self._lock:
                    del self._running[process]
                    is_killed = process.pid in self._killed
                    self._killed.discard(process.pid)
        self.counts["killed" if is_killed else "done"] += 1
        return (
            "killed" if is_killed else "done" if code == 0 else f"{code}: {output.read_text(errors='replace')[-500:]}"
        )

    # What goes on meanwhile

    def _kill(self) -> None:
        """kill -9 of a random client every few seconds: all of its processes, or only the one that was started."""
        chooser = random.Random(self._seed)
        while not self._over.wait(chooser.uniform(0.2, MAX_KILL_PAUSE)):
            with self._lock:
                if not self._running:
                    continue
                process = chooser.choice(list(self._running))
            self._kill_one(process, chooser)

    def _kill_one(self, process: subprocess.Popen[bytes], chooser: random.Random) -> int:
        with self._lock:
            self._killed.add(process.pid)
        if chooser.random() < 0.5:
            process.kill()
        else:
            kill_all(process)
        return process.wait()

    def _check(self) -> None:
        while not self._over.wait(CHECK_PAUSE):
            self._check_files()

    def _check_files(self) -> None:
        """Every file that has a name, read where it lies, is whole; every name is one that a client gave."""
        for folder, _, names in os.walk(self._root):
            for path in (Path(folder, name) for name in names):
                if is_hidden(path.name):
                    continue
                if not _NAME.fullmatch(path.name):
                    self.add_fault(f"a name that no client gave: {path}")
                try:
                    fault = find_fault(path.read_bytes())
                except FileNotFoundError:
                    continue
                self.counts["looked at"] += 1
                if fault is not None:
                    self.add_fault(f"{path} is not whole: {fault}")

    # In the end

    def _check_usage(self, process: psutil.Process, before: _Usage) -> None:
        try:
            wait_until(
                lambda: before.get_excess(_Usage(process)) == [], 30, lambda: str(before.get_excess(_Usage(process)))
            )
            wait_until(lambda: not find_leftovers(process.pid, self._root), 30)
        except AssertionError as error:
            self.add_fault(f"left over: {error} {find_leftovers(process.pid, self._root)}")
        growth = process.memory_info().rss - before.memory
        self.counts["KiB grown"] = growth // 1024
        if growth > MAX_GROWTH:
            self.add_fault(f"memory has grown by {growth} bytes")

    def _check_log(self, gateway: Serving) -> None:
        self.counts["uploads discarded"] = len(re.findall(r" event=upload .* result=discarded ", gateway.err))
        for line in gateway.err.splitlines():
            if " level=error " in line or "Traceback" in line:
                self.add_fault(f"in the log: {line[:2000]}")


class _Usage:
    """What the gateway holds. Threads are told apart by their names; those of pools stay, within their bound, and are not counted."""

    def __init__(self, process: psutil.Process) -> None:
        self.memory = process.memory_info().rss
        self.num_descriptors = process.num_fds()
        self.threads = _count_threads(process.pid)

    def get_excess(self, later: _Usage) -> list[str]:
        """What there is more of later."""
        excess = [f"{name}: {number}" for name, number in (later.threads - self.threads).items()]
        if later.num_descriptors > self.num_descriptors:
            excess.append(f"descriptors: {later.num_descriptors} instead of {self.num_descriptors}")
        return excess


def _count_threads(pid: int) -> Counter[str]:
    program = Path(sys.executable).parent / "py-spy"
    dump = subprocess.run(
        [program, "dump", "--nonblocking", "--pid", str(pid)], capture_output=True, text=True, check=False
    )
    names = re.findall(r'^Thread \S+ \([^)]*\): "([^"]*)"', dump.stdout, re.MULTILINE)
    assert names, f"the threads of the gateway cannot be seen: {dump.stderr}"
    return Counter(name for name in names if not re.search(r"[-_]\d+$", name) or "127.0.0.1" in name)


class Worker:
    """One user of many clients, in a folder of its own (/wN), and in /shared with all others."""

    def __init__(self, soak: Soak, number: int, endpoint: Endpoint, folder: Path, seed: int) -> None:
        self._soak = soak
        self._chooser = random.Random(seed * 100 + number)
        self._folder = folder / f"worker{number}"
        self._base = f"w{number}"
        self._root = folder / "files"
        self._number = number
        for path in (self._folder, self._root / self._base):
            path.mkdir()
        (self._root / "shared").mkdir(exist_ok=True)
        names = [
            name for name, client in CLIENTS.items() if "implicit" not in name and not client.get_missing_programs()
        ]
        self._clients: list[Client] = [CLIENTS[name](endpoint, self._folder) for name in names]

    def serve_every_client(self) -> None:
        """Each client once, so that all that is kept once and for all is there; shared among the workers."""
        for client in self._clients[self._number :: NUM_WORKERS]:
            self._execute(client, client.put(self._make_file(), f"/{self._base}/file0"))

    def run(self) -> None:
        operations = [
            self._put,
            self._put_slowly,
            self._put_slowly,
            self._put_shared,
            self._get,
            self._append,
            self._put_tree,
            self._get_tree,
        ]
        while not self._soak.is_over:
            self._chooser.choice(operations)(self._chooser.choice(self._clients))

    def _put(self, client: Client) -> None:
        name = f"file{self._chooser.randrange(NUM_NAMES)}"
        self._execute(client, client.put(self._make_file(), f"/{self._base}/{name}"))

    def _put_slowly(self, client: Client) -> None:
        """An upload that is killed in the middle, as a rule."""
        local = self._folder / "slow"
        local.write_bytes(make_record(self._chooser, 3 * MAX_BYTES))
        name = f"file{self._chooser.randrange(NUM_NAMES)}"
        command = client.slow_put(local, f"/{self._base}/{name}")
        self._soak.execute(client.name, command, self._folder, patience=self._chooser.uniform(0.3, 3))

    def _put_shared(self, client: Client) -> None:
        """A name that others write too: the last commit wins, and whatever is there is whole."""
        name = f"file{self._chooser.randrange(NUM_NAMES)}"
        command = client.put(self._make_file(), f"/shared/{name}")
        self._soak.execute(client.name, command, self._folder)

    def _get(self, client: Client) -> None:
        names = [path.name for path in (self._root / self._base).glob("file*") if path.suffix != ".partial"]
        if names:
            target = self._folder / "got"
            target.unlink(missing_ok=True)
            command = client.get(f"/{self._base}/{self._chooser.choice(names)}", target)
            if self._execute(client, command) == "done" and (fault := find_fault(target.read_bytes())):
                self._soak.add_fault(f"{client.name} has got something that is not whole: {fault}")

    def _append(self, client: Client) -> None:
        """One record more, by resuming an upload: all of the record arrives, or nothing."""
        if not client.has_resume_put or client.resume_bytes < MAX_BYTES // 2:
            return
        name = f"record{self._chooser.randrange(NUM_NAMES)}"
        remote, local = self._root / self._base / name, self._folder / name
        if not remote.exists() or remote.stat().st_size > MAX_BYTES:
            remote.unlink(missing_ok=True)
            local.write_bytes(make_record(self._chooser, 1000))
            self._execute(client, client.put(local, f"/{self._base}/{name}"))
        elif not find_fault(old := remote.read_bytes()):
            local.write_bytes(old + make_record(self._chooser, self._chooser.randrange(1, 1_000_000)))
            self._execute(client, client.resume_put(local, f"/{self._base}/{name}"))

    def _put_tree(self, client: Client) -> None:
        if client.has_trees:
            name = f"tree{self._chooser.randrange(2)}"
            shutil.rmtree(self._root / self._base / name, ignore_errors=True)
            local = self._folder / name
            shutil.rmtree(local, ignore_errors=True)
            (local / "w0").mkdir(parents=True)
            for number in range(8):
                folder = local / "w0" if number % 2 else local
                (folder / f"file{number}").write_bytes(make_record(self._chooser, self._chooser.randrange(100_000)))
            self._execute(client, client.put_tree(local, f"/{self._base}/{name}"))

    def _get_tree(self, client: Client) -> None:
        names = [path.name for path in (self._root / self._base).glob("tree?")]
        if client.has_trees and names:
            name = self._chooser.choice(names)
            shutil.rmtree(self._folder / "back", ignore_errors=True)
            (self._folder / "back").mkdir()
            outcome = self._execute(client, client.get_tree(f"/{self._base}/{name}", self._folder / "back" / name))
            for path in (self._folder / "back").rglob("*") if outcome == "done" else ():
                if path.is_file() and (fault := find_fault(path.read_bytes())):
                    self._soak.add_fault(f"{client.name} has got {path}, which is not whole: {fault}")

    def _make_file(self) -> Path:
        path = self._folder / "source"
        size = int(MAX_BYTES ** self._chooser.random())
        path.write_bytes(make_record(self._chooser, size))
        return path

    def _execute(self, client: Client, command: Command) -> str:
        """Run it; an error counts only when it comes again, because what was killed before may still have been at its end."""
        outcome = self._soak.execute(client.name, command, self._folder)
        if outcome not in ("done", "killed"):
            self._soak.counts["tried again"] += 1
            outcome = self._soak.execute(client.name, command, self._folder)
            if outcome not in ("done", "killed"):
                self._soak.add_fault(f"{client.name} failed: {' '.join(command.arguments)} {command.text}: {outcome}")
        return outcome


def _get_endpoint(gateway: Serving) -> Endpoint:
    fingerprint = re.search(r"sftp host key (SHA256:\S+)", gateway.out)
    assert fingerprint, gateway.out
    return Endpoint(gateway.get_port("ftp"), None, gateway.get_port("sftp"), fingerprint[1], None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloudalpha-soak-") as folder:
        os.environ["HOME"] = folder
        soak = Soak(Path(folder), arguments.minutes * 60, arguments.seed)
        soak.run()
    print(f"seed {arguments.seed}: {dict(soak.counts)}")
    for fault in soak.faults[:50]:
        print(fault)
    print(f"{len(soak.faults)} faults")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
