from __future__ import annotations

from collections import Counter

import pytest

from cloudalpha.managers.ftp.openers import draw


@pytest.mark.parametrize("ports", [range(5000, 5001), range(5000, 5002), range(30000, 30101)])
def test_each_port_is_drawn_once(ports: range) -> None:
    for _ in range(20):
        assert sorted(draw(ports)) == list(ports)


def test_any_port_may_be_the_first_and_any_order_may_come() -> None:
    ports = range(5000, 5003)
    seen = Counter(tuple(draw(ports)) for _ in range(1200))
    assert len(seen) == 6
    assert min(seen.values()) > 100, "each of six about 200 times"


def test_a_port_costs_about_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[int] = []

    def randbelow(bound: int) -> int:
        draws.append(bound)
        return bound - 1

    monkeypatch.setattr("secrets.randbelow", randbelow)
    drawn = draw(range(30000, 30101))
    assert (next(drawn), draws) == (30100, [101])
    assert (next(drawn), draws) == (30099, [101, 100])
