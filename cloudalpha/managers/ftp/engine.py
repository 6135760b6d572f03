"""The parts of pyftpdlib that this room is built on, in one place because pyftpdlib is untyped and imports a module that Python deprecates."""

from __future__ import annotations

import select
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # asyncore and asynchat, in Python 3.11
    from pyftpdlib.exceptions import _RetryError as RetryError  # type: ignore[import-untyped]
    from pyftpdlib.handlers.ftp.control import FTPHandler  # type: ignore[import-untyped]
    from pyftpdlib.ioloop import Acceptor, AsyncChat, Connector, IOLoop  # type: ignore[import-untyped]

__all__ = ["Acceptor", "AsyncChat", "Connector", "FTPHandler", "IOLoop", "RetryError", "SessionLoop"]

_MAX_EVENTS = 8  # a session has two connections, and a listener at times


class _SmallPoll:
    """epoll for a few descriptors: Python sets 12 KiB aside for each wait that is given no bound, and every idle session waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.register = self._epoll.register
        self.unregister = self._epoll.unregister
        self.modify = self._epoll.modify
        self.close = self._epoll.close

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        return self._epoll.poll(timeout, _MAX_EVENTS)


class SessionLoop(IOLoop):  # type: ignore[misc]
    """The loop of one session's thread."""

    _poller = _SmallPoll
