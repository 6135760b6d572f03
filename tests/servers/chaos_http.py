"""Where HTTP/1.1 messages begin and end in a stream of bytes (RFC 9112), without changing any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

MAX_HEAD = 256 * 1024


@dataclass(frozen=True)
class Head:
    """The first line and the headers of a message. data: as they came."""

    data: bytes

    @property
    def words(self) -> list[str]:
        """Of a request: method, target, version. Of a response: version, status, reason."""
        return self.data.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)

    @property
    def method(self) -> str:
        return self.words[0]

    @property
    def target(self) -> str:
        return self.words[1]

    @property
    def status(self) -> int:
        return int(self.words[1])

    def get(self, name: str) -> str:
        """The value of a header, in lower case; "" where there is none."""
        wanted = name.lower().encode()
        for line in self.data.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == wanted:
                return value.strip().decode("latin-1").lower()
        return ""


@dataclass(frozen=True)
class Body:
    """Bytes of a body as they are on the wire (with the frames of chunked ones). start: how many came before them."""

    data: bytes
    start: int


class End(Enum):
    """A message is over."""

    MESSAGE = auto()


Piece = Head | Body | End


class Scanner:
    """Cuts one direction of a connection into pieces.

    has_no_body: says of a head that no body follows, whatever its headers say (an answer to HEAD).
    until_close: a message without a length goes on until the connection ends, as responses do; else it has no body.
    """

    def __init__(self, has_no_body: Callable[[Head], bool], until_close: bool) -> None:
        self._has_no_body = has_no_body
        self._until_close = until_close
        self._waiting = b""
        self._position = 0
        self._take: Callable[[bytes], Iterator[tuple[int, Piece | None]]] = self._take_head

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces that these bytes make, in order. ValueError: not HTTP."""
        data = self._waiting + data
        self._waiting = b""
        while data:
            num_bytes = 0
            for taken, piece in self._take(data):
                num_bytes = taken
                if piece is not None:
                    yield piece
            if num_bytes == 0:
                self._waiting = data
                return
            data = data[num_bytes:]

    def _take_head(self, data: bytes) -> Iterator[tuple[int, Piece | None]]:
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(data) > MAX_HEAD:
                raise ValueError("a head without an end")
            return
        head = Head(data[:end])
        if len(head.words) < 2:
            raise ValueError("not HTTP")
        self._position = 0
        length = head.get("content-length")
        yield end, head
        if self._has_no_body(head):
            yield end, End.MESSAGE
        elif head.get("transfer-encoding").endswith("chunked"):
            self._take = self._take_chunk_line
        elif length and int(length):
            self._take = self._make_take_bytes(int(length), self._take_head, is_last=True)
        elif length or not self._until_close:
            yield end, End.MESSAGE
        else:
            self._take = self._make_take_bytes(1 << 62, self._take_head, is_last=True)

    def _make_take_bytes(
        self,
        count: int,
        then: Callable[[bytes], Iterator[tuple[int, Piece | None]]],
        is_last: bool = False,
    ) -> Callable[[bytes], Iterator[tuple[int, Piece | None]]]:
        left = count

        def take(data: bytes) -> Iterator[tuple[int, Piece | None]]:
            nonlocal left
            taken = data[:left]
            left -= len(taken)
            if not left:
                self._take = then
            yield len(taken), self._make_body(taken)
            if not left and is_last:
                yield len(taken), End.MESSAGE

        return take

    def _take_chunk_line(self, data: bytes) -> Iterator[tuple[int, Piece | None]]:
        end = data.find(b"\r\n") + 2
        if end < 2:
            if len(data) > MAX_HEAD:
                raise ValueError("a chunk without a length")
            return
        size = int(data[: end - 2].split(b";")[0], 16)
        self._take = self._make_take_bytes(size + 2, self._take_chunk_line) if size else self._take_trailer
        yield end, self._make_body(data[:end])

    def _take_trailer(self, data: bytes) -> Iterator[tuple[int, Piece | None]]:
        end = data.find(b"\r\n") + 2
        if end < 2:
            return
        yield end, self._make_body(data[:end])
        if end == 2:
            self._take = self._take_head
            yield end, End.MESSAGE

    def _make_body(self, data: bytes) -> Body:
        body = Body(data, self._position)
        self._position += len(data)
        return body
