"""Keeping clients from giving up: while a command takes long, lines of its reply are sent ahead.

RFC 959, section 4.2, lets a reply have many lines, all of one code; the last has a space behind it. So the code of success is said before it is
known whether there will be one. Nobody is deceived: only the last line counts, and where the command fails, that line never comes.
`Channel.respond` sees to it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cloudalpha.progress import listening

SendAhead = Callable[[str], None]


class KeepAlive:
    """Sends a line for each call that takes long, every `seconds`; never where that is 0. One for each server; safe for threads.

    All calls share one thread. It is there while there are calls, and a while longer, so that short ones cost next to nothing.
    """

    def __init__(self, seconds: float, name: str) -> None:
        self._seconds = seconds
        self._name = name
        self._condition = threading.Condition()
        self._calls: dict[_Call, float] = {}  # when each is due, in that order: all wait equally long
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    @contextmanager
    def watching(self, send_ahead: SendAhead) -> Iterator[None]:
        """Keep the client of a call alive, which the `with` block makes and which reports how far it is.

        send_ahead: sends a line from another thread. It must not block, and is never called outside the block.
        """
        if not self._seconds:
            yield
            return
        call = _Call(send_ahead)
        with self._condition:
            self._calls[call] = time.monotonic() + self._seconds
            if self._thread is None and not self._is_stopped:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        try:
            with listening(call.note):
                yield
        finally:
            with self._condition:
                del self._calls[call]

    def stop(self) -> None:
        """End the thread. Calls under way go on in silence."""
        with self._condition:
            self._is_stopped = True
            thread = self._thread
            self._condition.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with self._condition:
            while not self._is_stopped and (self._calls or self._has_new_call()):
                call, due = next(iter(self._calls.items()))
                seconds = due - time.monotonic()
                if seconds > 0:
                    self._condition.wait(seconds)
                else:
                    del self._calls[call]
                    self._calls[call] = time.monotonic() + self._seconds
                    call.send_line()
            self._thread = None

    def _has_new_call(self) -> bool:
        """Whether a call begins in the time in which none can be due."""
        self._condition.wait(self._seconds)
        return bool(self._calls)


class _Call:
    """One call, and how far it is."""

    def __init__(self, send_ahead: SendAhead) -> None:
        self._send_ahead = send_ahead
        self._text = "Please wait."

    def note(self, done: int, total: int | None) -> None:
        """The call's progress."""
        self._text = f"Please wait: {done} done." if total is None else f"Please wait: {done} of {total} done."

    def send_line(self) -> None:
        """Tell the client."""
        self._send_ahead(self._text)
