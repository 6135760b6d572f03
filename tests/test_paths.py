from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha import paths
from cloudalpha.exceptions import InvalidPathFileSystemError

_name = st.text(st.characters(min_codepoint=0x21, exclude_characters="/\x7f", codec="utf-8"), min_size=1, max_size=20)
_path = st.lists(_name.filter(lambda name: name not in (".", "..")), max_size=5).map(
    lambda names: "/" + "/".join(names)
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/", "/"),
        ("//", "/"),
        ("///etc//passwd", "/etc/passwd"),
        ("/a/./b/", "/a/b"),
        ("/..", "/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/a/../../b", "/b"),
        (".", "/home/me"),
        ("..", "/home"),
        ("../../../..", "/"),
        ("a b", "/home/me/a b"),
        ("...", "/home/me/..."),
        ("-rf", "/home/me/-rf"),
        ("~", "/home/me/~"),
        ("a\\..\\b", "/home/me/a\\..\\b"),
        ("%2e%2e/b", "/home/me/%2e%2e/b"),
        ("．．/b", "/home/me/．．/b"),
        (b"/\xc3\xa4", "/ä"),
        (b"/\xff\xfe", "/\udcff\udcfe"),
        ("/é", "/é"),
        ("/e\u0301", "/e\u0301"),
        ("/" + "x" * 255, "/" + "x" * 255),
        ("/" + "ä" * 127, "/" + "ä" * 127),
    ],
)
def test_what_a_client_means(raw: str | bytes, expected: str) -> None:
    assert paths.normalize(raw, "/home/me") == expected


@pytest.mark.parametrize(
    "raw",
    [
        "",
        b"",
        "/a\0b",
        "/a\nb",
        "/a\r\nb",
        "/a\x7f",
        b"/\x1b[2J",
        "/" + "x" * 256,
        "/" + "ä" * 128,
        "/abc" * 1025,
        "/\ud800",
    ],
)
def test_what_no_file_can_be_called(raw: str | bytes) -> None:
    with pytest.raises(InvalidPathFileSystemError) as caught:
        paths.normalize(raw)
    assert caught.value.path.isprintable() and len(caught.value.path) <= 300


@given(st.binary(max_size=60), _path)
def test_all_bytes_lead_to_a_path_or_an_error(raw: bytes, working_dir: str) -> None:
    try:
        path = paths.normalize(raw, working_dir)
    except InvalidPathFileSystemError:
        return
    assert path.startswith("/") and (path == "/" or not path.endswith("/"))
    assert not {"", ".", ".."} & set(paths.get_names(path))
    assert all(paths.is_valid_name(name) for name in paths.get_names(path))
    assert paths.normalize(path) == path
    assert paths.normalize(paths.encode(path)) == path
    model = posixpath.normpath(posixpath.join(working_dir.encode(), raw))
    assert paths.encode(path) == b"/" + model.lstrip(b"/")


@given(st.binary())
def test_bytes_survive(raw: bytes) -> None:
    assert paths.encode(paths.decode(raw)) == raw


@given(st.text())
def test_printable_is_printable(text: str) -> None:
    shown = paths.printable(text)
    assert shown.isprintable() and len(shown) <= 300


@given(_path, _name.filter(lambda name: name not in (".", "..")))
def test_taking_apart_and_joining(path: str, name: str) -> None:
    joined = paths.join(path, name)
    assert paths.get_parent(joined) == path
    assert paths.get_name(joined) == name
    assert paths.get_names(joined) == [*paths.get_names(path), name]
    assert paths.is_within(joined, path) and paths.is_within(path, path)
    assert not paths.is_within(path, joined)
    assert paths.rebase(joined, path, "/new") == "/new/" + name
    assert paths.rebase(paths.rebase(joined, path, "/x/y"), "/x/y", path) == joined
    assert paths.rebase(joined, path, "/") == "/" + name
    assert paths.rebase(path, path, "/") == "/"


def test_the_root() -> None:
    assert paths.get_parent("/") == "/" and paths.get_name("/") == "" and paths.get_names("/") == []
    assert not paths.is_within("/ab", "/a")
    assert paths.rebase("/", "/", "/a") == "/a"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "\x7f", "\0", "x" * 256, "ä" * 128, "\ud800"])
def test_names_that_no_client_can_ask_for(name: str) -> None:
    assert not paths.is_valid_name(name)


@pytest.mark.parametrize("name", ["a", "...", " ", "-", "\u00a0", "\udcff", "x" * 255, "ä" * 127, "\\", "~"])
def test_names_that_a_client_can_ask_for(name: str) -> None:
    assert paths.is_valid_name(name)
    assert paths.normalize("/" + name) == "/" + name
