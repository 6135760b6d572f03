"""Any sequence of writes and keeps, against a model, with parts of a few bytes, a budget too small for comfort, and errors in between."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.file_system import WriteOptions
from cloudalpha.spool import Spool
from cloudalpha.testing import wait_until
from cloudalpha.toolkit import part_memory
from cloudalpha.toolkit.memory_budget import MemoryBudget
from cloudalpha.toolkit.part_upload import PartedFile
from tests.toolkit.stores import PATH, QUICK, MemoryPartStore, fail

OLD = bytes(range(200))

Step = bytes | tuple[int, int]
KEPT = st.integers(0, len(OLD)).flatmap(lambda start: st.tuples(st.just(start), st.integers(0, len(OLD) - start)))
STEPS = st.lists(st.binary(max_size=40) | KEPT | st.tuples(st.integers(0, 190), st.integers(0, 10)), max_size=12)


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_memory, "PATIENCE", 0.001)
    monkeypatch.setattr(part_memory, "FIRST_BYTES", 4)


@given(
    steps=STEPS,
    part_size=st.integers(1, 30),
    in_flight=st.integers(1, 5),
    max_bytes=st.sampled_from([3, 12, 50, 1000]),
    is_known=st.booleans(),
    copies=st.booleans(),
    seed=st.none() | st.integers(0, 100),
    is_committed=st.booleans(),
)
def test_any_sequence(
    threads: ThreadPoolExecutor,
    steps: list[Step],
    part_size: int,
    in_flight: int,
    max_bytes: int,
    is_known: bool,
    copies: bool,
    seed: int | None,
    is_committed: bool,
) -> None:
    expected = b"".join(step if isinstance(step, bytes) else OLD[step[0] : sum(step)] for step in steps)
    store = MemoryPartStore(OLD)
    store.copies_parts = copies
    errors = random.Random(seed)

    def interfere(number: int, attempt: int) -> None:
        if seed is not None and attempt < QUICK.attempts and errors.random() < 0.3:
            raise fail()

    store.on_part = interfere
    budget = MemoryBudget(max_bytes)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), 100_000)
        file = PartedFile(
            PATH, store, WriteOptions(size=len(expected) if is_known else None), executor=threads,
            part_size=part_size, parts_in_flight=in_flight, budget=budget, spool=spool, retry=QUICK,
        )  # fmt: skip
        with file:
            for step in steps:
                if isinstance(step, bytes):
                    file.write(step)
                else:
                    file.keep(*step)
            assert file.offset == len(expected)
            if is_committed:
                assert file.commit().size == len(expected)
        wait_until(lambda: "close" in store.calls)
        assert store.published == (expected if is_committed else None)
        assert store.most_in_flight <= in_flight
        wait_until(
            lambda: (budget.used_bytes, budget.num_shares, spool.used_bytes) == (0, 0, 0)
        )  # hashes may lag behind
