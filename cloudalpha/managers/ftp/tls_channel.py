"""TLS over a channel of pyftpdlib's loop, by Python's own `ssl`.

pyftpdlib's TLS is pyOpenSSL's, which cannot keep session tickets from data connections. A client that only writes (Go's, so rclone's) never reads
them, and a close with something unread is a reset that cuts off the end of its upload.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from cloudalpha.managers.ftp.client_hello import get_offered_protocols
from cloudalpha.managers.ftp.engine import RetryError

_MAX_HELLO = 16 * 1024 + 5


class TLSChannel:
    """A mixin in front of pyftpdlib's AsyncChat. `secure` begins TLS; `close` says good-bye in it.

    Its user's `on_secured` and `on_handshake_failed` say what follows.
    """

    says_good_bye_patiently = False  # wait until the socket takes it, rather than close at once
    socket: Any
    ioloop: Any

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.is_tls = False
        self.is_established = False
        self._is_closing = False
        self._hello_size = 0
        self._tls_context: ssl.SSLContext | None = None
        super().__init__(*arguments, **named)

    def secure(self, context: ssl.SSLContext) -> None:
        """Wait for the client's handshake."""
        self.is_tls = True
        self._tls_context = context
        self.modify_ioloop_events(self.ioloop.READ)  # type: ignore[attr-defined]

    def on_secured(self) -> None:
        """The handshake is over."""

    def on_handshake_failed(self) -> None:
        """The handshake failed: nothing can be sent any more."""
        raise AssertionError("a subclass says what follows")

    def forget_tls(self) -> None:
        """Close from now on without TLS's good-bye."""
        self.is_established = False

    def handle_read_event(self) -> None:
        if not self.is_tls or (self.is_established and not self._is_closing):
            super().handle_read_event()  # type: ignore[misc]
        elif self._is_closing:
            self.close()
        else:
            self._shake_hands()

    def handle_write_event(self) -> None:
        if not self.is_tls or (self.is_established and not self._is_closing):
            super().handle_write_event()  # type: ignore[misc]
        elif self._is_closing:
            self.close()
        else:
            self._shake_hands()

    def recv(self, buffer_size: int) -> bytes:
        """Raises RetryError. A connection that ends without TLS's good-bye is closed, as one that ends with it."""
        try:
            data: bytes = super().recv(buffer_size)  # type: ignore[misc]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise RetryError from error
        except ssl.SSLError:
            self.forget_tls()
            self.handle_close()  # type: ignore[attr-defined]
            return b""
        return data

    def send(self, data: bytes) -> int:
        try:
            sent: int = super().send(data)  # type: ignore[misc]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLError:
            self.forget_tls()
            self.handle_close()  # type: ignore[attr-defined]
            return 0
        return sent

    def close(self) -> None:
        if self.is_established:
            try:
                self.socket.unwrap()
            except ssl.SSLWantReadError:
                pass  # it is sent; the client's answer is not waited for
            except ssl.SSLWantWriteError:
                if self.says_good_bye_patiently:
                    self._is_closing = True
                    self.modify_ioloop_events(self.ioloop.WRITE)  # type: ignore[attr-defined]
                    return
            except (OSError, ValueError):
                pass  # the client is gone
            self.forget_tls()
        super().close()  # type: ignore[misc]

    def _shake_hands(self) -> None:
        try:
            if not isinstance(self.socket, ssl.SSLSocket) and not self._wrap():
                return
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self.modify_ioloop_events(self.ioloop.READ)  # type: ignore[attr-defined]
        except ssl.SSLWantWriteError:
            self.modify_ioloop_events(self.ioloop.READ | self.ioloop.WRITE)  # type: ignore[attr-defined]
        except (OSError, ValueError):
            self.on_handshake_failed()
        else:
            self.is_established = True
            self.modify_ioloop_events(self._wanted_io_events)  # type: ignore[attr-defined]
            self.on_secured()

    def _wrap(self) -> bool:
        """Begin the handshake once the whole hello is there. ALPN must be `ftp`, so that nobody is led here who means another protocol (ALPACA).

        Raises ValueError for another protocol, what is not TLS, and a hello that ends in its middle; OSError.
        """
        hello = self.socket.recv(_MAX_HELLO, socket.MSG_PEEK)
        missing, protocols = get_offered_protocols(hello)
        if missing and hello:
            if len(hello) <= self._hello_size:  # woken without the bytes that were waited for: no more will come
                raise ValueError("the hello is not whole")
            self._hello_size = len(hello)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(len(hello) + missing, _MAX_HELLO))
            return False
        if protocols and b"ftp" not in protocols:
            raise ValueError("no application protocol in common")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if self._tls_context is None:
            raise ValueError("TLS was not begun")
        self.socket = self._tls_context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        return True
