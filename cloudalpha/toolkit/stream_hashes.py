"""StreamHashes: hashes of a whole content, computed of its parts, in order, by a thread that nobody waits for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from cloudalpha.hashes import make_hash
from cloudalpha.toolkit.part_bodies import PartBody


class StreamHashes:
    """The hashes of one upload. Belongs to one thread at a time.

    algorithms: of `cloudalpha.hashes`. release: takes a body that is not needed any more; called by any thread.
    """

    def __init__(self, algorithms: Sequence[str], executor: Executor, release: Callable[[PartBody], None]) -> None:
        self._hashes = {algorithm: make_hash(algorithm) for algorithm in algorithms}
        self._executor = executor
        self._release = release
        self._bodies: deque[PartBody] = deque()
        self._is_running = False
        self._task: Future[None] | None = None
        self._changed = threading.Condition()

    def add(self, body: PartBody) -> None:
        """Take the next part into account, which is held on to for as long as that takes."""
        if not self._hashes:
            return
        body.hold()
        with self._changed:
            self._bodies.append(body)
            if self._is_running:
                return
            self._is_running = True
        try:
            self._task = self._executor.submit(self._run)
        except RuntimeError:  # the account is being closed
            self._run()

    def get(self, last: PartBody | None) -> dict[str, str]:
        """The hashes of all that was added and of the last part, in hexadecimal by algorithm; nothing after `drop`. May be repeated."""
        if self._task is not None and self._task.cancel():  # no thread has come to it yet
            self._run()
        with self._changed:
            while self._is_running:
                self._changed.wait()
        hashes = {}
        for algorithm, digest in self._hashes.items():
            digest = digest.copy()
            if last is not None:
                last.feed(digest)
            hashes[algorithm] = digest.hexdigest()
        return hashes

    def drop(self) -> None:
        """Forget everything: there will be no hashes."""
        self._hashes = {}
        with self._changed:
            bodies = list(self._bodies)
            self._bodies.clear()
        for body in bodies:
            self._release(body)

    def _run(self) -> None:
        digests = list(self._hashes.values())
        while True:
            with self._changed:
                if not self._bodies:
                    self._is_running = False
                    self._changed.notify_all()
                    return
                body = self._bodies.popleft()
            for digest in digests:
                body.feed(digest)
            self._release(body)
