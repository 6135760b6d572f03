"""Crashes: `python -m tests.end_to_end.s3_crashes --uploads 300` stores files over FTP and SFTP, through a proxy, on a real S3 server, while the
gateway, the clients and the proxy are killed (kill -9) at random moments and started again.

Every key has one writer, which stores one content after the other. What a client was told is true, so in the end each key holds the last content that
was confirmed, or one whose upload was begun later; all content is whole; and after one more start of the gateway no upload in parts is left in the
bucket, and none in the journal. What is wrong is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloudalpha.data_store import DataStore
from cloudalpha.testing.waiting import wait_until
from tests.end_to_end.clients import CLIENTS, Client, Command, kill_all
from tests.end_to_end.services import make_s3_account, open_bucket
from tests.end_to_end.whole_files import find_fault, make_record
from tests.servers import shared
from tests.servers.gateway import USER_NAME, Gateway, count_sessions, wait_until_idle
from tests.servers.processes import get_free_ports
from tests.servers.s3_server import S3Server, list_uploads

NUM_WORKERS = 4
NUM_KEYS = 4
CLIENT_NAMES = ("lftp", "lftp-tls", "curl", "curl-implicit", "sftp", "scp-legacy", "psftp", "paramiko")
"""Clients that tell what they are told. curl does not where it speaks SFTP: it ends well whatever comes of its CLOSE."""

MIB = 1 << 20
SIZES = ((0, 100_000), (0, 4 * MIB), (6 * MIB, 13 * MIB), (6 * MIB, 13 * MIB))
"""Bounds of the sizes of uploads: half of them go in parts of 5 MiB."""

LATENCY_MS = 5
RATE = 8_000_000
PATIENCE = 90.0
"""Seconds after which a client that does not end is a fault: longer than the gateway asks again."""

MAX_KILL_PAUSE = 1.5
MAX_PROXY_DOWN = 1.0
KILLED = ("client", "client", "gateway", "proxy")


def get_user_name(number: int) -> str:
    """Each worker is a user, so that it can be seen when its sessions are over."""
    return f"worker{number}"


class Proxy:
    """The chaos proxy as a process of its own, so that it can be killed; it comes again at the same port."""

    def __init__(self, target_url: str) -> None:
        [self._port] = get_free_ports(1)
        self._target_url = target_url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        options = (
            "--to",
            self._target_url,
            "--port",
            str(self._port),
            "--latency-ms",
            str(LATENCY_MS),
            "--rate",
            str(RATE),
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.chaos_proxy", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith(b"ready"), "the proxy does not start"

    def kill(self) -> None:
        if self._process is not None:
            with self._process:
                self._process.send_signal(signal.SIGKILL)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


@dataclass
class History:
    """What happened to one key. begun: digests of the contents, in the order of their uploads. confirmed: the last one that was; -1: none.

    story: all of it.
    """

    begun: list[str] = field(default_factory=list)
    confirmed: int = -1
    story: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        """Note what happened, for those who look for the reason of a fault."""
        self.story.append(f"{_get_time()} {what}")

    def find_fault(self, content: bytes | None) -> str | None:
        """Why this cannot be what the key holds; None when it can."""
        if content is None:
            return f"gone, though upload {self.confirmed} was confirmed" if self.confirmed >= 0 else None
        if fault := find_fault(content):
            return f"not whole: {fault}"
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.begun:
            return "a content that nobody stored there"
        if self.begun.index(digest) < self.confirmed:
            return f"upload {self.begun.index(digest)} of {len(self.begun)}, though {self.confirmed} was confirmed"
        return None


class Crashes:
    """One run. faults: what went wrong; kills: what was killed when; counts: what was done.

    folder: for everything. seed: of what is done, not of when.
    """

    def __init__(self, folder: Path, server: S3Server, num_uploads: int, seed: int) -> None:
        self.faults: list[str] = []
        self.kills: list[str] = []
        self.counts: Counter[str] = Counter()
        self.histories: dict[str, History] = {}
        self._folder = folder
        self._server = server
        self._seed = seed
        self._left = num_uploads
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._gateway: Gateway | None = None
        self._has_gateway = threading.Condition()
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """All of it."""
        with open_bucket(self._server) as (bucket, raw), Proxy(self._server.endpoint_url) as proxy:
            account = make_s3_account(self._server, bucket, proxy.endpoint_url)
            self._account = f'{account}\n[services.s3]\npart_size = "5 MiB"'
            try:
                self._start_gateway()
                workers = [Worker(self, number, self._folder, self._seed) for number in range(NUM_WORKERS)]
                killer = threading.Thread(target=self._guard, args=(lambda: self._kill(proxy),))
                threads = [threading.Thread(target=self._guard, args=(worker.run,)) for worker in workers]
                for thread in (*threads, killer):
                    thread.start()
                for thread in threads:
                    thread.join()
                self._over.set()
                killer.join()
                self._wait_until_idle()
                self._check_objects(raw, bucket)
                self._stop_gateway()
                self._check_uploads(raw, bucket)
            finally:
                self._over.set()
                self._stop_gateway()

    def _guard(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - told at the end
            self.add_fault(f"{type(error).__name__}: {error}")
            self._over.set()

    # For workers

    def add_fault(self, text: str) -> None:
        with self._lock:
            self.faults.append(text)

    def take_upload(self) -> bool:
        """Whether there is one more to do."""
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self._over.is_set()

    def get_gateway(self) -> Gateway:
        """The one that runs; waits until one does."""
        with self._has_gateway:
            assert self._has_gateway.wait_for(lambda: self._gateway is not None, 60), "no gateway"
            assert self._gateway is not None
            return self._gateway

    def is_running(self, gateway: Gateway) -> bool:
        return self._gateway is gateway

    def execute(self, command: Command, folder: Path) -> int:
        """Run a client to its end, whichever that is; its exit code."""
        with command.start(folder, folder / "output") as process:
            with self._lock:
                self._running.append(process)
            try:
                return process.wait(PATIENCE)
            finally:
                with self._lock:
                    self._running.remove(process)

    # Crashes

    def _kill(self, proxy: Proxy) -> None:
        chooser = random.Random(self._seed)
        while not self._over.wait(chooser.uniform(0.1, MAX_KILL_PAUSE)):
            victim = chooser.choice(KILLED)
            pause = chooser.uniform(0, MAX_PROXY_DOWN)
            if victim == "gateway":
                self._stop_gateway()
                self._start_gateway()
            elif victim == "proxy":
                proxy.kill()
                self._over.wait(pause)
                proxy.start()
            elif not self._kill_client(chooser):
                continue
            self.counts[f"{victim} killed"] += 1
            self.kills.append(f"{_get_time()} {victim} killed")

    def _kill_client(self, chooser: random.Random) -> bool:
        with self._lock:
            if not self._running:
                return False
            process = chooser.choice(self._running)
        if chooser.random() < 0.5:
            process.kill()
        else:
            kill_all(process)
        return True

    def _start_gateway(self) -> None:
        gateway = Gateway(
            self._folder / "gateway", self._account, users=(USER_NAME, *map(get_user_name, range(NUM_WORKERS)))
        )
        gateway.__enter__()
        with self._has_gateway:
            self._gateway = gateway
            self._has_gateway.notify_all()

    def _stop_gateway(self) -> None:
        """kill -9."""
        with self._has_gateway:
            gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.kill()
            gateway.__exit__(None, None, None)

    # In the end

    def _wait_until_idle(self) -> None:
        wait_until_idle(self.get_gateway().state_dir, 90)

    def _check_objects(self, raw: Any, bucket: str) -> None:
        found = set(_list_keys(raw, bucket))
        for key in sorted(found - self.histories.keys()):
            self.add_fault(f"{key}: a key that no client gave")
        for key, history in self.histories.items():
            content = raw.get_object(Bucket=bucket, Key=key)["Body"].read() if key in found else None
            self.counts["objects checked"] += content is not None
            if fault := history.find_fault(content):
                said = [line for line in self.get_gateway().err.splitlines() if f"path=/{key} " in line]
                self.add_fault("\n    ".join([f"{key}: {fault}", *history.story, *said]))

    def _check_uploads(self, raw: Any, bucket: str) -> None:
        """After a last kill, and the start that comes after it, nothing is left: neither in the bucket nor in the journal."""
        state_dir = self._folder / "gateway" / "state"
        left, journal = _find_uploads(raw, bucket), _read_journal(state_dir)
        self.counts["left for the last sweep"] = len(left)
        self._start_gateway()
        with self.get_gateway().sftp() as sftp:
            sftp.listdir("/")
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not _read_journal(state_dir), 30)
        for upload_id, key in _find_uploads(raw, bucket).items():
            was_known = "was" if upload_id in journal else "was not"
            self.add_fault(f"{key}: an upload in parts is left in the end; it {was_known} in the journal: {upload_id}")
        if entries := _read_journal(state_dir):
            self.add_fault(f"entries of the journal that are left in the end: {sorted(entries)}")


class Worker:
    """Stores one file after the other, beneath a folder of its own."""

    def __init__(self, crashes: Crashes, number: int, folder: Path, seed: int) -> None:
        self._crashes = crashes
        self._chooser = random.Random(seed * 100 + number)
        self._user_name = get_user_name(number)
        self._folder = folder / self._user_name
        self._folder.mkdir()
        self._keys = [f"w{number}-{index}" for index in range(NUM_KEYS)]
        self._clients = [CLIENTS[name] for name in CLIENT_NAMES if not CLIENTS[name].get_missing_programs()]
        crashes.histories |= {key: History() for key in self._keys}

    def run(self) -> None:
        while self._crashes.take_upload():
            gateway = self._crashes.get_gateway()
            endpoint = replace(gateway.get_endpoint(), user_name=self._user_name)
            client = self._chooser.choice(self._clients)(endpoint, self._folder)
            key = self._chooser.choice(self._keys)
            if not self._store(client, key):
                self._wait_for_the_end(gateway)

    def _store(self, client: Client, key: str) -> bool:
        """Whether the client says that it is stored."""
        history = self._crashes.histories[key]
        content = make_record(self._chooser, self._chooser.randrange(*self._chooser.choice(SIZES)))
        (self._folder / "source").write_bytes(content)
        history.begun.append(hashlib.sha256(content).hexdigest())
        history.tell(f"{len(history.begun) - 1} is begun by {client.name}: {len(content)} bytes")
        code = self._crashes.execute(client.put(self._folder / "source", f"/{key}"), self._folder)
        self._crashes.counts["uploads confirmed" if code == 0 else "uploads failed"] += 1
        history.tell(f"it ends with {code}")
        if code == 0:
            history.confirmed = len(history.begun) - 1
        return code == 0

    def _wait_for_the_end(self, gateway: Gateway) -> None:
        """A client that was killed may have sent everything: the gateway may store it as long as the session lasts."""

        def is_over() -> bool:
            return not self._crashes.is_running(gateway) or not count_sessions(gateway.state_dir, self._user_name)

        wait_until(is_over, PATIENCE)


def _get_time() -> str:
    return f"{datetime.now(UTC):%H:%M:%S.%f}"


def _list_keys(raw: Any, bucket: str) -> Iterator[str]:
    for page in raw.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (entry["Key"] for entry in page.get("Contents", []))


def _find_uploads(raw: Any, bucket: str) -> dict[str, str]:
    """Ids and keys of the unfinished uploads of the bucket."""
    return {str(upload["UploadId"]): str(upload["Key"]) for upload in list_uploads(raw, bucket)}


def _read_journal(state_dir: Path) -> set[str]:
    """What the gateway's journal has of uploads in parts: their ids, and names of those that were about to begin."""
    with contextlib.closing(DataStore(state_dir)) as data_store:
        names = [name for name, _ in data_store.items("account:files")]
    return {name.partition(":")[2] for name in names if name.startswith(("upload:", "begin:"))}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.end_to_end.s3_crashes", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--uploads", type=int, default=300, help="how many are begun")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=sorted(shared.RUN), default="ceph", help="where to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, shared.run_alone(arguments.server) as server:
        crashes = Crashes(Path(folder), server, arguments.uploads, arguments.seed)
        crashes.run()
    for name, count in sorted(crashes.counts.items()):
        print(f"{count:8} {name}")
    for line in (*crashes.kills, *(f"FAULT: {fault}" for fault in crashes.faults)) if crashes.faults else ():
        print(line)
    return 1 if crashes.faults else 0


if __name__ == "__main__":
    sys.exit(main())
