"""Scores, bans, and the bounds of connections. Time passes when the test says so."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.users.connections import ConnectionCounter, Place
from cloudalpha.users.defence import Defence, DefenceOptions
from cloudalpha.users.scores import ScoreTable
from tests.users.helpers import Clock

A, B = "192.0.2.1", "192.0.2.2"


def make_defence(**options: object) -> tuple[Defence, Clock]:
    clock = Clock()
    return Defence(DefenceOptions(**options), clock), clock  # type: ignore[arg-type]


def fail(defence: Defence, times: int, origin: str = A, user_name: str = "alice") -> list[float]:
    return [defence.add_failure(origin, user_name) for _ in range(times)]


# Scores


def test_points_fade() -> None:
    clock = Clock()
    table = ScoreTable(10.0, 100, clock)
    table.add("a", 8.0)
    clock.seconds += 10
    assert table.get("a") == pytest.approx(4.0)
    assert table.add("a", 1.0) == pytest.approx(5.0)
    clock.seconds += 20
    assert table.get("a") == pytest.approx(1.25)
    table.remove("a")
    assert table.get("a") == 0.0 == table.get("b")


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0.1, 5.0)), max_size=300))
def test_table_is_bounded(additions: list[tuple[int, float]]) -> None:
    table = ScoreTable(10.0, 16, Clock())
    for number, points in additions:
        assert table.add(str(number), points) > 0
        assert len(table) <= 16


def test_strong_names_are_not_washed_out_by_weak_ones() -> None:
    table = ScoreTable(1e9, 16, Clock())
    table.add("strong", 9.0)
    for number in range(1000):
        table.add(str(number), 1.0)
    assert table.get("strong") == pytest.approx(9.0, rel=1e-3)


# Bans


@pytest.mark.expects_warnings
def test_on_by_default() -> None:
    defence, _ = make_defence()
    fail(defence, 9)
    assert not defence.is_banned(A)
    fail(defence, 1)
    assert defence.is_banned(A) and not defence.is_banned(B)
    assert defence.get_bans() == {A: 600.0}


@pytest.mark.expects_warnings
def test_ban_ends_and_the_next_is_longer() -> None:
    defence, clock = make_defence(ban_threshold=2, ban_time=100, max_ban_time=300)
    lengths = []
    for _ in range(4):
        fail(defence, 2)
        lengths.append(defence.get_bans()[A])
        clock.seconds += lengths[-1] - 0.001
        assert defence.is_banned(A)
        clock.seconds += 0.002
        assert not defence.is_banned(A) and not defence.get_bans()
    assert lengths[:2] == [100, 200] and lengths[2:] == [300, 300]


@pytest.mark.expects_warnings
def test_ban_begins_anew_after_a_long_time() -> None:
    defence, clock = make_defence(ban_threshold=2, ban_time=100, max_ban_time=1000)
    fail(defence, 2)
    clock.seconds += 30_000
    fail(defence, 2)
    assert defence.get_bans()[A] == 100


def test_failures_far_apart_lead_to_no_ban() -> None:
    defence, clock = make_defence()
    for _ in range(100):
        fail(defence, 1)
        clock.seconds += 600
    assert not defence.is_banned(A)


@pytest.mark.expects_warnings
def test_failures_under_way_when_the_ban_begins_do_not_lengthen_it() -> None:
    defence, _ = make_defence(ban_threshold=2, ban_time=100)
    fail(defence, 10)
    assert defence.get_bans() == {A: 100}


@pytest.mark.expects_warnings
def test_log_in_does_not_clear_the_score() -> None:
    defence, _ = make_defence(ban_threshold=4)
    for _ in range(4):
        assert not defence.is_banned(A)
        fail(defence, 1)
        defence.add_log_in(A, "mallory")
    assert defence.is_banned(A)


@pytest.mark.expects_warnings
def test_ban_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    defence, _ = make_defence(ban_threshold=3)
    with caplog.at_level(logging.INFO, "cloudalpha.gate"):
        fail(defence, 8)
    assert [(record.message, record.levelname, record.fields) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("address_banned", "WARNING", {"address": A, "seconds": 600.0})
    ]


def test_delay_doubles_up_to_a_bound() -> None:
    defence, _ = make_defence(ban_threshold=1000)
    assert fail(defence, 6) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert fail(defence, 1, B) == [0.5]
    assert max(fail(defence, 100)) == 5.0


def test_switched_off() -> None:
    defence, _ = make_defence(enabled=False, ban_threshold=1, user_threshold=1)
    assert fail(defence, 100) == [0.0] * 100
    assert not defence.is_banned(A) and not defence.is_guarded("alice", A)


def test_attacked_user_is_guarded_but_for_origins_known_to_be_theirs() -> None:
    defence, clock = make_defence(user_threshold=20)
    defence.add_log_in(A, "alice")
    defence.add_log_in(B, "bob")
    for number in range(20):
        assert not defence.is_guarded("alice", B)
        fail(defence, 1, f"198.51.100.{number}")
        fail(defence, 1, f"198.51.100.{number}", "nobody")
    assert defence.is_guarded("alice", B) and defence.is_guarded("alice", "198.51.100.200")
    assert defence.is_guarded("nobody", B)  # as if there were such a user
    assert not defence.is_guarded("alice", A) and not defence.is_guarded("bob", "203.0.113.1")
    clock.seconds += 6000
    assert not defence.is_guarded("alice", B)


@pytest.mark.expects_warnings
def test_tables_are_bounded() -> None:
    defence, _ = make_defence(max_names=16, ban_threshold=1)
    for number in range(500):
        defence.add_log_in(f"o{number}", f"u{number}")
        defence.add_failure(f"o{number}", f"u{number}")
    assert len(defence.get_bans()) <= 16
    for table in (
        defence._origin_scores,
        defence._user_scores,
        defence._ban_counts,
        defence._known_pairs,
        defence._known_origins,
    ):
        assert len(table) <= 16  # type: ignore[arg-type]
    assert defence.is_known("o499") and not defence.is_known("o1")


# Connections


class Counting:
    def __init__(self, **options: object) -> None:
        self.clock = Clock()
        self.chance = 0.0
        self.counter = ConnectionCounter(
            DefenceOptions(**({"connection_burst": 100_000} | options)),  # type: ignore[arg-type]
            self.clock,
            lambda: self.chance,
        )

    def enter(self, origin: str = A, **fields: bool) -> Place:
        return self.counter.enter(origin, **fields)

    def is_refused(self, origin: str = A, **fields: bool) -> str:
        try:
            self.enter(origin, **fields).leave()
        except RefusedManagerError as error:
            return str(error)
        return ""


def test_connections_of_one_origin() -> None:
    counting = Counting(max_connections_per_origin=3)
    places = [counting.enter() for _ in range(3)]
    assert "from your address" in counting.is_refused()
    assert not counting.is_refused(B) and not counting.is_refused(A, is_trusted=True)
    places[0].leave()
    places[0].leave()
    places.append(counting.enter())
    assert counting.is_refused()
    for place in places:
        place.authenticate()
        place.leave()
    assert counting.counter.get_counts() == {"connections": 0, "unauthenticated": 0, "origins": 0}


def test_connections_in_all_bind_everybody() -> None:
    counting = Counting(max_connections=3)
    for number in range(3):
        counting.enter(f"o{number}").authenticate()
    for fields in ({}, {"is_trusted": True}, {"is_known": True}):
        assert counting.is_refused(A, **fields) == "too many connections; try again later"


def test_early_drop_grows_from_a_share_to_all() -> None:
    counting = Counting(early_drop_start=10, early_drop_percent=30, max_unauthenticated=20)
    for number in range(10):
        assert not counting.is_refused()
        counting.enter(f"o{number}")
    for number in range(10):
        share = 0.3 + 0.7 * number / 10
        counting.chance = share - 0.001
        assert "wait to log in" in counting.is_refused()
        assert not counting.is_refused(is_known=True) and not counting.is_refused(is_trusted=True)
        counting.chance = share + 0.001
        counting.enter(f"p{number}")
    counting.chance = 1.0
    assert counting.is_refused()
    assert not counting.is_refused(is_known=True)


def test_who_has_logged_in_no_longer_counts_as_waiting() -> None:
    counting = Counting(early_drop_start=2, max_unauthenticated=2, max_connections_per_origin=100)
    for _ in range(50):
        place = counting.enter()
        place.authenticate()
        place.authenticate()
    assert counting.counter.get_counts()["unauthenticated"] == 0
    place.leave()
    place.authenticate()
    assert counting.counter.get_counts() == {"connections": 49, "unauthenticated": 0, "origins": 1}


def test_rate_of_connections_that_never_log_in() -> None:
    counting = Counting(connection_burst=5, connection_rate=2)
    for _ in range(5):
        counting.enter().leave()
    assert "in a short time" in counting.is_refused()
    assert not counting.is_refused(B) and not counting.is_refused(is_trusted=True)
    counting.clock.seconds += 1.0
    for _ in range(2):
        counting.enter().leave()
    assert counting.is_refused()


def test_log_ins_are_not_bounded_by_the_rate() -> None:
    counting = Counting(connection_burst=3, connection_rate=0.001)
    for _ in range(100):
        place = counting.enter()
        place.authenticate()
        place.leave()


def test_rates_are_remembered_of_a_bounded_number() -> None:
    counting = Counting(connection_burst=2, max_names=16)
    for number in range(200):
        counting.enter(f"o{number}").leave()
    assert len(counting.counter._allowances) <= 16
    counting.enter("x").authenticate()
    assert "x" not in counting.counter._allowances  # whole again: nothing to remember


@given(st.lists(st.tuples(st.sampled_from(["enter", "authenticate", "leave"]), st.integers(0, 5)), max_size=60))
def test_counts_are_those_of_a_model(steps: list[tuple[str, int]]) -> None:
    counting = Counting(max_connections=8, max_connections_per_origin=3)
    places: list[Place] = []
    for step, number in steps:
        if step == "enter":
            origin = str(number % 3)
            open_places = [place for place in places if not place.has_left]
            fits = len(open_places) < 8 and sum(place.origin == origin for place in open_places) < 3
            try:
                places.append(counting.enter(origin))
                assert fits
            except RefusedManagerError:
                assert not fits
        elif places:
            getattr(places[number % len(places)], step)()
    open_places = [place for place in places if not place.has_left]
    assert counting.counter.get_counts() == {
        "connections": len(open_places),
        "unauthenticated": sum(not place.is_authenticated for place in open_places),
        "origins": len({place.origin for place in open_places}),
    }


# Options


def test_options_read_as_people_write_them() -> None:
    options = DefenceOptions(ban_time="1h", trusted_networks=["10.0.0.0/8"])  # type: ignore[arg-type]
    assert options.ban_time == 3600


@pytest.mark.parametrize(
    "options", [{"ban_threshold": 0}, {"half_life": 0}, {"max_connections": 0}, {"trusted_networks": ["x"]}]
)
def test_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DefenceOptions(**options)  # type: ignore[arg-type]


def test_every_option_says_what_it_is() -> None:
    assert all(field.description for field in DefenceOptions.model_fields.values())
