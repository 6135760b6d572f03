"""What uploads hold in memory: never more than the budget, and nobody waits for those who stall."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudalpha.exceptions import InsufficientSpaceFileSystemError
from cloudalpha.spool import Spool
from cloudalpha.testing import wait_until
from cloudalpha.toolkit import part_memory
from cloudalpha.toolkit.memory_budget import MemoryBudget
from cloudalpha.toolkit.part_upload import PartedFile
from tests.toolkit.stores import PATH, QUICK, Blockade, MemoryPartStore

CONTENT = bytes(range(250)) * 4


def make(
    executor: ThreadPoolExecutor, store: MemoryPartStore, budget: MemoryBudget, spool: Spool, part_size: int = 100
) -> PartedFile:
    return PartedFile(
        PATH, store, executor=executor, budget=budget, spool=spool, retry=QUICK, part_size=part_size, parts_in_flight=4
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, 100_000)


def test_a_new_upload_does_not_stall_behind_stalled_ones(
    executor: ThreadPoolExecutor, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_memory, "PATIENCE", 0.05)
    budget = MemoryBudget(400)
    stalled = [make(executor, MemoryPartStore(), budget, spool) for _ in range(4)]
    for file in stalled:
        file.write(CONTENT[:60])
    assert budget.used_bytes == 400
    store = MemoryPartStore()
    started = time.monotonic()
    with make(executor, store, budget, spool) as file:
        file.write(CONTENT)
        file.commit()
    assert store.published == CONTENT
    assert time.monotonic() - started < 5
    assert budget.used_bytes == 400 and spool.used_bytes == 0
    for file in stalled:
        file.discard()
    assert budget.used_bytes == 0


def test_many_small_files_do_not_wait_one_after_the_other(executor: ThreadPoolExecutor, spool: Spool) -> None:
    budget = MemoryBudget(100)
    stalled = make(executor, MemoryPartStore(), budget, spool)
    stalled.write(CONTENT[:60])
    started = time.monotonic()
    for _ in range(20):
        with make(executor, MemoryPartStore(), budget, spool) as file:
            file.write(CONTENT[:60])
            file.commit()
    assert time.monotonic() - started < 5  # one of them waited a second
    stalled.discard()


def test_an_upload_that_found_no_memory_comes_back_to_it(
    executor: ThreadPoolExecutor, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_memory, "PATIENCE", 0.01)
    budget = MemoryBudget(100)
    holder = budget.open_share()
    assert holder.take(100, 0)
    store = MemoryPartStore()
    with make(executor, store, budget, spool) as file:
        file.write(CONTENT[:50])
        assert (budget.used_bytes, spool.used_bytes) == (100, 50)
        holder.close()
        file.write(CONTENT[50:150])
        wait_until(lambda: spool.used_bytes == 0)
        assert budget.used_bytes == 100
        file.commit()
    assert store.published == CONTENT[:150]


def test_parts_under_way_are_waited_for_instead(executor: ThreadPoolExecutor, spool: Spool) -> None:
    budget = MemoryBudget(100)
    store, blockade = MemoryPartStore(), Blockade()
    store.on_part = blockade
    file = make(executor, store, budget, spool)
    writer = threading.Thread(target=file.write, args=(CONTENT[:150],))
    writer.start()
    wait_until(lambda: budget._waiting and blockade.arrived)
    assert store.most_in_flight == 1
    blockade.lift()
    writer.join()
    assert spool.used_bytes == 0
    file.commit()
    assert store.published == CONTENT[:150]


def test_parts_too_large_for_the_budget_go_through_the_spool(
    executor: ThreadPoolExecutor, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_memory, "FIRST_BYTES", 10)
    budget = MemoryBudget(399)
    store = MemoryPartStore()
    with make(executor, store, budget, spool) as file:
        file.write(CONTENT[:10])
        assert (budget.used_bytes, spool.used_bytes) == (10, 0)
        file.write(CONTENT[10:50])
        assert (budget.used_bytes, spool.used_bytes) == (0, 50)
        file.write(CONTENT[50:])
        file.commit()
    assert store.published == CONTENT
    assert (budget.used_bytes, spool.used_bytes) == (0, 0)


def test_small_files_take_little(executor: ThreadPoolExecutor, spool: Spool) -> None:
    budget = MemoryBudget(256 << 20)
    files = [make(executor, MemoryPartStore(), budget, spool, 8 << 20) for _ in range(100)]
    for file in files:
        file.write(CONTENT)
    assert budget.used_bytes <= 100 * part_memory.FIRST_BYTES
    for file in files:
        file.commit()
    assert (budget.used_bytes, budget.num_shares) == (0, 0)


def test_neither_memory_nor_spool(
    executor: ThreadPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_memory, "PATIENCE", 0.01)
    monkeypatch.setattr(part_memory, "LAST_PATIENCE", 0.02)
    budget = MemoryBudget(100)
    holder = budget.open_share()
    assert holder.take(100, 0)
    store = MemoryPartStore()
    with (
        make(executor, store, budget, Spool(tmp_path, 0)) as file,
        pytest.raises(InsufficientSpaceFileSystemError, match="neither memory nor spool"),
    ):
        file.write(CONTENT)
    assert store.calls == ["close"] and budget.num_shares == 1


def test_without_a_spool_memory_is_waited_for(
    executor: ThreadPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_memory, "PATIENCE", 0.01)
    budget = MemoryBudget(100)
    holder = budget.open_share()
    assert holder.take(100, 0)
    store = MemoryPartStore()
    with make(executor, store, budget, Spool(tmp_path, 0)) as file:
        writer = threading.Thread(target=file.write, args=(CONTENT[:150],))
        writer.start()
        wait_until(lambda: budget._waiting and file._memory._patience == 0)
        holder.close()
        writer.join()
        file.commit()
    assert store.published == CONTENT[:150]


def test_64_uploads_stay_within_the_budget(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_memory, "PATIENCE", 0.02)
    budget = MemoryBudget(2_000)
    stores = [MemoryPartStore() for _ in range(64)]
    most = [0]

    def note(number: int, attempt: int) -> None:
        most[0] = max(most[0], budget.used_bytes)

    with ThreadPoolExecutor(16) as executor:

        def upload(store: MemoryPartStore) -> None:
            store.on_part = note
            with make(executor, store, budget, spool) as file:
                for start in range(0, len(CONTENT), 30):
                    file.write(CONTENT[start : start + 30])
                    most[0] = max(most[0], budget.used_bytes)
                file.commit()

        threads = [threading.Thread(target=upload, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(store.published == CONTENT for store in stores)
    assert 100 <= most[0] <= 2_000
    assert (budget.used_bytes, budget.num_shares, spool.used_bytes) == (0, 0, 0)
