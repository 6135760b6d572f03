from __future__ import annotations

import threading

import pytest

from cloudalpha.progress import listening, report
from cloudalpha.services.memory.file_system import MemoryFileSystem

Heard = list[tuple[int, int | None]]


def test_what_is_reported_is_heard() -> None:
    heard: Heard = []
    report(1, 3)
    with listening(lambda done, total: heard.append((done, total))):
        report(2, 3)
        report(3)
    report(4, 4)
    assert heard == [(2, 3), (3, None)]


def test_the_inner_listener_hears_alone_and_the_outer_one_again_afterwards() -> None:
    outer: Heard = []
    inner: Heard = []
    with listening(lambda *step: outer.append(step)):
        with pytest.raises(ZeroDivisionError), listening(lambda *step: inner.append(step)):
            report(1)
            raise ZeroDivisionError
        report(2)
    assert (inner, outer) == ([(1, None)], [(2, None)])


def test_other_threads_are_not_heard() -> None:
    heard: Heard = []
    with listening(lambda *step: heard.append(step)):
        thread = threading.Thread(target=report, args=(1, 2))
        thread.start()
        thread.join()
    assert heard == []


def test_delete_tree_tells_how_far_it_is() -> None:
    files = MemoryFileSystem()
    files.make_dirs("/a/b")
    for path in ("/a/1", "/a/2", "/a/b/3"):
        files.write_all(path, b"")
    heard: Heard = []
    with listening(lambda *step: heard.append(step)):
        files.delete_tree("/a")
    assert heard == [(number, None) for number in range(1, 6)]
