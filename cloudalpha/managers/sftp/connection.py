"""One SSH connection: who comes in, by which factors, and what may be asked for.

Two methods of AsyncSSH's server connection are overridden that its manual does not name: every way of logging in ends in
`send_userauth_success`, which is where a client that still owes a factor gets a partial success (RFC 4252, section 5.1); and
`validate_public_key` sees the signature, which the callback that the manual names does not. Should either vanish, nobody gets in: a session is
opened only when the visit says that everything is proven, and `tests/managers/sftp/test_log_in.py` fails.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import asyncssh
import asyncssh.packet

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.logs import log_event
from cloudalpha.manager import Session, Visit
from cloudalpha.managers.sftp.certificates import describe_certificate
from cloudalpha.managers.sftp.channel import Channel
from cloudalpha.managers.sftp.errors import get_status
from cloudalpha.managers.sftp.packets import string

if TYPE_CHECKING:
    from cloudalpha.managers.sftp.hub import Hub

_log = logging.getLogger("cloudalpha.managers.sftp")

_MSG_IGNORE = 2
_MSG_SERVICE_REQUEST = 5
_MSG_SERVICE_ACCEPT = 6
_MSG_KEXINIT = 20
_MSG_NEWKEYS = 21
_PIECE_BYTES = 64 * 1024
_MAX_CHANNEL_PACKET_BYTES = 64 * 1024
_HIGH_WATER = 512 * 1024
_KEEP_ALIVE = (
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 20),
    (socket.TCP_KEEPCNT, 4),
)  # seconds, seconds, times
_REFUSED_SIGNATURES = (b"ssh-rsa", b"ssh-dss")  # over SHA-1


class Entry(asyncio.Protocol):
    """The first moment of a connection: nothing is sent before the gate lets it in."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio's TCP servers make
        if self._hub.is_stopping:
            transport.abort()
            return
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        try:
            visit = self._hub.gate.enter(self._hub.name, address, True)
        except RefusedManagerError as error:
            log_event(_log, "refused", address=address, reason=str(error))
            transport.abort()
            return
        connection = Connection(self._hub, visit, address)
        transport.set_protocol(connection)
        connection.connection_made(transport)


