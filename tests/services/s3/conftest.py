"""Real S3 servers, shared by all workers of a run, and what tests plant in them and connect to them with.

`s3_server` is every server in turn; the slow ones in the pass of the slow tests. A class or module that is for one server says so:

    @pytest.fixture(scope="session")
    def s3_server(moto_server): return moto_server
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import create_loader

from tests.servers import shared
from tests.servers.chaos_proxy import ChaosProxy
from tests.servers.s3_server import S3Server, delete_bucket


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    """Descriptions of Amazon's interfaces are read once: that is four fifths of the 0.15 s that each client takes otherwise."""
    loader = create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_args: loader)
        yield


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with shared.join_in_run("moto", tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="session")
def ceph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with shared.join_in_run("ceph", tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with shared.join_in_run("swift", tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with shared.join_in_run("rclone", tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(
    scope="session",
    params=[
        "moto",
        "rclone",
        pytest.param("ceph", marks=pytest.mark.slow),
        pytest.param("swift", marks=pytest.mark.slow),
    ],
)
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Every server in turn."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(scope="session")
def get_raw() -> Callable[[S3Server], Any]:
    """A boto3 client for a server, one in the whole session (making one costs a tenth of a second)."""
    clients: dict[str, Any] = {}

    def get(server: S3Server) -> Any:
        if server.endpoint_url not in clients:
            clients[server.endpoint_url] = server.make_client()
        return clients[server.endpoint_url]

    return get


@pytest.fixture
def raw(s3_server: S3Server, get_raw: Callable[[S3Server], Any]) -> Any:
    """A boto3 client, for planting keys behind the service's back and for looking at what it left. It asks once, never again by itself."""
    return get_raw(s3_server)


@pytest.fixture
def bucket(s3_server: S3Server, raw: Any) -> Iterator[str]:
    """A fresh bucket, gone after the test."""
    name = s3_server.make_bucket(raw)
    yield name
    delete_bucket(raw, name)


@pytest.fixture(scope="session")
def common_bucket(s3_server: S3Server, get_raw: Callable[[S3Server], Any]) -> str:
    """One bucket for tests that keep apart by their keys: quicker than `bucket`."""
    return s3_server.make_bucket(get_raw(s3_server))


@pytest.fixture
def chaos(s3_server: S3Server) -> Iterator[ChaosProxy]:
    """A proxy in front of the server, well-behaved until told otherwise."""
    with ChaosProxy(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def s3_account(s3_server: S3Server, bucket: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes accounts over `bucket`: s3_account(**options) -> S3Account. All share one state folder, as those of one gateway do.

    settings: those of the service, a dict. An option that is None is not given at all. Everything is closed after the test.
    """
    from cloudalpha.data_store import DataStore
    from cloudalpha.services.s3.account import S3Account

    with contextlib.ExitStack() as stack:
        data_store = stack.enter_context(contextlib.closing(DataStore(tmp_path / "state")))

        def make(name: str = "s3", settings: dict[str, Any] | None = None, **options: Any) -> S3Account:
            given = {
                "bucket": bucket,
                "endpoint_url": s3_server.endpoint_url,
                "region": s3_server.region,
                "access_key_id": s3_server.access_key,
                "secret_access_key": s3_server.secret_key,
                **options,
            }
            account = S3Account(
                name,
                S3Account.options_class.model_validate(
                    {key: value for key, value in given.items() if value is not None}
                ),
                S3Account.settings_class.model_validate(settings or {}),
                data_store,
            )
            stack.callback(account.close)
            return account

        yield make
