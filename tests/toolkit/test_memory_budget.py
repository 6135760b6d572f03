from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.testing import wait_until
from cloudalpha.toolkit import memory_budget
from cloudalpha.toolkit.memory_budget import MemoryBudget, get_process_budget, set_process_budget


def in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(action()))
    thread.start()
    return thread, results


def test_one_share_may_have_everything() -> None:
    budget = MemoryBudget(100)
    share = budget.open_share()
    assert share.try_take(60) and share.take(40, 0)
    assert not share.try_take(1)
    assert not share.take(1, 0)
    assert budget.used_bytes == share.held_bytes == 100
    share.give_back(30)
    assert share.try_take(30)


def test_a_share_holds_at_most_an_equal_part() -> None:
    budget = MemoryBudget(100)
    first, second = budget.open_share(), budget.open_share()
    assert first.take(50, 0)
    assert not first.take(1, 0)
    assert not first.try_take(1)
    assert second.try_take(50)


def test_who_holds_nothing_may_take_what_is_free_but_only_if_he_needs_it() -> None:
    budget = MemoryBudget(100)
    shares = [budget.open_share() for _ in range(10)]
    assert not shares[0].try_take(50)
    assert shares[0].take(50, 0)
    assert shares[1].take(50, 0)
    assert not shares[2].take(1, 0)


def test_a_piece_may_grow_where_it_is_all_that_is_held() -> None:
    budget = MemoryBudget(100)
    shares = [budget.open_share() for _ in range(10)]
    assert shares[0].take(5, 0)
    assert not shares[0].take(45, 0)
    assert shares[0].take(45, 0, beside=5)
    assert not shares[0].take(10, 0, beside=5)


def test_more_than_the_budget_is_never_waited_for() -> None:
    assert not MemoryBudget(100).open_share().take(101, 1000)


def test_closing_gives_everything_back_and_larger_parts_to_the_others() -> None:
    budget = MemoryBudget(100)
    first, second = budget.open_share(), budget.open_share()
    assert first.take(50, 0) and second.take(50, 0)
    first.close()
    first.close()
    first.give_back(50)  # of a part that was still under way
    assert (budget.used_bytes, budget.num_shares) == (50, 1)
    assert second.take(50, 0)
    with pytest.raises(ValueError):
        first.take(1, 0)


def test_waiting_until_others_give_back() -> None:
    budget = MemoryBudget(100)
    first, second = budget.open_share(), budget.open_share()
    assert first.take(50, 0) and second.take(50, 0)
    thread, results = in_thread(lambda: second.take(20, 30))
    wait_until(lambda: budget._waiting)
    first.close()
    thread.join()
    assert results == [True]
    assert budget.used_bytes == 70


def test_first_come_first_served() -> None:
    budget = MemoryBudget(100)
    holder = budget.open_share()
    assert holder.take(100, 0)
    served: list[int] = []
    threads = []
    for number in range(5):
        share = budget.open_share()

        def take(number: int = number, share: memory_budget.Share = share) -> None:
            assert share.take(100, 30)
            served.append(number)
            share.close()

        threads.append(in_thread(take)[0])
        wait_until(lambda number=number: len(budget._waiting) == number + 1)
    holder.close()
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_a_large_wish_is_not_starved_by_small_ones() -> None:
    budget = MemoryBudget(100)
    holder, large, small = (budget.open_share() for _ in range(3))
    assert holder.take(33, 0)
    thread, results = in_thread(lambda: large.take(90, 30))
    wait_until(lambda: budget._waiting)
    assert not small.try_take(1)
    assert not small.take(1, 0)
    holder.close()
    thread.join()
    assert results == [True]


def test_who_waits_for_his_own_part_does_not_hold_up_others() -> None:
    budget = MemoryBudget(100)
    greedy, other = budget.open_share(), budget.open_share()
    assert greedy.take(50, 0)
    thread, results = in_thread(lambda: greedy.take(10, 30))
    wait_until(lambda: budget._waiting)
    assert other.take(40, 0)
    greedy.give_back(50)
    thread.join()
    assert results == [True]


def test_a_time_out_lets_those_behind_through() -> None:
    budget = MemoryBudget(100)
    holder, large, small = (budget.open_share() for _ in range(3))
    assert holder.take(20, 0)
    large_thread, large_results = in_thread(lambda: large.take(90, 0.05))
    wait_until(lambda: budget._waiting or large_results)
    assert small.take(80, 30)
    large_thread.join()
    assert large_results == [False]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["try", "take", "back"]), st.integers(0, 60)), max_size=60)
)
def test_never_more_than_the_budget(steps: list[tuple[int, str, int]]) -> None:
    budget = MemoryBudget(100)
    shares = [budget.open_share() for _ in range(5)]
    for number, action, num_bytes in steps:
        share = shares[number]
        before = share.held_bytes
        if action == "try":
            assert share.try_take(num_bytes) <= (before + num_bytes <= 20)
        elif action == "take":
            assert share.take(num_bytes, 0) <= (before == 0 or before + num_bytes <= 20)
        else:
            share.give_back(min(before, num_bytes))
        assert budget.used_bytes == sum(each.held_bytes for each in shares) <= 100
    for share in shares:
        share.close()
    assert (budget.used_bytes, budget.num_shares) == (0, 0)


def test_many_threads_never_exceed_the_budget() -> None:
    budget = MemoryBudget(1000)
    most = 0

    def work(seed: int) -> None:
        nonlocal most
        share = budget.open_share()
        for step in range(200):
            wanted = (seed * 37 + step * 11) % 300 + 1
            if share.take(wanted, 0.01):
                most = max(most, budget.used_bytes)
                share.give_back(wanted)
        share.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most <= 1000
    assert budget.used_bytes == 0 and not budget._waiting


def test_the_budget_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_budget, "_process_budget", MemoryBudget(7))
    assert get_process_budget().max_bytes == 7
    set_process_budget(11)
    assert get_process_budget().max_bytes == 11
    assert get_process_budget() is get_process_budget()
