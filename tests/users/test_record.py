"""What `[users.NAME]` takes."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from cloudalpha.users.networks import get_origin, is_in, parse_address
from cloudalpha.users.record import Mount, UserOptions, check_user_name, is_valid_user_name, parse_mount
from tests.users.helpers import CHEAP_ARGON2, KEY, OTHER_KEY, make_user

TEXT = f"""
[users.alice]
password_hash = "{CHEAP_ARGON2}"
public_keys = ["{KEY} alice@laptop"]
certificate_authorities = ["{OTHER_KEY} ca"]
principals = ["alice", "staff"]
require = "key_and_password"
mounts = {{ "/" = "photos:/", "/team/" = "vault:/shared/" }}
permissions = {{ "/" = "all", "/team" = "list download" }}
home = "/people/alice"
expires = 2030-12-31
allowed_networks = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
allowed_managers = ["sftp"]
max_sessions = 3
"""


def test_the_whole_section() -> None:
    user = UserOptions(**tomllib.loads(TEXT)["users"]["alice"])
    assert user.public_keys == (KEY,) and user.certificate_authorities == (OTHER_KEY,)
    assert user.parsed_mounts == {"/": Mount("photos", "/"), "/team": Mount("vault", "/shared")}
    assert user.expires == datetime(2031, 1, 1, tzinfo=UTC)
    assert is_in(parse_address("2001:db8:5::1"), user.allowed_networks)
    assert is_in(parse_address("192.0.2.7"), user.allowed_networks)
    assert not is_in(parse_address("192.0.2.8"), user.allowed_networks)
    assert user.enabled and user.home == "/people/alice" and user.max_sessions == 3


def test_hash_is_not_shown() -> None:
    assert "argon2" not in repr(make_user()) and "argon2" not in str(make_user())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2030-12-31", datetime(2031, 1, 1, tzinfo=UTC)),
        (date(2030, 12, 31), datetime(2031, 1, 1, tzinfo=UTC)),
        ("2030-12-31T18:00:00Z", datetime(2030, 12, 31, 18, tzinfo=UTC)),
        (datetime(2030, 12, 31, 18), datetime(2030, 12, 31, 18, tzinfo=UTC)),  # noqa: DTZ001 - TOML has such
        (datetime(2030, 12, 31, 18, tzinfo=timezone(timedelta(hours=2))), datetime(2030, 12, 31, 16, tzinfo=UTC)),
    ],
)
def test_expiry(written: object, read: datetime) -> None:
    assert make_user(expires=written).expires == read


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"password_hash": "secret"}, "cloudalpha hash-password"),
        ({"public_keys": ["ssh-ed25519 AAAA"]}, "is it whole"),
        ({"certificate_authorities": ["/etc/ssh/ca.pub"]}, "TYPE BASE64"),
        ({"require": "both"}, "'any' or 'key_and_password'"),
        ({"require": "key_and_password", "password_hash": None}, "needs a password_hash"),
        ({"require": "key_and_password", "public_keys": []}, "needs public_keys"),
        ({"mounts": {}}, "at least one mount"),
        ({"mounts": {"/": "photos"}}, "'photos:/'"),
        ({"mounts": {"/": ":/"}}, "names no folder"),
        ({"mounts": {"/": "photos:incoming"}}, "must begin with a slash"),
        ({"mounts": {"team": "photos:/"}}, "must begin with a slash"),
        ({"mounts": {"/a": "photos:/", "/a/": "photos:/"}}, "two mounts"),
        ({"permissions": {"/": "list uplaod"}}, "did you mean 'upload'"),
        ({"home": "people"}, "must begin with a slash"),
        ({"home": "/a\x00"}, "control character"),
        ({"expires": "tomorrow"}, "not a date"),
        ({"allowed_networks": ["10.0.0.1/8"]}, "10.0.0.0/8"),
        ({"allowed_networks": ["office"]}, "not a network"),
        ({"max_sessions": 0}, "greater than or equal to 1"),
        ({"pasword_hash": "x"}, "Extra inputs"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_user(**options)
    assert message in str(caught.value)
    assert "input_value" not in str(caught.value)


def test_paths_of_mounts() -> None:
    assert parse_mount("photos:") == parse_mount("photos:/") == Mount("photos", "/")
    assert parse_mount("photos:/a/../../b//c/") == Mount("photos", "/b/c")


@pytest.mark.parametrize("name", ["alice", "a", "a.b-c_D9", "x" * 64, "...", "-"])
def test_names_of_users(name: str) -> None:
    assert is_valid_user_name(name) and check_user_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "a/b", "a\\b", "a\0", "alice\n", "a b", "ä", "x" * 65, "%u", "ａlice", "\u0661"]
)
def test_names_that_nobody_has(name: str) -> None:
    assert not is_valid_user_name(name)
    with pytest.raises(ValueError, match="no name for a user"):
        check_user_name(name)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_origins(text: str, origin: str) -> None:
    assert get_origin(parse_address(text)) == origin
