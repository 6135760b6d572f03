"""Reading the permissions of the configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.users.permissions import (
    ALL_PERMISSIONS,
    NO_PERMISSION,
    VERBS,
    Permission,
    Permissions,
    format_verbs,
    parse_verbs,
)


def test_verbs_of_the_configuration() -> None:
    assert list(VERBS) == [
        *(
            "list",
            "download",
            "upload",
            "overwrite",
            "append",
            "delete",
            "rename",
            "make_dir",
            "delete_dir",
            "set_times",
        ),
        "all",
    ]


def test_words_are_apart_by_spaces_or_commas() -> None:
    assert parse_verbs(" list,download\tupload ") == Permission.LIST | Permission.DOWNLOAD | Permission.UPLOAD
    assert parse_verbs("all") == ALL_PERMISSIONS
    assert parse_verbs("") == parse_verbs("  ") == NO_PERMISSION


@given(st.sets(st.sampled_from(sorted(VERBS))))
def test_format_is_the_inverse(verbs: set[str]) -> None:
    permission = parse_verbs(" ".join(verbs))
    assert parse_verbs(format_verbs(permission)) == permission


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lst", "did you mean 'list'?"),
        ("list makedir", "did you mean 'make_dir'?"),
        ("List", "did you mean 'list'?"),
        ("xyzzy", "there are: list, download, upload"),
    ],
)
def test_unknown_verb_names_the_nearest(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="unknown permission") as caught:
        parse_verbs(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize("path", ["team", "", "/a\x00b", "/" + "x" * 300])
def test_path_that_cannot_be(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Permissions.parse({path: "all"})


def test_two_rules_for_one_path() -> None:
    with pytest.raises(ValueError, match="two rules"):
        Permissions.parse({"/team": "all", "/team/": "list"})


def test_paths_are_made_canonical() -> None:
    assert Permissions.parse({"/team//docs/": "list"}).get("/team/docs/x") == Permission.LIST


def test_unlimited_only_when_everything_is_permitted_everywhere() -> None:
    assert Permissions.parse({"/": "all"}).is_unlimited()
    assert Permissions.parse({"/": "all", "/a": "all"}).is_unlimited()
    assert not Permissions.parse({"/": "all", "/a": "list"}).is_unlimited()
    assert not Permissions.parse({"/a": "all"}).is_unlimited()
    assert not Permissions.parse({}).is_unlimited()
