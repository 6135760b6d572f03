"""One listening port: connections are accepted in one thread, and each is served in a thread of its own."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from typing import Any

from cloudalpha.exceptions import AddressInUseManagerError, ManagerError, RefusedManagerError
from cloudalpha.logs import log_event
from cloudalpha.manager import Gate, Visit
from cloudalpha.managers.ftp.channel import Channel, make_loop, run
from cloudalpha.managers.ftp.errors import logger
from cloudalpha.managers.ftp.keep_alive import KeepAlive
from cloudalpha.managers.ftp.openers import plain_address
from cloudalpha.managers.ftp.session import FTPSession
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.managers.ftp.tls import Certificates

_BACKLOG = 512
_ACCEPT_PAUSE = 0.1  # seconds, when the process has no descriptor left
_GOOD_BYE_SECONDS = 1.0  # for idle sessions to be told
_LAST_SECONDS = 5.0  # for threads to end after their sockets are shut


class FTPServer:
    """Listens, and keeps the connections of one port. `pyftpdlib`'s ThreadedFTPServer wakes every thread each second; this one lets them sleep."""

    ip_map: tuple[str, ...] = ()  # pyftpdlib looks here; the gate counts connections

    def __init__(
        self, name: str, settings: FTPSettings, gate: Gate, certificates: Certificates | None, port: int, implicit: bool
    ) -> None:
        self.name = name
        self.settings = settings
        self.gate = gate
        self._certificates = certificates
        self.implicit = implicit
        self.stopping = False
        self.keep_alive = KeepAlive(settings.keep_alive_replies, f"{name}-keep-alive")
        self._condition = threading.Condition()
        self._channels: dict[Channel, threading.Thread] = {}
        self._num_sessions = 0
        self._stopped = threading.Event()
        self._socket = _listen(settings.host, port)
        self._thread = threading.Thread(target=self._accept, name=f"{name}-accept", daemon=True)

    @property
    def certificates(self) -> Certificates:
        """The certificates; there are some whenever `offers_tls`."""
        if self._certificates is None:
            raise ManagerError("TLS is off")
        return self._certificates

    @property
    def offers_tls(self) -> bool:
        """Whether AUTH TLS is taken."""
        return self._certificates is not None and not self.implicit

    @property
    def needs_tls(self) -> bool:
        """Whether nobody logs in without TLS."""
        return self.needs_protection

    @property
    def needs_protection(self) -> bool:
        """Whether data connections must use TLS."""
        return self.implicit or self.settings.get_tls() == "required"

    def get_port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def count_sessions(self) -> int:
        """How many sessions are logged in."""
        with self._condition:
            return self._num_sessions

    def on_logged_in(self, channel: Channel) -> None:
        """A connection became a session."""
        with self._condition:
            self._num_sessions += 1

    def close_listener(self) -> None:
        """Let nobody in any more."""
        self._stopped.set()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        except OSError as error:
            log_event(logger, "listener", logging.DEBUG, error=error.strerror)
        if self._thread.is_alive():
            self._thread.join(_LAST_SECONDS)
        self._socket.close()

    def stop(self, deadline: float) -> None:
        """End the sessions: idle ones at once, transfers at the deadline (`time.monotonic`) when they are not over before."""
        with self._condition:
            self.stopping = True
            for channel in self._channels:
                if not channel.transferring:
                    channel.wake(socket.SHUT_RD)
            visits = [channel.visit for channel in self._channels if channel.session is None]
        for visit in visits:  # an answer to a wrong password may be waiting out its delay
            _close(visit)
        with self._condition:
            self._condition.wait_for(lambda: all(channel.transferring for channel in self._channels), _GOOD_BYE_SECONDS)
            self._condition.wait_for(lambda: not self._channels, max(0.0, deadline - time.monotonic()))
            threads = list(self._channels.values())
            for channel in self._channels:
                channel.wake(socket.SHUT_RDWR)
        last = time.monotonic() + _LAST_SECONDS
        for thread in threads:
            thread.join(max(0.0, last - time.monotonic()))
        self.keep_alive.stop()
        if stuck := sum(thread.is_alive() for thread in threads):
            log_event(logger, "sessions are still waiting for their storage", logging.WARNING, sessions=stuck)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, address = self._socket.accept()
            except OSError as error:
                if not self._stopped.wait(_ACCEPT_PAUSE):
                    log_event(logger, "accept failed", logging.WARNING, error=error.strerror)
                continue
            try:
                self._let_in(sock, plain_address(address[0]))
            except Exception as error:  # noqa: BLE001 - one connection's trouble must not end the others'
                log_event(logger, "connection failed", logging.ERROR, exc_info=error, address=address[0])
                sock.close()

    def _let_in(self, sock: socket.socket, host: str) -> None:
        try:
            visit = self.gate.enter(self.name, host, self.implicit)
        except RefusedManagerError as error:
            sock.setblocking(False)
            if not self.implicit:
                sock.send(f"421 {error or 'not let in'}\r\n".encode("utf-8", "replace"))
            sock.close()
            return
        try:
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
            )  # a long transfer or commit leaves this connection silent
            channel = FTPSession(sock, self, visit, make_loop())
            thread = threading.Thread(
                target=self._serve, args=(channel, visit), name=f"{self.name}-{host}", daemon=True
            )
            with self._condition:
                self._channels[channel] = thread
            thread.start()
        except BaseException:
            sock.close()
            visit.close()
            raise

    def _serve(self, channel: Channel, visit: Visit) -> None:
        loop = channel.ioloop
        try:
            run(channel, loop)
        except Exception as error:  # noqa: BLE001 - it ends this session alone
            log_event(logger, "session failed", logging.ERROR, exc_info=error, address=channel.client_host)
        finally:
            self._forget(channel, visit, loop)

    def _forget(self, channel: Channel, visit: Visit, loop: Any) -> None:
        try:
            channel.close()
            loop.close()
            visit.close()
        except Exception as error:  # noqa: BLE001 - what is left to do must be done
            log_event(logger, "session's end failed", logging.ERROR, exc_info=error, address=channel.client_host)
        finally:
            with self._condition:
                self._channels.pop(channel, None)
                if channel.session is not None:
                    self._num_sessions -= 1
                self._condition.notify_all()


def _close(visit: Visit) -> None:
    try:
        visit.close()
    except Exception as error:  # noqa: BLE001 - the others must be closed too
        log_event(logger, "session's end failed", logging.ERROR, exc_info=error)


def _listen(host: str, port: int) -> socket.socket:
    """Raises AddressInUseManagerError, ManagerError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        dual = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=dual)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        text = f"cannot listen on {host} port {port}: {reason}"
        raise (AddressInUseManagerError if error.errno == errno.EADDRINUSE else ManagerError)(text) from error
