"""The extended requests that clients use: OpenSSH's (its file PROTOCOL, section 4) and those of draft-ietf-secsh-filexfer-extensions-00."""

from __future__ import annotations

import struct
from collections.abc import Callable

from cloudalpha import paths
from cloudalpha.managers.sftp.handles import FileHandle, Job
from cloudalpha.managers.sftp.hashes import ALGORITHMS, Hasher, HashRequest, read_request
from cloudalpha.managers.sftp.listing import encode_name
from cloudalpha.managers.sftp.operations import (
    MAX_OFFSET,
    Method,
    Operations,
    Work,
    check_readable,
    check_writable,
    make_ok,
)
from cloudalpha.managers.sftp.packets import (
    MAX_DATA_BYTES,
    MAX_PACKET_BYTES,
    Kind,
    Reader,
    Status,
    StatusError,
    make_packet,
    string,
)

_BLOCK_BYTES = 4096
_UNKNOWN_BLOCKS = 2**38  # a pebibyte, where the storage does not tell: clients refuse to upload into no space
_MAX_NAME_BYTES = 255
_COPY_BYTES = 256 * 1024
_VFS = struct.Struct(">11Q")
_LIMITS = struct.Struct(">4Q")

OFFERED: tuple[tuple[bytes, bytes], ...] = (
    (b"posix-rename@openssh.com", b"1"),
    (b"statvfs@openssh.com", b"2"),
    (b"fstatvfs@openssh.com", b"2"),
    (b"fsync@openssh.com", b"1"),
    (b"lsetstat@openssh.com", b"1"),
    (b"limits@openssh.com", b"1"),
    (b"expand-path@openssh.com", b"1"),
    (b"copy-data", b"1"),
    (b"home-directory", b"1"),
    (b"check-file", ",".join(ALGORITHMS).encode()),
    (b"md5-hash", b""),
)
"""The extensions that the server names in its VERSION packet."""


