from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from tests.end_to_end.clients import CLIENTS, Client
from tests.end_to_end.remote import Remote
from tests.end_to_end.services import SAMPLE, SERVICES
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

    def make_client(self, name: str) -> Client:
        """One of CLIENTS; the test is skipped where its program is missing."""
        if missing := CLIENTS[name].get_missing_programs():
            pytest.skip(f"not installed: {', '.join(missing)}")
        own = self.folder / "client"
        own.mkdir(exist_ok=True)
        return CLIENTS[name](self.gateway.get_endpoint(), own)


@pytest.fixture(scope="session")
def _gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gateway]]:
    """One gateway a service, started when the first test needs it."""
    gateways: dict[str, Gateway] = {}
    with contextlib.ExitStack() as stack:

        def get(service: str) -> Gateway:
            if service not in gateways:
                folder = tmp_path_factory.mktemp(f"gateway-{service}")
                storage = stack.enter_context(SERVICES[service].open(folder))
                gateways[service] = stack.enter_context(Gateway(folder, storage.account, storage.root))
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
    """`service`: every service. `client_name` with `client_filter` set by a marker: every client that fits, on every service, or a sample."""
    if "client_name" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("clients")
        fits: Callable[[type[Client]], bool] = marker.args[0] if marker else lambda client: True
        pairs = [
            (service, name)
            for service in SERVICES
            for name, client in CLIENTS.items()
            if fits(client) and (name in SAMPLE or not SERVICES[service].is_sampled)
        ]
        metafunc.parametrize(("service", "client_name"), pairs, ids=[f"{name}-{service}" for service, name in pairs])
    elif "service" in metafunc.fixturenames:
        metafunc.parametrize("service", SERVICES)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "clients(fits): the real clients that a test is for: what `fits` says of their class"
    )


@pytest.fixture
def place(
    service: str,
    _gateways: Callable[[str], Gateway],
    _remotes: Callable[[Gateway], Remote],
    tmp_path: Path,
) -> Iterator[Place]:
    gateway = _gateways(service)
    remote = _remotes(gateway)
    base = f"/{tmp_path.name}"
    remote.sftp.mkdir(base)
    yield Place(gateway, base, tmp_path, remote, service)
    remote.delete_tree(base)


@pytest.fixture
def client(place: Place, client_name: str) -> Client:
    return place.make_client(client_name)
