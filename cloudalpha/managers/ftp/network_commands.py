"""PASV, EPSV, PORT, EPRT (RFC 959, RFC 2428) and ABOR."""

from __future__ import annotations

import ipaddress
import socket

from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.managers.ftp.openers import plain_address

COMMANDS.update(
    {
        "PASV": Command(False, "PASV"),
        "EPSV": Command(None, "EPSV [1|2|ALL]"),
        "PORT": Command(True, "PORT h1,h2,h3,h4,p1,p2"),
        "EPRT": Command(True, "EPRT |1 or 2|address|port|"),
        "ABOR": Command(False, "ABOR"),
    }
)


class NetworkCommands(Channel):
    """How the data connection is opened."""

    _epsvall: bool

    def ftp_PASV(self, text: str) -> None:
        local = plain_address(self.socket.getsockname()[0])
        if self._epsvall:
            raise Refusal("501 Only EPSV is allowed after EPSV ALL.")
        if ":" in local:
            raise Refusal("425 PASV is for IPv4; use EPSV.")
        address = self.settings.get_public_address(self.client_host, local)
        port = self.listen_for_data()
        self.respond(f"227 Entering passive mode ({address.replace('.', ',')},{port >> 8},{port & 255}).")

    def ftp_EPSV(self, text: str) -> None:
        if text.upper() == "ALL":
            self._epsvall = True
            self.respond("200 From now on only EPSV is allowed.")
            return
        family = "2" if ":" in plain_address(self.socket.getsockname()[0]) else "1"
        if text not in ("", family):
            raise Refusal(f"522 Network protocol not supported, use ({family})")
        self.respond(f"229 Entering extended passive mode (|||{self.listen_for_data()}|)")

    def ftp_PORT(self, text: str) -> None:
        fields = text.split(",")
        if len(fields) != 6 or not all(
            f.isascii() and f.isdecimal() and int(f[:4]) < 256 and len(f) < 4 for f in fields
        ):
            raise Refusal("501 Syntax: PORT h1,h2,h3,h4,p1,p2")
        self._set_active(".".join(str(int(field)) for field in fields[:4]), int(fields[4]) * 256 + int(fields[5]))

    def ftp_EPRT(self, text: str) -> None:
        fields = text.split(text[0])
        if len(fields) != 5 or not (fields[3].isascii() and fields[3].isdecimal() and len(fields[3]) < 6):
            raise Refusal("501 Syntax: EPRT |1 or 2|address|port|")
        if fields[1] not in ("1", "2") or (fields[1] == "2" and self.socket.family != socket.AF_INET6):
            raise Refusal("522 Network protocol not supported, use (1)")
        try:
            host = str(ipaddress.ip_address(fields[2]))
        except ValueError:
            raise Refusal("501 That is no address.") from None
        self._set_active(host, int(fields[3]))

    def ftp_ABOR(self, text: str) -> None:
        self.abort()

    def _set_active(self, host: str, port: int) -> None:
        """FTP bounce, RFC 2577: to nobody but the client, and to no port of a service."""
        if not self.settings.active_mode:
            raise Refusal("502 Active mode is off; use PASV or EPSV.")
        if self._epsvall:
            raise Refusal("501 Only EPSV is allowed after EPSV ALL.")
        if host != self.client_host:
            raise Refusal("504 Data connections go to your own address alone.")
        if not 1024 <= port <= 65535:
            raise Refusal("504 Data connections go to ports from 1024 on.")
        self.set_active_address(host, port)
        self.respond("200 Noted.")
