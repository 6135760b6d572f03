"""Workers: the bounded threads that blocking calls run in, shared fairly by sessions.

A session that waits for a slow storage holds at most `per_share` threads, and only one while more than half of all threads are busy: so that
a few slow sessions never keep the others waiting. Everything here but the jobs themselves runs on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

Job = Callable[[], None]


class Workers:
    """Threads for jobs that may block.

    threads: how many there are at most. per_share: how many of them one share may hold at once.
    """

    def __init__(self, threads: int, per_share: int, loop: asyncio.AbstractEventLoop) -> None:
        self.threads = threads
        self.per_share = per_share
        self.num_busy = 0
        self.loop = loop
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="sftp-worker")
        self._waiting: dict[Share, None] = {}

    def make_share(self) -> Share:
        """The part of one session."""
        return Share(self)

    def close(self) -> None:
        """Take no more jobs; those that run go on to their end."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _start(self, share: Share) -> None:
        while share.jobs:
            limit = self.per_share if self.num_busy * 2 < self.threads else 1
            if self.num_busy >= self.threads or share.num_busy >= limit:
                self._waiting[share] = None
                return
            self.num_busy += 1
            share.num_busy += 1
            future = self._executor.submit(share.jobs.popleft())
            future.add_done_callback(share.tell_done)

    def _done(self, share: Share) -> None:
        self.num_busy -= 1
        share.num_busy -= 1
        for waiting in list(self._waiting):
            if self.num_busy >= self.threads:
                return
            del self._waiting[waiting]
            self._start(waiting)


class Share:
    """One session's part of the workers: its jobs start in the order in which they came."""

    def __init__(self, workers: Workers) -> None:
        self.jobs: deque[Job] = deque()
        self.num_busy = 0
        self._workers = workers

    def run(self, job: Job) -> None:
        """Run a job, now or as soon as a thread is free. A job tells of its outcome, errors too, by itself."""
        self.jobs.append(job)
        self._workers._start(self)

    def clear(self) -> None:
        """Forget the jobs that have not started."""
        self.jobs.clear()

    def tell_done(self, future: Future[None]) -> None:
        """Called in the job's thread once it is over."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
            self._workers.loop.call_soon_threadsafe(self._workers._done, self)
