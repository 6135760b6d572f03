"""Revisions: tells one content of a file from the next by what the system's listing tells anyway."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

MAX_CARRIED = 10_000
"""Revisions remembered across a rename or a change of time; the oldest are forgotten."""


class Revisions:
    """Makes revisions. Safe for threads.

    A revision is made of inode, size and the times of the last change of content and of anything (mtime, ctime). Nobody can set ctime, so
    that it alone tells of a change whose mtime was put back. It also changes with a rename or a new mtime, which leave the content as it was:
    those that happen here are carried over, so that neither an open file nor a cache takes them for a new content.
    """

    def __init__(self) -> None:
        self._carried: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, status: os.stat_result) -> str:
        """The revision of a file."""
        revision = _make(status)
        return self._carried.get(revision, revision) if self._carried else revision

    def carry_over(self, before: os.stat_result, after: os.stat_result, new_mtime_ns: int | None = None) -> None:
        """The file keeps its revision across a change that was not one of its content.

        new_mtime_ns: the time that the change set, in nanoseconds since 1970; None where it set none. Anything else that differs shows that somebody
        wrote meanwhile, and then nothing is carried over.
        """
        mtime_ns = before.st_mtime_ns if new_mtime_ns is None else new_mtime_ns
        if (after.st_ino, after.st_size, after.st_mtime_ns) != (before.st_ino, before.st_size, mtime_ns):
            return
        revision = self.get(before)
        with self._lock:
            self._carried[_make(after)] = revision
            if len(self._carried) > MAX_CARRIED:
                self._carried.popitem(last=False)


def _make(status: os.stat_result) -> str:
    return "%x-%x-%x-%x" % (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)  # noqa: UP031 - listings: a fifth faster
