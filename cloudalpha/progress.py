"""How far a long call has come: said by whoever carries it out, heard by whoever waits for it.

A storage that moves four thousand objects for one `rename` says so:

    for number, key in enumerate(keys, 1):
        ...
        report(number, len(keys))

and a command that shows a bar, or a session that keeps its client from giving up, hears it:

    with listening(show):
        file_system.rename("/a", "/b")

Both in the thread of the call: what other threads do is reported by the one that waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int | None], None]

_listener: ContextVar[Listener | None] = ContextVar("cloudalpha_progress", default=None)


def report(done: int, total: int | None = None) -> None:
    """Tell how much of the call under way is done. Costs next to nothing while nobody listens.

    done, total: in steps of one kind, whatever they are: objects, bytes. total: None where it is not known. A call within the call may begin again
    from a smaller number.
    """
    listener = _listener.get()
    if listener is not None:
        listener(done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have what is reported in this thread from now on handed to `listener`, and to nobody else, until the `with` block ends.

    listener: called as `report` is, in the thread of the call that it is about, perhaps very often: it should be quick, must not raise, and must not
    call the FileSystem.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
