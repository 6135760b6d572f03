"""Files that tell by themselves whether they are whole: records of a length, a SHA-256 and as many random bytes, one after the other."""

from __future__ import annotations

import hashlib
import random
import struct

_HEAD = struct.Struct(">4sQ32s")
_MARK = b"WHOL"


def make_record(chooser: random.Random, num_bytes: int) -> bytes:
    """One record with so many bytes of content."""
    content = chooser.randbytes(num_bytes)
    return _HEAD.pack(_MARK, num_bytes, hashlib.sha256(content).digest()) + content


def find_fault(data: bytes) -> str | None:
    """Why this is not a sequence of at least one record; None when it is."""
    position = 0
    while position < len(data) or not data:
        if len(data) - position < _HEAD.size:
            return f"{len(data)} bytes, cut in the head at {position}"
        mark, num_bytes, digest = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        content = data[position : position + num_bytes]
        if mark != _MARK or len(content) != num_bytes:
            return f"{len(data)} bytes, cut in the record at {position}"
        if hashlib.sha256(content).digest() != digest:
            return f"{len(data)} bytes, mixed up in the record at {position}"
        position += num_bytes
    return None
