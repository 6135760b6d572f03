"""ParallelReader: which ranges are asked for and when, and what becomes of those that break."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import ANYTHING
from cloudalpha.testing import wait_until
from cloudalpha.toolkit import range_source
from cloudalpha.toolkit.memory_budget import MemoryBudget
from cloudalpha.toolkit.parallel_reader import ParallelReader
from tests.toolkit.stores import PATH, QUICK, Blockade, MemoryRangeSource, Request, fail

CONTENT = bytes(range(251)) * 8
MIB = 1 << 20


@pytest.fixture
def budget() -> Iterator[MemoryBudget]:
    budget = MemoryBudget(10_000)
    yield budget
    assert (budget.used_bytes, budget.num_shares) == (0, 0)


def make(
    source: MemoryRangeSource, executor: ThreadPoolExecutor, budget: MemoryBudget, *place: Any, **changes: Any
) -> ParallelReader:
    given = {"range_size": 50, "ranges_in_flight": 4, "budget": budget, "retry": QUICK} | changes
    return ParallelReader(PATH, source, *place, executor=executor, **given)


# What is read


@given(
    st.integers(0, 2100),
    st.none() | st.integers(0, 2100),
    st.integers(1, 300),
    st.integers(1, 5),
    st.sampled_from([0, 100, 10_000]),
)
def test_any_range(start: int, num_bytes: int | None, range_size: int, in_flight: int, max_bytes: int) -> None:
    budget = MemoryBudget(max_bytes)
    with ThreadPoolExecutor(3) as executor:
        source = MemoryRangeSource(CONTENT)
        reader = make(source, executor, budget, start, num_bytes, range_size=range_size, ranges_in_flight=in_flight)
        chunks = list(reader)
    end = len(CONTENT) if num_bytes is None else start + num_bytes
    assert b"".join(chunks) == CONTENT[start:end] and all(chunks)
    assert all(request.expected == "1" for request in source.requests[1:])
    assert budget.used_bytes == budget.num_shares == 0


def test_a_range_that_is_bounded_is_one_request(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source = MemoryRangeSource(CONTENT)
    assert b"".join(make(source, executor, budget, 100, 50)) == CONTENT[100:150]
    assert [(request.start, request.num_bytes) for request in source.requests] == [(100, 50)]


def test_the_tail_is_one_request(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source = MemoryRangeSource(CONTENT)
    assert b"".join(make(source, executor, budget, len(CONTENT) - 40)) == CONTENT[-40:]
    assert len(source.requests) == 1


def test_an_expected_revision_goes_along(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source = MemoryRangeSource(CONTENT)
    assert b"".join(make(source, executor, budget, 0, None, "1")) == CONTENT
    with pytest.raises(RevisionMismatchFileSystemError):
        list(make(source, executor, budget, 0, None, "2"))


def test_a_storage_without_revisions(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source = MemoryRangeSource(CONTENT, revision=None)
    assert b"".join(make(source, executor, budget)) == CONTENT
    assert all(request.expected is ANYTHING for request in source.requests)


# When it is asked for


def test_nothing_is_fetched_ahead_for_who_takes_one_chunk(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source = MemoryRangeSource(CONTENT)
    reader = make(source, executor, budget)
    assert next(reader) == CONTENT[:7]
    reader.close()
    assert [(request.start, request.num_bytes) for request in source.requests] == [(0, 50)]
    assert source.requests[0].is_closed
    assert next(reader, None) is None


def test_little_is_fetched_before_the_first_mebibyte_is_taken(executor: ThreadPoolExecutor) -> None:
    source = MemoryRangeSource(bytes(64 * MIB), chunk_size=MIB // 4)
    budget = MemoryBudget(256 * MIB)
    reader = make(source, executor, budget, range_size=8 * MIB, ranges_in_flight=8)
    taken = 0
    while taken < MIB:
        taken += len(next(reader))
    wait_until(lambda: sum(request.taken for request in source.requests) >= taken + 4 * MIB)
    assert len(source.requests) == 5
    assert sum(request.num_bytes or 0 for request in source.requests) < 6 * MIB
    reader.close()
    wait_until(lambda: budget.used_bytes == 0)


def test_ranges_grow_and_run_in_parallel(executor: ThreadPoolExecutor) -> None:
    source = MemoryRangeSource(bytes(150 * MIB), chunk_size=MIB)
    budget = MemoryBudget(256 * MIB)
    blockade = Blockade()
    source.on_open = lambda request: blockade(request.start) if request.start >= 100 * MIB else None
    reader = make(source, executor, budget, range_size=8 * MIB, ranges_in_flight=8)
    taken = 0
    while taken < 100 * MIB:
        taken += len(next(reader))
    wait_until(lambda: len(blockade.arrived) >= 6)
    assert max(request.num_bytes or 0 for request in source.requests) == 8 * MIB
    assert budget.used_bytes <= 80 * MIB
    assert len(source.requests) <= 30
    blockade.lift()
    assert taken + sum(map(len, reader)) == 150 * MIB


def test_ranges_may_end_in_any_order(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source, blockade = MemoryRangeSource(CONTENT, chunk_size=25), Blockade()
    source.on_chunk = lambda request, position: blockade(position) if position == 50 else None
    reader = make(source, executor, budget)
    taken = next(reader) + next(reader)
    wait_until(lambda: sum(request.taken for request in source.requests) >= 150)
    assert source.requests[1].taken == 0
    blockade.lift()
    assert taken + b"".join(reader) == CONTENT


def test_without_memory_one_request_is_passed_through(executor: ThreadPoolExecutor) -> None:
    source, budget = MemoryRangeSource(CONTENT), MemoryBudget(0)
    assert b"".join(make(source, executor, budget)) == CONTENT
    assert [request.start for request in source.requests] == list(range(0, 1, 1)) + list(range(50, 2008, 200))
    assert budget.num_shares == 0


def test_when_all_threads_are_busy_the_reader_fetches_himself(
    executor: ThreadPoolExecutor, budget: MemoryBudget
) -> None:
    blockade = Blockade()
    for _ in range(8):
        executor.submit(blockade, 0)
    wait_until(lambda: len(blockade.arrived) == 8)
    assert b"".join(make(MemoryRangeSource(CONTENT), executor, budget)) == CONTENT
    blockade.lift()


def test_a_closed_executor_leaves_one_request_at_a_time(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    executor.shutdown()
    assert b"".join(make(MemoryRangeSource(CONTENT), executor, budget)) == CONTENT


# What breaks


@given(st.sets(st.integers(0, 80), max_size=30), st.booleans())
def test_torn_bodies_go_on_from_the_byte_reached(places: set[int], is_short: bool) -> None:
    torn = {25 * place for place in places}

    def tear(request: Request, position: int) -> None:
        if position in torn and position != request.start:
            torn.remove(position)
            raise fail()

    source = MemoryRangeSource(CONTENT, chunk_size=25, on_chunk=tear)
    budget = MemoryBudget(10_000)
    with ThreadPoolExecutor(3) as executor:
        assert b"".join(make(source, executor, budget, range_size=100)) == CONTENT
    assert sum(request.taken for request in source.requests) == len(CONTENT)
    assert all(request.is_closed or not request.taken for request in source.requests)
    assert budget.used_bytes == 0


def test_bodies_that_end_too_early(
    executor: ThreadPoolExecutor, budget: MemoryBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_source, "PROGRESS_BYTES", 7)
    source = MemoryRangeSource(CONTENT, is_short=True)
    assert b"".join(make(source, executor, budget)) == CONTENT


def test_a_storage_that_never_sends_enough(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source = MemoryRangeSource(CONTENT, is_short=True)
    with pytest.raises(AccessFailedFileSystemError, match="cut off"):
        list(make(source, executor, budget, 0, 50))
    assert len(source.requests) == QUICK.attempts


def test_requests_are_repeated(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    failed: set[int] = set()

    def refuse(request: Request) -> None:
        if request.start not in failed:
            failed.add(request.start)
            raise fail()

    assert b"".join(make(MemoryRangeSource(CONTENT, on_open=refuse), executor, budget)) == CONTENT


@pytest.mark.parametrize("error", [NotFoundFileSystemError(PATH), fail(False), ZeroDivisionError()])
def test_an_error_at_the_beginning(executor: ThreadPoolExecutor, budget: MemoryBudget, error: Exception) -> None:
    def refuse(request: Request) -> None:
        raise error

    source = MemoryRangeSource(CONTENT, on_open=refuse)
    reader = make(source, executor, budget)
    with pytest.raises(type(error)):
        next(reader)
    assert next(reader, None) is None and len(source.requests) == 1


def test_an_error_in_the_middle_comes_at_its_place(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    def tear(request: Request, position: int) -> None:
        if position >= 1000:
            raise fail(temporary=False)

    reader = make(MemoryRangeSource(CONTENT, chunk_size=10, on_chunk=tear), executor, budget)
    taken = b""
    with pytest.raises(FileSystemError, match="told to fail"):
        for chunk in reader:
            taken += chunk
    assert taken == CONTENT[:1000]


@pytest.mark.parametrize("change", ["content", "delete"])
def test_never_a_mix_of_two_versions(executor: ThreadPoolExecutor, budget: MemoryBudget, change: str) -> None:
    source = MemoryRangeSource(CONTENT)
    reader = make(source, executor, budget)
    next(reader)
    if change == "content":
        source.content, source.revision = CONTENT[::-1], "2"
    else:

        def refuse(request: Request) -> None:
            raise NotFoundFileSystemError(PATH)

        source.on_open = refuse
    with pytest.raises(RevisionMismatchFileSystemError):
        list(reader)


@pytest.mark.parametrize("revision", ["1", None])
def test_a_server_that_ignores_the_condition(
    executor: ThreadPoolExecutor, budget: MemoryBudget, revision: str | None
) -> None:
    class Ignoring(MemoryRangeSource):
        def open(self, start_byte: int, num_bytes: int | None, expected: Any) -> Any:
            return super().open(start_byte, num_bytes, ANYTHING)

    source = Ignoring(CONTENT, revision=revision)
    reader = make(source, executor, budget)
    next(reader)
    source.content, source.revision = CONTENT[:-1], "2" if revision else None
    with pytest.raises(RevisionMismatchFileSystemError):
        list(reader)


def test_a_server_that_sends_more_than_the_range(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    class Generous(MemoryRangeSource):
        def open(self, start_byte: int, num_bytes: int | None, expected: Any) -> Any:
            return super().open(start_byte, None if num_bytes is None else num_bytes + 13, expected)

    assert b"".join(make(Generous(CONTENT), executor, budget)) == CONTENT


# Closing


def test_closing_releases_everything_at_once(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source, blockade = MemoryRangeSource(CONTENT), Blockade()
    source.on_chunk = lambda request, position: blockade(position) if position >= 50 else None
    reader = make(source, executor, budget)
    next(reader)
    next(reader)
    wait_until(lambda: len(blockade.arrived) == 3)
    assert budget.used_bytes == 150
    reader.close()
    reader.close()
    assert budget.used_bytes == 0
    blockade.lift()
    wait_until(lambda: all(request.is_closed for request in source.requests))
    assert sum(request.taken for request in source.requests) <= 14 + 3 * 7


def test_a_reader_that_is_forgotten_gives_its_memory_back(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    reader = make(MemoryRangeSource(CONTENT), executor, budget)
    next(reader)
    next(reader)
    del reader
    wait_until(lambda: budget.used_bytes == budget.num_shares == 0)


def test_closing_from_another_thread_ends_the_waiting(executor: ThreadPoolExecutor, budget: MemoryBudget) -> None:
    source, blockade = MemoryRangeSource(CONTENT), Blockade()
    source.on_chunk = lambda request, position: blockade(position) if position >= 50 else None
    reader = make(source, executor, budget)
    thread = threading.Thread(target=list, args=(reader,))
    thread.start()
    wait_until(lambda: len(blockade.arrived) == 4)
    reader.close()
    thread.join(10)
    assert not thread.is_alive()
    blockade.lift()
