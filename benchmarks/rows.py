"""What is measured: each row is one question, asked of every peer that speaks the protocol."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import clients
from benchmarks.measure import MemorySampler, Usage, get_cpu_seconds, get_memory, measured
from benchmarks.peers import Bench, Peer

MIB = 1 << 20
BIG, BIG_SIZE = "big.bin", 512 * MIB
PART, PART_SIZE = "part.bin", 64 * MIB
HUGE, HUGE_SIZE = "huge.bin", 4096 * MIB
SMALL, SMALL_FILES, SMALL_SIZE = "small", 1000, 10 * 1024
LISTINGS = (1_000, 100_000, 500_000)


@dataclass(frozen=True)
class Row:
    """One question.

    figures: what an answer gives, name -> unit; the first is the one that ratios are made of.
    higher_is_better: for the first figure. heavy: asked fewer times.
    """

    name: str
    protocols: tuple[str, ...]
    figures: dict[str, str]
    measure: Callable[[Bench, Peer], dict[str, float]]
    higher_is_better: bool = False
    heavy: bool = False

    def can_ask(self, peer: Peer) -> bool:
        """Whether a peer speaks the protocol and has what the question needs."""
        return peer.protocol in self.protocols and not any(part in self.name for part in peer.lacks)


def prepare(bench: Bench, row_names: set[str]) -> None:
    """Make the files that the rows need."""
    for name, size in ((BIG, BIG_SIZE), (PART, PART_SIZE)):
        block = os.urandom(MIB)
        with (bench.tree / name).open("wb") as file:
            for _ in range(size // MIB):
                file.write(block)
    with (bench.tree / HUGE).open("wb") as file:
        file.truncate(HUGE_SIZE)
    small = bench.tree / SMALL
    small.mkdir()
    for index in range(SMALL_FILES):
        (small / f"file-{index:04}.bin").write_bytes(os.urandom(SMALL_SIZE))
    for count in LISTINGS:
        if f"ls {count}" in row_names:
            folder = bench.tree / f"names-{count}"
            folder.mkdir()
            for index in range(count):
                os.close(os.open(folder / f"a-name-of-usual-length-{index:07}.dat", os.O_CREAT | os.O_WRONLY))


def _throughput(usage: Usage, num_bytes: int) -> dict[str, float]:
    return {"MiB/s": num_bytes / MIB / usage.wall, "server CPU": usage.cpu}


def _get(cipher: str) -> Callable[[Bench, Peer], dict[str, float]]:
    def measure(bench: Bench, peer: Peer) -> dict[str, float]:
        with measured(peer.pid) as usage:
            process = clients.start_get(bench, peer, BIG, cipher)
            clients.finish(process)
        usage.wall = clients.get_transfer_seconds(peer, process, usage.wall)
        return _throughput(usage, BIG_SIZE)

    return measure


def _put(cipher: str) -> Callable[[Bench, Peer], dict[str, float]]:
    def measure(bench: Bench, peer: Peer) -> dict[str, float]:
        with measured(peer.pid) as usage:
            process = clients.start_put(bench, peer, bench.tree / BIG, "put.bin", cipher)
            clients.finish(process)
        usage.wall = clients.get_transfer_seconds(peer, process, usage.wall)
        if (bench.tree / "put.bin").stat().st_size != BIG_SIZE:
            raise RuntimeError(f"{peer.name}: what arrived is not what was sent")
        (bench.tree / "put.bin").unlink()
        return _throughput(usage, BIG_SIZE)

    return measure


def _get_tree(bench: Bench, peer: Peer) -> dict[str, float]:
    target = bench.folder / "down"
    with measured(peer.pid) as usage:
        clients.finish(clients.start_get_tree(bench, peer, SMALL, target))
    _check_tree(peer, target)
    return {"s": usage.wall, "server CPU": usage.cpu}


def _put_tree(bench: Bench, peer: Peer) -> dict[str, float]:
    target = bench.tree / f"up-{time.monotonic_ns()}"
    with measured(peer.pid) as usage:
        clients.finish(clients.start_put_tree(bench, peer, bench.tree / SMALL, target.name))
    _check_tree(peer, target)
    return {"s": usage.wall, "server CPU": usage.cpu}


def _check_tree(peer: Peer, target: Path) -> None:
    sizes = [entry.stat().st_size for entry in os.scandir(target)]
    shutil.rmtree(target)
    if sizes != [SMALL_SIZE] * SMALL_FILES:
        raise RuntimeError(f"{peer.name}: {len(sizes)} files arrived, not all whole")


def _list(count: int) -> Callable[[Bench, Peer], dict[str, float]]:
    """As a user waits for it (OpenSSH's `ls -1`, MLSD), and bare: by a client that only asks and counts."""

    def measure(bench: Bench, peer: Peer) -> dict[str, float]:
        name = f"names-{count}"
        sampler = MemorySampler(peer.pid)
        cpu = get_cpu_seconds(peer.pid)
        if peer.protocol == "sftp":
            names, first, total = clients.list_sftp(bench, peer, name)
        else:
            names, first, total = clients.list_ftp(peer, name)
        sampler.sample()
        if names < count:
            raise RuntimeError(f"{peer.name}: {names} of {count} names")
        cpu = get_cpu_seconds(peer.pid) - cpu
        whole = clients.list_with_openssh(bench, peer, name) if peer.protocol == "sftp" else total
        return {
            "s": whole,
            "bare": total,
            "first byte": first,
            "server CPU": cpu,
            "memory kept": max(sampler.growth, 0) / MIB,
        }

    return measure


def _connect(bench: Bench, peer: Peer) -> dict[str, float]:
    rounds = 10
    with measured(peer.pid) as usage:
        for _ in range(rounds):
            clients.connect_once(bench, peer)
    return {"ms": usage.wall / rounds * 1000, "server CPU ms": usage.cpu / rounds * 1000}


def _idle(count: int) -> Callable[[Bench, Peer], dict[str, float]]:
    def measure(bench: Bench, peer: Peer) -> dict[str, float]:
        before = get_memory(peer.pid)
        sessions = clients.IdleSessions(bench, peer)
        try:
            sessions.open(count)
            memory = get_memory(peer.pid) - before
            cpu = get_cpu_seconds(peer.pid)
            time.sleep(3)
            cpu = get_cpu_seconds(peer.pid) - cpu
        finally:
            sessions.close()
        return {"MiB": memory / MIB, "CPU %": cpu / 3 * 100}

    return measure


def _parallel(bench: Bench, peer: Peer) -> dict[str, float]:
    with measured(peer.pid) as usage:
        running = [clients.start_get(bench, peer, PART) for _ in range(4)]
        running += [clients.start_put(bench, peer, bench.tree / PART, f"parallel-{index}.bin") for index in range(4)]
        clients.finish_all(running)
    for index in range(4):
        (bench.tree / f"parallel-{index}.bin").unlink()
    return _throughput(usage, 8 * PART_SIZE)


def _start_huge_get(bench: Bench, peer: Peer) -> subprocess.Popen[str]:
    return clients.start_get(bench, peer, HUGE)


def _start_huge_put(bench: Bench, peer: Peer) -> subprocess.Popen[str]:
    return clients.start_put(bench, peer, bench.tree / HUGE, "huge-put.bin")


def _memory_of_huge(direction: str) -> Callable[[Bench, Peer], dict[str, float]]:
    def measure(bench: Bench, peer: Peer) -> dict[str, float]:
        sampler = MemorySampler(peer.pid)
        start = _start_huge_get if direction == "get" else _start_huge_put
        process = start(bench, peer)
        sampler.sample_until(lambda: process.poll() is not None)
        clients.finish(process)
        (bench.tree / "huge-put.bin").unlink(missing_ok=True)
        return {"MiB": sampler.growth / MIB}

    return measure


def _memory_of_slow(direction: str) -> Callable[[Bench, Peer], dict[str, float]]:
    """A huge transfer at 5 MB/s, looked at for ten seconds and then broken off."""

    def measure(bench: Bench, peer: Peer) -> dict[str, float]:
        sampler = MemorySampler(peer.pid)
        process = clients.start_slow(bench, peer, direction, HUGE, "slow-put.bin")
        deadline = time.monotonic() + 10
        sampler.sample_until(lambda: process.poll() is not None or time.monotonic() > deadline)
        if process.poll() is not None:
            clients.finish(process)
            raise RuntimeError(f"{peer.name}: the slow transfer ended too early")
        process.kill()
        process.wait()
        (bench.tree / "slow-put.bin").unlink(missing_ok=True)
        return {"MiB": sampler.growth / MIB}

    return measure


THROUGHPUT = {"MiB/s": "MiB/s", "server CPU": "s"}
TREE = {"s": "s", "server CPU": "s"}
LISTING = {"s": "s", "bare": "s", "first byte": "s", "server CPU": "s", "memory kept": "MiB"}
FTP_PROTOCOLS = ("ftp", "ftps")
ALL_PROTOCOLS = ("sftp", *FTP_PROTOCOLS)

ROWS = [
    Row("get 512 MiB", ALL_PROTOCOLS, THROUGHPUT, _get(clients.AES), higher_is_better=True),
    Row("get 512 MiB chacha20", ("sftp",), THROUGHPUT, _get(clients.CHACHA), higher_is_better=True),
    Row("put 512 MiB", ALL_PROTOCOLS, THROUGHPUT, _put(clients.AES), higher_is_better=True),
    Row("put 512 MiB chacha20", ("sftp",), THROUGHPUT, _put(clients.CHACHA), higher_is_better=True),
    Row("get 1,000 files of 10 KiB", ("sftp", "ftp"), TREE, _get_tree),
    Row("put 1,000 files of 10 KiB", ("sftp", "ftp"), TREE, _put_tree),
    *(Row(f"ls {count}", ("sftp", "ftp"), LISTING, _list(count), heavy=count > 100_000) for count in LISTINGS),
    Row("connect and log in", ALL_PROTOCOLS, {"ms": "ms", "server CPU ms": "ms"}, _connect),
    Row("8 parallel transfers of 64 MiB", ("sftp", "ftp"), THROUGHPUT, _parallel, higher_is_better=True),
    Row("memory of a 4 GiB get", ("sftp", "ftp"), {"MiB": "MiB"}, _memory_of_huge("get"), heavy=True),
    Row("memory of a 4 GiB put", ("sftp", "ftp"), {"MiB": "MiB"}, _memory_of_huge("put"), heavy=True),
    Row("memory of a slow get", ("sftp", "ftp"), {"MiB": "MiB"}, _memory_of_slow("get"), heavy=True),
    Row("memory of a slow put", ("sftp", "ftp"), {"MiB": "MiB"}, _memory_of_slow("put"), heavy=True),
    *(
        Row(f"{count} idle sessions", ("sftp", "ftp"), {"MiB": "MiB", "CPU %": "%"}, _idle(count), heavy=True)
        for count in (0, 100, 1000)
    ),
]