class Extensions:
    """The extended requests of one session.

    max_handles: told by limits@openssh.com. max_hash_bytes: how much is read at most to compute a hash. is_over: whether the session has ended,
    for what takes long.
    """

    def __init__(
        self, operations: Operations, max_handles: int, max_hash_bytes: int, is_over: Callable[[], bool]
    ) -> None:
        self._operations = operations
        self._view = operations.view
        self._handles = operations.handles
        self._max_handles = max_handles
        self._hasher = Hasher(max_hash_bytes, is_over)
        self._is_over = is_over
        self.methods: dict[bytes, Method] = {
            b"posix-rename@openssh.com": self._posix_rename,
            b"hardlink@openssh.com": self._hardlink,
            b"statvfs@openssh.com": self._statvfs,
            b"fstatvfs@openssh.com": self._fstatvfs,
            b"fsync@openssh.com": self._fsync,
            b"lsetstat@openssh.com": operations.set_attrs,
            b"limits@openssh.com": self._limits,
            b"expand-path@openssh.com": self._expand_path,
            b"copy-data": self._copy_data,
            b"home-directory": self._home_directory,
            b"check-file": self._check_file,
            b"check-file-handle": self._check_file_handle,
            b"check-file-name": self._check_file_name,
            b"md5-hash": self._md5_hash,
            b"md5-hash-handle": self._md5_hash_handle,
        }

    def _posix_rename(self, reader: Reader) -> Work:
        old_path, new_path = self._operations.get_path(reader), self._operations.get_path(reader)
        return self._operations.change(lambda: self._view.rename(old_path, new_path, overwrite=True))

    def _hardlink(self, reader: Reader) -> Work:
        raise StatusError(Status.OP_UNSUPPORTED, "storages behind this gateway have no hard links")

    def _statvfs(self, reader: Reader) -> Work:
        path = self._operations.get_path(reader)

        def job(request_id: int) -> bytes:
            self._view.get_metadata(path)
            return self._make_space_reply(request_id)

        return self._operations.look(job)

    def _fstatvfs(self, reader: Reader) -> Work:
        handle = self._handles.get_file(reader.get_string())
        return Work(handle.lane, self._make_space_reply)

    def _make_space_reply(self, request_id: int) -> bytes:
        space = self._view.get_space()
        total = free = _UNKNOWN_BLOCKS
        if space is not None:
            if space.free is not None:
                free = space.free // _BLOCK_BYTES
            total = space.total // _BLOCK_BYTES if space.total is not None else max(free, _UNKNOWN_BLOCKS)
        many = 2**32
        body = _VFS.pack(_BLOCK_BYTES, _BLOCK_BYTES, total, free, free, many, many, many, 0, 0, _MAX_NAME_BYTES)
        return make_packet(Kind.EXTENDED_REPLY, request_id, body)

    def _fsync(self, reader: Reader) -> Work:
        handle = self._handles.get_file(reader.get_string())

        def job(request_id: int) -> bytes:
            if handle.is_writable:
                handle.file.publish()
            return make_ok(request_id)

        return Work(handle.lane, job)

    def _limits(self, reader: Reader) -> Job:
        body = _LIMITS.pack(MAX_PACKET_BYTES, MAX_DATA_BYTES, MAX_DATA_BYTES, self._max_handles)
        return lambda request_id: make_packet(Kind.EXTENDED_REPLY, request_id, body)

    def _expand_path(self, reader: Reader) -> Job:
        raw = reader.get_string() or b"."
        if raw == b"~" or raw.startswith(b"~/"):
            raw = paths.encode(self._operations.home) + raw[1:]
        elif raw.startswith(b"~"):
            raise StatusError(Status.FAILURE, "the folders of other users are not known here")
        body = encode_name(paths.encode(self._view.resolve(raw)))
        return lambda request_id: make_packet(Kind.NAME, request_id, body)

    def _home_directory(self, reader: Reader) -> Job:
        reader.get_string()  # every user name gets the answer for the own one
        body = encode_name(paths.encode(self._operations.home))
        return lambda request_id: make_packet(Kind.NAME, request_id, body)

    def _copy_data(self, reader: Reader) -> Work:
        """draft-ietf-secsh-filexfer-extensions-00, section 7."""
        source = self._handles.get_file(reader.get_string())
        offset, num_bytes = reader.get_uint64(), reader.get_uint64()
        target = self._handles.get_file(reader.get_string())
        target_offset = reader.get_uint64()
        check_readable(source)
        check_writable(target)
        end = offset + num_bytes if num_bytes else MAX_OFFSET
        if max(end, target_offset) > MAX_OFFSET:
            raise StatusError(Status.FAILURE, "the offset is too large")
        if source is target and (not num_bytes or abs(offset - target_offset) < num_bytes):
            raise StatusError(Status.FAILURE, "the ranges overlap")

        def job(request_id: int) -> bytes:
            self._copy(source, offset, end, target, target_offset)
            return make_ok(request_id)

        return Work(target.lane, job)

    def _copy(self, source: FileHandle, offset: int, end: int, target: FileHandle, target_offset: int) -> None:
        while offset < end:
            data = source.file.read_at(offset, min(_COPY_BYTES, end - offset))
            if not data:
                return
            target.file.write_at(target_offset, data)
            offset += len(data)
            target_offset += len(data)
            self._check_going_on()

    def _check_going_on(self) -> None:
        if self._is_over():
            raise StatusError(Status.CONNECTION_LOST, "the session has ended")

    # Hashes

    def _check_file(self, reader: Reader) -> Work:
        """As some clients (paramiko) send it: a handle, and a reply that opens with the request's name."""
        handle = self._handles.get_file(reader.get_string())
        return self._hash_handle(handle, read_request(reader), string(b"check-file"))

    def _check_file_handle(self, reader: Reader) -> Work:
        handle = self._handles.get_file(reader.get_string())
        return self._hash_handle(handle, read_request(reader))

    def _check_file_name(self, reader: Reader) -> Work:
        path = self._operations.get_path(reader)
        return self._hash_path(path, read_request(reader))

    def _md5_hash(self, reader: Reader) -> Work:
        path = self._operations.get_path(reader)
        request = HashRequest("md5", reader.get_uint64(), reader.get_uint64())
        return self._hash_path(path, request, string(b"md5-hash"))

    def _md5_hash_handle(self, reader: Reader) -> Work:
        handle = self._handles.get_file(reader.get_string())
        request = HashRequest("md5", reader.get_uint64(), reader.get_uint64())
        return self._hash_handle(handle, request, string(b"md5-hash"))

    def _hash_handle(self, handle: FileHandle, request: HashRequest, prefix: bytes = b"") -> Work:
        check_readable(handle)

        def job(request_id: int) -> bytes:
            digests = self._hasher.compute(request, handle.file.get_metadata(), handle.file.read_at)
            return _make_hash_reply(request_id, request, digests, prefix)

        return Work(handle.lane, job)

    def _hash_path(self, path: str, request: HashRequest, prefix: bytes = b"") -> Work:
        def job(request_id: int) -> bytes:
            file = self._view.open(path, read=True)
            try:
                digests = self._hasher.compute(request, file.get_metadata(), file.read_at)
            finally:
                file.discard("read for a hash")
            return _make_hash_reply(request_id, request, digests, prefix)

        return self._operations.look(job)


def _make_hash_reply(request_id: int, request: HashRequest, digests: bytes, prefix: bytes) -> bytes:
    """check-file tells the algorithm and then the bare digests; md5-hash one string."""
    if prefix == string(b"md5-hash"):
        return make_packet(Kind.EXTENDED_REPLY, request_id, prefix + string(digests))
    return make_packet(Kind.EXTENDED_REPLY, request_id, prefix + string(request.algorithm.encode()) + digests)
