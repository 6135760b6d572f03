"""`keep`: new content made of ranges of the old."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudalpha.exceptions import FileSystemError, NotFoundFileSystemError, RevisionMismatchFileSystemError
from cloudalpha.file_system import ANYTHING, FileSystem, NewFile, WriteOptions
from cloudalpha.testing.contract.base import (
    ContractTests,
    assert_absent,
    get_revision,
    list_names,
    make_content,
    raises,
)
from cloudalpha.testing.same_bytes import assert_same_bytes

SIZE = 400_000
LARGE = 6 * 1024 * 1024 + 11

Piece = bytes | tuple[int, int]
"""Bytes that are written, or start and length of a range that is kept."""

EDITS: list[tuple[str, list[Piece]]] = [
    ("unchanged", [(0, SIZE)]),
    ("append", [(0, SIZE), b"end"]),
    ("append-much", [(0, SIZE), make_content(SIZE, 9)]),
    ("prepend", [b"begin", (0, SIZE)]),
    ("one-byte-in-the-middle", [(0, 200_000), b"!", (200_001, SIZE - 200_001)]),
    ("first-byte", [b"!", (1, SIZE - 1)]),
    ("last-byte", [(0, SIZE - 1), b"!"]),
    ("truncate", [(0, 1000)]),
    ("truncate-to-nothing", [(0, 0)]),
    ("cut-out", [(0, 1000), (300_000, 100_000)]),
    ("tail", [(SIZE - 5, 5)]),
    ("twice", [(0, SIZE), (0, SIZE)]),
    ("backwards", [(200_000, 200_000), (0, 200_000)]),
    ("overlapping", [(0, 3000), (1000, 3000), (2000, 1)]),
    ("nothing-kept-at-the-end", [b"x", (SIZE, 0), b"y"]),
    ("alternating", [piece for start in range(0, 1000, 100) for piece in (b"-", (start, 50))]),
    ("empty-writes-between", [(0, 10), b"", (10, 10), b"", b"z"]),
]


class KeepTests(ContractTests):
    @pytest.mark.parametrize("pieces", [pieces for _, pieces in EDITS], ids=[name for name, _ in EDITS])
    def test_edit(self, file_system: FileSystem, folder: str, pieces: list[Piece]) -> None:
        path, old = folder + "/file", make_content(SIZE)
        file_system.write_all(path, old)
        with file_system.create_new_file(path) as new_file:
            apply_pieces(new_file, pieces)
            new = put_together(old, pieces)
            assert new_file.offset == len(new)
            assert_same_bytes(file_system.read_all(path), old)
            assert new_file.commit().size == len(new)
        assert_same_bytes(file_system.read_all(path), new)
        assert list_names(file_system, folder) == ["file"]

    @pytest.mark.parametrize(
        "pieces",
        [[(0, LARGE), b"end"], [(0, 10), b"!", (11, LARGE - 11)], [make_content(LARGE, 5), (LARGE - 7, 7)]],
        ids=["append", "early-byte", "written-then-kept"],
    )
    def test_edit_of_a_large_file(self, file_system: FileSystem, folder: str, pieces: list[Piece]) -> None:
        path, old = folder + "/file", make_content(LARGE)
        file_system.write_all(path, old)
        with file_system.create_new_file(
            path, WriteOptions(expected=file_system.get_metadata(path).revision or ANYTHING)
        ) as new_file:
            apply_pieces(new_file, pieces)
            new_file.commit()
        assert_same_bytes(file_system.read_all(path), put_together(old, pieces))

    def test_any_edit(self, file_system: FileSystem, folder: str) -> None:
        path, old = folder + "/file", make_content(10_000)
        keep = st.integers(0, 10_000).flatmap(lambda start: st.tuples(st.just(start), st.integers(0, 10_000 - start)))

        @settings(
            max_examples=self.num_examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(st.binary(max_size=50) | keep, max_size=8))
        def check(pieces: list[Piece]) -> None:
            file_system.write_all(path, old)
            with file_system.create_new_file(path) as new_file:
                apply_pieces(new_file, pieces)
                new_file.commit()
            assert_same_bytes(file_system.read_all(path), put_together(old, pieces))

        check()

    def test_appending_many_times(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/log"
        size = file_system.write_all(path, b"").size
        for number in range(10):
            with file_system.create_new_file(path) as new_file:
                new_file.keep(0, size)
                new_file.write(f"line {number}\n".encode())
                size = new_file.commit().size
        assert file_system.read_all(path) == b"".join(b"line %d\n" % number for number in range(10))

    def test_discarded_edit(self, file_system: FileSystem, folder: str) -> None:
        path, old = folder + "/file", make_content(SIZE)
        file_system.write_all(path, old)
        with file_system.create_new_file(path) as new_file:
            apply_pieces(new_file, [(0, 100_000), b"changed"])
        assert_same_bytes(file_system.read_all(path), old)

    @pytest.mark.parametrize(
        ("start_byte", "num_bytes"), [(0, SIZE + 1), (SIZE, 1), (SIZE - 1, 2), (2 * SIZE, 1), (2**63, 1)]
    )
    def test_range_that_is_not_there(
        self, file_system: FileSystem, folder: str, start_byte: int, num_bytes: int
    ) -> None:
        path, old = folder + "/file", make_content(SIZE)
        file_system.write_all(path, old)
        with (
            raises(RevisionMismatchFileSystemError, path),
            file_system.create_new_file(path) as new_file,
        ):
            new_file.keep(start_byte, num_bytes)
            new_file.commit()
        assert_same_bytes(file_system.read_all(path), old)

    def test_keep_of_nothing(self, file_system: FileSystem, folder: str) -> None:
        with (
            raises(NotFoundFileSystemError, folder + "/missing"),
            file_system.create_new_file(folder + "/missing") as new_file,
        ):
            new_file.keep(0, 1)
            new_file.commit()
        assert_absent(file_system, folder + "/missing")

    @pytest.mark.parametrize("expect_revision", [False, True])
    @pytest.mark.parametrize("again", [False, True], ids=["kept-once", "kept-twice"])
    @pytest.mark.parametrize("new", [make_content(SIZE, 2), b"short"], ids=["same-size", "shorter"])
    def test_never_a_mix_of_two_versions(
        self, file_system: FileSystem, folder: str, expect_revision: bool, again: bool, new: bytes
    ) -> None:
        path = folder + "/file"
        file_system.write_all(path, make_content(SIZE, 1))
        expected = get_revision(file_system, path) if expect_revision else ANYTHING
        with (
            raises(RevisionMismatchFileSystemError, path),
            file_system.create_new_file(path, WriteOptions(expected=expected)) as new_file,
        ):
            new_file.keep(0, 1000)
            file_system.write_all(path, new)
            if again:
                new_file.keep(1000, 1000)
            new_file.commit()
        assert_same_bytes(file_system.read_all(path), new)

    def test_keep_of_another_than_the_expected_revision(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, make_content(SIZE, 1))
        revision = get_revision(file_system, path)
        with file_system.create_new_file(path, WriteOptions(expected=revision)) as new_file:
            file_system.write_all(path, make_content(SIZE, 2))
            with raises(RevisionMismatchFileSystemError, path):
                new_file.keep(0, SIZE)
                new_file.commit()
        assert_same_bytes(file_system.read_all(path), make_content(SIZE, 2))

    @pytest.mark.parametrize("change", ["delete", "rename"])
    def test_kept_file_that_goes_before_the_commit(self, file_system: FileSystem, folder: str, change: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, make_content(SIZE))
        with file_system.create_new_file(path) as new_file:
            new_file.keep(0, 1000)
            if change == "delete":
                file_system.delete(path)
            else:
                file_system.rename(path, folder + "/moved")
            with raises((RevisionMismatchFileSystemError, NotFoundFileSystemError), path):
                new_file.commit()
        assert not file_system.exists(path)

    def test_size_counts_what_is_kept(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"0123456789")
        with file_system.create_new_file(path, WriteOptions(size=12)) as new_file:
            apply_pieces(new_file, [(0, 10), b"ab"])
            new_file.commit()
        with pytest.raises(FileSystemError), file_system.create_new_file(path, WriteOptions(size=12)) as new_file:
            apply_pieces(new_file, [(0, 12), b"ab"])
            new_file.commit()
        assert file_system.read_all(path) == b"0123456789ab"


def apply_pieces(new_file: NewFile, pieces: Sequence[Piece]) -> None:
    """Write and keep, piece by piece."""
    for piece in pieces:
        if isinstance(piece, bytes):
            new_file.write(piece)
        else:
            new_file.keep(*piece)


def put_together(old: bytes, pieces: Sequence[Piece]) -> bytes:
    """The content that the pieces make up."""
    return b"".join(piece if isinstance(piece, bytes) else old[piece[0] : sum(piece)] for piece in pieces)
