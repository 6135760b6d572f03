"""One SFTP session: takes requests from a channel and sends replies, in bounded memory.

READ and WRITE that a buffer can serve are answered on the event loop, one pass over what has arrived; everything else goes to a thread. The
client is held back, by leaving its bytes in the channel's window, while too much waits for threads or for the client to read replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import struct
import time
from collections.abc import Callable

from cloudalpha.file_system_view import FileSystemView
from cloudalpha.managers.sftp.errors import get_status
from cloudalpha.managers.sftp.extensions import OFFERED, Extensions
from cloudalpha.managers.sftp.handles import DirHandle, FileHandle, Handles, Lane, Request
from cloudalpha.managers.sftp.operations import MAX_OFFSET, Operations, Work, make_ok, make_read_reply
from cloudalpha.managers.sftp.packets import (
    MAX_DATA_BYTES,
    MAX_PACKET_BYTES,
    VERSION,
    Kind,
    Reader,
    Status,
    StatusError,
    make_status,
    string,
)
from cloudalpha.managers.sftp.pipe import Wire
from cloudalpha.managers.sftp.workers import Share

_MAX_WAITING_REQUESTS = 256
_MAX_WAITING_BYTES = 4 * 1024 * 1024
_MAX_REPLY_DELAY_SECONDS = 0.002
_FLUSH_BYTES = 128 * 1024
_PIECE_BYTES = 32 * 1024  # what clients take in one packet of a channel: AsyncSSH then cuts and copies nothing
_TURN_BYTES = 2 * 1024 * 1024  # one session's replies and data before the event loop turns to others

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IBI")
_TRANSFER = struct.Struct(">IIQI")  # a READ or the start of a WRITE whose handle has the 4 bytes that ours have


class SFTPSession:
    """Speaks SFTP over a channel, all on the event loop but for the jobs.

    wire: the channel. share: the session's threads. owner: the name that long names show.
    """

    def __init__(
        self,
        wire: Wire,
        view: FileSystemView,
        share: Share,
        loop: asyncio.AbstractEventLoop,
        owner: str,
        max_handles: int,
        max_hash_bytes: int,
    ) -> None:
        self._wire = wire
        self._share = share
        self._loop = loop
        self._handles = Handles(max_handles)
        self._operations = Operations(view, self._handles, owner)
        self._extensions = Extensions(self._operations, max_handles, max_hash_bytes, lambda: self._is_over)
        self._received = bytearray()
        self._replies: list[bytes] = []
        self._num_reply_bytes = 0
        self._num_waiting = 0
        self._num_waiting_bytes = 0
        self._is_initialized = False
        self._is_over = False
        self._is_ending = False
        self._is_writing_paused = False
        self._is_reading_paused = False
        self._is_flush_scheduled = False
        self._is_turn_scheduled = False

    # From the channel

    def feed(self, data: bytes) -> None:
        """Take bytes of the client."""
        self._received += data
        self._take_turn()

    def end(self) -> None:
        """The client sends no more; what it has asked for is answered, then the channel is closed."""
        self._is_ending = True
        self._take_turn()

    def pause_writing(self) -> None:
        """The client does not take its replies: ask for no more work."""
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """The client takes its replies again."""
        self._is_writing_paused = False
        self._schedule_turn()

    def lose(self) -> None:
        """The channel is gone: nothing more is answered. The caller closes the view, which discards what is not finished."""
        self._is_over = True
        self._share.clear()
        self._received.clear()
        self._replies.clear()

    def take_listings(self) -> list[DirHandle]:
        """Folders that were being listed when the session was lost, to be closed in a thread."""
        return [handle for handle in self._handles.take_all() if isinstance(handle, DirHandle)]

    @property
    def is_busy(self) -> bool:
        """Whether a request or a reply waits or a file is open: what a grace period waits for."""
        return self._num_waiting > 0 or bool(self._replies) or self._handles.are_open

    @property
    def is_working(self) -> bool:
        """Whether a request waits for its answer."""
        return self._num_waiting > 0

    # Taking requests

    @property
    def _is_blocked(self) -> bool:
        return (
            self._is_writing_paused
            or self._num_waiting >= _MAX_WAITING_REQUESTS
            or self._num_waiting_bytes >= _MAX_WAITING_BYTES
        )

    def _take_turn(self) -> None:
        """Answer what has arrived, as far as bounds and fairness allow."""
        position, num_bytes, received = 0, 0, self._received
        while not self._is_over and not self._is_blocked:
            if num_bytes >= _TURN_BYTES:
                self._schedule_turn()
                break
            if len(received) - position < 4:
                break
            (length,) = _LENGTH.unpack_from(received, position)
            if length > MAX_PACKET_BYTES or length < 5:
                self._fail()
                return
            end = position + 4 + length
            if len(received) < end:
                break
            num_bytes += self._take_packet(position, end)
            position = end
            if self._num_reply_bytes >= _FLUSH_BYTES:
                self._flush()
        if position and not self._is_over:
            del received[:position]
        self._schedule_flush()
        self._regulate_reading()
        self._finish_if_done()

    def _regulate_reading(self) -> None:
        if self._is_over:
            return
        must_pause = self._is_blocked or self._is_turn_scheduled
        if must_pause and not self._is_reading_paused:
            self._is_reading_paused = True
            self._wire.pause_reading()
        elif not must_pause and self._is_reading_paused:
            self._is_reading_paused = False
            self._wire.resume_reading()

    def _schedule_turn(self) -> None:
        if not self._is_turn_scheduled and not self._is_over:
            self._is_turn_scheduled = True
            self._loop.call_soon(self._take_scheduled_turn)

    def _take_scheduled_turn(self) -> None:
        self._is_turn_scheduled = False
        self._take_turn()

    def _take_packet(self, start: int, end: int) -> int:
        """Answer or start one request; about how many bytes that moved."""
        received = self._received
        _, kind, request_id = _HEAD.unpack_from(received, start) if end - start >= 9 else (0, received[start + 4], 0)
        if not self._is_initialized:
            self._initialize(kind, bytes(received[start + 5 : end]))
            return 0
        if end - start < 9:
            self._fail()
            return 0
        try:
            if kind == Kind.READ and end - start >= 29:
                moved = self._try_read(request_id, start)
                if moved is not None:
                    return moved
            elif kind == Kind.WRITE and end - start >= 29:
                moved = self._try_write(request_id, start, end)
                if moved is not None:
                    return moved
            self._start(request_id, kind, Reader(bytes(received[start + 9 : end])))
        except Exception as error:  # noqa: BLE001 - get_status logs what nobody foresaw
            self._reply(make_status(request_id, *get_status(error)))
        return end - start

    def _initialize(self, kind: int, body: bytes) -> None:
        """INIT and VERSION (section 4). Whatever version the client would like, this server speaks 3."""
        if kind != Kind.INIT or len(body) < 4:
            self._fail()
            return
        self._is_initialized = True
        answer = VERSION.to_bytes(4, "big") + b"".join(string(name) + string(data) for name, data in OFFERED)
        self._reply((len(answer) + 1).to_bytes(4, "big") + bytes((Kind.VERSION,)) + answer)

    def _unpack_transfer(self, start: int) -> tuple[int, int, int, int]:
        return _TRANSFER.unpack_from(self._received, start + 9)

    def _try_read(self, request_id: int, start: int) -> int | None:
        """Answer a READ from what is in memory; None when it must go the long way."""
        handle_length, name, offset, num_bytes = self._unpack_transfer(start)
        if handle_length != 4 or offset > MAX_OFFSET:
            return None
        handle = self._handles.get_file(name.to_bytes(4, "big"))
        if handle.lane.is_busy or not handle.is_readable:
            return None
        data = handle.file.try_read_at(offset, min(num_bytes, MAX_DATA_BYTES))
        if data is None:
            return None
        self._reply(make_read_reply(request_id, data))
        return len(data)

    def _try_write(self, request_id: int, start: int, end: int) -> int | None:
        """Put a WRITE into a buffer; None when it must go the long way."""
        handle_length, name, offset, num_bytes = self._unpack_transfer(start)
        data_start = start + 29
        if handle_length != 4 or num_bytes > end - data_start or offset > MAX_OFFSET - num_bytes:
            return None
        handle = self._handles.get_file(name.to_bytes(4, "big"))
        if not handle.is_writable:
            return None
        with memoryview(self._received) as view:
            data = bytes(view[data_start : data_start + num_bytes])
        lane = handle.lane
        is_taken = handle.is_free_for_write(offset) and handle.file.try_write_at(offset, data)
        if is_taken and not lane.is_busy:
            self._reply(make_ok(request_id))
        elif is_taken:  # OpenSSH's scp cuts the file where the answers to its writes leave their order
            self._add(lane, Request(request_id, make_ok, 0), offset + num_bytes)
        else:
            self._add(lane, Request(request_id, _make_write_job(handle, offset, data), num_bytes), offset + num_bytes)
        return num_bytes

    def _start(self, request_id: int, kind: int, reader: Reader) -> None:
        method = self._operations.methods.get(kind)
        if kind == Kind.EXTENDED:
            method = self._extensions.methods.get(reader.get_string())
        if method is None:
            raise StatusError(Status.OP_UNSUPPORTED, "this request is not known here")
        work = method(reader)
        if not isinstance(work, Work):
            self._reply(work(request_id))
            return
        request = Request(request_id, work.job, work.num_bytes, work.then)
        if work.lane is None:
            self._count(request, 1)
            self._share.run(lambda: self._run([request], None))
        else:
            self._add(work.lane, request)

    # Threads

    def _add(self, lane: Lane, request: Request, write_end: int | None = None) -> None:
        self._count(request, 1)
        lane.add(request, write_end)
        self._run_lane(lane)

    def _run_lane(self, lane: Lane) -> None:
        if lane.is_running:
            return
        while lane.waiting and lane.waiting[0].job is make_ok:  # done already; only its turn had to come
            request = lane.waiting.popleft()
            self._count(request, -1)
            self._reply(make_ok(request.id))
        if lane.waiting:
            lane.is_running = True
            requests = list(lane.waiting)
            lane.waiting.clear()
            self._share.run(lambda: self._run(requests, lane))

    def _run(self, requests: list[Request], lane: Lane | None) -> None:
        """Answer requests one after the other, in a thread; replies go out together, but none waits long for others."""
        done: list[Request] = []
        replies: list[bytes] = []
        deadline = time.monotonic() + _MAX_REPLY_DELAY_SECONDS
        for request in requests:
            if self._is_over:
                return
            try:
                reply = request.job(request.id)
            except Exception as error:  # noqa: BLE001 - get_status logs what nobody foresaw
                reply = make_status(request.id, *get_status(error))
            done.append(request)
            replies.append(reply)
            if request is not requests[-1] and time.monotonic() >= deadline:
                self._tell(functools.partial(self._take_replies, done, replies, None))
                done, replies = [], []
                deadline = time.monotonic() + _MAX_REPLY_DELAY_SECONDS
        self._tell(functools.partial(self._take_replies, done, replies, lane))

    def _tell(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the manager has stopped
            self._loop.call_soon_threadsafe(callback)

    def _take_replies(self, requests: list[Request], replies: list[bytes], lane: Lane | None) -> None:
        """Take what a thread has answered; `lane` once it has nothing more to do."""
        if self._is_over:
            return
        for request, reply in zip(requests, replies, strict=True):
            self._count(request, -1)
            self._reply(reply)
        if lane is not None:
            lane.is_running = False
            self._run_lane(lane)
        if self._received or self._is_ending:
            self._take_turn()
        else:
            self._schedule_flush()
            self._regulate_reading()
        if lane is not None and requests and (then := requests[-1].then) is not None:
            self._loop.call_soon(self._run_then, lane, then)  # behind the flush: the reply goes first

    def _run_then(self, lane: Lane, then: Callable[[], None]) -> None:
        if not lane.is_busy and not self._is_over:
            lane.is_running = True
            self._share.run(lambda: self._finish_then(lane, then))

    def _finish_then(self, lane: Lane, then: Callable[[], None]) -> None:
        if not self._is_over:
            then()
        self._tell(functools.partial(self._take_replies, [], [], lane))

    def _count(self, request: Request, sign: int) -> None:
        self._num_waiting += sign
        self._num_waiting_bytes += sign * request.num_bytes

    # Replies

    def _reply(self, packet: bytes) -> None:
        self._replies.append(packet)
        self._num_reply_bytes += len(packet)

    def _flush(self) -> None:
        if self._replies and not self._is_over:
            replies, self._replies, self._num_reply_bytes = self._replies, [], 0
            data = replies[0] if len(replies) == 1 else b"".join(replies)
            for start in range(0, len(data), _PIECE_BYTES):
                self._wire.write(data[start : start + _PIECE_BYTES])

    def _schedule_flush(self) -> None:
        """Replies of one pass of the event loop go out together."""
        if self._replies and not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self._loop.call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._is_flush_scheduled = False
        self._flush()

    def _fail(self) -> None:
        """What arrives is not SFTP: there is no way to find the next packet."""
        self._flush()
        self.lose()
        self._wire.finish(1)

    def _finish_if_done(self) -> None:
        is_idle = not self._num_waiting and not self._is_turn_scheduled and not self._is_writing_paused
        if self._is_ending and not self._is_over and is_idle:
            self._flush()
            self.lose()
            self._wire.finish(0)


def _make_write_job(handle: FileHandle, offset: int, data: bytes) -> Callable[[int], bytes]:
    def job(request_id: int) -> bytes:
        handle.file.write_at(offset, data)
        return make_ok(request_id)

    return job
