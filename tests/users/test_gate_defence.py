"""What the gate does about guessing, and that nothing that breaks lets anybody in."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.waiting import wait_until
from cloudalpha.users.gate import Gatekeeper
from tests.users.helpers import (
    ADDRESS,
    KEY,
    OTHER_KEY,
    RIGHT,
    GateUnderTest,
    enter,
    log_in,
    make_user,
)

# Defence at the gate


@pytest.mark.expects_warnings
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


@pytest.mark.expects_warnings
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


@pytest.mark.expects_warnings
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


def test_agent_full_of_keys_is_no_attack() -> None:
    under_test = GateUnderTest({"alice": make_user()}, ban_threshold=3)
    for _ in range(100):
        visit = enter(under_test)
        for _ in range(20):
            assert not visit.check_public_key("alice", OTHER_KEY, proven=False)
        assert visit.check_public_key("alice", KEY)
        visit.close()
    assert not under_test.pauses.seconds  # keys are asked for on event loops
    assert not under_test.gate.defence.get_bans()


@pytest.mark.expects_warnings
def test_flood_of_keys_is_one() -> None:
    under_test = GateUnderTest({"alice": make_user()}, ban_threshold=10)
    for _ in range(2):
        visit = enter(under_test)
        for _ in range(60):
            assert not visit.check_public_key("alice", OTHER_KEY, proven=False)
        assert not visit.check_public_key("alice", KEY)
        for _ in range(2):
            visit.close()
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


@pytest.mark.expects_warnings
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


@pytest.mark.expects_warnings
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


@pytest.mark.expects_warnings
def test_trusted_address_within_a_banned_network() -> None:
    under_test = GateUnderTest({"alice": make_user()}, trusted_networks=["2001:db8::7"], ban_threshold=1)
    visit = enter(under_test, "2001:db8::1")
    visit.check_password("alice", "wrong")
    with pytest.raises(RefusedManagerError):
        enter(under_test, "2001:db8::1")
    assert enter(under_test, "2001:db8::7").check_password("alice", RIGHT)