class Connection(asyncssh.SSHServerConnection):
    """A client that the gate has let in. Belongs to the event loop.

    visit: what the gate knows of it. address: the client's IP address. channels: the open ones. proven: the factors that count already.
    """

    def __init__(self, hub: Hub, visit: Visit, address: str) -> None:
        super().__init__(hub.loop, hub.options)
        self.hub = hub
        self.visit = visit
        self.address = address
        self.channels: set[Channel] = set()
        self.num_channels = 0
        self.is_lost = threading.Event()
        self.last_activity = hub.loop.time()
        self.user_name = ""
        self.proven: set[str] = set()
        self.candidate: tuple[str, Callable[[], bool]] | None = None
        self._num_refused = 0
        self._needs_ignore: bool | None = None
        self._peer: asyncio.Transport | None = None
        self._is_rekeying = False
        self._has_log_in_service = False
        self._is_socket_full = False
        hub.connections.add(self)

    def touch(self) -> None:
        """The client does something."""
        self.last_activity = self.hub.loop.time()

    @property
    def is_busy(self) -> bool:
        """Whether work is going on that a grace period waits for, or its outcome is still on the way."""
        if any(channel.is_busy for channel in list(self.channels)):
            return True
        return self._peer is not None and self._peer.get_write_buffer_size() > 0

    @property
    def is_working(self) -> bool:
        """Whether a request is being answered."""
        return any(channel.is_working for channel in list(self.channels))

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - see Entry
        self._peer = transport
        transport.set_write_buffer_limits(_HIGH_WATER)
        peer = transport.get_extra_info("socket")
        for option, value in _KEEP_ALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        """In small pieces, because the parser copies all that is left for each packet that it takes."""
        if len(data) <= _PIECE_BYTES:
            super().data_received(data, datatype)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            if self.get_extra_info("socket") is None:  # closed by what came before
                return
            super().data_received(data[start : start + _PIECE_BYTES], datatype)

    def pause_writing(self) -> None:
        self._is_socket_full = True
        self._regulate()

    def resume_writing(self) -> None:
        self._is_socket_full = False
        self._regulate()

    def _regulate(self) -> None:
        """Sessions answer no more while their replies would pile up: behind a full socket, or behind a key exchange."""
        for channel in list(self.channels):
            channel.set_transport_paused(self._is_socket_full or self._is_rekeying)

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Without the empty packet that AsyncSSH sends before each one: it protects the CBC mode alone (RFC 4251, section 9.3.1)."""
        if pkttype == _MSG_IGNORE and not self._check_needs_ignore():
            return
        if pkttype in (_MSG_KEXINIT, _MSG_NEWKEYS):
            self._needs_ignore = None
            self._is_rekeying = pkttype == _MSG_KEXINIT
            self.hub.loop.call_soon(self._regulate)
        super().send_packet(pkttype, *args, handler=handler)

    def process_packet(self, pkttype: int, pktid: int, packet: asyncssh.packet.SSHPacket) -> bool | Awaitable[None]:
        """Take the request for the log-in service again for each try, as paramiko sends it; AsyncSSH would disconnect."""
        if pkttype == _MSG_SERVICE_REQUEST:
            if self._has_log_in_service and self.get_extra_info("username") is None:
                self.send_packet(_MSG_SERVICE_ACCEPT, string(packet.get_string()))
                return True
            self._has_log_in_service = True
        return super().process_packet(pkttype, pktid, packet)

    def _check_needs_ignore(self) -> bool:
        if self._needs_ignore is None:
            self._needs_ignore = "-cbc" in str(self.get_extra_info("send_cipher", "-cbc"))
        return self._needs_ignore

    # Factors

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        self.candidate = None
        if signature and _get_first_string(signature) in _REFUSED_SIGNATURES:
            return False
        certificate = describe_certificate(key_data)
        if certificate is None:
            return await super().validate_public_key(username, key_data, msg, signature)
        principals = self.visit.get_principals(username)
        principal = next((name for name in certificate.principals if name in principals), None)
        if principal is None:  # one without names would be good for everybody
            return False
        subject = certificate.subject
        self.candidate = ("key", lambda: self.visit.accept_certificate(username, subject))
        return await super().validate_public_key(principal, key_data, msg, signature)  # it looks for that name too

    async def send_userauth_success(self) -> None:
        """A factor is proven: the client is in when it was the last one that the user needs."""
        candidate, self.candidate = self.candidate, None
        if candidate is not None:
            factor, prove = candidate
            if not prove():
                self.send_userauth_failure(False)
                return
            self.proven.add(factor)
        if self.visit.is_authenticated(self.user_name):
            await super().send_userauth_success()
        else:
            self.send_userauth_failure(True)

    def send_userauth_failure(self, partial_success: bool) -> None:
        if not partial_success:
            self._num_refused += 1
            if self._num_refused > self.hub.settings.max_log_in_tries:
                self.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many log-ins were refused")
                return
        super().send_userauth_failure(partial_success)


def _get_first_string(data: bytes) -> bytes:
    return data[4 : 4 + int.from_bytes(data[:4], "big")]


class Server(asyncssh.SSHServer):
    """What AsyncSSH asks about a connection."""

    _connection: Connection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, Connection)  # noqa: S101 - Entry makes no other
        self._connection = conn
        self._visit = conn.visit
        self._hub = conn.hub

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.is_lost.set()
        self._hub.forget(self._connection)

    # Log-in

    def begin_auth(self, username: str) -> bool:
        self._connection.user_name = username
        self._connection.proven.clear()
        if self._hub.settings.banner:
            self._connection.send_auth_banner(self._hub.settings.banner.rstrip("\n") + "\n")
        return True

    def public_key_auth_supported(self) -> bool:
        return "key" not in self._connection.proven

    def password_auth_supported(self) -> bool:
        return "password" not in self._connection.proven

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether the key would do; what it is worth is decided once the signature has been verified."""
        text = _describe_key(key)
        if not self._visit.check_public_key(username, text, proven=False):
            return False
        self._connection.candidate = ("key", lambda: self._visit.check_public_key(username, text, proven=True))
        return True

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether the authority may vouch for the user; username is the name that the certificate has for them."""
        authorities = self._visit.get_certificate_authorities(self._connection.user_name)
        return self._connection.candidate is not None and _describe_key(key) in authorities

    async def validate_password(self, username: str, password: str) -> bool:
        self._connection.candidate = None
        check = self._visit.check_password
        is_right = await self._hub.loop.run_in_executor(self._hub.log_ins, check, username, password)
        if is_right:
            self._connection.proven.add("password")
        return is_right

    def auth_completed(self) -> None:
        self._connection.touch()
        self._connection.user_name = str(self._connection.get_extra_info("username"))
        log_event(_log, "log-in", user=self._connection.user_name, address=self._connection.address)

    # Channels

    def session_requested(self) -> Any:
        connection = self._connection
        if connection.num_channels >= self._hub.settings.max_channels:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many sessions over one connection")
        channel = connection.create_server_channel(
            encoding=None, window=self._hub.settings.window, max_pktsize=_MAX_CHANNEL_PACKET_BYTES
        )
        return channel, self._open_channel()

    def _open_channel(self) -> Awaitable[Channel]:
        connection = self._connection
        connection.num_channels += 1
        opening = self._hub.loop.run_in_executor(self._hub.log_ins, self._open_session)

        async def finish() -> Channel:
            try:
                session = await opening
            except Exception as error:
                connection.num_channels -= 1
                text = str(error) if isinstance(error, RefusedManagerError) else get_status(error)[1]
                raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, text) from error
            return Channel(connection, session)

        return finish()

    def _open_session(self) -> Session:
        """In a thread. A session that nobody waits for any more is ended at once."""
        session = self._visit.open_session(self._connection.user_name)
        if self._connection.is_lost.is_set():
            self._visit.close_session(session)
        return session


def _describe_key(key: asyncssh.SSHKey) -> str:
    """`TYPE BASE64`, without the comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])
