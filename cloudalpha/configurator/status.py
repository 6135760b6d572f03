"""The status of running gateways: each answers on a socket in its state folder, which only the gateway's own user can reach.

`status.PID.sock`: whoever connects is sent one JSON object, and the connection ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cloudalpha.logs import log_event

TIMEOUT = 5.0
MAX_STATUS_BYTES = 64 * 1024 * 1024
_ACCEPT_PAUSE = 0.1  # seconds, when the process has no descriptor left
_LOGGER = logging.getLogger("cloudalpha.status")


class StatusServer:
    """Answers with what `get_status` returns; one connection at a time.

    state_dir: the gateway's. Raises OSError when the socket cannot be made.
    """

    def __init__(self, state_dir: Path, get_status: Callable[[], dict[str, Any]]) -> None:
        self._get_status = get_status
        self._path = state_dir / f"status.{os.getpid()}.sock"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short_path(self._path) as short_path:
                self._socket.bind(short_path)
            self._path.chmod(0o600)
            self._socket.listen(4)
        except OSError:
            self._socket.close()
            raise
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._closed.set()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not connected: on Linux this wakes accept() nevertheless
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT)
        self._socket.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                if not self._closed.wait(_ACCEPT_PAUSE):
                    log_event(_LOGGER, "status_failed", logging.WARNING, reason=error.strerror)
                continue
            with connection:
                connection.settimeout(TIMEOUT)
                try:
                    connection.sendall(json.dumps(self._get_status(), default=str).encode())
                except OSError:
                    continue  # whoever asked has gone
                except Exception as error:  # noqa: BLE001 - a manager that cannot tell must not end the answers
                    log_event(_LOGGER, "status_failed", logging.ERROR, exc_info=error, reason=str(error))


def read_statuses(state_dir: Path) -> list[dict[str, Any]]:
    """What each gateway that runs with this state folder says of itself; empty when none does.

    Each has `pid`, `started`, `configuration`, `managers`, `accounts` and `sessions`. What gateways that were killed left behind is removed.
    """
    statuses = []
    for path in sorted(state_dir.glob("status.*.sock")):
        try:
            statuses.append(_read_status(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            log_event(_LOGGER, "no_status", logging.WARNING, path=path, reason=str(error))
    return statuses


def _read_status(path: Path) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short_path(path) as short_path:
        connection.settimeout(TIMEOUT)
        connection.connect(short_path)
        data = bytearray()
        while chunk := connection.recv(65536):
            data += chunk
            if len(data) > MAX_STATUS_BYTES:
                raise ValueError("the status is too long")
    status = json.loads(data)
    if not isinstance(status, dict):
        raise ValueError("the status is no JSON object")
    return status


@contextlib.contextmanager
def _short_path(path: Path) -> Iterator[str]:
    """A name for the path that fits into the 108 bytes which a socket's address has."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
