"""SlowLayer: a storage far away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from cloudalpha.file_system import FileSystem
from cloudalpha.testing.intercepting_layer import InterceptingLayer

T = TypeVar("T")


class SlowLayer(InterceptingLayer):
    """Lets each call wait before it goes on.

    seconds: how long. calls: the names of the methods that wait (`get_metadata`, `NewFile.commit` ...); all but `close` when None.
    waiting: how many calls wait at this moment, for a test to wait for with `wait_until`.

        files = SlowLayer(inner, seconds=600, calls={"list_dir"})
        ...                                                 # a client lists a folder in another thread
        wait_until(lambda: files.waiting == 1)
        ...                                                 # what must be possible meanwhile
        files.release()

    `release` ends all waiting, now and from now on, so that no test depends on how long things take. `close` does so too.
    """

    def __init__(self, inner: FileSystem, seconds: float = 0.0, calls: Collection[str] | None = None) -> None:
        super().__init__(inner)
        self.seconds = seconds
        self.calls = None if calls is None else frozenset(calls)
        self.waiting = 0
        self._lock = threading.Lock()
        self._released = threading.Event()

    def release(self) -> None:
        """No call waits any more."""
        self._released.set()

    def intercept(self, call: str, path: str, action: Callable[[], T]) -> T:
        if self.calls is None or call in self.calls:
            self._wait()
        return action()

    def close(self) -> None:
        self.release()
        super().close()

    def _wait(self) -> None:
        with self._lock:
            self.waiting += 1
        try:
            self._released.wait(self.seconds)
        finally:
            with self._lock:
                self.waiting -= 1
