from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tests.end_to_end.clients import CLIENTS, Client
from tests.end_to_end.remote import Remote
from tests.end_to_end.services import SAMPLE, SERVICES, Storage
from tests.servers.gateway import Gateway


@dataclass
class Place:
    """What a test has: a running gateway, an empty folder of its own in it (`base`), and one on this machine (`folder`).

    remote: looks into the gateway by a session of its own, which sees only what is published.
    """

    gateway: Gateway
    base: str
    folder: Path
    remote: Remote
    service: str
    storage: Storage

    def make_client(self, name: str) -> Client:
        """One of CLIENTS; the test is skipped where its program is missing."""
        if missing := CLIENTS[name].get_missing_programs():
            pytest.skip(f"not installed: {', '.join(missing)}")
        own = self.folder / "client"
        own.mkdir(exist_ok=True)
        return CLIENTS[name](self.gateway.get_endpoint(), own)


@pytest.fixture(scope="session")
def _gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Gateway, Storage]]]:
    """One gateway a service, started when the first test needs it."""
    gateways: dict[str, tuple[Gateway, Storage]] = {}
    with contextlib.ExitStack() as stack:

        def get(service: str) -> tuple[Gateway, Storage]:
            if service not in gateways:
                folder = tmp_path_factory.mktemp(f"gateway-{service}")
                storage = stack.enter_context(SERVICES[service].open(folder))
                gateway = stack.enter_context(Gateway(folder, storage.account, storage.root))
                gateways[service] = gateway, storage
            return gateways[service]

        yield get


@pytest.fixture(scope="session")
def _remotes() -> Iterator[Callable[[Gateway], Remote]]:
    """One connection a gateway, for looking."""
    remotes: dict[int, Remote] = {}
    with contextlib.ExitStack() as stack:

        def get(gateway: Gateway) -> Remote:
            if gateway.process.pid not in remotes:
                sftp: paramiko.SFTPClient = stack.enter_context(gateway.sftp())
                remotes[gateway.process.pid] = Remote(sftp)
            return remotes[gateway.process.pid]

        yield get


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`service`: every service. `client_name`: every client that the marker `clients` says fits, on every service, or a sample."""
    is_heavy = metafunc.definition.get_closest_marker("heavy") is not None
    services = [name for name, service in SERVICES.items() if not (is_heavy and service.is_slow)]
    if "client_name" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("clients")
        fits: Callable[[type[Client]], bool] = marker.args[0] if marker and marker.args else lambda client: True
        on_slow: Collection[str] = marker.kwargs.get("on_slow", CLIENTS) if marker else CLIENTS
        pairs = [
            _make_param(service, name, id=f"{name}-{service}")
            for service in services
            for name, client in CLIENTS.items()
            if fits(client) and _is_tried(service, name, on_slow)
        ]
        metafunc.parametrize(("service", "client_name"), pairs)
    elif "service" in metafunc.fixturenames:
        metafunc.parametrize("service", [_make_param(service, id=service) for service in services])


def _is_tried(service: str, client_name: str, on_slow: Collection[str]) -> bool:
    if SERVICES[service].is_slow and client_name not in on_slow:
        return False
    return client_name in SAMPLE or not SERVICES[service].is_sampled


def _make_param(service: str, *others: str, id: str) -> Any:
    return pytest.param(service, *others, id=id, marks=[pytest.mark.slow] if SERVICES[service].is_slow else [])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "clients(fits, on_slow): the real clients that a test is for: what `fits` says of their class; on_slow: names, which are the only "
        "ones on slow services",
    )
    config.addinivalue_line("markers", "heavy: what would take long on a slow service, and is not tried there")


@pytest.fixture
def place(
    service: str,
    _gateways: Callable[[str], tuple[Gateway, Storage]],
    _remotes: Callable[[Gateway], Remote],
    tmp_path: Path,
) -> Iterator[Place]:
    gateway, storage = _gateways(service)
    remote = _remotes(gateway)
    base = f"/{tmp_path.name}"
    remote.sftp.mkdir(base)
    yield Place(gateway, base, tmp_path, remote, service, storage)
    remote.delete_tree(base)


@pytest.fixture
def client(place: Place, client_name: str) -> Client:
    return place.make_client(client_name)
