"""What a server's processes have used, by the operating system's own accounts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil


def get_processes(pid: int) -> list[psutil.Process]:
    """A server's process and all its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def get_cpu_seconds(pid: int) -> float:
    """User and system seconds of the tree, with those of children that it has waited for."""
    total = 0.0
    for process in get_processes(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def get_memory(pid: int) -> int:
    """Bytes of the tree: proportional set size, so that forked servers are not charged twice for shared pages."""
    total = 0
    for process in get_processes(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total


def wait_until_quiet(pid: int, num_processes: int, seconds: float = 3.0) -> None:
    """Wait until a forking server has reaped its children, so that their seconds are counted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and len(get_processes(pid)) > num_processes:
        time.sleep(0.02)


@dataclass
class Usage:
    """What one measured step cost: seconds on the clock, the server's CPU seconds, and figures of the step's own."""

    wall: float = 0.0
    cpu: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def measured(pid: int) -> Iterator[Usage]:
    """Measure a step against a server."""
    usage = Usage()
    num_processes = len(get_processes(pid))
    cpu = get_cpu_seconds(pid)
    start = time.perf_counter()
    yield usage
    usage.wall = time.perf_counter() - start
    wait_until_quiet(pid, num_processes)
    usage.cpu = get_cpu_seconds(pid) - cpu


class MemorySampler:
    """Samples a server's memory while a step runs; `growth` is the peak above what it was at the start, in bytes."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.start = get_memory(pid)
        self.peak = self.start

    def sample(self) -> None:
        """Take one sample."""
        self.peak = max(self.peak, get_memory(self.pid))

    @property
    def growth(self) -> int:
        return self.peak - self.start

    def sample_until(self, is_done: Callable[[], bool], interval: float = 0.2) -> None:
        """Sample until the step is done."""
        while not is_done():
            self.sample()
            time.sleep(interval)
        self.sample()
