from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha import paths
from cloudalpha.exceptions import InvalidPathFileSystemError
from cloudalpha.services.s3.keys import Keys, is_marker_content, is_twin, to_component, to_name, to_twin

awkward = st.text(st.sampled_from("%~!./\\aé\x00\n\x7f0A25"), max_size=12)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
any_key = st.one_of(awkward, any_text)
any_component = any_key.map(lambda key: key.replace("/", ""))
any_name = any_component.filter(paths.is_valid_name)

KEYS = Keys("pre fix/")

SHOWN = [
    ("a/b.txt", "/a/b.txt"),
    ("a//b", "/a/%~/b"),
    ("/a", "/%~/a"),
    ("a/", "/a/%~"),
    ("./a", "/%~./a"),
    ("a/../b", "/a/%~../b"),
    ("...", "/..."),
    ("a\tb", "/%~a%09b"),
    ("a\t50%", "/%~a%0950%25"),
    ("50%", "/50%"),
    ("%41", "/%41"),
    ("\x00", "/%~%00"),
    ("\x7f", "/%~%7F"),
    ("%~x", "/%~%25~x"),
    ("%!x", "/%~%25!x"),
    ("a%~", "/a%~"),
    ("é/e\u0301", "/é/e\u0301"),
    ("a\\b", "/a\\b"),
]


@pytest.mark.parametrize(("key", "path"), SHOWN)
@pytest.mark.parametrize("prefix", ["", "pre fix/", "%~/"])
def test_what_is_shown_and_reached(key: str, path: str, prefix: str) -> None:
    keys = Keys(prefix)
    assert keys.get_path(prefix + key) == path
    assert keys.get_key(path) == prefix + key


@given(any_key)
def test_every_key_is_reached_by_the_path_that_it_is_shown_as(key: str) -> None:
    path = KEYS.get_path(KEYS.prefix + key)
    if path is None:
        assert any(to_name(component) is None for component in key.split("/"))
    else:
        assert all(paths.is_valid_name(name) for name in paths.get_names(path))
        assert KEYS.get_key(path) == KEYS.prefix + key


@given(any_key, any_key)
def test_no_two_keys_share_a_path(first: str, second: str) -> None:
    path = KEYS.get_path(KEYS.prefix + first)
    assert path is None or first == second or path != KEYS.get_path(KEYS.prefix + second)


@given(any_component)
def test_a_component_is_left_out_only_for_its_length(component: str) -> None:
    name = to_name(component)
    if name is None:
        assert len(component.encode()) * 3 + 2 > 255
    else:
        assert to_component(name) == component


@given(any_name)
def test_a_name_is_stored_as_it_is_or_refused(name: str) -> None:
    try:
        component = to_component(name)
    except ValueError:
        assert name.startswith(("%~", "%!"))
    else:
        twin_of = name[2:] if is_twin("/" + name) else name
        assert to_name(component) == twin_of
        assert component == name or name.startswith(("%~", "%!"))


@given(any_component)
def test_the_folder_beside_a_file_of_its_name(component: str) -> None:
    name = to_name(component)
    twin = to_twin(name) if name is not None else None
    if twin is not None:
        assert is_twin("/" + twin)
        assert KEYS.get_dir_key("/" + twin) == f"{KEYS.prefix}{component}/"
        assert KEYS.get_key(f"/{twin}/x") == f"{KEYS.prefix}{component}/x"


@pytest.mark.parametrize("name", ["%~x", "%~%41", "%~%7f", "%~%2", "%~a%09b%", "%!", "%!%!x", "%!%~x", "%~..."])
def test_a_name_that_stands_for_nothing(name: str) -> None:
    for path in ("/" + name, f"/{name}/x", f"/x/{name}"):
        with pytest.raises(InvalidPathFileSystemError) as info:
            KEYS.get_key(path)
        assert info.value.path == path


def test_a_name_that_is_not_utf_8() -> None:
    with pytest.raises(InvalidPathFileSystemError):
        KEYS.get_key(paths.decode(b"/caf\xe9"))


def test_longest_key() -> None:
    names = "/".join(["n" * 200] * 5)
    longest = "/" + names + "x" * (1024 - len(KEYS.prefix) - len(names))
    assert len(KEYS.get_key(longest).encode()) == 1024
    with pytest.raises(InvalidPathFileSystemError):
        KEYS.get_key(longest + "x")
    with pytest.raises(InvalidPathFileSystemError):
        KEYS.get_key("/" + "/".join(["é" * 120] * 5))


def test_folders() -> None:
    assert Keys("").get_dir_key("/") == ""
    assert KEYS.get_dir_key("/") == "pre fix/"
    assert KEYS.get_dir_key("/a/b") == "pre fix/a/b/"
    assert KEYS.get_dir_key("/a/%~") == "pre fix/a//"


def test_content_of_a_marker() -> None:
    assert is_marker_content("/a/%~")
    assert is_marker_content("/%~")
    assert not is_marker_content("/a/%~.")
    assert not is_marker_content("/a%~")
