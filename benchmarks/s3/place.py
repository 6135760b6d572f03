"""The place of a run over S3: a server, the line to it, the objects, and what passed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers import Bench, open_bench
from tests.servers.s3_server import S3Server
from tests.servers.shared import run_alone

MIB = 1 << 20
RATE = 8_000_000
BUCKET = "bench"
BIG, BIG_SIZE = "big.bin", 256 * MIB
GIB, GIB_SIZE = "gib.bin", 1024 * MIB
HUGE, HUGE_SIZE = "huge.bin", 10 << 30
LONG, LONG_SIZE = "long.bin", 4 << 30
NAMES, NUM_NAMES = "names", 100_000
SMALL, SMALL_FILES, SMALL_SIZE = "small", 1000, 10 * 1024
ROOT = Path(__file__).parent.parent.parent


class Line:
    """The chaos proxy, in a process of its own, in front of a server."""

    def __init__(self, bench: Bench, url: str) -> None:
        command = [sys.executable, "-m", "tests.servers.chaos_proxy", "--to", url]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        bench.processes.append(self.process)
        self.endpoint_url = self._read().split()[1]

    def set(self, latency: float, rate: float | None = RATE) -> dict[str, Any]:
        """Make it so long (seconds of a round trip) and so slow (bytes a second and connection); what passed since the last time."""
        return self._tell({"latency": latency, "rate": rate})

    def take_counts(self) -> dict[str, Any]:
        """What passed since the last time: requests by method, bytes_up, bytes_down, connections."""
        return self._tell({})

    def _tell(self, settings: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(settings).encode() + b"\n")
        self.process.stdin.flush()
        counts: dict[str, Any] = json.loads(self._read())
        return counts

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line:
            raise RuntimeError("the proxy has ended")
        return line


@dataclass
class Target:
    """A server, the line to it, and a client that reaches it without the line. objects: name -> size, as they are planted."""

    server: S3Server
    line: Line
    raw: Any = None

    def __post_init__(self) -> None:
        self.raw = self.server.make_client(max_pool_connections=64)

    def copy(self, key: str, new_key: str) -> None:
        """On the server's side: a name that no peer has in its cache."""
        self.raw.copy_object(Bucket=BUCKET, Key=new_key, CopySource={"Bucket": BUCKET, "Key": key})

    def delete(self, key: str) -> None:
        self.raw.delete_object(Bucket=BUCKET, Key=key)

    def delete_all(self, prefix: str) -> None:
        keys = self.list(prefix)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(self.delete, keys))

    def list(self, prefix: str) -> dict[str, int]:
        """key -> size."""
        pages = self.raw.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def wait_for(self, prefix: str, sizes: list[int], seconds: float = 300) -> None:
        """Wait until what was sent is stored: some peers say that they are done before they begin."""
        deadline = time.monotonic() + seconds
        while sorted(self.list(prefix).values()) != sorted(sizes):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{prefix}: not stored after {seconds} s: {len(self.list(prefix))} objects")
            time.sleep(0.05)


@dataclass
class S3Bench(Bench):
    """targets: by name, "ceph" and "huge"."""

    targets: dict[str, Target] = field(default_factory=dict)


@contextlib.contextmanager
def open_place(folder: Path, names: set[str]) -> Iterator[S3Bench]:
    """A place for a run, gone afterwards. names: the targets that its rows need."""
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(open_bench(folder))
        bench = S3Bench(plain.folder, plain.processes)
        if "ceph" in names:
            server = stack.enter_context(run_alone("ceph"))
            bench.targets["ceph"] = Target(server, Line(bench, server.endpoint_url))
            bench.targets["ceph"].raw.create_bucket(Bucket=BUCKET)
        if "huge" in names:
            server = _start_huge(bench)
            bench.targets["huge"] = Target(server, Line(bench, server.endpoint_url))
        yield bench


def _start_huge(bench: S3Bench) -> S3Server:
    objects = [f"{name}={size}" for name, size in ((HUGE, HUGE_SIZE), (LONG, LONG_SIZE))]
    objects += [f"{NAMES}/a-name-of-usual-length-{index:07}.dat=1" for index in range(NUM_NAMES)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.huge_s3", "--bucket", BUCKET, "--objects-from", "-"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    bench.processes.append(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join([*objects, "", ""]).encode())
    process.stdin.flush()
    url = process.stdout.readline().decode().split()[1]
    return S3Server("huge", url, "any-access-key", "any-secret-key", "us-east-1", process.pid)
