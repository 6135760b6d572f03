"""The parts of pyftpdlib that this room is built on, in one place because pyftpdlib is untyped and imports a module that Python deprecates."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # asyncore and asynchat, in Python 3.11
    from pyftpdlib.exceptions import _RetryError as RetryError  # type: ignore[import-untyped]
    from pyftpdlib.handlers.ftp.control import FTPHandler  # type: ignore[import-untyped]
    from pyftpdlib.ioloop import Acceptor, AsyncChat, Connector, IOLoop  # type: ignore[import-untyped]

__all__ = ["Acceptor", "AsyncChat", "Connector", "FTPHandler", "IOLoop", "RetryError"]
