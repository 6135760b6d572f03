from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.exceptions import AccessFailedFileSystemError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.managers.ftp.listing import (
    FACTS,
    format_time,
    make_chunks,
    make_facts_format,
    make_list_format,
    make_name_line,
    parse_time,
)
from tests.managers.ftp.helpers import Client, HeldFileSystem, read_all

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def test_list_lines() -> None:
    make_line = make_list_format(NOW)
    recent = FileMetadata("/a b", False, 5, datetime(2026, 6, 1, 8, 5, tzinfo=UTC))
    assert make_line(recent) == "-rw-r--r-- 1 owner group            5 Jun  1 08:05 a b"
    old = FileMetadata("/d", True, 0, datetime(2001, 12, 31, tzinfo=UTC))
    assert make_line(old) == "drwxr-xr-x 1 owner group            0 Dec 31  2001 d"
    assert make_line(FileMetadata("/x", False, 1)).endswith(" Jan  1  1970 x")


def test_facts() -> None:
    entry = FileMetadata("/d/f", False, 5, NOW, NOW, None, None, None, "uploading")
    assert (
        make_facts_format(FACTS)(entry)
        == "Type=file;Size=5;Modify=20260615120000;Create=20260615120000;X.State=uploading; f"
    )
    assert make_facts_format(())(entry) == " f"
    assert make_facts_format(FACTS)(FileMetadata("/d", True)) == "Type=dir; d"


def test_names_that_would_break_a_line_are_left_out() -> None:
    entries = [FileMetadata("/" + name, False) for name in ("a\r\nb", "\0", "good", "\x7f", "lone\ud800", "\udcff")]
    assert b"".join(make_chunks(iter(entries), make_name_line)) == b"good\r\n\xff\r\n"


def test_the_listing_is_closed_when_it_is_not_read_to_its_end() -> None:
    closed = []

    def entries() -> Iterator[FileMetadata]:
        try:
            while True:
                yield FileMetadata("/f", False)
        finally:
            closed.append(True)

    chunks = make_chunks(entries(), make_name_line)
    assert next(chunks).startswith(b"f\r\n")
    chunks.close()  # type: ignore[attr-defined]
    assert closed


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_times_come_back(when: datetime) -> None:
    assert parse_time(format_time(when)) == when.replace(microsecond=0)


@pytest.mark.parametrize(
    "text", ["", "2020", "20201301000000", "2020010100000", "202001010000000", "20200101000000.", "２0200101000000"]
)
def test_bad_times(text: str) -> None:
    assert parse_time(text) is None


def test_a_fraction_of_a_second() -> None:
    assert parse_time("20200102030405.25") == datetime(2020, 1, 2, 3, 4, 5, 250000, UTC)


def test_one_listing_is_one_listing(client: Client, files: HeldFileSystem) -> None:
    for number in range(1200):
        files.write_all(f"/{number:04}", b"x" * number)
    files.metadata_calls = 0
    for line in ("LIST", "LIST -la", "MLSD", "NLST"):
        assert client.get(line).count(b"\r\n") == 1200
    assert files.metadata_calls == 0


def test_arguments_of_list(client: Client, files: HeldFileSystem) -> None:
    files.make_dir("/d")
    files.write_all("/d/a.txt", b"12")
    files.write_all("/d/b.bin", b"")
    for line in (
        "LIST d",
        "LIST -a d",
        "LIST -l -a /d",
        "LIST -al d/",
        "NLST d",
        "NLST d/*",
        "NLST /d/?.*",
        "LIST d/[ab].*",
    ):
        assert client.get(line).count(b"\r\n") == 2, line
    assert client.get("NLST d/*.txt") == b"d/a.txt\r\n"
    assert client.get("NLST d/a.txt") == b"a.txt\r\n"
    assert client.get("NLST d/*.none") == b""
    assert client.get("LIST d/a.txt").endswith(b" a.txt\r\n")
    files.write_all("/*", b"star")
    assert client.get("NLST *") == b"*\r\n", "a file of that very name comes first"


def test_an_empty_folder(client: Client, files: HeldFileSystem) -> None:
    files.make_dir("/d")
    for line in ("LIST d", "MLSD d", "NLST d"):
        assert client.get(line) == b""


def test_a_listing_that_fails_in_its_middle_is_no_success(
    client: Client, files: HeldFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = files.write_all("/f", b"")

    def torn(path: str) -> Iterator[FileMetadata]:
        for _ in range(600):
            yield entry
        raise AccessFailedFileSystemError(path)

    monkeypatch.setattr(files, "list_dir", torn)
    data = client.begin("MLSD")
    with pytest.raises(ConnectionResetError):
        read_all(data)
        read_all(data)
    data.close()
    assert client.read_reply().startswith(b"451 ")
    assert client.do("STAT /").endswith(b"\r\n")
    assert client.code("NOOP") == 200
