"""Names: kept exactly, or refused; never altered."""

from __future__ import annotations

import unicodedata

import pytest

from cloudalpha import paths
from cloudalpha.exceptions import FileSystemError, InvalidPathFileSystemError, NotFoundFileSystemError
from cloudalpha.file_system import FileSystem
from cloudalpha.testing.contract.base import ContractTests, list_names, raises

EVERYWHERE = [
    pytest.param("plain", id="plain"),
    pytest.param("File.TXT", id="capitals"),
    pytest.param("a b", id="space"),
    pytest.param("two  spaces", id="two-spaces"),
    pytest.param("archive.tar.gz", id="dots"),
    pytest.param(".hidden", id="leading-dot"),
    pytest.param("-rf", id="leading-dash"),
    pytest.param("--help", id="leading-dashes"),
    pytest.param("under_score-dash", id="punctuation"),
    pytest.param("1", id="digit"),
    pytest.param("(1) [2] {3}", id="brackets"),
    pytest.param("a,b;c=d", id="separators"),
    pytest.param("Ünïcödé é", id="latin-composed"),
    pytest.param("файл", id="cyrillic"),
    pytest.param("文件名", id="chinese"),
    pytest.param("קובץ", id="right-to-left"),
    pytest.param("x" * 100, id="100-bytes"),
]

PERHAPS = [
    pytest.param(" leading space", id="leading-space"),
    pytest.param("trailing space ", id="trailing-space"),
    pytest.param(" ", id="only-a-space"),
    pytest.param("trailing dot.", id="trailing-dot"),
    pytest.param("...", id="three-dots"),
    pytest.param("..name", id="two-dots-and-a-name"),
    pytest.param("~", id="tilde"),
    pytest.param("~user", id="tilde-user"),
    pytest.param("it's", id="single-quote"),
    pytest.param('say "hi"', id="double-quote"),
    pytest.param("back`tick", id="backtick"),
    pytest.param("back\\slash", id="backslash"),
    pytest.param("what?", id="question-mark"),
    pytest.param("#1", id="hash"),
    pytest.param("50%", id="percent"),
    pytest.param("a%2Fb", id="percent-encoded-slash"),
    pytest.param("%00", id="percent-encoded-nul"),
    pytest.param("a+b", id="plus"),
    pytest.param("a&b", id="ampersand"),
    pytest.param("<b>", id="angle-brackets"),
    pytest.param("a|b", id="pipe"),
    pytest.param("a:b", id="colon"),
    pytest.param("*", id="star"),
    pytest.param("$HOME", id="dollar"),
    pytest.param("CON", id="reserved-on-windows"),
    pytest.param("e\u0301", id="latin-decomposed"),
    pytest.param("ﬁ Å ①", id="compatibility-characters"),
    pytest.param("a\u200bb", id="zero-width-space"),
    pytest.param("a\u00a0b", id="no-break-space"),
    pytest.param("a\u2028b", id="line-separator"),
    pytest.param("a\u0085b", id="c1-control"),
    pytest.param("a\u202egnp.txt", id="text-direction-override"),
    pytest.param("😀👩‍👩‍👧", id="emoji"),
    pytest.param("\U0010fffd", id="last-plane"),
    pytest.param("日" * 85, id="255-bytes-of-chinese"),
    pytest.param("😀" * 63, id="252-bytes-of-emoji"),
    pytest.param("n" * 255, id="255-bytes"),
    pytest.param(paths.decode(b"caf\xe9"), id="latin-1-bytes"),
    pytest.param(paths.decode(b"\xff\xfe"), id="no-text-at-all"),
    pytest.param(paths.decode(b"\xed\xa0\x80"), id="bytes-of-a-surrogate"),
    pytest.param(paths.decode(b"\xc0\xaf"), id="overlong-slash"),
]

any_name = pytest.mark.parametrize("name", EVERYWHERE + PERHAPS)


