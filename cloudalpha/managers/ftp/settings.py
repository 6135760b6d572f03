"""What `[managers.ftp]` takes."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cloudalpha.settings import Duration, Settings, Size

Algorithm = Literal["SHA-256", "SHA-512", "SHA-1", "MD5", "CRC32"]
"""Names of HASH (draft-bryan-ftpext-hash-02, section 3)."""


class FTPSettings(Settings):
    """Where the FTP manager listens, what it asks of clients, and its bounds."""

    host: str = Field("127.0.0.1", description="The address to listen on; `::` listens on IPv6 and IPv4.")
    port: int = Field(2121, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    implicit_port: int | None = Field(
        None, ge=0, le=65535, description="A second port on which TLS begins with the first byte; none without."
    )
    tls: Literal["off", "optional", "required", "implicit"] | None = Field(
        None,
        description="`off`, `optional` (AUTH TLS), `required` (before the log-in, and PROT P), or `implicit` (from the first byte, on `port`). "
        "When not said: `optional` on a loopback address, `required` on any other.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the certificate and its chain; a self-signed one is made when not said."
    )
    tls_key: Path | None = Field(None, description="PEM file of the private key; the certificate's file when not said.")
    client_ca: Path | None = Field(
        None,
        description="PEM file of authorities; TLS clients must then present a certificate that one of them signed.",
    )
    tls_session_reuse: Literal["if_offered", "required", "off"] = Field(
        "if_offered",
        description="Whether data connections resume the TLS session of their control connection: `required` refuses others with 522.",
    )
    passive_ports: str = Field(
        "30000-30100", description="Ports of passive data connections, `FIRST-LAST`; `0` takes any free one."
    )
    public_address: str | None = Field(None, description="The IPv4 address that PASV tells, for clients behind NAT.")
    public_addresses: dict[str, str] = Field(
        default_factory=dict,
        description='The address that PASV tells to clients of a network, where it is another one: `{ "10.0.0.0/8" = "10.0.0.5" }`.',
    )
    active_mode: bool = Field(
        False, description="Whether PORT and EPRT are allowed, to the client's own address and a port from 1024 on."
    )
    banner: str = Field("CloudAlpha FTP ready.", max_length=70, description="What the first reply says.")
    idle_timeout: Annotated[Duration, Field(gt=0)] = Field(600.0, description="How long a session may be silent.")
    data_connect_timeout: Annotated[Duration, Field(gt=0)] = Field(
        30.0, description="How long to wait for a data connection."
    )
    data_timeout: Annotated[Duration, Field(gt=0)] = Field(120.0, description="How long a transfer may stand still.")
    keep_alive_replies: Annotated[Duration, Field(ge=0)] = Field(
        10.0,
        description="How often a client hears that a rename, a deletion or the end of an upload is still under way; 0: never.",
    )
    max_log_in_attempts: int = Field(3, ge=1, description="Wrong passwords until the connection is closed.")
    max_bad_commands: int = Field(
        10, ge=1, description="Wrong commands before the log-in until the connection is closed."
    )
    max_line: Size = Field(2048, ge=64, le=65536, description="The longest command line.")
    max_queued_commands: int = Field(64, ge=1, description="Commands that may wait for the end of a transfer.")
    hash_algorithm: Algorithm = Field("SHA-256", description="What HASH computes until OPTS HASH chooses another.")
    max_hash_size: Size = Field(
        1 << 30, ge=0, description="The largest file that is read for a hash; hashes already known cost nothing."
    )

    @field_validator("passive_ports")
    @classmethod
    def _check_ports(cls, value: str) -> str:
        _parse_ports(value)
        return value

    @field_validator("public_address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        return None if value is None else str(ipaddress.IPv4Address(value))

    @field_validator("public_addresses")
    @classmethod
    def _check_addresses(cls, value: dict[str, str]) -> dict[str, str]:
        return {
            str(ipaddress.ip_network(network)): str(ipaddress.IPv4Address(address))
            for network, address in value.items()
        }

    @model_validator(mode="after")
    def _check_files(self) -> FTPSettings:
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("tls_key needs tls_certificate")
        return self

    def get_tls(self) -> str:
        """The value of `tls`, with its default."""
        return self.tls or ("optional" if is_loopback(self.host) else "required")

    def get_passive_ports(self) -> range:
        """The ports for passive data connections; empty when any free one may be taken."""
        return _parse_ports(self.passive_ports)

    def get_public_address(self, client: str, local: str) -> str:
        """The address that PASV tells a client (its address, and our end of its control connection)."""
        address = ipaddress.ip_address(client)
        for network, public in self.public_addresses.items():
            if address in ipaddress.ip_network(network):
                return public
        return self.public_address or local


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parse_ports(value: str) -> range:
    first, _, last = value.partition("-")
    if not (first.strip().isdecimal() and (last or first).strip().isdecimal()):
        raise ValueError("write for example '30000-30100'")
    ports = range(int(first), int(last or first) + 1)
    if ports == range(1):
        return range(0)
    if not ports or ports[0] < 1024 or ports[-1] > 65535:
        raise ValueError("passive ports lie between 1024 and 65535, the first before the last")
    return ports
