"""A manager over a storage that can fail, count and wait, and clients of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloudalpha.file_system import FileSystem
from cloudalpha.manager import Endpoint, Gate, Manager
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.clients import Client
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.faulty_layer import FaultyLayer
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.slow_layer import SlowLayer
from cloudalpha.testing.waiting import wait_until

Connect = Callable[[], Client]


class ManagerTestsBase:
    """A manager, started over a storage, and clients of it."""

    is_cloudalpha_contract = True
    user_name = "demo"
    password = "secret"

    def make_manager(self, gate: Gate, state_dir: Path) -> Manager:
        """The manager under test, listening on a free port of 127.0.0.1 once started."""
        pytest.fail("a subclass of ManagerTests needs a method `make_manager`")

    def make_client(self, endpoint: Endpoint, user_name: str, password: str) -> Client:
        """A client that is connected and logged in."""
        pytest.fail("a subclass of ManagerTests needs a method `make_client`")

    @pytest.fixture
    def storage(self) -> FileSystem:
        """What is served."""
        return MemoryFileSystem()

    @pytest.fixture
    def counting(self, storage: FileSystem) -> CountingLayer:
        """The layer next to the storage: counts what reaches it."""
        return CountingLayer(storage)

    @pytest.fixture
    def slow(self, counting: CountingLayer) -> Iterator[SlowLayer]:
        """The layer above: lets calls wait that a test names in `slow.calls`; none at first."""
        layer = SlowLayer(counting, seconds=60, calls=())
        yield layer
        layer.release()

    @pytest.fixture
    def file_system(self, slow: SlowLayer) -> FaultyLayer:
        """What the sessions see, and a test may look into: fails where a test plans it."""
        return FaultyLayer(slow)

    @pytest.fixture
    def gate(self, file_system: FaultyLayer) -> OpenGate:
        """Who comes in: the user of this class, by the password."""
        return OpenGate(file_system, {self.user_name: self.password})

    @pytest.fixture
    def manager(self, gate: OpenGate, slow: SlowLayer, tmp_path: Path) -> Iterator[Manager]:
        """The manager, started; stopped after the test, which must leave nobody behind."""
        manager = self.make_manager(gate, tmp_path)
        manager.start()
        yield manager
        slow.release()
        manager.stop()
        wait_until(lambda: all(visit.closed for visit in gate.visits), message="a visit is not closed after stop")
        assert manager.count_sessions() == 0

    @pytest.fixture
    def connect(self, manager: Manager) -> Iterator[Connect]:
        """Makes a client; all are closed after the test."""
        with ExitStack() as stack:

            def make() -> Client:
                client = self.make_client(manager.get_endpoints()[0], self.user_name, self.password)
                stack.callback(client.close)
                return client

            yield make

    @pytest.fixture
    def client(self, connect: Connect) -> Client:
        """A client, logged in."""
        return connect()

    def wait_for_end(self, manager: Manager, gate: OpenGate, num_sessions: int = 0) -> None:
        """Wait until the manager has noticed that sessions are over, and closed them."""
        wait_until(lambda: manager.count_sessions() == num_sessions, 20, "the manager still counts a session")
        wait_until(lambda: sum(not visit.closed for visit in gate.visits) <= num_sessions, 20, "a visit is not closed")


def count_descriptors() -> int:
    """Open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))
