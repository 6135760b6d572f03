"""The gate: sessions, reload, and the log."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from cloudalpha.exceptions import AccessFailedFileSystemError, AuthenticationFailedAccountError, RefusedManagerError
from cloudalpha.logs import JSONFormatter, LogfmtFormatter
from cloudalpha.services.memory.file_system import MemoryFileSystem
from tests.users.helpers import (
    ADDRESS,
    CHEAP_ARGON2,
    KEY,
    OTHER_KEY,
    RIGHT,
    GateUnderTest,
    enter,
    log_in,
    make_user,
)

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


@pytest.mark.expects_warnings
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


@pytest.mark.expects_warnings
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
