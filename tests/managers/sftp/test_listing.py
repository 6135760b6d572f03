"""Listings in batches, one of them made ahead of the client."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator

import pytest

from cloudalpha.exceptions import AccessFailedFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.managers.sftp.listing import Listing


def make_entries(count: int) -> Iterator[FileMetadata]:
    return (FileMetadata(f"/folder/{index:04}", False, index) for index in range(count))


def take_names(packet: bytes) -> list[str]:
    """The names of a NAME packet: length, kind, id, count, then name, long name and attributes of each."""
    (count,) = struct.unpack_from(">I", packet, 9)
    position, names = 13, []
    for _ in range(count):
        (length,) = struct.unpack_from(">I", packet, position)
        names.append(packet[position + 4 : position + 4 + length].decode())
        position += 4 + length
        (length,) = struct.unpack_from(">I", packet, position)
        position += 4 + length
        (flags,) = struct.unpack_from(">I", packet, position)
        position += 4 + 8 + 4 + (8 if flags & 8 else 0)
    assert position == len(packet)
    return names


def read_all(listing: Listing, ahead: bool) -> list[str]:
    names = []
    while (packet := listing.read_batch(7)) is not None:
        names += take_names(packet)
        if ahead:
            listing.read_ahead()
    return names


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_each_name_comes_once_whether_batches_are_made_ahead_or_not(count: int, ahead: bool) -> None:
    listing = Listing(make_entries(count), "demo")
    assert read_all(listing, ahead) == [f"{index:04}" for index in range(count)]
    assert listing.read_batch(8) is None


def test_an_error_ahead_of_the_client_comes_where_it_belongs() -> None:
    def fail() -> Iterator[FileMetadata]:
        yield from make_entries(1000)
        raise AccessFailedFileSystemError("/folder", "gone")

    listing = Listing(fail(), "demo")
    assert listing.read_batch(1) is not None
    listing.read_ahead()
    for request_id in (2, 3):
        with pytest.raises(AccessFailedFileSystemError, match="gone"):
            listing.read_batch(request_id)


def test_a_listing_closed_while_a_batch_is_made_is_released_behind_it() -> None:
    is_asked, may_go_on, is_released = threading.Event(), threading.Event(), threading.Event()

    def wait() -> Iterator[FileMetadata]:
        try:
            yield from make_entries(1000)
            is_asked.set()
            assert may_go_on.wait(30)
            yield from make_entries(1000)
        finally:
            is_released.set()

    listing = Listing(wait(), "demo")
    assert listing.read_batch(1) is not None
    thread = threading.Thread(target=listing.read_ahead)
    thread.start()
    assert is_asked.wait(30)
    listing.close()
    assert not is_released.is_set()
    may_go_on.set()
    thread.join(30)
    assert is_released.is_set()


def test_a_closed_listing_is_released_and_over() -> None:
    entries = make_entries(5000)
    listing = Listing(entries, "demo")
    assert listing.read_batch(1) is not None
    listing.close()
    assert next(entries, None) is None
    assert listing.read_batch(2) is None
