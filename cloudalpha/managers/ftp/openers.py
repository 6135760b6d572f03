"""How data connections are opened: by the client (passive), or by the gateway (active)."""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cloudalpha.logs import log_event
from cloudalpha.managers.ftp.engine import Acceptor, Connector
from cloudalpha.managers.ftp.errors import Refusal, get_reply, logger

if TYPE_CHECKING:
    from cloudalpha.managers.ftp.channel import Channel


class PassiveListener(Acceptor):  # type: ignore[misc]  # pyftpdlib is untyped
    """Listens for one data connection, from the client's address alone."""

    def __init__(self, channel: Channel, local_host: str) -> None:
        super().__init__(ioloop=channel.ioloop)
        self._channel = channel
        self.set_socket(_listen(local_host, channel.settings.get_passive_ports()))
        self.accepting = True
        self.call_later(
            channel.settings.data_connect_timeout, self._give_up, "425 No data connection was opened in time."
        )

    def get_port(self) -> int:
        """The port that the client is to connect to."""
        port: int = self.socket.getsockname()[1]
        return port

    def handle_accepted(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        if plain_address(address[0]) != self._channel.client_host:
            sock.close()
            log_event(logger, "foreign data connection", address=address[0], client=self._channel.client_host)
            self._give_up("425 A data connection came from another address than yours, and was refused.")
            return
        self.close()
        self._channel.on_data_connected(sock)

    def handle_error(self) -> None:
        self._give_up(get_reply(sys.exc_info()[1] or RuntimeError("an error without an exception")))

    def _give_up(self, reply: str) -> None:
        self.close()
        self._channel.on_data_failed(reply)


class ActiveConnector(Connector):  # type: ignore[misc]  # pyftpdlib is untyped
    """Connects to the address of PORT or EPRT."""

    def __init__(self, channel: Channel, host: str, port: int) -> None:
        super().__init__(ioloop=channel.ioloop)
        self.socket: socket.socket
        self._channel = channel
        self.call_later(channel.settings.data_connect_timeout, self.handle_close)
        try:
            self.connect_af_unspecified((host, port))
        except OSError:
            self.handle_close()

    def readable(self) -> bool:
        return False

    def handle_connect(self) -> None:
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            self.handle_close()
            return
        self.del_channel()
        sock = self.socket
        self.socket = socket.socket()  # what close() closes
        self.close()
        self._channel.on_data_connected(sock)

    def handle_close(self) -> None:
        if not self._closed:
            self.close()
            self._channel.on_data_failed("425 The address of PORT cannot be reached.")

    def handle_error(self) -> None:
        self.handle_close()


def plain_address(address: str) -> str:
    """An IPv4 address that came over an IPv6 socket, as IPv4; without an IPv6 zone."""
    return address.removeprefix("::ffff:").partition("%")[0]


def draw(ports: range) -> Iterator[int]:
    """All of the ports, each once, in an order that nobody can foresee. The kernel is asked for randomness only for those that are taken."""
    moved: dict[int, int] = {}  # where a shuffle would have moved them
    for num_left in range(len(ports), 0, -1):
        index = secrets.randbelow(num_left)
        yield ports[moved.get(index, index)]
        moved[index] = moved.get(num_left - 1, num_left - 1)


def _listen(host: str, ports: range) -> socket.socket:
    """A socket that listens on a random one of the ports. Raises Refusal when none is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in draw(ports) if ports else [0]:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # or each ended transfer keeps its port for a minute
            sock.bind((host, port))
            sock.listen(1)
        except OSError:
            sock.close()
            continue
        sock.setblocking(False)
        return sock
    log_event(logger, "no passive port is free", ports=f"{ports[0]}-{ports[-1]}" if ports else "any")
    raise Refusal("425 No port for a data connection is free; try again later.")
