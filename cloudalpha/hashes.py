"""The hashes that clients and storages name: `make_hash`, by the names that `FileMetadata.content_hash` has for them."""

from __future__ import annotations

import hashlib
import zlib
from typing import Protocol


class Hash(Protocol):
    """What takes bytes and tells their hash; hashlib's objects are of this kind."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Hash: ...


class CRC32:
    """CRC-32 as zip and gzip have it, the most significant byte first."""

    def __init__(self, value: int = 0) -> None:
        self._value = value

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")

    def hexdigest(self) -> str:
        return self.digest().hex()

    def copy(self) -> CRC32:
        return CRC32(self._value)


def make_hash(algorithm: str) -> Hash:
    """A hash of no bytes yet: `md5`, `sha1`, `sha256`, `sha384`, `sha512`, `crc32`. For telling contents apart, never for security."""
    return CRC32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)
