"""The control connection: lines become commands, commands become replies, and a transfer runs beside them."""

from __future__ import annotations

import logging
import re
import select
import socket
import ssl
import sys
from collections import deque
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudalpha import paths
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.logs import log_event
from cloudalpha.manager import Session, Visit
from cloudalpha.managers.ftp.engine import AsyncChat, SessionLoop
from cloudalpha.managers.ftp.errors import Refusal, get_reply, logger
from cloudalpha.managers.ftp.keep_alive import KeepAlive
from cloudalpha.managers.ftp.listing import FACTS
from cloudalpha.managers.ftp.transfer_channel import TransferChannel

if TYPE_CHECKING:
    from cloudalpha.managers.ftp.server import FTPServer

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_CONTROL_TEXT = re.compile(r"[\x00-\x1f\x7f]")
_TELNET = re.compile(rb"\A(?:\xff[\xf0-\xfe]|\xf2)+")  # IP and Synch before ABOR, RFC 959 section 3.5
_HTTP = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"})
_WHILE_TRANSFERRING = frozenset({"ABOR", "STAT", "QUIT", "NOOP"})
_MAX_UNREAD_REPLIES = 2000
_MAX_DISCARDED = 64 * 1024


class Command(NamedTuple):
    """A command's rules: argument True is needed, False is refused, None may be given."""

    argument: bool | None
    syntax: str
    needs_log_in: bool = True


COMMANDS: dict[str, Command] = {}
"""Verb -> its rules. Filled by the modules of commands, whose classes have a method `ftp_VERB` for each."""


