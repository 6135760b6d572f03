"""The chaos proxy finds the ends of HTTP messages however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.chaos_http import MAX_HEAD, Body, End, Head, Scanner

REQUESTS = [
    (b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    (b"PUT /a HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 5\r\n\r\n", b"hello"),
    (b"PUT /none HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b""),
    (
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\na;ext=1\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ),
]
STREAM = b"".join(head + body for head, body in REQUESTS)


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_pieces_make_the_same_messages(cuts: list[int]) -> None:
    scanner = Scanner(has_no_body=lambda head: False, until_close=False)
    messages: list[tuple[bytes, bytes]] = []
    ends, passed, last = 0, b"", 0
    for cut in [*sorted(cuts), len(STREAM)]:
        for piece in scanner.feed(STREAM[last:cut]):
            if isinstance(piece, Head):
                messages.append((piece.data, b""))
                passed += piece.data
            elif isinstance(piece, Body):
                head, body = messages[-1]
                assert piece.start == len(body)
                messages[-1] = (head, body + piece.data)
                passed += piece.data
            else:
                assert piece is End.MESSAGE
                ends += 1
                assert len(messages) == ends
        last = cut
    assert messages == REQUESTS
    assert ends == len(REQUESTS)
    assert passed == STREAM


def test_what_a_head_says() -> None:
    head = Head(b"PUT /a%20b?x=1 HTTP/1.1\r\nHost: x:1\r\nExpect:  100-Continue \r\n\r\n")
    assert (head.method, head.target) == ("PUT", "/a%20b?x=1")
    assert head.get("expect") == "100-continue"
    assert head.get("content-length") == ""
    assert Head(b"HTTP/1.1 404 Not Found\r\n\r\n").status == 404


def test_responses_without_a_body() -> None:
    scanner = Scanner(has_no_body=lambda head: head.status in (100, 304), until_close=True)
    stream = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    )
    pieces = list(scanner.feed(stream + b"until the end"))
    assert [type(piece) for piece in pieces] == [Head, End, Head, End, Head, Body]
    assert pieces[-1] == Body(b"until the end", 0)
    assert list(scanner.feed(b" of it")) == [Body(b" of it", 13)]


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"x" * (MAX_HEAD + 1)])
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"HTTP|head"):
        list(Scanner(has_no_body=lambda head: False, until_close=False).feed(data))
