"""Sweep: removes the hidden files that a crash left behind, in the background, when an account starts."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable

from cloudalpha.logs import log_event
from cloudalpha.services.local.temporary_file import is_hidden, logger, remove_leftover

MAX_DEPTH = 64
"""Folders below each other that are held open at once; deeper leftovers go when their folder is next listed or deleted."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Sweep:
    """One pass over everything beneath a folder, on its device, in a thread of its own."""

    def __init__(self, root_fd: int) -> None:
        self.num_removed = 0
        self._root_fd = os.open(".", _FOLDER, dir_fd=root_fd)
        self._device = os.fstat(self._root_fd).st_dev
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="local sweep", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the pass."""
        self._thread.join()

    def stop(self) -> None:
        """End the pass, and wait until it has ended. Harmless when repeated."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        self._sweep_dir(self._root_fd, MAX_DEPTH)
        if self.num_removed:
            log_event(logger, "leftovers_removed", number=self.num_removed)

    def _sweep_dir(self, dir_fd: int, depth: int) -> None:
        """Sweep a folder and those beneath it; closes dir_fd."""
        try:
            with os.scandir(dir_fd) as entries:
                for entry in entries:
                    if self._stopped.is_set():
                        return
                    if is_hidden(entry.name):
                        self.num_removed += remove_leftover(dir_fd, entry.name)
                    elif depth and entry.is_dir(follow_symlinks=False):
                        self._enter(dir_fd, entry.name, depth - 1)
        except OSError as error:
            log_event(logger, "sweep_failed", logging.INFO, error=error.strerror)
        finally:
            os.close(dir_fd)

    def _enter(self, dir_fd: int, name: str, depth: int) -> None:
        try:
            inner_fd = os.open(name, _FOLDER, dir_fd=dir_fd)
        except OSError as error:  # gone, or not ours to read
            log_event(logger, "sweep_passed_over", logging.DEBUG, error=error.strerror)
            return
        if os.fstat(inner_fd).st_dev == self._device:
            self._sweep_dir(inner_fd, depth)
        else:
            os.close(inner_fd)


def sweep_names(dir_fd: int, names: Iterable[str]) -> int:
    """Remove those of the names that are leftovers; how many they were."""
    return sum(remove_leftover(dir_fd, name) for name in names)


def clear_hidden(dir_fd: int) -> bool:
    """Empty a folder (open for reading) that is about to be deleted and holds hidden files alone; False where it holds others.

    The file of an upload that is still under way goes too, as one without a name would: its commit finds no folder.
    """
    with os.scandir(dir_fd) as entries:
        if not all(is_hidden(entry.name) for entry in entries):
            return False
    with os.scandir(dir_fd) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                os.unlink(entry.name, dir_fd=dir_fd)
    return True
