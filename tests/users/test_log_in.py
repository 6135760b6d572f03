"""What a client must prove, who may come in at all, and the same work for every failure."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.users import decision
from cloudalpha.users.decision import Factor
from tests.users.helpers import (
    ADDRESS,
    CHEAP_ARGON2,
    KEY,
    OTHER_KEY,
    RIGHT,
    GateUnderTest,
    enter,
    make_user,
)

HOSTILE = ["", ".", "..", "a/../b", "alice\0", "alice\r\n", "\x1b[2J", "x" * 5000, "\udce9", "\ud800", "ä", "{0}", "%s"]


# One factor


def test_password(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    assert not visit.is_authenticated("alice")
    assert not visit.check_password("alice", "wrong") and not visit.is_authenticated("alice")
    assert visit.check_password("alice", RIGHT) and visit.is_authenticated("alice")
    assert not visit.is_authenticated("bob")


def test_public_key(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    assert not visit.check_public_key("alice", OTHER_KEY)
    assert visit.check_public_key("alice", KEY, proven=False) and not visit.is_authenticated("alice")
    assert visit.check_public_key("alice", KEY + " a comment") and visit.is_authenticated("alice")


def test_question_whether_a_key_would_do_proves_nothing(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    visit.check_public_key("alice", KEY, proven=False)
    with pytest.raises(RefusedManagerError, match="not logged in"):
        visit.open_session("alice")


def test_certificate() -> None:
    under_test = GateUnderTest(
        {
            "alice": make_user(certificate_authorities=[OTHER_KEY]),
            "bob": make_user(),
            "carol": make_user(certificate_authorities=[OTHER_KEY], principals=["staff"], enabled=False),
            "dave": make_user(certificate_authorities=[OTHER_KEY], principals=["staff", "dave"]),
        }
    )
    visit = enter(under_test)
    assert visit.get_certificate_authorities("alice") == [OTHER_KEY] and visit.get_principals("alice") == ["alice"]
    assert visit.get_principals("dave") == ["staff", "dave"]
    for name in ("bob", "carol", "nobody", "alice\0"):
        assert visit.get_certificate_authorities(name) == []
        assert not visit.accept_certificate(name, "id")
    assert visit.get_principals("carol") == visit.get_principals("nobody") == []
    assert visit.accept_certificate("alice", "laptop of alice") and visit.is_authenticated("alice")


@pytest.mark.parametrize("name", [*HOSTILE, "Alice", "alice ", "nobody"])
def test_names_that_nobody_has_are_failed_log_ins(under_test: GateUnderTest, name: str) -> None:
    visit = enter(under_test)
    assert not visit.check_password(name, RIGHT)
    assert not visit.check_public_key(name, KEY) and not visit.check_public_key(name, KEY, proven=False)
    assert visit.get_certificate_authorities(name) == []
    assert not visit.accept_certificate(name, "x") and not visit.is_authenticated(name)
    with pytest.raises(RefusedManagerError):
        visit.open_session(name)
    assert len(under_test.work.hashes) == 1 and len(under_test.pauses.seconds) == 1
    assert visit.check_password("alice", RIGHT)  # the visit goes on


@pytest.mark.parametrize("password", ["", "right\0", "right\n", "x" * 100_000, "\ud800"])
def test_hostile_passwords_are_failed_log_ins(under_test: GateUnderTest, password: str) -> None:
    visit = enter(under_test)
    assert not visit.check_password("alice", password)
    assert len(under_test.pauses.seconds) == 1
    assert visit.check_password("alice", RIGHT)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "/etc/passwd",
        "\\\\server\\share x",
        "https://example.org/ x",
        "ssh-ed25519",
        KEY[:-1],
        "\0 \0",
        KEY.upper(),
    ],
)
def test_keys_that_are_none(under_test: GateUnderTest, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("something was opened")

    visit = enter(under_test)
    monkeypatch.setattr("builtins.open", refuse)
    assert not visit.check_public_key("alice", key)
    assert not visit.check_public_key("alice", key, proven=False)


# Two factors


@pytest.fixture
def strict() -> GateUnderTest:
    options: dict[str, Any] = {"require": "key_and_password", "certificate_authorities": [OTHER_KEY]}
    return GateUnderTest({"alice": make_user(**options), "bob": make_user(**options)})


@pytest.mark.parametrize("kind", ["key", "certificate"])
def test_both_factors(strict: GateUnderTest, kind: str) -> None:
    visit = enter(strict)
    assert visit.check_public_key("alice", KEY) if kind == "key" else visit.accept_certificate("alice", "x")
    assert not visit.is_authenticated("alice")
    assert not visit.check_password("alice", "wrong") and not visit.is_authenticated("alice")
    assert visit.check_password("alice", RIGHT) and visit.is_authenticated("alice")


def test_password_before_the_key_is_as_wrong_as_any(strict: GateUnderTest) -> None:
    """Or a manager without keys, like FTP, would tell which password is right."""
    for password in (RIGHT, "wrong"):
        visit = enter(strict)
        assert not visit.check_public_key("alice", OTHER_KEY)
        assert visit.check_public_key("alice", KEY, proven=False)
        assert not visit.check_password("alice", password)
    assert len(strict.work.hashes) == len(strict.pauses.seconds) == 2
    assert visit.check_public_key("alice", KEY) and visit.check_password("alice", RIGHT)


def test_key_and_certificate_are_one_factor(strict: GateUnderTest) -> None:
    visit = enter(strict)
    assert visit.check_public_key("alice", KEY) and visit.accept_certificate("alice", "x")
    assert not visit.is_authenticated("alice")


def test_what_is_proven_in_another_visit_does_not_count(strict: GateUnderTest) -> None:
    one, other = enter(strict), enter(strict)
    assert one.check_public_key("alice", KEY) and not other.check_password("alice", RIGHT)
    assert not one.is_authenticated("alice") and not other.is_authenticated("alice")


def test_naming_another_user_forgets_what_was_proven(strict: GateUnderTest) -> None:
    for name_another in (
        lambda visit: visit.check_password("bob", "wrong"),
        lambda visit: visit.check_password("bob", RIGHT),
        lambda visit: visit.check_public_key("bob", KEY, proven=False),
        lambda visit: visit.get_certificate_authorities("bob"),
    ):
        visit = enter(strict)
        assert visit.check_public_key("alice", KEY)
        name_another(visit)
        assert not visit.check_password("alice", RIGHT)
        assert not visit.is_authenticated("alice") and not visit.is_authenticated("bob")


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["password", "wrong", "key", "other", "question", "certificate"]),
            st.sampled_from(["alice", "bob", "x"]),
        ),
        max_size=8,
    )
)
def test_factors_against_a_model(steps: list[tuple[str, str]]) -> None:
    users = {
        "alice": make_user(require="key_and_password", certificate_authorities=[OTHER_KEY]),
        "bob": make_user(public_keys=[KEY]),
    }
    visit = enter(GateUnderTest(users, max_tries=100, ban_threshold=1000))
    named, proven = "", set()
    for step, name in steps:
        if name != named:
            named, proven = name, set()
        if step == "password":
            is_right = name == "bob" or (name == "alice" and "key" in proven)
            assert visit.check_password(name, RIGHT) == is_right
            proven |= {"password"} if is_right else set()
        elif step == "wrong":
            assert not visit.check_password(name, "wrong")
        elif step in ("key", "question"):
            assert visit.check_public_key(name, KEY, proven=step == "key") == (name != "x")
            proven |= {"key"} if step == "key" else set()
        elif step == "other":
            assert not visit.check_public_key(name, OTHER_KEY)
        else:
            assert visit.accept_certificate(name, "id") == (name == "alice")
            proven |= {"key"} if name == "alice" else set()
        needed = {"alice": 2, "bob": 1, "x": 99}
        for user_name in ("alice", "bob", "x"):
            assert visit.is_authenticated(user_name) == (user_name == named and len(proven) >= needed[named])


def test_decision_is_in_one_place() -> None:
    either, both = make_user(), make_user(require="key_and_password")
    assert not decision.is_enough(either, frozenset()) and not decision.is_enough(both, frozenset())
    for factor in Factor:
        assert decision.is_enough(either, frozenset([factor])) and not decision.is_enough(both, frozenset([factor]))
    assert decision.is_enough(both, frozenset(Factor))
    assert decision.takes_password(either, frozenset()) and decision.takes_password(both, frozenset([Factor.KEY]))
    assert not decision.takes_password(both, frozenset())


# Who may come in at all


@pytest.mark.parametrize(
    ("options", "manager", "address"),
    [
        ({"enabled": False}, "sftp", ADDRESS),
        ({"expires": date(2029, 12, 31)}, "sftp", ADDRESS),
        ({"allowed_managers": ["ftp"]}, "sftp", ADDRESS),
        ({"allowed_networks": ["198.51.100.0/24"]}, "sftp", ADDRESS),
        ({"allowed_networks": ["192.0.2.0/24"]}, "sftp", "2001:db8::1"),
    ],
)
def test_refused_whatever_is_proven(options: dict[str, Any], manager: str, address: str) -> None:
    under_test = GateUnderTest({"alice": make_user(certificate_authorities=[OTHER_KEY], **options)})
    visit = enter(under_test, address, manager)
    assert not visit.check_password("alice", RIGHT)
    assert not visit.check_public_key("alice", KEY) and not visit.check_public_key("alice", KEY, proven=False)
    assert not visit.accept_certificate("alice", "x") and visit.get_certificate_authorities("alice") == []
    assert not visit.is_authenticated("alice")
    assert len(under_test.work.hashes) == 1  # the same work as for everybody


@pytest.mark.parametrize(
    ("options", "manager", "address"),
    [
        ({"expires": date(2030, 1, 1)}, "sftp", ADDRESS),
        ({"allowed_managers": ["ftp", "sftp"]}, "sftp", ADDRESS),
        ({"allowed_networks": ["192.0.2.0/24"]}, "sftp", "::ffff:192.0.2.9"),
        ({"allowed_networks": ["10.0.0.0/8", "2001:db8::/32"]}, "sftp", "2001:db8::1"),
    ],
)
def test_let_in_within_the_limits(options: dict[str, Any], manager: str, address: str) -> None:
    visit = enter(GateUnderTest({"alice": make_user(**options)}), address, manager)
    assert visit.check_password("alice", RIGHT) and visit.is_authenticated("alice")


def test_expiry_is_looked_at_with_every_session() -> None:
    under_test = GateUnderTest({"alice": make_user(expires=date(2030, 1, 1))})
    visit = enter(under_test)
    assert visit.check_password("alice", RIGHT)
    session = visit.open_session("alice")
    under_test.clock.seconds += 86400
    assert not visit.is_authenticated("alice")
    with pytest.raises(RefusedManagerError):
        visit.open_session("alice")
    visit.close_session(session)


@pytest.mark.parametrize("address", ["", "localhost", "/run/socket", "1.2.3.4.5", "192.0.2.7\0"])
def test_only_ip_addresses_come_in(under_test: GateUnderTest, address: str) -> None:
    with pytest.raises(RefusedManagerError):
        enter(under_test, address)


# Same reply, same work


@pytest.mark.parametrize("name", ["alice", "nobody", "off", "keyless", "\x1b[2J"])
def test_the_same_is_done_for_every_failure(name: str) -> None:
    users = {
        "alice": make_user(),
        "off": make_user(enabled=False),
        "keyless": make_user(password_hash=None, public_keys=[]),
    }
    under_test = GateUnderTest(users, max_tries=100, ban_threshold=1000)
    answers = [enter(under_test).check_password(name, "wrong") for _ in range(4)]
    assert answers == [False] * 4
    assert [text.rsplit("$", 2)[0] for text in under_test.work.hashes] == [CHEAP_ARGON2.rsplit("$", 2)[0]] * 4
    assert under_test.pauses.seconds == [0.5, 1.0, 2.0, 4.0]
