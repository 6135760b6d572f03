"""Data connections: how bytes and the end of a transfer pass over them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import ssl
import struct
import sys
import time
from typing import TYPE_CHECKING

from cloudalpha.managers.ftp.engine import AsyncChat
from cloudalpha.managers.ftp.errors import Refusal, get_reply
from cloudalpha.managers.ftp.tls_channel import TLSChannel
from cloudalpha.managers.ftp.transfers import CHUNK, Transfer

if TYPE_CHECKING:
    from cloudalpha.managers.ftp.channel import Channel

_RECORD = 16 * 1024  # what one TLS record holds at most
_TURN = 4 * 1024 * 1024  # bytes after which the control connection is looked at
_SENDFILE = 1024 * 1024
_PIPE = 512 * 1024  # bytes that wait in a pipe at most; unprivileged users may ask for 1 MiB
_MIN_SETTLE_SECONDS = 0.002
_MAX_SETTLE_SECONDS = 0.03
_SETTLE_SHARE = 0.02
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_NO_EVENTS = 0


class _DataChannel(AsyncChat):  # type: ignore[misc]  # pyftpdlib is untyped
    """Tells once when the socket is really closed: TLS says good-bye first, which can take several events."""

    def close(self) -> None:
        if not self._closed:
            AsyncChat.close(self)
            self.on_closed()

    def on_closed(self) -> None:
        raise AssertionError("a subclass says what follows")


class DataConnection(TLSChannel, _DataChannel):
    """One data connection. It ends in one of three ways, and the reply is sent when the socket is closed:

    - `_end`: the end is believable. The transfer is finished, which commits an upload.
    - `fail`: the transfer is discarded, and the client told why.
    - `close` without either (the control connection is lost): the transfer is discarded.
    """

    def __init__(self, sock: socket.socket, channel: Channel) -> None:
        self._channel = channel
        self._transfer: Transfer | None = None
        self._unsent = memoryview(b"")
        self._ended = False
        self._is_settling = False
        self._started = 0.0
        self._reply: str | None = None
        self._refusal: str | None = None
        self._last_progress = -1
        self._pipe: Pipe | None = None
        super().__init__(sock, channel.ioloop)
        self.modify_ioloop_events(_NO_EVENTS)
        self._timer = self.ioloop.call_every(
            channel.settings.data_timeout, self._check_progress, _errback=self.handle_error
        )
        if channel.protects_data:
            self._wanted_io_events = _NO_EVENTS
            self.secure(channel.get_data_context())

    says_good_bye_patiently = True

    def log(self, message: str) -> None:
        """asyncore's way to write to the terminal."""

    # What the channel asks

    def start(self, transfer: Transfer) -> None:
        """Begin; the connection now answers for the transfer, whatever happens."""
        self._transfer = transfer
        self._started = time.monotonic()
        if self._refusal is not None:
            self.fail(Refusal(self._refusal))
        else:
            self._set_events()

    def fail(self, error: BaseException) -> None:
        """Discard the transfer, close, and answer with the error's reply."""
        self._reply = get_reply(error)
        self.abandon()

    def abandon(self) -> None:
        """Close at once and discard the transfer; the client must see that this is not the end: RST, and no TLS good-bye."""
        self.forget_tls()
        if not self._closed:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def get_num_bytes(self) -> int:
        """How many bytes the transfer has moved."""
        return 0 if self._transfer is None else self._transfer.num_bytes

    # Events

    def readable(self) -> bool:
        return not self._closed

    def writable(self) -> bool:
        return not self._closed

    def handle_read(self) -> None:
        if self._transfer is None or not self._transfer.receives or self._ended or self._is_settling:
            return
        if self._transfer.takes_pipe and not self.is_tls:
            self._receive_by_kernel(self._transfer)
        else:
            self._receive_chunks(self._transfer)

    def handle_write(self) -> None:
        if self._transfer is None or self._transfer.receives or self._ended:
            return
        if self._transfer.native is not None and not self.is_tls:
            self._send_native(self._transfer)
        else:
            self._send_chunks(self._transfer)

    def handle_close(self) -> None:
        """The socket is broken: pyftpdlib's loop calls this for errors, never for a clean end."""
        self._refusal = "426 The data connection was lost; the transfer is discarded."
        self.fail(Refusal(self._refusal))

    def handle_error(self) -> None:
        error = sys.exc_info()[1] or RuntimeError("an error without an exception")
        if isinstance(error, OSError):
            self.handle_close()
        else:
            self.fail(error)

    def on_secured(self) -> None:
        if self._channel.settings.tls_session_reuse == "required" and not self.socket.session_reused:
            self._refusal = "522 The data connection must resume the TLS session of the control connection."
        if self._transfer is None:
            self._wanted_io_events = _NO_EVENTS
            self.modify_ioloop_events(_NO_EVENTS)
        else:
            self.start(self._transfer)

    def on_handshake_failed(self) -> None:
        self._refusal = "522 The TLS handshake of the data connection failed."
        self.fail(Refusal(self._refusal))

    def on_closed(self) -> None:
        self._timer.cancel()
        if self._pipe is not None:
            self._pipe.close()
        transfer, self._transfer = self._transfer, None
        reply = self._reply
        if transfer is not None and self._ended:
            try:
                with self._channel.keeping_alive("226"):
                    reply = transfer.finish()
            except Exception as error:  # noqa: BLE001 - whatever it is, the client must get a reply
                transfer.discard("the commit failed")
                reply = get_reply(error)
        elif transfer is not None:
            transfer.discard(reply[4:].rstrip(".") if reply else "the control connection was lost")
        if transfer is not None:
            self._channel.on_transfer_ended(self, reply)
        else:
            self._channel.on_data_lost(self, reply or "425 The data connection was closed before the transfer began.")

    # Inside

    def _set_events(self) -> None:
        if self.is_tls and not self.is_established:
            return
        receives = self._transfer is not None and self._transfer.receives
        self._wanted_io_events = self.ioloop.READ if receives else self.ioloop.WRITE
        self.modify_ioloop_events(self._wanted_io_events)

    def _receive_by_kernel(self, transfer: Transfer) -> None:
        """From the socket into a pipe, and from there into the storage's own file: the bytes are never copied into this process."""
        if self._pipe is None:
            self._pipe = Pipe()
        for _ in range(_TURN // _PIPE):
            try:
                num_bytes = os.splice(self._fileno, self._pipe.write_fd, _PIPE)
            except BlockingIOError:
                return
            if not num_bytes:
                self._end()
                return
            transfer.take_from_pipe(self._pipe.read_fd, num_bytes)

    def _receive_chunks(self, transfer: Transfer) -> None:
        received = 0
        while received < _TURN and not self._closed and not self._ended:
            pieces, is_end = self._receive()
            num_bytes = sum(map(len, pieces))
            received += num_bytes
            if num_bytes:
                transfer.take(pieces)
            if is_end:
                self._end()
            if num_bytes < CHUNK:
                return

    def _receive(self) -> tuple[list[bytes], bool]:
        """Bytes, about CHUNK of them at most, and whether they are the last: FIN, or with TLS the client's close_notify. Raises OSError."""
        if self.is_tls:
            return self._receive_records()
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return [], False
        return [data], not data

    def _receive_records(self) -> tuple[list[bytes], bool]:
        records: list[bytes] = []
        size = 0
        read = self.socket.read  # what `recv` calls: there is a record for every 16 KiB
        try:
            while size < CHUNK:
                record = read(_RECORD)
                if not record:
                    return records, True
                records.append(record)
                size += len(record)
        except ssl.SSLWantReadError:
            pass
        except OSError:
            if not records:
                raise
        return records, False

    def _send_native(self, transfer: Transfer) -> None:
        descriptor = transfer.native.fileno() if transfer.native is not None else -1
        for _ in range(_TURN // _SENDFILE):
            try:
                sent = os.sendfile(self._fileno, descriptor, transfer.offset, _SENDFILE)
            except BlockingIOError:
                return
            if sent == 0:
                self._end()
                return
            transfer.count_native(sent)

    def _send_chunks(self, transfer: Transfer) -> None:
        sent = 0
        while sent < _TURN:
            if not self._unsent:
                self._unsent = memoryview(transfer.get_chunk())
                if not self._unsent:
                    self._end()
                    return
            try:
                num_bytes = self.socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            self._unsent = self._unsent[num_bytes:]
            sent += num_bytes

    def _end(self) -> None:
        if self._transfer is not None and self._transfer.receives:
            self._channel.drain()
            if self._closed:
                return
            if not self.is_tls and not self._transfer.is_whole:
                self._settle()
                return
        self._ended = True
        self.close()

    def _settle(self) -> None:
        """FIN is all that plain FTP has, and of a client that died the kernel sends it too: on this connection first, and then on the control
        connection. So the upload ends only if that one stays up a little longer; the longer the upload took, the likelier it was broken off.
        """
        seconds = (time.monotonic() - self._started) * _SETTLE_SHARE
        self._is_settling = True
        self._last_progress = -1
        self.modify_ioloop_events(_NO_EVENTS)
        self.ioloop.call_later(
            min(max(seconds, _MIN_SETTLE_SECONDS), _MAX_SETTLE_SECONDS), self._end_settled, _errback=self.handle_error
        )

    def _end_settled(self) -> None:
        if not self._closed:
            self._channel.drain()
        if not self._closed:
            self._ended = True
            self.close()

    def _check_progress(self) -> None:
        if self._ended:  # the client does not take TLS's good-bye
            self.forget_tls()
            self.close()
        elif self.get_num_bytes() == self._last_progress:
            self.fail(Refusal("426 The transfer stood still for too long."))
        else:
            self._last_progress = self.get_num_bytes()


class Pipe:
    """What a socket's bytes pass through on their way into a file."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        with contextlib.suppress(OSError):  # whoever has many pipes gets small ones
            fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, _PIPE)

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self.write_fd)
