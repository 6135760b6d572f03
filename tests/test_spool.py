from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha import spool as spool_module
from cloudalpha.open_file_content import Window
from cloudalpha.spool import Ranges, Spool, SpoolFile

_range = st.tuples(st.integers(0, 60), st.integers(0, 20))


def _create_file(spool: Spool) -> SpoolFile:
    file = spool.create_file()
    assert file is not None
    return file


@given(st.lists(st.tuples(st.sampled_from(["add", "cut"]), _range)), _range)
def test_ranges_are_a_set_of_bytes(operations: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]) -> None:
    ranges, model = Ranges(), set[int]()
    for name, (start, length) in operations:
        if name == "add":
            ranges.add(start, start + length)
            model |= set(range(start, start + length))
        else:
            ranges.cut(start)
            model = {byte for byte in model if byte < start}
        assert ranges.num_bytes == len(model)
    start, end = asked[0], sum(asked)
    assert ranges.count_missing(start, end) == len(set(range(start, end)) - model)
    parts = list(ranges.split(start, end))
    assert [byte for a, b, _ in parts for byte in range(a, b)] == list(range(start, end))
    assert {byte for a, b, is_in in parts if is_in for byte in range(a, b)} == model & set(range(start, end))
    assert ranges.get_next(start) == min((byte for byte in model if byte >= start), default=None)
    assert ranges.get_end(start) == next(byte for byte in range(start, 200) if byte not in model)
    runs = sum(byte - 1 not in model for byte in model)
    assert len(ranges) == runs, "neighbours are merged"


@given(st.lists(st.tuples(st.sampled_from(["put", "cut"]), st.integers(0, 40), st.binary(min_size=1, max_size=12))))
def test_window_holds_the_newest_bytes(operations: list[tuple[str, int, bytes]]) -> None:
    window, model = Window(), dict[int, int]()
    for name, start, data in operations:
        if name == "put":
            window.put(start, data)
            model.update(zip(range(start, start + len(data)), data, strict=True))
        else:
            window.cut(start)
            model = {offset: byte for offset, byte in model.items() if offset < start}
        assert window.num_bytes == len(model)
    held = {
        start + index: byte
        for start, _, data in window.split(0, 80)
        if data is not None
        for index, byte in enumerate(data)
    }
    assert held == model
    assert window.get_start() == min(model, default=None)
    while (start := window.get_start()) is not None:
        for index, byte in enumerate(window.pop()):
            assert model.pop(start + index) == byte
    assert not model and window.num_bytes == 0


def test_bytes_are_counted_once_and_given_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 100)
    first, second = _create_file(spool), _create_file(spool)
    assert first.write(1000, [b"a" * 40, b"b" * 20], 60)
    assert first.write(1010, [b"c" * 10], 10), "what is there already takes no more room"
    assert spool.used_bytes == 60
    assert not second.write(0, [b"d" * 41], 41)
    assert spool.used_bytes == 60
    assert second.write(0, [b"d" * 40], 40)
    assert first.read(1000, 60) == b"a" * 10 + b"c" * 10 + b"a" * 20 + b"b" * 20
    first.cut(1005)
    assert spool.used_bytes == 45
    for _ in range(2):
        first.close()
        second.close()
    assert spool.used_bytes == 0


def test_nobody_finds_a_spool_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a" / "spool", 100)
    file = _create_file(spool)
    file.write(0, [b"secret"], 6)
    assert list((tmp_path / "a" / "spool").iterdir()) == []
    assert (tmp_path / "a" / "spool").stat().st_mode & 0o777 == 0o700
    file.close()


def test_no_spool_at_all(tmp_path: Path) -> None:
    assert Spool(tmp_path / "spool", 0).create_file() is None
    assert not (tmp_path / "spool").exists()


def test_a_full_disk_is_a_full_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(None, 100)
    file = _create_file(spool)

    def fail(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spool_module, "write_pieces", fail)
    assert not file.write(0, [b"abc"], 3)
    assert spool.used_bytes == 0
    file.close()


def test_a_broken_disk_is_not_a_full_one(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(None, 100)
    file = _create_file(spool)

    def fail(*args: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(spool_module, "write_pieces", fail)
    with pytest.raises(OSError, match="Input/output"):
        file.write(0, [b"abc"], 3)
    assert spool.used_bytes == 0
    file.close()


def test_scattered_pieces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_RANGES", 3)
    spool = Spool(None, 1000)
    file = _create_file(spool)
    assert all(file.write(10 * place, [b"x"], 1) for place in range(3))
    assert not file.write(100, [b"x"], 1)
    file.close()


def test_the_bound_holds_for_threads() -> None:
    spool = Spool(None, 1000)
    granted: list[int] = []

    def reserve() -> None:
        granted.extend(7 for _ in range(200) if spool.reserve(7))

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == spool.used_bytes == 994
