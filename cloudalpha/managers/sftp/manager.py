"""The SFTP and SCP manager: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh

from cloudalpha.exceptions import AddressInUseManagerError, ManagerError
from cloudalpha.logs import log_event
from cloudalpha.manager import Endpoint, Gate, Manager
from cloudalpha.managers.sftp.host_keys import load_host_keys
from cloudalpha.managers.sftp.hub import Hub, make_options
from cloudalpha.managers.sftp.settings import SFTPSettings

_log = logging.getLogger("cloudalpha.managers.sftp")

_STOP_SECONDS = 30.0
_SETTLING_PASSES = 10


class SFTPManager(Manager):
    """SFTP and SCP for every SSH client."""

    settings_class = SFTPSettings

    def __init__(self, name: str, settings: Any, gate: Gate, state_dir: Path) -> None:
        super().__init__(name, settings, gate, state_dir)
        self._lock = threading.Lock()
        self._hub: Hub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._endpoints: list[Endpoint] = []

    def start(self) -> None:
        with self._lock:
            if self._hub is not None:
                return
            # AsyncSSH's own lines hold what clients send and no structure; ours tell what matters
            asyncssh.set_log_level(logging.CRITICAL)
            keys = load_host_keys(self.state_dir, self.settings.host_keys, self.settings.rsa_host_key)
            sockets = open_sockets(self.settings.host, self.settings.port)
            loop = asyncio.new_event_loop()
            try:
                hub = Hub(self.name, self.settings, self.gate, keys, loop)
            except BaseException:
                for listener in sockets:
                    listener.close()
                loop.close()
                raise
            self._endpoints = [_describe(listener, keys[0].get_fingerprint()) for listener in sockets]
            self._thread = threading.Thread(target=_run, args=(loop,), name=f"{self.name}-loop", daemon=True)
            self._thread.start()
            asyncio.run_coroutine_threadsafe(hub.listen(sockets), loop).result()
            self._hub, self._loop = hub, loop

    def stop(self, grace_seconds: float = 0.0) -> None:
        with self._lock:
            hub, loop, thread = self._hub, self._loop, self._thread
            if hub is None or loop is None or thread is None:
                return
            try:
                asyncio.run_coroutine_threadsafe(hub.stop(grace_seconds), loop).result(grace_seconds + _STOP_SECONDS)
            except TimeoutError:
                log_event(_log, "a storage keeps sessions from closing", logging.WARNING)
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join(_STOP_SECONDS)
                self._hub = self._loop = self._thread = None
                self._endpoints = []

    def reload(self) -> None:
        """New connections meet the host keys as they are now in their files."""
        with self._lock:
            if self._hub is not None:
                keys = load_host_keys(self.state_dir, self.settings.host_keys, self.settings.rsa_host_key)
                self._hub.options = make_options(self.settings, keys, self.gate.log_in_timeout())
                fingerprint = keys[0].get_fingerprint()
                self._endpoints = [replace(endpoint, fingerprint=fingerprint) for endpoint in self._endpoints]

    def get_endpoints(self) -> list[Endpoint]:
        return list(self._endpoints)

    def count_sessions(self) -> int:
        hub = self._hub
        return hub.count_sessions() if hub is not None else 0


async def _settle() -> None:
    """Let what is left end, and sockets that are closing be closed, which takes asyncio some passes."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(_SETTLING_PASSES):
        await asyncio.sleep(0)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_settle())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to each address that a host name stands for; an empty one for all, over IPv4 and IPv6.

    Raises AddressInUseManagerError, and ManagerError for a name or an address that is not this machine's.
    """
    sockets: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(addresses):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound = sockets[0].getsockname()[1] if len(sockets) > 1 else port
            listener.bind((address[0], bound, *address[2:]))
            listener.setblocking(False)
    except OSError as error:
        for listener in sockets:
            listener.close()
        where = f"{host or '*'}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseManagerError(f"port {port} of {host or '*'} is taken by another program") from error
        raise ManagerError(f"cannot listen on {where}: {error.strerror or 'unknown address'}") from error
    return sockets


def _describe(listener: socket.socket, fingerprint: str) -> Endpoint:
    host, port = listener.getsockname()[:2]
    return Endpoint("sftp", host, port, fingerprint)
