from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.servers.chaos_proxy import ChaosProxy
from tests.servers.chaos_service import Client, Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(service: Service) -> Iterator[ChaosProxy]:
    with ChaosProxy(service.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: ChaosProxy) -> Iterator[Client]:
    with contextlib.closing(Client(proxy)) as client:
        yield client
