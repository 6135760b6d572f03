"""IP addresses and networks: of clients, and of the configuration."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_network(value: object) -> object:
    """The network of "10.0.0.0/8", "2001:db8::/32" or a single address; whatever is no text is returned for pydantic to judge."""
    if not isinstance(value, str):
        return value
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        raise ValueError(f"not a network: {value!r}; write for example '192.168.0.0/16' or '2001:db8::/32'") from None
    raise ValueError(f"{value!r} is an address within a network; write '{network}' for the network")


Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(parse_network)]
"""A network, written as CIDR; a single address is one too."""


def parse_address(text: str) -> Address:
    """The address of a client; an IPv4 address that came in through an IPv6 socket is the IPv4 address it is. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])  # "%eth0": the zone of a link-local address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def get_origin(address: Address) -> str:
    """What is counted as one origin: an IPv4 address, or the /64 of an IPv6 address, because every customer has a whole one."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def is_in(address: Address, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether one of the networks holds the address."""
    return any(address in network for network in networks)
