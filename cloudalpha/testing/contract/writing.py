"""Writing: nothing is seen before the commit, and then everything."""

from __future__ import annotations

import hashlib
from array import array
from typing import cast

import pytest

from cloudalpha.exceptions import FileSystemError, NotFoundFileSystemError, UnsupportedOperationFileSystemError
from cloudalpha.file_system import FileSystem, WriteOptions
from cloudalpha.testing.contract.base import ContractTests, assert_absent, list_names, make_content, raises
from cloudalpha.testing.same_bytes import assert_same_bytes

CHUNKS = [
    [], [0], [1], [1, 1, 1], [0, 5, 0], [65536], [65535, 1], [65537] * 3, [1000] * 300, [1024 * 1024, 1], [1, 3 * 1024 * 1024, 1], [7] * 1000,
    [6 * 1024 * 1024 + 1],
]  # fmt: skip

BYTES_LIKE = [
    pytest.param(bytearray(b"abcdefgh"), id="bytearray"),
    pytest.param(memoryview(b"abcdefgh"), id="memoryview"),
    pytest.param(memoryview(b"..abcdefgh..")[2:10], id="slice"),
    pytest.param(memoryview(array("Q", [int.from_bytes(b"abcdefgh", "little")])), id="wide-items"),
]


class WriteTests(ContractTests):
    @pytest.mark.parametrize("sizes", CHUNKS, ids=lambda sizes: "+".join(map(str, sizes[:4])) + f" ({len(sizes)})")
    def test_content_is_what_was_written(self, file_system: FileSystem, folder: str, sizes: list[int]) -> None:
        pieces = [make_content(size, seed) for seed, size in enumerate(sizes)]
        with file_system.create_new_file(folder + "/file") as new_file:
            assert (new_file.path, new_file.offset) == (folder + "/file", 0)
            for piece in pieces:
                new_file.write(piece)
            assert new_file.offset == sum(sizes)
            metadata = new_file.commit()
        assert (metadata.path, metadata.is_dir, metadata.size) == (folder + "/file", False, sum(sizes))
        assert_same_bytes(file_system.read_all(folder + "/file"), b"".join(pieces))

    @pytest.mark.parametrize("data", BYTES_LIKE)
    def test_takes_any_bytes_like_object(self, file_system: FileSystem, folder: str, data: object) -> None:
        with file_system.create_new_file(folder + "/file") as new_file:
            new_file.write(cast(bytes, data))
            new_file.write(cast(bytes, data))
            assert new_file.offset == 16
            new_file.commit()
        assert file_system.read_all(folder + "/file") == b"abcdefgh" * 2

    def test_buffer_may_be_used_again(self, file_system: FileSystem, folder: str) -> None:
        buffer = bytearray(b"first ")
        with file_system.create_new_file(folder + "/file") as new_file:
            new_file.write(cast(bytes, buffer))
            buffer[:] = b"second"
            new_file.write(cast(bytes, buffer))
            buffer[:] = b"third!"
            new_file.commit()
        assert file_system.read_all(folder + "/file") == b"first second"

    def test_commit_returns_what_is_there(self, file_system: FileSystem, folder: str) -> None:
        committed = file_system.write_all(folder + "/file", b"content")
        metadata = file_system.get_metadata(folder + "/file")
        assert (committed.path, committed.is_dir, committed.size) == (metadata.path, metadata.is_dir, metadata.size)
        assert committed.revision == metadata.revision
        assert committed.modified_datetime in (None, metadata.modified_datetime)

    @pytest.mark.parametrize("size", [0, 10, 1024 * 1024])
    def test_nothing_is_seen_before_commit(self, file_system: FileSystem, folder: str, size: int) -> None:
        with file_system.create_new_file(folder + "/file") as new_file:
            assert_absent(file_system, folder + "/file")
            new_file.write(make_content(size))
            assert_absent(file_system, folder + "/file")
            assert list_names(file_system, folder) == []
            new_file.commit()
        assert list_names(file_system, folder) == ["file"]

    def test_old_content_stays_until_commit(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        before = file_system.write_all(path, b"old content")
        with file_system.create_new_file(path) as new_file:
            new_file.write(b"new")
            assert file_system.read_all(path) == b"old content"
            assert file_system.get_metadata(path).size == 11
            assert file_system.get_metadata(path).revision == before.revision
            assert list_names(file_system, folder) == ["file"]
            new_file.commit()
        assert file_system.read_all(path) == b"new"
        assert list_names(file_system, folder) == ["file"]

    @pytest.mark.parametrize("ending", ["discard", "discard_twice", "leave", "exception"])
    @pytest.mark.parametrize("old", [None, b"old content"])
    @pytest.mark.parametrize("size", [0, 10, 1024 * 1024])
    def test_not_committing_is_discarding(
        self, file_system: FileSystem, folder: str, ending: str, old: bytes | None, size: int
    ) -> None:
        path = folder + "/file"
        if old is not None:
            file_system.write_all(path, old)
        try:
            with file_system.create_new_file(path) as new_file:
                new_file.write(make_content(size))
                if ending == "exception":
                    raise KeyError
                if ending != "leave":
                    new_file.discard()
                if ending == "discard_twice":
                    new_file.discard()
        except KeyError:
            pass
        if old is None:
            assert_absent(file_system, path)
        else:
            assert_same_bytes(file_system.read_all(path), old)
            assert list_names(file_system, folder) == ["file"]

    def test_discard_after_commit_is_harmless(self, file_system: FileSystem, folder: str) -> None:
        new_file = file_system.create_new_file(folder + "/file")
        new_file.write(b"content")
        new_file.commit()
        new_file.discard()
        new_file.discard()
        assert file_system.read_all(folder + "/file") == b"content"

    def test_second_commit_is_refused(self, file_system: FileSystem, folder: str) -> None:
        with file_system.create_new_file(folder + "/file") as new_file:
            new_file.write(b"content")
            new_file.commit()
            file_system.write_all(folder + "/file", b"of somebody else")
            with pytest.raises(ValueError):
                new_file.commit()
        assert file_system.read_all(folder + "/file") == b"of somebody else"

    def test_commit_after_discard_is_refused(self, file_system: FileSystem, folder: str) -> None:
        new_file = file_system.create_new_file(folder + "/file")
        new_file.write(b"content")
        new_file.discard()
        with pytest.raises((ValueError, FileSystemError)):
            new_file.commit()
        assert_absent(file_system, folder + "/file")

    def test_revision_changes_with_the_content(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        revisions = [file_system.write_all(path, content).revision for content in (b"aaa", b"bbb", b"ccc", b"aa")]
        if None in revisions:
            assert set(revisions) == {None}
            return
        assert len(set(revisions)) == 4, "contents written in quick succession share a revision"
        assert file_system.get_metadata(path).revision == revisions[-1]
        assert file_system.get_metadata(path).revision == revisions[-1]

    def test_last_commit_wins_and_both_are_whole(self, file_system: FileSystem, folder: str) -> None:
        path = folder + "/file"
        contents = [make_content(300_000, seed) for seed in range(3)]
        new_files = [file_system.create_new_file(path) for _ in contents]
        for start in range(0, 300_000, 50_000):
            for new_file, content in zip(new_files, contents, strict=True):
                new_file.write(content[start : start + 50_000])
        for number in (1, 2, 0):
            new_files[number].commit()
            assert_same_bytes(file_system.read_all(path), contents[number])
        assert list_names(file_system, folder) == ["file"]

    def test_many_files_at_once(self, file_system: FileSystem, folder: str) -> None:
        new_files = [file_system.create_new_file(f"{folder}/{number}") for number in range(20)]
        for piece in range(3):
            for number, new_file in enumerate(new_files):
                new_file.write(f"{number} {piece},".encode())
        for new_file in new_files[::2]:
            new_file.commit()
        for new_file in new_files:
            new_file.discard()
        assert list_names(file_system, folder) == sorted(str(number) for number in range(0, 20, 2))
        assert file_system.read_all(folder + "/4") == b"4 0,4 1,4 2,"

    @pytest.mark.parametrize("size", [0, 1, 100_000])
    def test_announced_size(self, file_system: FileSystem, folder: str, size: int) -> None:
        content = make_content(size)
        assert file_system.write_all(folder + "/file", content, WriteOptions(size=size)).size == size
        assert_same_bytes(file_system.read_all(folder + "/file"), content)

    @pytest.mark.parametrize("announced", [0, 99, 101, 1_000_000])
    @pytest.mark.parametrize("old", [None, b"old content"])
    def test_any_other_size_is_refused(
        self, file_system: FileSystem, folder: str, announced: int, old: bytes | None
    ) -> None:
        path = folder + "/file"
        if old is not None:
            file_system.write_all(path, old)
        with pytest.raises(FileSystemError):
            file_system.write_all(path, bytes(100), WriteOptions(size=announced))
        if old is None:
            assert_absent(file_system, path)
        else:
            assert_same_bytes(file_system.read_all(path), old)

    def test_folder_that_goes_before_the_commit(self, file_system: FileSystem, folder: str) -> None:
        file_system.make_dir(folder + "/sub")
        with file_system.create_new_file(folder + "/sub/file") as new_file:
            new_file.write(b"content")
            file_system.delete_tree(folder + "/sub")
            try:
                new_file.commit()
            except NotFoundFileSystemError:
                assert list_names(file_system, folder) == []
            else:
                assert file_system.read_all(folder + "/sub/file") == b"content"

    def test_file_that_moves_before_the_commit(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"old")
        with file_system.create_new_file(folder + "/file") as new_file:
            new_file.write(b"new")
            file_system.rename(folder + "/file", folder + "/moved")
            new_file.commit()
        assert file_system.read_all(folder + "/file") == b"new"
        assert file_system.read_all(folder + "/moved") == b"old"

    def test_content_hash_is_true(self, file_system: FileSystem, folder: str) -> None:
        content = make_content(100_000)
        metadata = file_system.write_all(folder + "/file", content)
        for entry in (metadata.content_hash or "").split():
            algorithm, _, value = entry.partition(":")
            assert algorithm in file_system.capabilities.content_hash
            if algorithm in hashlib.algorithms_available:
                assert value == hashlib.new(algorithm, content).hexdigest()


class ResumeTests(ContractTests):
    """`WriteOptions.resume`, where the storage takes it; refused with a reason elsewhere."""

    def test_resume(self, file_system: FileSystem, folder: str) -> None:
        path, content = folder + "/file", make_content(12 * 1024 * 1024)
        lost = file_system.create_new_file(path)
        lost.write(content[: len(content) // 2])
        if not file_system.capabilities.resumable_upload:
            lost.discard()
            with raises(UnsupportedOperationFileSystemError, path):
                file_system.create_new_file(path, WriteOptions(resume="token"))
            return
        assert lost.token
        with file_system.create_new_file(path, WriteOptions(resume=lost.token)) as new_file:
            assert 0 <= new_file.offset <= len(content) // 2
            assert_absent(file_system, path)
            new_file.write(content[new_file.offset :])
            new_file.commit()
        assert_same_bytes(file_system.read_all(path), content)
        assert list_names(file_system, folder) == ["file"]

    @pytest.mark.parametrize("ending", ["commit", "discard", "never"])
    def test_token_that_is_of_no_use(self, file_system: FileSystem, folder: str, ending: str) -> None:
        path, token = folder + "/file", "never given"
        if file_system.capabilities.resumable_upload and ending != "never":
            with file_system.create_new_file(path) as new_file:
                token = new_file.token or ""
                new_file.write(b"content")
                if ending == "commit":
                    new_file.commit()
        with pytest.raises(FileSystemError):
            file_system.create_new_file(path, WriteOptions(resume=token))