class NameTests(ContractTests):
    """A name is kept byte for byte, or refused with InvalidPathFileSystemError before anything is there."""

    @pytest.mark.parametrize("name", EVERYWHERE)
    def test_plain_names_are_taken_everywhere(self, file_system: FileSystem, folder: str, name: str) -> None:
        file_system.write_all(paths.join(folder, name), b"x")
        assert list_names(file_system, folder) == [name]

    @any_name
    def test_file_keeps_its_name(self, file_system: FileSystem, folder: str, name: str) -> None:
        path = paths.join(folder, name)
        if not _taken(file_system, path, is_dir=False):
            assert list_names(file_system, folder) == []
            return
        assert [entry.path for entry in file_system.list_dir(folder)] == [path]
        assert file_system.get_metadata(path).path == path
        assert file_system.read_all(path) == b"content"
        file_system.delete(path)
        assert list_names(file_system, folder) == []

    @any_name
    def test_folder_keeps_its_name(self, file_system: FileSystem, folder: str, name: str) -> None:
        path = paths.join(folder, name)
        if not _taken(file_system, path, is_dir=True):
            assert list_names(file_system, folder) == []
            return
        assert [entry.path for entry in file_system.list_dir(folder)] == [path]
        file_system.write_all(paths.join(path, "inside"), b"content")
        assert [entry.path for entry in file_system.list_dir(path)] == [paths.join(path, "inside")]
        file_system.delete(paths.join(path, "inside"))
        file_system.delete_dir(path)
        assert list_names(file_system, folder) == []

    @any_name
    def test_rename_and_copy_keep_the_new_name(self, file_system: FileSystem, folder: str, name: str) -> None:
        plain, path = paths.join(folder, "source"), paths.join(folder, name)
        file_system.write_all(plain, b"content")
        try:
            file_system.copy(plain, path)
        except InvalidPathFileSystemError:
            with raises(InvalidPathFileSystemError):
                file_system.rename(plain, path)
            assert list_names(file_system, folder) == ["source"]
            return
        assert list_names(file_system, folder) == sorted(["source", name])
        file_system.rename(path, plain, overwrite=True)
        assert list_names(file_system, folder) == ["source"]
        file_system.rename(plain, path)
        assert list_names(file_system, folder) == [name]
        assert file_system.read_all(path) == b"content"

    def test_unicode_forms_are_different_names(self, file_system: FileSystem, folder: str) -> None:
        composed = unicodedata.normalize("NFC", "Zoë")
        decomposed = unicodedata.normalize("NFD", "Zoë")
        taken = []
        for name in (composed, decomposed):
            try:
                file_system.write_all(paths.join(folder, name), name.encode())
            except InvalidPathFileSystemError:
                continue
            taken.append(name)
        assert list_names(file_system, folder) == sorted(taken)
        assert taken
        for name in taken:
            assert file_system.read_all(paths.join(folder, name)) == name.encode()

    def test_letter_case(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/name", b"small")
        file_system.write_all(folder + "/NAME", b"capital")
        if file_system.capabilities.case_sensitive:
            assert list_names(file_system, folder) == ["NAME", "name"]
            assert file_system.read_all(folder + "/name") == b"small"
            assert file_system.read_all(folder + "/NAME") == b"capital"
        else:
            assert len(list_names(file_system, folder)) == 1
            assert file_system.read_all(folder + "/name") == file_system.read_all(folder + "/NAME") == b"capital"

    def test_longest_name(self, file_system: FileSystem, folder: str) -> None:
        longest = folder + "/" + "n" * file_system.capabilities.max_name_bytes
        file_system.write_all(longest, b"content")
        assert file_system.read_all(longest) == b"content"
        file_system.delete(longest)
        file_system.make_dir(longest)
        assert file_system.is_dir(longest)

    @pytest.mark.parametrize("letter", ["n", "é", "😀"])
    @pytest.mark.parametrize("action", ["write", "make_dir", "rename", "copy"])
    def test_name_that_is_too_long(self, file_system: FileSystem, folder: str, action: str, letter: str) -> None:
        bound = file_system.capabilities.max_name_bytes
        path = folder + "/" + letter * (bound // len(letter.encode()) + 1)
        file_system.write_all(folder + "/source", b"content")
        with raises(InvalidPathFileSystemError):
            if action == "write":
                file_system.write_all(path, b"x")
            elif action == "make_dir":
                file_system.make_dir(path)
            elif action == "rename":
                file_system.rename(folder + "/source", path)
            else:
                file_system.copy(folder + "/source", path)
        assert list_names(file_system, folder) == ["source"]
        with raises((NotFoundFileSystemError, InvalidPathFileSystemError)):
            file_system.get_metadata(path)

    def test_names_that_begin_alike_are_apart(self, file_system: FileSystem, folder: str) -> None:
        siblings = ["ab", "a b", "a-b", "a.b", "a!b", "a0"]
        file_system.make_dir(folder + "/a")
        file_system.write_all(folder + "/a/inside", b"inside")
        for name in siblings:
            file_system.write_all(paths.join(folder, name), name.encode())
        assert list_names(file_system, folder + "/a") == ["inside"]
        assert list_names(file_system, folder) == sorted(["a", *siblings])
        file_system.rename(folder + "/a", folder + "/moved")
        assert list_names(file_system, folder) == sorted(["moved", *siblings])
        file_system.delete_tree(folder + "/moved")
        assert list_names(file_system, folder) == sorted(siblings)
        for name in siblings:
            assert file_system.read_all(paths.join(folder, name)) == name.encode()

    def test_deep_tree(self, file_system: FileSystem, folder: str) -> None:
        path = folder
        for depth in range(40):
            path = paths.join(path, f"level {depth}")
            file_system.make_dir(path)
        file_system.write_all(path + "/bottom", b"deep")
        assert file_system.read_all(path + "/bottom") == b"deep"
        assert len(list(file_system.walk(folder))) == 41


def _taken(file_system: FileSystem, path: str, is_dir: bool) -> bool:
    """Make something at the path; False when its name is refused as it should be."""
    try:
        if is_dir:
            file_system.make_dir(path)
        else:
            file_system.write_all(path, b"content")
    except FileSystemError as error:
        assert type(error) is InvalidPathFileSystemError, f"{type(error).__name__} instead of InvalidPath-: {error}"
        return False
    return True
