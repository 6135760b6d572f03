"""The ALPN extension of a TLS ClientHello (RFC 8446, section 4.1.2; RFC 7301): Python's `ssl` does not tell what a client offered."""

from __future__ import annotations

_ALPN = 16


def get_offered_protocols(data: bytes) -> tuple[int, list[bytes]]:
    """How many bytes are missing of the first record, and the protocols that its ClientHello offers.

    Raises ValueError when this is no ClientHello; one in several records offers nothing that is looked at.
    """
    if data[:1] not in (b"", b"\x16"):
        raise ValueError("no TLS handshake")
    if len(data) < 5:
        return 5 - len(data), []
    length = int.from_bytes(data[3:5])
    if length > 16 * 1024:
        raise ValueError("a TLS record is at most 16 KiB")
    if len(data) < 5 + length:
        return 5 + length - len(data), []
    return 0, _parse(data[5 : 5 + length])


def _parse(message: bytes) -> list[bytes]:
    if message[:1] != b"\x01":
        raise ValueError("no ClientHello")
    position = 4 + 2 + 32
    position += 1 + _number(message, position, 1)  # session id
    position += 2 + _number(message, position, 2)  # cipher suites
    position += 1 + _number(message, position, 1)  # compression methods
    position += 2
    while position + 4 <= len(message):
        kind, length = _number(message, position, 2), _number(message, position + 2, 2)
        position += 4
        if kind == _ALPN:
            return _parse_names(message[position + 2 : position + length])
        position += length
    return []


def _parse_names(data: bytes) -> list[bytes]:
    names = []
    position = 0
    while position < len(data):
        length = data[position]
        names.append(data[position + 1 : position + 1 + length])
        position += 1 + length
    return names


def _number(data: bytes, position: int, size: int) -> int:
    return int.from_bytes(data[position : position + size])
