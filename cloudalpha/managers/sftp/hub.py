"""The hub: what all connections of a manager share; lives on the manager's event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import asyncssh

from cloudalpha.exceptions import ManagerError
from cloudalpha.logs import log_event
from cloudalpha.manager import Gate, Session, Visit
from cloudalpha.managers.sftp.algorithms import (
    HOST_KEY_ALGORITHMS,
    LEGACY_CIPHERS,
    LEGACY_KEY_EXCHANGES,
    LEGACY_MACS,
    SIGNATURES,
)
from cloudalpha.managers.sftp.connection import Connection, Entry, Server
from cloudalpha.managers.sftp.errors import get_status
from cloudalpha.managers.sftp.scp import SCPTransfer
from cloudalpha.managers.sftp.settings import SFTPSettings
from cloudalpha.managers.sftp.sftp_session import SFTPSession
from cloudalpha.managers.sftp.workers import Workers

_log = logging.getLogger("cloudalpha.managers.sftp")

_BACKLOG = 1024
_CLOSING_THREADS = 16
_MAX_IDLE_CHECK_SECONDS = 15.0
_DRAIN_POLL_SECONDS = 0.05


class Hub:
    """Listens, keeps the connections and the pools of threads.

    name: the manager's. gate: who may come in. options: what AsyncSSH is to do for new connections. connections: those that are open.
    is_stopping: whether nobody is let in any more.
    """

    def __init__(
        self,
        name: str,
        settings: SFTPSettings,
        gate: Gate,
        keys: list[asyncssh.SSHKey],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.name = name
        self.settings = settings
        self.gate = gate
        self.loop = loop
        self.options = make_options(settings, keys, gate.log_in_timeout())
        self.connections: set[Connection] = set()
        self.is_stopping = False
        self.workers = Workers(settings.threads, settings.threads_per_session, loop)
        self.log_ins = ThreadPoolExecutor(settings.log_in_threads, thread_name_prefix="sftp-log-in")
        self._closers = ThreadPoolExecutor(_CLOSING_THREADS, thread_name_prefix="sftp-close")
        self._transfers = ThreadPoolExecutor(settings.max_scp_transfers, thread_name_prefix="sftp-scp")
        self._num_transfers = 0
        self._emptied = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._idle_timer: asyncio.TimerHandle | None = None

    async def listen(self, sockets: list[socket.socket]) -> None:
        """Let clients in."""
        for listener in sockets:
            self._servers.append(await self.loop.create_server(lambda: Entry(self), sock=listener, backlog=_BACKLOG))
        self._check_idle()

    async def stop(self, grace_seconds: float) -> None:
        """Let nobody in any more; wait for what is going on, then end everything and wait until every visit is closed."""
        await self._stop_listening()
        deadline = self.loop.time() + grace_seconds
        while any(connection.is_busy for connection in self.connections) and self.loop.time() < deadline:
            self._disconnect_idle()
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        self._disconnect_idle()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._emptied.clear()
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            await self._emptied.wait()
        self.workers.close()
        for pool in (self._transfers, self.log_ins):
            pool.shutdown(wait=False, cancel_futures=True)
        await self.loop.run_in_executor(None, self._closers.shutdown)

    async def _stop_listening(self) -> None:
        """Close the listeners. What asyncio has accepted by then it hands over all the same, and Entry sends it away.

        Where a Server is closed between accepting a connection and making its transport, asyncio fails, and nobody closes the socket: hence in
        two steps.
        """
        self.is_stopping = True
        for server in self._servers:
            for listener in server.sockets:
                self.loop.remove_reader(listener.fileno())
        await asyncio.sleep(0)
        for server in self._servers:
            server.close()

    def count_sessions(self) -> int:
        """How many channels have a session."""
        return sum(len(connection.channels) for connection in list(self.connections))

    # For connections and channels

    def forget(self, connection: Connection) -> None:
        """A connection is gone: its visit ends, in a thread."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()
        self._close_in_thread(connection.visit.close)

    def start_transfer(self, transfer: SCPTransfer) -> None:
        """Carry out an scp command in a thread of its own, while there is one."""
        if self._num_transfers >= self.settings.max_scp_transfers:
            transfer.refuse("too many scp transfers at once")
            return
        self._num_transfers += 1
        future = self.loop.run_in_executor(self._transfers, transfer.run)
        future.add_done_callback(self._count_transfer)

    def _count_transfer(self, future: asyncio.Future[None]) -> None:
        self._num_transfers -= 1

    def close_session(self, visit: Visit, session: Session, protocol: SFTPSession | SCPTransfer | None) -> None:
        """End a session whose channel is gone, in a thread."""
        listings = protocol.take_listings() if isinstance(protocol, SFTPSession) else []

        def close() -> None:
            for handle in listings:
                handle.listing.close()
            visit.close_session(session)

        self._close_in_thread(close)

    def _close_in_thread(self, close: Callable[[], None]) -> None:
        def run() -> None:
            try:
                close()
            except Exception as error:  # noqa: BLE001 - nobody waits for it: the log must tell
                get_status(error)

        self._closers.submit(run)

    # Idle connections

    def _disconnect_idle(self) -> None:
        for connection in list(self.connections):
            if not connection.is_busy:
                connection.disconnect(asyncssh.DISC_BY_APPLICATION, "the server is shutting down")

    def _check_idle(self) -> None:
        limit = self.settings.idle_timeout
        if limit:
            oldest = self.loop.time() - limit
            for connection in list(self.connections):
                if connection.last_activity < oldest and not connection.is_working:
                    log_event(_log, "idle", user=connection.user_name, address=connection.address)
                    connection.disconnect(asyncssh.DISC_BY_APPLICATION, "idle for too long")
            self._idle_timer = self.loop.call_later(min(_MAX_IDLE_CHECK_SECONDS, limit / 4), self._check_idle)


def make_options(
    settings: SFTPSettings, keys: list[asyncssh.SSHKey], log_in_timeout: float
) -> asyncssh.SSHServerConnectionOptions:
    """AsyncSSH's options. Raises ManagerError for an algorithm that it does not know."""
    key_exchanges, ciphers, macs = settings.key_exchanges, settings.ciphers, settings.macs
    if settings.legacy_algorithms:
        log_event(_log, "legacy algorithms are offered", logging.WARNING)
        key_exchanges = key_exchanges + LEGACY_KEY_EXCHANGES
        ciphers = ciphers + LEGACY_CIPHERS
        macs = macs + LEGACY_MACS
    try:
        options = asyncssh.SSHServerConnectionOptions(
            server_factory=Server,
            server_version="CloudAlpha",
            server_host_keys=keys,
            config=None,
            kex_algs=key_exchanges,
            encryption_algs=ciphers,
            mac_algs=macs,
            compression_algs=["none"],
            signature_algs=SIGNATURES,
            login_timeout=log_in_timeout,
            keepalive_interval=0,  # TCP's own finds dead peers, and costs no timer for each packet: see Connection
            allow_pty=False,
            line_editor=False,
            agent_forwarding=False,
            x11_forwarding=False,
            host_based_auth=False,
            gss_host=None,
            encoding=None,
            rdns_lookup=False,
        )
    except ValueError as error:
        raise ManagerError(f"the SSH algorithms cannot be used: {error}") from error
    if not settings.legacy_algorithms:
        for algorithm in set(options.server_host_keys) - HOST_KEY_ALGORITHMS:
            del options.server_host_keys[algorithm]
    return options
