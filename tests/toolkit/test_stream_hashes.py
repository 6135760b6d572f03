from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor

from cloudalpha.testing import wait_until
from cloudalpha.toolkit.part_bodies import MemoryPart, PartBody
from cloudalpha.toolkit.stream_hashes import StreamHashes
from tests.toolkit.stores import Blockade

CONTENT = bytes(range(250)) * 4


def make_bodies() -> list[PartBody]:
    bodies: list[PartBody] = []
    for start in range(0, len(CONTENT), 100):
        body = MemoryPart("/a", 100)
        body.append(memoryview(CONTENT)[start : start + 100])
        bodies.append(body)
    return bodies


def release(body: PartBody) -> None:
    if body.let_go():
        body.close()


def add_all(hashes: StreamHashes, bodies: list[PartBody]) -> None:
    for body in bodies:
        hashes.add(body)
        release(body)  # sent already


def test_in_order_and_with_the_last_part(executor: ThreadPoolExecutor) -> None:
    hashes = StreamHashes(("sha256", "crc32"), executor, release)
    bodies = make_bodies()
    add_all(hashes, bodies[:-1])
    expected = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "crc32": f"{zlib.crc32(CONTENT):08x}"}
    assert hashes.get(bodies[-1]) == expected
    assert hashes.get(bodies[-1]) == expected  # a commit that was refused is repeated
    assert all(len(body) == 0 for body in bodies[:-1])
    release(bodies[-1])


def test_when_no_thread_is_free_the_caller_does_it(executor: ThreadPoolExecutor) -> None:
    blockade = Blockade()
    for _ in range(8):
        executor.submit(blockade, 0)
    wait_until(lambda: len(blockade.arrived) == 8)
    hashes = StreamHashes(("sha256",), executor, release)
    add_all(hashes, make_bodies())
    assert hashes.get(None) == {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    blockade.lift()


def test_a_closed_executor(executor: ThreadPoolExecutor) -> None:
    executor.shutdown()
    hashes = StreamHashes(("sha256",), executor, release)
    add_all(hashes, make_bodies())
    assert hashes.get(None) == {"sha256": hashlib.sha256(CONTENT).hexdigest()}


def test_dropping_releases_what_waits(executor: ThreadPoolExecutor) -> None:
    blockade = Blockade()
    for _ in range(8):
        executor.submit(blockade, 0)
    hashes = StreamHashes(("sha256",), executor, release)
    bodies = make_bodies()
    add_all(hashes, bodies)
    hashes.drop()
    blockade.lift()
    wait_until(lambda: all(len(body) == 0 for body in bodies))
    assert hashes.get(None) == {}
    more = make_bodies()
    add_all(hashes, more)
    assert all(len(body) == 0 for body in more)


def test_no_algorithms_hold_nothing(executor: ThreadPoolExecutor) -> None:
    hashes = StreamHashes((), executor, release)
    bodies = make_bodies()
    add_all(hashes, bodies)
    assert all(len(body) == 0 for body in bodies) and hashes.get(None) == {}
