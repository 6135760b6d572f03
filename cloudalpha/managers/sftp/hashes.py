"""Hashes that clients ask for (draft-ietf-secsh-filexfer-09, section 9.1: check-file and md5-hash).

A hash that the storage knows is told without reading; others are computed where the range is small enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cloudalpha.file_metadata import FileMetadata
from cloudalpha.hashes import make_hash
from cloudalpha.managers.sftp.packets import MAX_PACKET_BYTES, Reader, Status, StatusError

ALGORITHMS = ("md5", "sha1", "sha256", "sha384", "sha512", "crc32")
_MIN_BLOCK_BYTES = 256
_READ_BYTES = 256 * 1024
_MAX_DIGEST_BYTES = 64
_MAX_BLOCKS = (MAX_PACKET_BYTES - 1024) // _MAX_DIGEST_BYTES

ReadAt = Callable[[int, int], bytes]


class HashRequest(NamedTuple):
    """What is to be hashed. num_bytes: 0 means to the end. block_bytes: one hash for each so many bytes; 0 means one for all."""

    algorithm: str
    start_byte: int
    num_bytes: int
    block_bytes: int = 0


def read_request(reader: Reader) -> HashRequest:
    """The fields of check-file behind its handle or name; the first algorithm of the client's list that is known here."""
    names = reader.get_string().decode("ascii", "replace").lower().split(",")
    algorithm = next((name for name in names if name in ALGORITHMS), None)
    if algorithm is None:
        raise StatusError(Status.FAILURE, "none of these hash algorithms is known here")
    request = HashRequest(algorithm, reader.get_uint64(), reader.get_uint64(), reader.get_uint32())
    if 0 < request.block_bytes < _MIN_BLOCK_BYTES:
        raise StatusError(Status.FAILURE, f"a block has at least {_MIN_BLOCK_BYTES} bytes")
    return request


class Hasher:
    """Answers a session's HashRequests.

    max_bytes: how much is read at most for one. is_over: whether the session has ended.
    """

    def __init__(self, max_bytes: int, is_over: Callable[[], bool]) -> None:
        self._max_bytes = max_bytes
        self._is_over = is_over

    def compute(self, request: HashRequest, metadata: FileMetadata, read_at: ReadAt) -> bytes:
        """The digests, one behind the other. Blocks."""
        size = max(metadata.size - request.start_byte, 0)
        num_bytes = min(request.num_bytes or size, size)
        if num_bytes == metadata.size and (not request.block_bytes or request.block_bytes >= num_bytes):
            known = metadata.get_hash(request.algorithm)
            if known is not None:
                return bytes.fromhex(known)
        if num_bytes > self._max_bytes:
            raise StatusError(Status.FAILURE, f"more than {self._max_bytes} bytes are not read for a hash")
        block_bytes = request.block_bytes or max(num_bytes, 1)
        if num_bytes > block_bytes * _MAX_BLOCKS:
            raise StatusError(Status.FAILURE, "too many blocks for one reply")
        return b"".join(self._hash_blocks(request, num_bytes, block_bytes, read_at))

    def _hash_blocks(self, request: HashRequest, num_bytes: int, block_bytes: int, read_at: ReadAt) -> Iterator[bytes]:
        position, end = request.start_byte, request.start_byte + num_bytes
        while True:
            block_end = min(position + block_bytes, end)
            digest = make_hash(request.algorithm)
            while position < block_end:
                if self._is_over():
                    raise StatusError(Status.CONNECTION_LOST, "the session has ended")
                data = read_at(position, min(_READ_BYTES, block_end - position))
                if not data:
                    raise StatusError(Status.FAILURE, "the file has become shorter meanwhile")
                digest.update(data)
                position += len(data)
            yield digest.digest()
            if position >= end:
                return
