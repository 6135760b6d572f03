"""PartedFile: what goes to the store, how often, and what becomes of errors."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import WriteOptions
from cloudalpha.spool import Spool
from cloudalpha.testing import wait_until
from cloudalpha.toolkit.memory_budget import MemoryBudget
from cloudalpha.toolkit.part_upload import PartedFile, PartStore
from tests.toolkit.stores import PATH, QUICK, Blockade, MemoryPartStore, fail

OLD = bytes(range(256)) * 4


class Making:
    """Makes PartedFiles with a budget of their own, and sees that nothing of it is held in the end."""

    def __init__(self, executor: ThreadPoolExecutor, folder: Path) -> None:
        self.executor = executor
        self.budget = MemoryBudget(1000)
        self.spool = Spool(folder, 10_000)

    def __call__(self, store: PartStore, options: WriteOptions = WriteOptions(), **changes: Any) -> PartedFile:
        given: dict[str, Any] = {
            "part_size": 10, "parts_in_flight": 4, "budget": self.budget, "spool": self.spool, "retry": QUICK,
        } | changes  # fmt: skip
        return PartedFile(PATH, store, options, executor=self.executor, **given)


@pytest.fixture
def make(executor: ThreadPoolExecutor, tmp_path: Path) -> Any:
    making = Making(executor, tmp_path)
    yield making
    executor.shutdown()
    assert (making.budget.used_bytes, making.budget.num_shares, making.spool.used_bytes) == (0, 0, 0)


def write(file: PartedFile, content: bytes, piece: int = 3) -> None:
    for start in range(0, len(content), piece):
        file.write(content[start : start + piece])


# Cutting


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_small_content_goes_in_one_step(make: Making, size: int) -> None:
    store = MemoryPartStore()
    with make(store) as file:
        write(file, OLD[:size])
        assert file.offset == size
        assert file.commit().size == size
    assert store.published == OLD[:size]
    assert store.calls == ["put_whole", "close"]


@pytest.mark.parametrize("size", [11, 20, 21, 100, 1000])
@pytest.mark.parametrize("piece", [1, 3, 10, 1000])
@pytest.mark.parametrize("is_known", [False, True])
def test_larger_content_goes_in_parts(make: Making, size: int, piece: int, is_known: bool) -> None:
    store = MemoryPartStore()
    with make(store, WriteOptions(size=size if is_known else None)) as file:
        write(file, OLD[:size], piece)
        file.commit()
    assert store.published == OLD[:size]
    assert [len(store.parts[n]) for n in sorted(store.parts)] == [10] * (size // 10) + [size % 10] * (size % 10 > 0)
    assert store.calls == ["begin", "complete", "close"]


def test_parts_are_sent_while_the_next_is_written(make: Making) -> None:
    store, blockade = MemoryPartStore(), Blockade()
    store.on_part = blockade
    with make(store) as file:
        file.write(OLD[:45])
        wait_until(lambda: sorted(blockade.arrived) == [1, 2, 3, 4])
        blockade.lift()
        file.commit()
    assert store.published == OLD[:45]


def test_the_writer_waits_while_too_many_parts_are_under_way(make: Making) -> None:
    store, blockade = MemoryPartStore(), Blockade()
    store.on_part = blockade
    file = make(store, parts_in_flight=3)
    writer = threading.Thread(target=file.write, args=(OLD[:100],))
    writer.start()
    wait_until(lambda: len(blockade.arrived) == 3)
    assert writer.is_alive() and store.most_in_flight == 3
    blockade.lift()
    writer.join()
    file.commit()
    assert store.most_in_flight == 3 and store.published == OLD[:100]


def test_parts_may_end_in_any_order(make: Making) -> None:
    store, blockade = MemoryPartStore(), Blockade()
    store.on_part = blockade
    file = make(store)
    file.write(OLD[:50])
    wait_until(lambda: len(blockade.arrived) == 4)
    for number in (4, 2, 3, 1):
        blockade.lift(number)
        wait_until(lambda number=number: number in store.parts)
    blockade.lift()
    file.commit()
    assert store.published == OLD[:50]


def test_a_known_size_makes_the_parts_large_enough(make: Making) -> None:
    store = MemoryPartStore()
    store.max_parts = 4
    with make(store, WriteOptions(size=100)) as file:
        write(file, OLD[:100])
        file.commit()
    assert [len(store.parts[n]) for n in (1, 2, 3, 4)] == [25] * 4


def test_without_a_known_size_the_parts_grow(make: Making) -> None:
    store = MemoryPartStore()
    store.max_parts, store.max_size = 20, 2 * 1023 * 5
    with make(store) as file:
        write(file, OLD[:200])
        file.commit()
    assert [len(store.parts[n]) for n in range(1, len(store.parts) + 1)] == [10, 10, 20, 20, 40, 40, 60]


def test_hashes_of_what_is_written(make: Making) -> None:
    for size in (7, 77):
        store = MemoryPartStore()
        with make(store) as file:
            write(file, OLD[:size])
            file.commit()
        md5 = hashlib.md5(OLD[:size], usedforsecurity=False).hexdigest()
        assert store.hashes == {"md5": md5, "sha256": hashlib.sha256(OLD[:size]).hexdigest()}


def test_no_hashes_where_something_is_kept(make: Making) -> None:
    store = MemoryPartStore(OLD)
    with make(store) as file:
        file.write(b"x")
        file.keep(0, 10)
        file.commit()
    assert store.hashes == {}


@pytest.mark.parametrize("size", [5, 50])
def test_any_other_size_than_the_announced_one_is_refused(make: Making, size: int) -> None:
    store = MemoryPartStore()
    with make(store, WriteOptions(size=size)) as file:
        file.write(OLD[: size - 1])
        with pytest.raises(FileSystemError, match="instead of"):
            file.commit()
    assert store.published is None
    store = MemoryPartStore()
    with make(store, WriteOptions(size=size)) as file, pytest.raises(FileSystemError, match="more bytes"):
        file.write(OLD[: size + 1])
    assert store.published is None


def test_a_file_larger_than_the_storage_takes(make: Making) -> None:
    store = MemoryPartStore()
    store.max_size = 100
    with make(store) as file, pytest.raises(InsufficientSpaceFileSystemError):
        write(file, OLD[:101])
    wait_until(lambda: "close" in store.calls)
    assert "abort" in store.calls and store.published is None


# Errors


def test_each_part_is_repeated_by_itself(make: Making) -> None:
    def on_part(number: int, attempt: int) -> None:
        if number in (2, 5) and attempt < 4:
            raise fail()

    store = MemoryPartStore()
    store.on_part = on_part
    with make(store) as file:
        write(file, OLD[:100])
        file.commit()
    assert store.published == OLD[:100]
    assert store._attempts == {1: 1, 2: 4, 3: 1, 4: 1, 5: 4, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1}


@pytest.mark.parametrize("error", [fail(), PermissionDeniedFileSystemError(PATH), ZeroDivisionError()])
def test_an_error_of_a_part_ends_the_file(make: Making, error: Exception) -> None:
    def on_part(number: int, attempt: int) -> None:
        if number == 2:
            raise error

    store = MemoryPartStore()
    store.on_part = on_part
    file = make(store)
    expected = type(error) if isinstance(error, FileSystemError) else AccessFailedFileSystemError
    with pytest.raises(expected):
        write(file, OLD)
        file.commit()
    for _ in range(2):
        with pytest.raises(expected):
            file.write(b"more")
        with pytest.raises(expected):
            file.commit()
    wait_until(lambda: "close" in store.calls)
    file.discard()
    assert store.published is None
    assert store.calls == ["begin", "abort", "close"]


def test_an_error_at_the_beginning(make: Making) -> None:
    class Store(MemoryPartStore):
        def begin(self) -> None:
            raise fail()

    store = Store()
    with make(store) as file, pytest.raises(AccessFailedFileSystemError):
        file.write(OLD)
    assert store.calls == ["close"]


def test_a_refused_commit_may_be_repeated(make: Making) -> None:
    class Store(MemoryPartStore):
        num_refused = 0

        def _publish(self, *arguments: Any) -> FileMetadata:
            self.num_refused += 1
            if self.num_refused <= 2:
                raise AlreadyExistsFileSystemError(PATH)
            return super()._publish(*arguments)

    for size in (5, 50):
        store = Store()
        with make(store) as file:
            write(file, OLD[:size])
            for _ in range(2):
                with pytest.raises(AlreadyExistsFileSystemError):
                    file.commit()
            file.commit()
            with pytest.raises(ValueError):
                file.commit()
        assert store.published == OLD[:size]


def test_an_error_of_the_commit_ends_the_file(make: Making) -> None:
    class Store(MemoryPartStore):
        def _publish(self, *arguments: Any) -> FileMetadata:
            raise fail()

    store = Store()
    with make(store) as file:
        write(file, OLD[:50])
        for _ in range(2):
            with pytest.raises(AccessFailedFileSystemError):
                file.commit()
    assert store.calls == ["begin", "complete", "abort", "close"]


def test_an_abort_that_fails_disturbs_nobody(make: Making) -> None:
    class Store(MemoryPartStore):
        def abort(self) -> None:
            super().abort()
            raise fail()

    store = Store()
    with make(store) as file:
        write(file, OLD[:50])
    wait_until(lambda: "close" in store.calls)


# Discarding


@pytest.mark.parametrize("size", [0, 5, 50])
def test_discarding(make: Making, size: int) -> None:
    store = MemoryPartStore()
    file = make(store)
    write(file, OLD[:size])
    file.discard()
    file.discard()
    wait_until(lambda: "close" in store.calls)
    assert store.published is None
    assert ("abort" in store.calls) == (size > 10)
    for action in (file.commit, lambda: file.write(b"x"), lambda: file.keep(0, 1)):
        with pytest.raises(ValueError):
            action()


def test_discarding_does_not_wait_for_parts_but_the_abort_does(make: Making) -> None:
    store, blockade = MemoryPartStore(), Blockade()
    store.on_part = blockade
    file = make(store)
    file.write(OLD[:45])
    wait_until(lambda: len(blockade.arrived) == 4)
    file.discard()
    assert "abort" not in store.calls and make.budget.used_bytes == 40
    blockade.lift()
    wait_until(lambda: "close" in store.calls)
    assert store.calls == ["begin", "abort", "close"]
    assert make.budget.used_bytes == 0
    assert not store.parts  # their bodies failed when they were read on


def test_discarding_what_no_thread_has_begun(make: Making) -> None:
    blockade = Blockade()
    for _ in range(8):
        make.executor.submit(blockade, 0)
    store = MemoryPartStore()
    file = make(store)
    file.write(OLD[:45])
    file.discard()
    assert store.calls == ["begin", "abort", "close"]
    assert make.budget.used_bytes == 0
    blockade.lift()


def test_discarding_ends_the_pauses_between_attempts(make: Making) -> None:
    def on_part(number: int, attempt: int) -> None:
        raise AccessFailedFileSystemError(PATH, "busy", True, retry_after=9)

    store = MemoryPartStore()
    store.on_part = on_part
    file = make(store)
    file.write(OLD[:15])
    wait_until(lambda: store._attempts)
    file.discard()
    wait_until(lambda: "close" in store.calls, timeout=5)


def test_an_executor_that_is_closed(make: Making) -> None:
    store = MemoryPartStore()
    make.executor.shutdown()
    with make(store) as file, pytest.raises(AccessFailedFileSystemError, match="closed"):
        file.write(OLD)
    assert store.calls == ["begin", "abort", "close"]


def test_an_executor_that_drops_what_it_has_not_begun(make: Making) -> None:
    blockade = Blockade()
    for _ in range(8):
        make.executor.submit(blockade, 0)
    store = MemoryPartStore()
    file = make(store)
    file.write(OLD[:45])
    make.executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(AccessFailedFileSystemError, match="closed"):
        file.commit()
    assert store.calls == ["begin", "abort", "close"]
    blockade.lift()


def test_hashes_do_not_wait_for_a_thread(make: Making) -> None:
    blockade = Blockade()
    store = MemoryPartStore()
    file = make(store)
    for _ in range(7):
        make.executor.submit(blockade, 0)
    wait_until(lambda: len(blockade.arrived) == 7)
    gate = Blockade()
    store.on_part = gate
    file.write(OLD[:45])
    gate.lift()
    blockade.lift()
    file.commit()
    assert store.hashes["sha256"] == hashlib.sha256(OLD[:45]).hexdigest()


# Keeping


def test_one_byte_in_a_large_file_moves_little(make: Making) -> None:
    store = MemoryPartStore(OLD)
    with make(store) as file:
        file.keep(0, 500)
        file.write(b"!")
        file.keep(501, len(OLD) - 501)
        file.commit()
    assert store.published == OLD[:500] + b"!" + OLD[501:]
    assert (store.num_read, store.num_sent) == (4, 5)


def test_appending_moves_nothing_else(make: Making) -> None:
    store = MemoryPartStore(OLD)
    with make(store) as file:
        file.keep(0, len(OLD))
        file.write(b"end")
        file.commit()
    assert store.published == OLD + b"end"
    assert (store.num_read, store.num_sent, store.num_copied) == (0, 3, len(OLD))


def test_neighbours_are_kept_as_one(make: Making) -> None:
    store = MemoryPartStore(OLD)
    with make(store) as file:
        for start in range(0, 40, 2):
            file.keep(start, 2)
        file.commit()
    assert store.published == OLD[:40] and store.num_copied == 40 and store.num_read == 0


def test_small_pieces_are_read_and_joined(make: Making) -> None:
    store = MemoryPartStore(OLD)
    with make(store) as file:
        for start in range(0, 100, 10):
            file.keep(start, 4)
            file.write(b"-")
        file.commit()
    assert store.published == b"".join(OLD[start : start + 4] + b"-" for start in range(0, 100, 10))
    assert store.num_copied == 0


def test_a_store_that_copies_nothing(make: Making) -> None:
    store = MemoryPartStore(OLD)
    store.copies_parts = False
    with make(store) as file:
        file.keep(0, len(OLD))
        file.write(b"end")
        file.commit()
    assert store.published == OLD + b"end" and store.num_copied == 0


def test_copies_go_in_parallel_and_are_repeated(make: Making) -> None:
    def on_part(number: int, attempt: int) -> None:
        if attempt == 1:
            raise fail()

    store = MemoryPartStore(OLD)
    store.on_part = on_part
    with make(store) as file:
        file.keep(0, len(OLD))
        file.commit()
    assert store.published == OLD and len(store.parts) == 16


def test_reading_what_is_kept_goes_on_where_it_broke_off(make: Making) -> None:
    class Store(MemoryPartStore):
        def read_kept(self, start_byte: int, num_bytes: int) -> Any:
            yield next(super().read_kept(start_byte, num_bytes))
            raise fail()

    store = Store(OLD)
    with make(store, part_size=2000) as file:
        store.copies_parts = False
        file.write(b"begin")
        file.keep(100, 101)
        file.commit()
    assert store.published == b"begin" + OLD[100:201]


def test_reading_what_is_kept_gives_up_at_last(make: Making) -> None:
    class Store(MemoryPartStore):
        num_tries = 0

        def read_kept(self, start_byte: int, num_bytes: int) -> Any:
            self.num_tries += 1
            yield from ()

    store = Store(OLD)
    with make(store) as file, pytest.raises(AccessFailedFileSystemError, match="less than"):
        file.keep(0, 3)
        file.commit()
    assert store.num_tries == QUICK.attempts


def test_keeping_what_is_not_there(make: Making) -> None:
    for start, size in ((0, 1025), (1024, 1), (2**63, 1)):
        with make(MemoryPartStore(OLD)) as file, pytest.raises(RevisionMismatchFileSystemError):
            file.keep(start, size)
    with make(MemoryPartStore()) as file, pytest.raises(NotFoundFileSystemError):
        file.keep(0, 1)


def test_more_pieces_than_the_storage_takes_parts(make: Making) -> None:
    store = MemoryPartStore(OLD)
    store.max_parts = 3
    store.max_copy_size = store.max_part_size = 10
    with make(store) as file, pytest.raises(InsufficientSpaceFileSystemError, match="more parts"):
        file.keep(0, 100)
        file.commit()
    wait_until(lambda: "close" in store.calls)


# Resuming


def test_going_on_with_an_upload(make: Making) -> None:
    store = MemoryPartStore()
    store.parts = {1: OLD[:10], 2: OLD[10:20]}
    store.resumed = [(1, 10, "receipt 1"), (2, 10, "receipt 2")]
    with make(store) as file:
        assert file.offset == 20
        file.write(OLD[20:35])
        file.commit()
    assert store.published == OLD[:35]
    assert store.hashes == {} and "begin" not in store.calls
