from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.managers.ftp.client_hello import get_offered_protocols


def _make_hello(protocols: list[str]) -> bytes:
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="files.example.org")
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def test_what_a_real_client_offers() -> None:
    assert get_offered_protocols(_make_hello([])) == (0, [])
    assert get_offered_protocols(_make_hello(["http/1.1", "ftp"])) == (0, [b"http/1.1", b"ftp"])


def test_a_hello_that_comes_in_pieces() -> None:
    hello = _make_hello(["http/1.1"])
    for length in range(5, len(hello)):
        assert get_offered_protocols(hello[:length]) == (len(hello) - length, [])
    assert get_offered_protocols(b"") == (5, [])


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x80\x2e\x01", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x01\x02"]
)
def test_what_is_no_hello(data: bytes) -> None:
    with pytest.raises(ValueError):
        get_offered_protocols(data)


@given(st.binary(max_size=200).map(lambda body: b"\x16\x03\x01" + (len(body) + 1).to_bytes(2) + b"\x01" + body))
def test_any_bytes_are_parsed_without_harm(data: bytes) -> None:
    missing, protocols = get_offered_protocols(data)
    assert missing == 0 and sum(map(len, protocols)) <= len(data)
