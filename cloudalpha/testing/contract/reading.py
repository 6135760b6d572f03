"""Reading: any range, of one version."""

from __future__ import annotations

import pytest

from cloudalpha.exceptions import (
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import FileSystem, close_stream
from cloudalpha.testing.contract.base import ContractTests, get_revision, make_content, raises
from cloudalpha.testing.same_bytes import assert_same_bytes

SIZE = 300_007
LARGE = 3 * 1024 * 1024 + 5

RANGES = [
    (0, None), (0, SIZE), (0, 1), (0, 0), (1, None), (1, 1), (1, SIZE), (4095, 2), (4096, 4096), (65535, 65537), (65536, 65536),
    (131071, 3), (262143, 2), (262144, None), (SIZE // 2, 0), (SIZE // 2, 1000), (SIZE - 1, None), (SIZE - 1, 1), (SIZE - 1, 100),
    (SIZE - 10, 10), (SIZE - 10, 9), (SIZE, None), (SIZE, 0), (SIZE, 1), (SIZE + 1, None), (SIZE + 1, 1), (2**31, 5), (2**40, None),
    (2**63 - 1, 1), (2**63, None), (0, 2**63), (5, 2**63 - 1), (SIZE - 3, 2**62),
]  # fmt: skip


class ReadTests(ContractTests):
    @pytest.mark.parametrize(("start_byte", "num_bytes"), RANGES)
    def test_range(self, file_system: FileSystem, folder: str, start_byte: int, num_bytes: int | None) -> None:
        content = make_content(SIZE)
        file_system.write_all(folder + "/file", content)
        end = None if num_bytes is None else start_byte + num_bytes
        assert_same_bytes(b"".join(file_system.read(folder + "/file", start_byte, num_bytes)), content[start_byte:end])

    @pytest.mark.parametrize("size", [0, 1, 2, 511, 4096, 65535, 65536, 65537, 262144, 1024 * 1024, LARGE])
    def test_whole_file(self, file_system: FileSystem, folder: str, size: int) -> None:
        content = make_content(size)
        file_system.write_all(folder + "/file", content)
        assert_same_bytes(file_system.read_all(folder + "/file"), content)
        assert file_system.get_size(folder + "/file") == size

    def test_ranges_make_up_the_whole(self, file_system: FileSystem, folder: str) -> None:
        content = make_content(100_000)
        file_system.write_all(folder + "/file", content)
        pieces = [b"".join(file_system.read(folder + "/file", start, 7_777)) for start in range(0, 100_000, 7_777)]
        assert_same_bytes(b"".join(pieces), content)

    @pytest.mark.parametrize("start_byte", [0, 5, 100, 105])
    def test_empty_file_and_beyond(self, file_system: FileSystem, folder: str, start_byte: int) -> None:
        file_system.write_all(folder + "/empty", b"")
        file_system.write_all(folder + "/file", bytes(100))
        assert list(file_system.read(folder + "/empty", start_byte)) == []
        assert_same_bytes(b"".join(file_system.read(folder + "/file", start_byte)), bytes(max(100 - start_byte, 0)))

    def test_chunks_are_bytes_and_never_empty(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", make_content(LARGE))
        sizes = []
        for chunk in file_system.read(folder + "/file"):
            assert isinstance(chunk, bytes)
            sizes.append(len(chunk))
        assert sum(sizes) == LARGE
        assert min(sizes) > 0

    def test_streams_do_not_disturb_each_other(self, file_system: FileSystem, folder: str) -> None:
        content = make_content(LARGE)
        file_system.write_all(folder + "/file", content)
        streams = [file_system.read(folder + "/file", start) for start in (0, 1000, LARGE - 3)]
        heads = [next(stream) for stream in streams]
        tails = [b"".join(stream) for stream in reversed(streams)][::-1]
        assert [head + tail for head, tail in zip(heads, tails, strict=True)] == [content, content[1000:], content[-3:]]

    @pytest.mark.parametrize("num_chunks", [0, 1])
    def test_closed_in_the_middle(self, file_system: FileSystem, folder: str, num_chunks: int) -> None:
        content = make_content(LARGE)
        file_system.write_all(folder + "/file", content)
        stream = file_system.read(folder + "/file")
        for _ in range(num_chunks):
            next(stream)
        close_stream(stream)
        close_stream(stream)
        assert_same_bytes(file_system.read_all(folder + "/file"), content)

    def test_end_stays_the_end(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"content")
        stream = file_system.read(folder + "/file")
        assert b"".join(stream) == b"content"
        assert list(stream) == []

    def test_errors_come_with_the_first_chunk(self, file_system: FileSystem, folder: str) -> None:
        with raises(NotFoundFileSystemError, folder + "/missing"):
            next(file_system.read(folder + "/missing"), None)
        with raises(IsADirectoryFileSystemError, folder):
            next(file_system.read(folder), None)

    def test_expected_revision(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"first")
        revision = get_revision(file_system, path)
        assert b"".join(file_system.read(path, 1, 3, expected=revision)) == b"irs"
        file_system.write_all(path, b"other")
        with raises(RevisionMismatchFileSystemError, path):
            list(file_system.read(path, expected=revision))
        assert b"".join(file_system.read(path, expected=get_revision(file_system, path))) == b"other"

    def test_expected_revision_of_what_was_deleted(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"first")
        revision = get_revision(file_system, path)
        file_system.delete(path)
        with raises((RevisionMismatchFileSystemError, NotFoundFileSystemError), path):
            list(file_system.read(path, expected=revision))

    @pytest.mark.parametrize("change", ["overwrite", "shorten", "delete", "rename_over"])
    def test_stream_is_of_one_version(self, file_system: FileSystem, folder: str, change: str) -> None:
        path = folder + "/file"
        old, new = make_content(LARGE, 1), make_content(LARGE, 2)
        file_system.write_all(path, old)
        stream = file_system.read(path)
        received = next(stream)
        if change == "overwrite":
            file_system.write_all(path, new)
        elif change == "shorten":
            file_system.write_all(path, b"short")
        elif change == "delete":
            file_system.delete(path)
        else:
            file_system.write_all(folder + "/other", new)
            file_system.rename(folder + "/other", path, overwrite=True)
        try:
            received += b"".join(stream)
        except (RevisionMismatchFileSystemError, NotFoundFileSystemError):
            return
        assert_same_bytes(received, old)
