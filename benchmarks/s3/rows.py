"""What is measured over S3: each row is one question, asked of every peer that speaks the protocol, over a line of so many milliseconds."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import clients
from benchmarks.measure import MemorySampler, get_cpu_seconds, measured
from benchmarks.peers import Peer
from benchmarks.rows import Row
from benchmarks.s3 import moments
from benchmarks.s3.peers import forget, start_yardstick
from benchmarks.s3.place import (
    BIG,
    BIG_SIZE,
    BUCKET,
    GIB,
    GIB_SIZE,
    HUGE,
    HUGE_SIZE,
    LONG,
    LONG_SIZE,
    MIB,
    NAMES,
    NUM_NAMES,
    RATE,
    SMALL,
    SMALL_FILES,
    SMALL_SIZE,
    S3Bench,
    Target,
)

PATIENCE = 120.0
NUM_RENAMED = 4000
NUM_SERIAL = 200


@dataclass(frozen=True)
class S3Row(Row):
    """A question over S3. target: the server that it is asked over. asked: how the names of peers begin that can answer.

    needs: files, of those that `prepare` makes.
    """

    target: str = "ceph"
    needs: tuple[str, ...] = ()
    asked: tuple[str, ...] = ("CloudAlpha", "rclone serve", "s3transfer", "rclone copy")

    def can_ask(self, peer: Peer) -> bool:
        return peer.protocol in self.protocols and any(peer.name.startswith(name) for name in self.asked)


def prepare(bench: S3Bench, rows: list[S3Row]) -> None:
    """Make the objects and files that the rows need."""
    for name, size in ((BIG, BIG_SIZE), (GIB, GIB_SIZE)):
        if any(name in row.needs for row in rows):
            block = os.urandom(8 * MIB)
            with (bench.tree / name).open("wb") as file:
                for _ in range(size // len(block)):
                    file.write(block)
    (bench.tree / LONG).touch()
    os.truncate(bench.tree / LONG, LONG_SIZE)
    (bench.tree / SMALL).mkdir()
    for index in range(SMALL_FILES):
        (bench.tree / SMALL / f"file-{index:04}.bin").write_bytes(os.urandom(SMALL_SIZE))
    if "ceph" in bench.targets and any(BIG in row.needs for row in rows):
        bench.targets["ceph"].raw.upload_file(str(bench.tree / BIG), BUCKET, BIG)


def _get(latency: float) -> Callable[[S3Bench, Peer], dict[str, float]]:
    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["ceph"]
        key = f"get-{time.monotonic_ns()}.bin"
        target.copy(BIG, key)
        forget(peer)
        try:
            seconds, cpu, counts = _transfer(bench, target, peer, latency, "get", key, Path(os.devnull))
        finally:
            target.delete(key)
        return {"MiB/s": BIG_SIZE / MIB / seconds, "server CPU": cpu, "fetched": counts["bytes_down"] / MIB}

    return measure


def _put(latency: float) -> Callable[[S3Bench, Peer], dict[str, float]]:
    """Until it is stored; `told` is when the client was told that it was."""

    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["ceph"]
        key = f"put-{time.monotonic_ns()}.bin"
        start = time.perf_counter()
        told, cpu, _ = _transfer(bench, target, peer, latency, "put", key, bench.tree / BIG)
        ended = time.perf_counter()
        if told < PATIENCE:
            target.wait_for(key, [BIG_SIZE])
        stored = told + time.perf_counter() - ended
        assert stored <= time.perf_counter() - start
        target.delete(key)
        return {"MiB/s": BIG_SIZE / MIB / stored, "server CPU": cpu, "told": told}

    return measure


def _transfer(
    bench: S3Bench, target: Target, peer: Peer, latency: float, verb: str, key: str, path: Path
) -> tuple[float, float, dict[str, float]]:
    """(seconds, CPU seconds of the server, what passed). A transfer that is not done within PATIENCE counts as if it were."""
    target.line.set(latency)
    if peer.name in ("s3transfer", "rclone copy"):
        if verb == "get":
            path = bench.folder / "down.bin"  # both write in parallel, which no /dev/null takes
        command, environ = start_yardstick(peer, bench, target, verb, key, path)
        start = time.perf_counter()
        done = subprocess.run(
            command, env={**os.environ, **environ}, check=True, capture_output=True, text=True, timeout=600
        )
        seconds = float(done.stdout) if peer.name == "s3transfer" else time.perf_counter() - start
        (bench.folder / "down.bin").unlink(missing_ok=True)
        return seconds, 0.0, target.line.take_counts()
    cpu = get_cpu_seconds(peer.pid)
    with measured(peer.pid) as usage:
        is_get = verb == "get"
        process = clients.start_get(bench, peer, key) if is_get else clients.start_put(bench, peer, path, key)
        try:
            clients.finish(process, PATIENCE)
        except subprocess.TimeoutExpired:
            return PATIENCE, get_cpu_seconds(peer.pid) - cpu, target.line.take_counts()
    return clients.get_transfer_seconds(peer, process, usage.wall), usage.cpu, target.line.take_counts()


def _put_tree(latency: float) -> Callable[[S3Bench, Peer], dict[str, float]]:
    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["ceph"]
        folder = f"up-{time.monotonic_ns()}"
        target.line.set(latency)
        with measured(peer.pid) as usage:
            clients.finish(moments.start_mirror(bench, peer, bench.tree / SMALL, folder), 600)
            target.wait_for(f"{folder}/f", [SMALL_SIZE] * SMALL_FILES)
        target.delete_all(f"{folder}/")
        return {"s": usage.wall, "server CPU": usage.cpu}

    return measure


def _list(latency: float) -> Callable[[S3Bench, Peer], dict[str, float]]:
    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["huge"]
        forget(peer)
        target.line.set(latency, None)
        if peer.name == "s3transfer":
            command, _ = start_yardstick(peer, bench, target, "list", f"{NAMES}/")
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
            return {"s": float(done.stdout), "first byte": 0.0, "server CPU": 0.0}
        with measured(peer.pid) as usage:
            if peer.protocol == "sftp":
                names, first, total = clients.list_sftp(bench, peer, NAMES)
            else:
                names, first, total = clients.list_ftp(peer, NAMES)
        if names < NUM_NAMES:
            raise RuntimeError(f"{peer.name}: {names} of {NUM_NAMES} names")
        return {"s": total, "first byte": first, "server CPU": usage.cpu}

    return measure


def _rename(latency: float) -> Callable[[S3Bench, Peer], dict[str, float]]:
    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["ceph"]
        old, new = (f"{word}-{time.monotonic_ns()}" for word in ("old", "new"))
        count = NUM_SERIAL if peer.name == "s3transfer" else NUM_RENAMED

        def plant(index: int) -> None:
            target.raw.put_object(Bucket=BUCKET, Key=f"{old}/{index:05}.bin", Body=b"x" * 100)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(plant, range(count)))
        forget(peer)
        target.line.set(latency)
        try:
            if peer.name == "s3transfer":
                command, _ = start_yardstick(peer, bench, target, "rename", old, new, str(count))
                done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
                return {"s": float(done.stdout) * NUM_RENAMED / count}
            seconds = moments.rename(bench, peer, old, new)
            if len(target.list(f"{new}/0")) != count or target.list(f"{old}/0"):
                raise RuntimeError(f"{peer.name}: {len(target.list(new))} of {count} objects were moved")
            return {"s": seconds}
        finally:
            target.delete_all(f"{old}/")
            target.delete_all(f"{new}/")

    return measure


def _change(what: str, latency: float) -> Callable[[S3Bench, Peer], dict[str, float]]:
    """A change of a GiB: how long it takes, beside a put of the whole, and what passes."""

    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["ceph"]
        key = f"{what}-{time.monotonic_ns()}.bin"
        try:
            whole, _, _ = _transfer(bench, target, peer, latency, "put", key, bench.tree / GIB)
            target.wait_for(key, [GIB_SIZE])
            target.line.take_counts()
            change = moments.edit if what == "edit" else moments.append
            seconds, size = change(bench, peer, key, GIB_SIZE)
            target.wait_for(key, [size])
            counts = target.line.take_counts()
        finally:
            target.delete(key)
        moved = (counts["bytes_up"] + counts["bytes_down"]) / MIB
        return {"s": seconds, "moved": moved, "of a put": seconds / whole * 100}

    return measure


def _first_byte(start_byte: int, num_bytes: int) -> Callable[[S3Bench, Peer], dict[str, float]]:
    """After open: the round trips that a piece of 10 GiB takes, by the clock; what is fetched until the file is closed."""

    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target, latency = bench.targets["huge"], 0.1
        forget(peer)
        target.line.set(latency)
        seconds = moments.read_piece(bench, peer, HUGE, start_byte, num_bytes)
        counts = target.line.take_counts()
        return {"round trips": seconds / latency, "fetched": counts["bytes_down"] / MIB}

    return measure


def _memory(verb: str, count: int, slow: str) -> Callable[[S3Bench, Peer], dict[str, float]]:
    """The most that transfers take above what the server had before, in half a minute of them; they are broken off then."""

    def measure(bench: S3Bench, peer: Peer) -> dict[str, float]:
        target = bench.targets["huge"]
        target.line.set(0.02, RATE / 16 if slow == "S3" else None)
        sampler = MemorySampler(peer.pid)
        prefix = f"memory-{time.monotonic_ns()}"
        processes = [moments.start_long(bench, peer, verb, LONG, f"{prefix}-{index}", slow) for index in range(count)]
        deadline = time.monotonic() + 30
        try:
            sampler.sample_until(
                lambda: time.monotonic() > deadline or any(one.poll() is not None for one in processes)
            )
            ended = [one for one in processes if one.poll() is not None]
            if ended and time.monotonic() < deadline:
                clients.finish(ended[0])
        finally:
            moments.kill(processes)
        return {"MiB": sampler.growth / MIB}

    return measure


BOTH = ("sftp", "ftp")
TRANSFER = {"MiB/s": "MiB/s", "server CPU": "s"}
TREE = {"s": "s", "server CPU": "s"}
CHANGE = {"s": "s", "moved": "MiB", "of a put": "%"}
PIECE = {"round trips": "", "fetched": "MiB"}
LATENCIES = (0, 20, 100)

ROWS = [
    *(
        S3Row(f"get 256 MiB, {ms} ms", BOTH, {**TRANSFER, "fetched": "MiB"}, _get(ms / 1000), higher_is_better=True, needs=(BIG,))
        for ms in LATENCIES
    ),
    *(
        S3Row(f"put 256 MiB, {ms} ms", BOTH, {**TRANSFER, "told": "s"}, _put(ms / 1000), higher_is_better=True, needs=(BIG,))
        for ms in LATENCIES
    ),
    S3Row("put 1,000 files of 10 KiB, 20 ms", BOTH, TREE, _put_tree(0.02), asked=("CloudAlpha", "rclone serve")),
    S3Row("ls of 100,000, 20 ms", BOTH, {"s": "s", "first byte": "s", "server CPU": "s"}, _list(0.02), target="huge",
          asked=("CloudAlpha", "s3transfer")),
    S3Row("rename of 4,000, 20 ms", ("sftp",), {"s": "s"}, _rename(0.02), asked=("CloudAlpha", "rclone serve", "s3transfer"), heavy=True),
    S3Row("one byte of 1 GiB, 100 ms", ("sftp",), CHANGE, _change("edit", 0.1), asked=("CloudAlpha",), heavy=True, needs=(GIB,)),
    S3Row("1 MiB after 1 GiB, 100 ms", BOTH, CHANGE, _change("append", 0.1), asked=("CloudAlpha",), heavy=True, needs=(GIB,)),
    S3Row("first byte of 10 GiB", BOTH, PIECE, _first_byte(0, 1), target="huge", asked=("CloudAlpha", "rclone serve")),
    S3Row("last 4 KiB of 10 GiB", BOTH, PIECE, _first_byte(HUGE_SIZE - 4096, 4096), target="huge", asked=("CloudAlpha", "rclone serve")),
    *(
        S3Row(f"memory of {count} {verb}s, slow {slow}", BOTH, {"MiB": "MiB"}, _memory(verb, count, slow), target="huge", asked=("CloudAlpha",),
              heavy=True)
        for count in (8, 64)
        for verb in ("get", "put")
        for slow in ("S3", "client")
    ),
]  # fmt: skip
