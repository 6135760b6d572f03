"""What the control connection knows of data connections and of the one transfer that waits or runs."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

from cloudalpha.managers.ftp.dtp import DataConnection
from cloudalpha.managers.ftp.engine import FTPHandler
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.managers.ftp.openers import ActiveConnector, PassiveListener, plain_address
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.managers.ftp.tls_channel import TLSChannel
from cloudalpha.managers.ftp.transfers import Transfer

if TYPE_CHECKING:
    from cloudalpha.managers.ftp.server import FTPServer


class TransferChannel(TLSChannel, FTPHandler):  # type: ignore[misc]  # pyftpdlib is untyped
    """At most one data connection, open or awaited, and at most one transfer. `channel.py` adds lines and replies.

    transferring: a transfer was announced and its last reply is not sent yet. is_aborting: that reply answers an ABOR.
    """

    def __init__(self, sock: socket.socket, server: FTPServer, ioloop: Any) -> None:
        self.settings: FTPSettings = server.settings
        self.transferring = False
        self.is_aborting = False
        self._context: ssl.SSLContext | None = None
        self._pbsz = False
        self._prot = server.implicit
        self._data: DataConnection | None = None
        self._data_failure: str | None = None
        self._listener: PassiveListener | None = None
        self._active_address: tuple[str, int] | None = None
        self._connector: ActiveConnector | None = None
        self._waiting: Transfer | None = None
        super().__init__(sock, server, ioloop)
        self.client_host = plain_address(self.remote_ip)

    def go_on(self, reply: str) -> None:
        """A transfer is over: send its last reply, and take the commands that waited."""
        raise AssertionError("a subclass says what follows")

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS protects the control connection."""
        return self.is_established

    @property
    def protects_data(self) -> bool:
        """Whether data connections use TLS."""
        return bool(self._prot)

    def get_context(self) -> ssl.SSLContext:
        """The TLS context of this session, made when it is first needed."""
        context = self._context
        if context is None:
            context = self._context = self.server.certificates.make_context()
        return context

    def get_data_context(self) -> ssl.SSLContext:
        """The TLS context of a data connection: the session's, but it issues no tickets (`tls_channel` says why)."""
        if self.settings.tls_session_reuse == "off":
            context: ssl.SSLContext = self.server.certificates.make_context()
            return context  # of its own: there is nothing to resume
        context = self.get_context()
        context.num_tickets = 0
        return context

    def check_data_connection(self) -> None:
        """Raise Refusal unless a data connection is open, or on its way. Called before anything is opened for a transfer."""
        if self.server.needs_protection and not self._prot:
            raise Refusal("521 Data connections must be protected: send PROT P first.")
        if self._data_failure is not None:
            reply, self._data_failure = self._data_failure, None
            raise Refusal(reply)
        if self._data is None and self._listener is None and self._active_address is None:
            raise Refusal("425 Send PASV or EPSV first.")

    def begin_transfer(self, transfer: Transfer, reply: str = "150 Here it comes.") -> None:
        """Announce a transfer; it starts when the data connection is there. From now on it will be ended, whatever happens."""
        self.transferring = True  # first: a stop that comes with the reply must not take the session for an idle one
        self.respond(reply)
        if self._closed:  # sending has shown that the client is gone
            transfer.discard("the control connection was lost")
            return
        if self._data is not None:
            self._data.start(transfer)
            return
        self._waiting = transfer
        if self._active_address is not None:
            address, self._active_address = self._active_address, None
            self._connector = ActiveConnector(self, *address)

    def listen_for_data(self) -> int:
        """Listen for a data connection in place of any other; returns the port. Raises Refusal."""
        self._drop_data()
        self._listener = PassiveListener(self, self.socket.getsockname()[0])
        return self._listener.get_port()

    def set_active_address(self, host: str, port: int) -> None:
        """Where the next transfer is to connect to, in place of any other data connection."""
        self._drop_data()
        self._active_address = (host, port)

    def on_data_connected(self, sock: socket.socket) -> None:
        """The data connection is there."""
        self._listener = self._connector = None
        self._data = DataConnection(sock, self)
        if self._waiting is not None:
            transfer, self._waiting = self._waiting, None
            self._data.start(transfer)

    def on_data_failed(self, reply: str) -> None:
        """There will be no data connection: said now to a transfer that waits, or else to the next one."""
        self._listener = self._connector = None
        if self._waiting is None:
            self._data_failure = reply
            return
        transfer, self._waiting = self._waiting, None
        transfer.discard(reply[4:].rstrip("."))
        self.go_on(reply)

    def on_data_lost(self, data: DataConnection, reply: str) -> None:
        """A data connection ended before it had a transfer."""
        if self._data is data:
            self._data = None
            self._data_failure = reply

    def on_transfer_ended(self, data: DataConnection, reply: str | None) -> None:
        """A transfer is over, and this is what the client is told."""
        if self._data is data:
            self._data = None
        self.go_on(reply or "426 The transfer was discarded.")

    def abort(self) -> None:
        """End the transfer that waits or runs, with both replies of RFC 959, section 4.1.3; without one, close the data connection."""
        refusal = Refusal("426 The transfer was aborted; nothing was stored.")
        if not self.transferring:
            self.respond("225 There was no transfer to abort.")
        else:
            self.is_aborting = True
        if self._waiting is not None:
            self._close_openers()
            self.on_data_failed(refusal.reply)
        elif self._data is not None and self.transferring:
            self._data.fail(refusal)
        self._drop_data()

    def get_transfer_status(self) -> str:
        """What STAT says about the transfer."""
        if not self.transferring:
            return "No transfer runs."
        return f"A transfer runs: {self._data.get_num_bytes() if self._data else 0} bytes so far."

    def lose_transfer(self) -> None:
        """The control connection is lost: discard what waits or runs."""
        self._drop_data()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.discard("the control connection was lost")

    def _close_openers(self) -> None:
        for opener in (self._listener, self._connector):
            if opener is not None:
                opener.close()
        self._listener = self._connector = self._active_address = None

    def _drop_data(self) -> None:
        self._close_openers()
        data, self._data = self._data, None
        if data is not None:
            data.abandon()
        self._data_failure = None
