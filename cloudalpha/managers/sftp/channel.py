"""One channel of a connection: the sftp subsystem or an scp command; shells, other commands and terminals are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

from cloudalpha.manager import Session
from cloudalpha.managers.sftp.scp import SCPCommand, SCPTransfer, parse_command
from cloudalpha.managers.sftp.sftp_session import SFTPSession

if TYPE_CHECKING:
    from cloudalpha.managers.sftp.connection import Connection

_HIGH_WATER = 512 * 1024
_LOW_WATER = 128 * 1024


class Channel(asyncssh.SSHServerSession[bytes]):
    """What a client asks of one channel. Belongs to the event loop.

    connection: where it came over. session: the user's session, ended with the channel.
    """

    def __init__(self, connection: Connection, session: Session) -> None:
        self.session = session
        self._connection = connection
        self._hub = connection.hub
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._command: SCPCommand | None = None
        self._protocol: SFTPSession | SCPTransfer | None = None
        self._is_channel_paused = False
        self._is_transport_paused = False

    # What the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan
        chan.set_write_buffer_limits(_HIGH_WATER, _LOW_WATER)
        self._connection.channels.add(self)

    def pty_requested(self, term_type: str, term_size: object, term_modes: object) -> bool:
        return False

    def shell_requested(self) -> bool:
        return False

    def exec_requested(self, command: str) -> bool:
        self._command = parse_command(command) if self._hub.settings.scp else None
        return self._command is not None

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        settings, view = self._hub.settings, self.session.view
        if self._command is not None:
            self._protocol = SCPTransfer(self, view, self._hub.loop, self._command)
            self._hub.start_transfer(self._protocol)
        else:
            self._protocol = SFTPSession(
                self,
                view,
                self._hub.workers.make_share(),
                self._hub.loop,
                self.session.user_name,
                settings.max_handles,
                settings.max_hash_size,
            )
        if self._is_transport_paused:
            self._protocol.pause_writing()

    # What comes over the channel

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._connection.touch()
        if self._protocol is not None:
            self._protocol.feed(data)

    def eof_received(self) -> bool:
        if self._protocol is not None:
            self._protocol.end()
        return True  # replies still go out

    def pause_writing(self) -> None:
        self._is_channel_paused = True
        self._regulate()

    def resume_writing(self) -> None:
        self._is_channel_paused = False
        self._regulate()

    def set_transport_paused(self, is_paused: bool) -> None:
        """The connection's socket is full, or takes data again."""
        self._is_transport_paused = is_paused
        self._regulate()

    def _regulate(self) -> None:
        if self._protocol is None:
            return
        if self._is_channel_paused or self._is_transport_paused:
            self._protocol.pause_writing()
        else:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        self._connection.channels.discard(self)
        self._connection.num_channels -= 1
        if protocol is not None:
            protocol.lose()
        self._hub.close_session(self._connection.visit, self.session, protocol)

    @property
    def is_busy(self) -> bool:
        """Whether work is going on that a grace period waits for."""
        if self._protocol is None or self._chan is None:
            return False
        return self._protocol.is_busy or self._chan.get_write_buffer_size() > 0

    @property
    def is_working(self) -> bool:
        """Whether a request is being answered."""
        return self._protocol is not None and self._protocol.is_working

    # Wire

    def write(self, data: bytes) -> None:
        if self._chan is not None and not self._chan.is_closing():
            self._chan.write(data)

    def pause_reading(self) -> None:
        if self._chan is not None:
            self._chan.pause_reading()

    def resume_reading(self) -> None:
        if self._chan is not None:
            self._chan.resume_reading()

    def finish(self, status: int) -> None:
        if self._chan is not None and not self._chan.is_closing():
            self._chan.exit(status)