class Channel(TransferChannel):
    """The machinery of a session; `session.py` adds the commands. All of it runs in the session's own thread, but for `wake`."""

    timeout = 0  # pyftpdlib's timer; ours tells the log-in from the idle time

    def __init__(self, sock: socket.socket, server: FTPServer, visit: Visit, ioloop: Any) -> None:
        self.visit = visit
        self.session: Session | None = None
        self._queue: deque[bytes] = deque()
        self._overlong = 0
        self._bad_commands = 0
        self._ending = False
        self._begun_reply = ""  # the code with which lines of a reply were sent ahead
        self._timer: Any = None
        self.ascii_mode = True  # RFC 959, section 5.1
        self.restart_offset = 0
        self.announced_size: int | None = None
        self.rename_from: str | None = None
        self.facts: tuple[str, ...] = FACTS
        self.hash_algorithm: str = server.settings.hash_algorithm
        super().__init__(sock, server, ioloop)

    @property
    def view(self) -> FileSystemView:
        """What the session sees. Commands that need a log-in may rely on it."""
        if self.session is None:
            raise Refusal("530 Log in with USER and PASS first.")
        return self.session.view

    # The life of the connection

    def begin(self) -> None:
        """Greet the client, after the handshake where TLS is implicit."""
        self._timer = self.ioloop.call_later(
            self.server.gate.log_in_timeout(), self.handle_timeout, _errback=self.handle_error
        )
        if self.server.implicit:
            self.secure(self.get_context())
        else:
            self.respond(f"220 {self.settings.banner}")

    def on_secured(self) -> None:
        if self.server.implicit:
            self.respond(f"220 {self.settings.banner}")

    def on_handshake_failed(self) -> None:
        log_event(logger, "TLS handshake failed", logging.DEBUG, address=self.client_host)
        self.close()

    def on_logged_in(self, session: Session) -> None:
        """From now on the idle time-out counts."""
        self.session = session
        self.authenticated = True
        self.server.on_logged_in(self)
        self._timer.cancel()
        self._timer = self.ioloop.call_later(
            self.settings.idle_timeout, self.handle_timeout, _errback=self.handle_error
        )

    def handle_timeout(self) -> None:
        if self.transferring:  # its own time-outs watch over it
            self._timer = self.ioloop.call_later(
                self.settings.idle_timeout, self.handle_timeout, _errback=self.handle_error
            )
        else:
            self.end("421 You were silent for too long." if self.session else "421 Nobody has logged in in time.")

    def wake(self, how: int) -> None:
        """End the connection from another thread: the session's thread sees the end of its socket."""
        try:
            socket.socket.shutdown(self.socket, how)  # not SSLSocket's, which would end TLS under the other thread
        except OSError:
            log_event(logger, "already disconnected", logging.DEBUG, address=self.client_host)

    def end(self, reply: str) -> None:
        """Send a last reply and close; what comes after is ignored."""
        if not self._ending:
            self._ending = True
            if not self.is_tls or self.is_established:
                self.respond(reply)
            self._close_soon()

    def _close_soon(self) -> None:
        """Close when the client has taken what is sent, or does not in time."""
        self.close_when_done()
        if not self._closed:
            self.ioloop.call_later(self.settings.data_connect_timeout, self.close)

    def handle_close(self) -> None:
        if self.server.stopping and not self._ending and not self._closed:
            self.end("421 The server is shutting down.")
        else:
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        super().close()
        if self._timer is not None:
            self._timer.cancel()
        self.lose_transfer()
        self._queue.clear()

    def handle_error(self) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log_event(logger, "session failed", logging.ERROR, exc_info=error, address=self.client_host)
        self.forget_tls()
        self.close()

    # Lines

    def collect_incoming_data(self, data: bytes) -> None:
        self._in_buffer_len += len(data)
        if self._overlong or self._in_buffer_len > self.settings.max_line:
            self._overlong += len(data)
            self._in_buffer.clear()
            if self._overlong > _MAX_DISCARDED:
                self.end("421 That is no command line.")
        elif not self._ending:
            self._in_buffer.append(data)

    def found_terminator(self) -> None:
        line = b"".join(self._in_buffer)
        overlong = self._overlong
        self._in_buffer.clear()
        self._in_buffer_len = self._overlong = 0
        if self._ending or self._closed:
            return
        if self.session is not None:
            self._timer.reset()
        if len(self.producer_fifo) > _MAX_UNREAD_REPLIES:
            log_event(logger, "replies are not read", address=self.client_host)
            self.close()
        elif overlong:
            self._refuse_bad(f"500 The line is longer than {self.settings.max_line} bytes.")
        else:
            self._take_line(_TELNET.sub(b"", line).replace(b"\xff\xff", b"\xff"))

    def _take_line(self, line: bytes) -> None:
        verb = line.partition(b" ")[0].decode("ascii", "replace").upper()
        if not self.transferring and not self._queue:
            self._execute(verb, line)
        elif self._quit_pending:
            return
        elif verb in _WHILE_TRANSFERRING:
            self._execute(verb, line)
        elif len(self._queue) < self.settings.max_queued_commands:
            self._queue.append(line)
        else:
            self.end("421 Too many commands during a transfer.")

    def _execute(self, verb: str, line: bytes) -> None:
        try:
            self._check_and_call(verb, line)
        except Refusal as refusal:
            self.respond(refusal.reply)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must get a reply
            self.respond(get_reply(error))

    def _check_and_call(self, verb: str, line: bytes) -> None:
        if self.session is None and verb in _HTTP:
            self.end("421 This is FTP.")
            return
        command = COMMANDS.get(verb)
        if command is None:
            self._refuse_bad("500 Unknown command." if verb.isalpha() and verb.isascii() else "500 That is no command.")
            return
        raw = line[len(verb) + 1 :]
        if _CONTROL.search(raw):
            self._refuse_bad("501 Control characters are not allowed.")
        elif (command.argument is True and not raw) or (command.argument is False and raw):
            self._refuse_bad(f"501 Syntax: {command.syntax}")
        elif self.session is None and command.needs_log_in:
            self._refuse_bad("530 Log in with USER and PASS first.")
        else:
            getattr(self, "ftp_" + verb)(paths.decode(raw))

    def _refuse_bad(self, reply: str) -> None:
        """Refuse what no well-meaning client sends, a few times before the log-in, then no more."""
        self._bad_commands += 1
        if self.session is None and self._bad_commands >= self.settings.max_bad_commands:
            self.end("421 Too many wrong commands.")
        else:
            self.respond(reply)

    # Replies

    def respond(self, resp: str, logfun: object = None) -> None:
        """Send a reply's last, or only, line. Control characters never get out.

        What was sent ahead with the code of success is never completed by a failure: the client reads why, and then that the connection ends.
        """
        begun, self._begun_reply = self._begun_reply, ""
        self.push(_CONTROL_TEXT.sub("?", resp) + "\r\n")
        if begun and not resp.startswith(begun + " ") and not self._ending:
            self._ending = True
            self._close_soon()

    def respond_lines(self, first: str, lines: list[str], last: str) -> None:
        """Send a reply of several lines (RFC 959, section 4.2)."""
        body = [first, *(" " + line for line in lines), last]
        self.push("".join(_CONTROL_TEXT.sub("?", line) + "\r\n" for line in body))

    def push(self, data: str) -> None:
        if not self._closed:
            AsyncChat.push(self, data.encode("utf-8", "surrogateescape"))

    def log(self, msg: str, logfun: object = None) -> None:
        """pyftpdlib's own log lines: the manager writes better ones."""

    def keeping_alive(self, code: str) -> AbstractContextManager[None]:
        """While the `with` block waits for the storage, send lines of the reply that the client will get; code: that of success."""
        keep_alive: KeepAlive = self.server.keep_alive
        return keep_alive.watching(lambda text: self._send_ahead(code, text))

    def _send_ahead(self, code: str, text: str) -> None:
        """Send a line that is not a reply's last. Called by another thread while this session's own one waits for the storage.

        What the socket does not take now stays in the queue, as it is: TLS wants the same bytes again.
        """
        if self._closed or self.producer_fifo or (self.is_tls and not self.is_established):
            return
        line = f"{code}-{text}\r\n".encode()
        try:
            num_sent = self.socket.send(line)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            num_sent = 0
        except OSError:
            return  # the session's thread will find out
        self._begun_reply = code
        if num_sent < len(line):
            self.producer_fifo.append(line[num_sent:])

    # Beside a transfer

    def drain(self) -> None:
        """Take what the client has said on the control connection so far: an ABOR, or that it is gone."""
        poll = select.poll()
        poll.register(self._fileno, select.POLLIN)
        for _ in range(self.settings.max_queued_commands):
            if self._closed or not poll.poll(0):
                return
            try:
                self.handle_read_event()
            except OSError:
                self.handle_error()

    def go_on(self, reply: str) -> None:
        self.transferring = False
        if self._closed:
            return
        self.respond(reply)
        if self.is_aborting:
            self.respond("226 The transfer is aborted.")
            self.is_aborting = False
        if self._closed:  # sending can show that the client is gone
            return
        self._timer.reset()
        if self._quit_pending:
            self.end("221 Good-bye.")
        elif self.server.stopping:
            self.end("421 The server is shutting down.")
        while self._queue and not self.transferring and not self._ending:
            line = self._queue.popleft()
            self._execute(line.partition(b" ")[0].decode("ascii", "replace").upper(), line)


def run(channel: Channel, ioloop: Any) -> None:
    """Serve a connection to its end: the body of its thread."""
    channel.add_channel()
    channel.begin()
    while ioloop.socket_map:
        timeout = ioloop.sched.poll() if ioloop.sched._tasks else None
        if ioloop.socket_map:
            ioloop.poll(timeout)


def make_loop() -> Any:
    """A loop of events for one thread."""
    return SessionLoop()
