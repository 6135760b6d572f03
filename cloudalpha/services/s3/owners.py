"""Which process a record of a journal belongs to, and whether that process still runs: what a live process does is not for others to finish."""

from __future__ import annotations

import os
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME_FIELD = 19  # of /proc/PID/stat, counted behind the name, which may hold spaces and brackets


def get_owner() -> str:
    """This process, in a form that no other process ever has: boot, process id and time of its start."""
    pid = os.getpid()
    return f"{_get_boot_id()}:{pid}:{_get_start_time(pid)}"


def is_alive(owner: str) -> bool:
    """Whether the process that `get_owner` named still runs. One of another machine cannot be told; it counts as gone with its boot."""
    boot_id, _, rest = owner.partition(":")
    pid, _, start_time = rest.partition(":")
    return boot_id == _get_boot_id() and pid.isdigit() and _get_start_time(int(pid)) == start_time != ""


def _get_boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return "unknown"


def _get_start_time(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where there is none of that id."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[_START_TIME_FIELD]
