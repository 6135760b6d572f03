"""The gate: who is let in, with what, and what is told to nobody."""

from __future__ import annotations

import logging
import threading
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.exceptions import AccessFailedFileSystemError, AuthenticationFailedAccountError, RefusedManagerError
from cloudalpha.logs import JSONFormatter, LogfmtFormatter
from cloudalpha.manager import Session
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.waiting import wait_until
from cloudalpha.users import decision
from cloudalpha.users.decision import Factor
from cloudalpha.users.gate import Gatekeeper
from cloudalpha.users.visit import UserVisit
from tests.users.helpers import CHEAP_ARGON2, KEY, OTHER_KEY, RIGHT, GateUnderTest, make_user

ADDRESS = "192.0.2.7"
HOSTILE = ["", ".", "..", "a/../b", "alice\0", "alice\r\n", "\x1b[2J", "x" * 5000, "\udce9", "\ud800", "ä", "{0}", "%s"]


def enter(under_test: GateUnderTest, address: str = ADDRESS, manager: str = "sftp") -> UserVisit:
    return under_test.gate.enter(manager, address, True)


@pytest.fixture
def under_test() -> GateUnderTest:
    return GateUnderTest({"alice": make_user(), "bob": make_user(password_hash=None)})


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


# Reload


def test_reload_takes_effect_at_once_and_keeps_sessions(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    assert visit.check_password("alice", RIGHT)
    session = visit.open_session("alice")
    under_test.gate.reload({"bob": make_user()})
    assert not visit.is_authenticated("alice") and not visit.check_password("alice", RIGHT)
    with pytest.raises(RefusedManagerError):
        visit.open_session("alice")
    assert [info.id for info in under_test.gate.get_sessions()] == [session.id]
    assert session.view.num_closed == 0  # type: ignore[attr-defined]
    visit.close()


def test_reload_of_the_same_record_changes_nothing(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    assert visit.check_password("alice", RIGHT)
    under_test.gate.reload({"alice": make_user()})
    assert visit.is_authenticated("alice")


def test_proof_by_an_old_record_does_not_count(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    assert visit.check_public_key("alice", KEY)
    under_test.gate.reload({"alice": make_user(public_keys=[OTHER_KEY])})
    assert not visit.is_authenticated("alice")
    assert visit.check_password("alice", RIGHT) and visit.is_authenticated("alice")


def test_reload_during_a_check(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    check = under_test.gate.passwords._check

    def check_and_reload(password_hash: str, encoded: bytes) -> bool:
        under_test.gate.reload({"alice": make_user(enabled=False)})
        return check(password_hash, encoded)

    under_test.gate.passwords._check = check_and_reload
    visit.check_password("alice", RIGHT)
    assert not visit.is_authenticated("alice")


# Sessions


def log_in(under_test: GateUnderTest, name: str = "alice") -> tuple[UserVisit, Session]:
    visit = enter(under_test)
    assert visit.check_public_key(name, KEY)
    return visit, visit.open_session(name)


def test_session_gets_the_users_view() -> None:
    under_test = GateUnderTest({"alice": make_user(home="/people/alice")})
    visit, session = log_in(under_test)
    assert session.user_name == "alice"
    assert session.view.fields == {  # type: ignore[attr-defined]
        "user_name": "alice",
        "session_id": session.id,
        "manager": "sftp",
        "address": ADDRESS,
        "home": "/people/alice",
    }
    assert under_test.accounts["files"].is_dir("/people/alice")
    (info,) = under_test.gate.get_sessions()
    assert (info.id, info.user_name, info.manager, info.address, info.encrypted) == (
        session.id,
        "alice",
        "sftp",
        ADDRESS,
        True,
    )
    assert info.since == under_test.clock.get_now()
    visit.close()


def test_ids_differ_and_closing_is_harmless_when_repeated(under_test: GateUnderTest) -> None:
    visit, first = log_in(under_test)
    second = visit.open_session("alice")
    assert first.id != second.id and len(under_test.gate.get_sessions()) == 2
    for _ in range(2):
        visit.close_session(first)
    assert first.view.num_closed == 1 and second.view.num_closed == 0  # type: ignore[attr-defined]
    for _ in range(2):
        visit.close()
    assert second.view.num_closed == 1  # type: ignore[attr-defined]
    assert under_test.gate.get_sessions() == []
    assert under_test.gate.connections.get_counts()["connections"] == 0
    assert not visit.is_authenticated("alice") and not visit.check_password("alice", RIGHT)
    with pytest.raises(RefusedManagerError):
        visit.open_session("alice")


def test_max_sessions_count_over_all_visits_and_managers() -> None:
    under_test = GateUnderTest({"alice": make_user(max_sessions=2), "bob": make_user()})
    visit, session = log_in(under_test)
    log_in(under_test)
    with pytest.raises(RefusedManagerError, match="2 sessions open already"):
        log_in(under_test)
    log_in(under_test, "bob")
    visit.close_session(session)
    log_in(under_test)


def test_sessions_of_one_connection_are_bounded() -> None:
    under_test = GateUnderTest({"alice": make_user()}, max_sessions_per_connection=2)
    visit, session = log_in(under_test)
    visit.open_session("alice")
    with pytest.raises(RefusedManagerError, match="too many sessions in this connection"):
        visit.open_session("alice")
    visit.close_session(session)
    visit.open_session("alice")


@pytest.mark.parametrize(
    "error", [AuthenticationFailedAccountError("key=HIDDEN refused"), AccessFailedFileSystemError("/srv/HIDDEN")]
)
def test_account_that_is_not_available(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    under_test = GateUnderTest({"alice": make_user(max_sessions=1)})
    get_account = under_test.get_account

    def fail(name: str) -> MemoryFileSystem:
        raise error

    under_test.get_account = fail
    visit = enter(under_test)
    assert visit.check_password("alice", RIGHT)
    for _ in range(3):
        with pytest.raises(RefusedManagerError) as caught:
            visit.open_session("alice")
        assert "HIDDEN" not in str(caught.value) and caught.value.__cause__ is error
    under_test.get_account = get_account
    visit.open_session("alice")  # no place was lost
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == ["session_refused"] * 3


def test_one_session_that_fails_to_close_does_not_keep_the_others(
    under_test: GateUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    visit, first = log_in(under_test)
    second = visit.open_session("alice")

    def fail() -> None:
        raise OSError("disk")

    first.view.close = fail  # type: ignore[method-assign]
    visit.close()
    assert second.view.num_closed == 1 and under_test.gate.get_sessions() == []  # type: ignore[attr-defined]
    assert under_test.gate.connections.get_counts()["connections"] == 0
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == ["close_failed"]


def test_visit_closed_while_a_session_opens(under_test: GateUnderTest) -> None:
    begun, go_on = threading.Event(), threading.Event()
    get_account = under_test.get_account

    def wait(name: str) -> Any:
        begun.set()
        go_on.wait(10)
        return get_account(name)

    under_test.get_account = wait
    visit = enter(under_test)
    assert visit.check_password("alice", RIGHT)
    refused: list[str] = []

    def open_session() -> None:
        try:
            visit.open_session("alice")
        except RefusedManagerError as error:
            refused.append(str(error))

    thread = threading.Thread(target=open_session)
    thread.start()
    assert begun.wait(10)
    visit.close()
    go_on.set()
    thread.join(10)
    assert refused == ["the connection is closed"] and under_test.gate.get_sessions() == []


def test_many_threads_and_nothing_is_left() -> None:
    under_test = GateUnderTest(
        {"alice": make_user(max_sessions=5)}, max_connections_per_origin=1000, connection_burst=1000
    )
    most: list[int] = []

    def come_and_go() -> None:
        for _ in range(30):
            visit = enter(under_test)
            visit.check_public_key("alice", KEY)
            try:
                visit.open_session("alice")
                most.append(len(under_test.gate.get_sessions()))
            except RefusedManagerError:
                pass
            visit.close()

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most and max(most) <= 5
    assert under_test.gate.get_sessions() == [] and not under_test.gate._num_sessions
    assert under_test.gate.connections.get_counts() == {"connections": 0, "unauthenticated": 0, "origins": 0}


# Defence at the gate


def test_thousand_guesses_from_one_place_and_nobody_else_notices() -> None:
    under_test = GateUnderTest({"alice": make_user()})
    num_refused = num_checked = 0
    for number in range(1000):
        try:
            visit = enter(under_test, "198.51.100.9")
        except RefusedManagerError as error:
            assert "too many failed log-ins" in str(error)
            num_refused += 1
            continue
        num_checked += not visit.check_password("alice", f"guess {number}")
        visit.close()
    assert num_checked == 10 and num_refused == 990 and len(under_test.work.hashes) == 10
    for address in (ADDRESS, "198.51.100.10"):
        assert enter(under_test, address).check_password("alice", RIGHT)
    under_test.clock.seconds += 601
    assert enter(under_test, "198.51.100.9").check_password("alice", RIGHT)


def test_ban_holds_in_connections_that_are_open_and_for_the_whole_64() -> None:
    under_test = GateUnderTest({"alice": make_user()}, ban_threshold=5, max_tries=100)
    one, other = enter(under_test, "2001:db8::1"), enter(under_test, "2001:db8::2")
    for _ in range(5):
        one.check_password("alice", "wrong")
    assert not other.check_password("alice", RIGHT) and not other.check_public_key("alice", KEY)
    assert len(under_test.work.hashes) == 5
    with pytest.raises(RefusedManagerError):
        enter(under_test, "2001:db8::3")
    assert enter(under_test, "2001:db8:0:1::1").check_password("alice", RIGHT)


def test_ban_does_not_end_sessions() -> None:
    under_test = GateUnderTest({"alice": make_user()}, ban_threshold=2)
    visit, _ = log_in(under_test)
    guesser = enter(under_test)
    for _ in range(2):
        guesser.check_password("alice", "wrong")
    assert under_test.gate.get_sessions() and visit.is_authenticated("alice")
    visit.open_session("alice")


def test_tries_in_one_connection_are_bounded() -> None:
    under_test = GateUnderTest({"alice": make_user()}, max_tries=3)
    visit = enter(under_test)
    for _ in range(3):
        visit.check_password("alice", "wrong")
    assert not visit.check_password("alice", RIGHT) and not visit.check_public_key("alice", KEY)
    assert len(under_test.work.hashes) == 3
    assert enter(under_test).check_password("alice", RIGHT)


def test_agent_full_of_keys_is_no_attack(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    for _ in range(20):
        assert not visit.check_public_key("alice", OTHER_KEY, proven=False)
    assert visit.check_public_key("alice", KEY)
    assert not under_test.pauses.seconds  # keys are asked for on event loops


def test_flood_of_keys_is_one(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    for _ in range(101):
        visit.check_public_key("alice", OTHER_KEY, proven=False)
    with pytest.raises(RefusedManagerError):
        enter(under_test)


def test_trusted_networks_are_never_banned_or_delayed() -> None:
    under_test = GateUnderTest({"alice": make_user()}, trusted_networks=["192.0.2.0/24"], user_threshold=1)
    for _ in range(50):
        visit = enter(under_test)
        assert not visit.check_password("alice", "wrong")
    assert not under_test.pauses.seconds and not under_test.gate.defence.get_bans()
    assert visit.check_password("alice", RIGHT)


def test_attack_on_one_user_from_everywhere() -> None:
    under_test = GateUnderTest({"alice": make_user(), "bob": make_user()}, user_threshold=20)
    assert enter(under_test, "203.0.113.1").check_password("alice", RIGHT)
    for number in range(20):
        for name in ("alice", "nobody"):
            assert not enter(under_test, f"198.51.100.{number}").check_password(name, "wrong")
    num_hashes = len(under_test.work.hashes)
    assert not enter(under_test, "198.51.100.99").check_password("alice", RIGHT)
    assert not enter(under_test, "198.51.100.98").check_password("nobody", RIGHT)
    assert len(under_test.work.hashes) == num_hashes and len(under_test.pauses.seconds) == 42
    assert enter(under_test, "203.0.113.1").check_password("alice", RIGHT)
    assert enter(under_test, "198.51.100.97").check_public_key("alice", KEY)
    assert enter(under_test, "198.51.100.96").check_password("bob", RIGHT)


def test_too_many_at_once_is_a_refusal_that_blames_nobody(caplog: pytest.LogCaptureFixture) -> None:
    under_test = GateUnderTest({"alice": make_user()}, max_parallel_hashes=1, max_waiting_hashes=0, ban_threshold=1)
    begun, go_on = threading.Event(), threading.Event()

    def check(password_hash: str, encoded: bytes) -> bool:
        begun.set()
        return go_on.wait(10)

    under_test.gate.passwords._check = check
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(enter(under_test).check_password("alice", RIGHT)))
    thread.start()
    assert begun.wait(10)
    other = enter(under_test, "203.0.113.1")
    assert not other.check_password("alice", RIGHT)
    go_on.set()
    thread.join(10)
    assert answers == [True]
    assert not under_test.gate.defence.get_bans() and other.check_password("alice", RIGHT)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == ["log_in_refused"]


def test_delay_ends_with_the_visit() -> None:
    gate = Gatekeeper({}, lambda name: MemoryFileSystem(), check_hash=lambda *_: False)
    gate.defence.add_failure = lambda *_: 3600.0  # type: ignore[method-assign]
    visit = gate.enter("ftp", ADDRESS, False)
    thread = threading.Thread(target=visit.check_password, args=("alice", "x"))
    thread.start()
    wait_until(lambda: visit._num_failures)
    visit.close()
    thread.join(10)
    assert not thread.is_alive()


def test_only_so_many_answers_wait_at_once() -> None:
    waiting, go_on = threading.Semaphore(0), threading.Event()
    delays: list[float] = []

    def pause(event: threading.Event, seconds: float) -> None:
        delays.append(seconds)
        waiting.release()
        go_on.wait(10)

    under_test = GateUnderTest({"alice": make_user()}, max_delayed=2)
    under_test.gate._pause = pause
    threads = [threading.Thread(target=enter(under_test).check_password, args=("alice", "x")) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert waiting.acquire(timeout=10) and waiting.acquire(timeout=10)
    assert not enter(under_test).check_password("alice", "x")
    assert len(delays) == 2
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert not enter(under_test).check_password("alice", "x")
    assert len(delays) == 3


def test_connections_are_bounded_at_the_gate() -> None:
    under_test = GateUnderTest({}, max_connections_per_origin=2)
    visits = [enter(under_test) for _ in range(2)]
    with pytest.raises(RefusedManagerError):
        enter(under_test, f"::ffff:{ADDRESS}")
    visits[0].close()
    enter(under_test)


def test_time_out_is_the_configured_one() -> None:
    assert GateUnderTest({}, log_in_timeout="45s").gate.log_in_timeout() == 45.0


# Nothing lets anybody in by mistake


@pytest.mark.parametrize(
    "broken",
    [
        "passwords.check",
        "defence.is_banned",
        "defence.is_guarded",
        "defence.add_failure",
        "defence.add_log_in",
        "_pause",
        "get_user",
        "get_now",
        "find_refusal",
        "connections.authenticate",
    ],
)
def test_whatever_breaks_nobody_is_let_in_who_should_not_be(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    under_test = GateUnderTest(
        {"alice": make_user(), "two": make_user(require="key_and_password"), "off": make_user(enabled=False)},
        max_tries=100,
        ban_threshold=1000,
    )
    for error in (RuntimeError("HIDDEN"), OSError("HIDDEN"), KeyError("HIDDEN"), MemoryError(), RecursionError()):
        visit = enter(under_test)
        with monkeypatch.context() as patch:

            def fail(*args: object, error: Exception = error, **kwargs: object) -> Any:
                raise error

            *way, name = broken.split(".")
            target: Any = under_test.gate
            for step in way:
                target = getattr(target, step)
            patch.setattr(target, name, fail)
            for user_name, password in (("alice", "wrong"), ("nobody", RIGHT), ("off", RIGHT), ("two", RIGHT)):
                assert not visit.check_password(user_name, password)
                assert not visit.is_authenticated(user_name)
            for user_name, key in (("alice", OTHER_KEY), ("nobody", KEY), ("off", KEY)):
                assert not visit.check_public_key(user_name, key) and not visit.is_authenticated(user_name)
                assert (
                    not visit.accept_certificate(user_name, "x") and visit.get_certificate_authorities(user_name) == []
                )
            answer = visit.check_password("alice", RIGHT)
        assert visit.is_authenticated("alice") == answer
        visit.close()
    assert not under_test.gate.get_sessions()
    assert {record.message for record in caplog.records if record.levelno >= logging.WARNING} <= {
        "check_broken",
        "address_banned",
    }


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


# The log


def test_log_tells_what_happened_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    under_test = GateUnderTest({"alice": make_user()})
    with caplog.at_level(logging.DEBUG, "cloudalpha.gate"):
        visit = enter(under_test)
        visit.check_password("alice", "sEcReT-guess")
        visit.check_password("x\x1b[2J\nforged=1 \udce9" + "y" * 500, "sEcReT-guess")
        visit.check_public_key("alice", OTHER_KEY)
        visit.check_public_key("alice", KEY)
        visit.open_session("alice")
        visit.close()
    assert [record.message for record in caplog.records] == [
        *("log_in_failed", "log_in_failed", "log_in_failed", "log_in", "session_opened", "session_closed")
    ]
    for formatter in (LogfmtFormatter(), JSONFormatter()):
        lines = [formatter.format(record) for record in caplog.records]
        for line in lines:
            assert line.isprintable() and line.isascii() and len(line) < 700
            assert "sEcReT" not in line and CHEAP_ARGON2 not in line
        assert "wrong password" in lines[0] and "alice" in lines[0] and ADDRESS in lines[0]
        assert "no such user" in lines[1]
        assert "SHA256:" in lines[3] and "key" in lines[3]


def test_repr_of_what_holds_secrets(under_test: GateUnderTest) -> None:
    visit = enter(under_test)
    visit.check_password("alice", RIGHT)
    for thing in (visit, under_test.gate, under_test.gate.get_user("alice"), under_test.gate.passwords):
        assert CHEAP_ARGON2 not in repr(thing) and RIGHT not in repr(thing)
