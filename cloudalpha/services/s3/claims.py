"""Claims: one thread at a time on a path, for steps that the server cannot make one: looking whether something is there, and making it.

They hold within this process. Against others nothing holds where the server enforces no conditions, and the card says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Claims:
    """The paths that threads of this process work on."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def claim(self, path: str) -> Iterator[None]:
        """Have a path to oneself within the block; waits for whoever has it. Never claim a second one within."""
        with self._changed:
            self._changed.wait_for(lambda: path not in self._claimed)
            self._claimed.add(path)
        try:
            yield
        finally:
            with self._changed:
                self._claimed.remove(path)
                self._changed.notify_all()
