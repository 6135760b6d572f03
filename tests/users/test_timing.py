"""An unknown user, a disabled one, one without a password and a wrong password take the same time (threats.md 18)."""

from __future__ import annotations

import gc
import random
import statistics
import time

import pytest

from cloudalpha.users.gate import Gatekeeper
from cloudalpha.users.passwords import check_hash
from tests.users.helpers import GateUnderTest, make_user

# A hash that takes about a millisecond: long enough to be noticed when it is left out, short enough for many samples.
PASSWORD_HASH = "$argon2id$v=19$m=1024,t=1,p=1$5fbwc/kRupRSu5L4YMZtuQ$uCIdkn9g9VX9JIrqs3S29Q"
NAMES = ("alice", "nobody", "off", "keyless", "late")


def make_gate() -> Gatekeeper:
    users = {
        "alice": make_user(password_hash=PASSWORD_HASH),
        "off": make_user(password_hash=PASSWORD_HASH, enabled=False),
        "late": make_user(password_hash=PASSWORD_HASH, expires="2020-01-01"),
        "keyless": make_user(password_hash=None, public_keys=[]),
    }
    under_test = GateUnderTest(
        users,
        ban_threshold=1e9,
        user_threshold=1e9,
        max_tries=10**9,
        connection_burst=10**6,
        max_connections_per_origin=100,
    )
    under_test.gate.passwords._check = check_hash
    return under_test.gate


def get_p_value(one: list[float], other: list[float]) -> float:
    """Mann-Whitney's test, two-sided, by the normal approximation."""
    ranks = {
        position: rank
        for rank, position in enumerate(sorted(range(len(one) + len(other)), key=(one + other).__getitem__), 1)
    }
    total = sum(ranks[position] for position in range(len(one)))
    mean = len(one) * (len(one) + len(other) + 1) / 2
    deviation = (len(one) * len(other) * (len(one) + len(other) + 1) / 12) ** 0.5
    return 2 * (1 - statistics.NormalDist().cdf(abs(total - mean) / deviation))


def measure(gate: Gatekeeper, names: tuple[str, ...], rounds: int, seed: int) -> dict[str, list[float]]:
    visit = gate.enter("sftp", "192.0.2.7", True)
    draw = random.Random(seed)
    samples: dict[str, list[float]] = {name: [] for name in names}
    gc.disable()
    try:
        for _ in range(rounds):
            for name in draw.sample(names, len(names)):
                start = time.perf_counter()
                visit.check_password(name, "wrong")
                samples[name].append(time.perf_counter() - start)
    finally:
        gc.enable()
        visit.close()
    return samples


@pytest.mark.slow
def test_nobody_can_tell_by_the_clock_who_exists() -> None:
    """A leak shows in every attempt; a machine that was busy with something else, in one."""
    gate = make_gate()
    measure(gate, NAMES, 20, 0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES[1:]}
    for attempt in range(4):
        samples = measure(gate, NAMES, 1000, attempt)
        for name in NAMES[1:]:
            difference = abs(statistics.median(samples[name]) - statistics.median(samples["alice"]))
            found[name].append((get_p_value(samples["alice"], samples[name]), difference))
        if all(any(p > 0.01 and difference < 0.001 for p, difference in results) for results in found.values()):
            return
    pytest.fail(f"p, difference of medians in seconds: {found}")


def test_the_test_finds_a_leak() -> None:
    draw = random.Random(1)
    one = [draw.gauss(1.0, 0.1) for _ in range(1000)]
    assert get_p_value(one, [draw.gauss(1.0, 0.1) for _ in range(1000)]) > 0.01
    assert get_p_value(one, [draw.gauss(1.03, 0.1) for _ in range(1000)]) < 0.01
