from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudalpha.configurator.configuration import Configuration
from cloudalpha.configurator.gateway import Gateway
from cloudalpha.configurator.loader import load_values
from cloudalpha.configurator.status import read_statuses
from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import AddressInUseManagerError, ManagerError
from cloudalpha.spool import get_default_spool
from cloudalpha.toolkit.memory_budget import MemoryBudget, get_process_budget
from tests.configurator.samples import StubManager, make_plug_ins

TEXT = """
[managers.stub]
port = 3000
[managers.other]
port = 3001
[accounts.a]
service = "memory"
[users.alice]
mounts = { "/" = "a:/" }
"""


def configure(text: str, state_dir: Path) -> Configuration:
    data = tomllib.loads(text) | {"state_dir": str(state_dir)}
    return load_values(data, "test", environ={}, plug_ins=make_plug_ins())


@contextmanager
def running(text: str, state_dir: Path) -> Iterator[Gateway]:
    gateway = Gateway(configure(text, state_dir))
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.stop()


def get_calls(gateway: Gateway, name: str = "stub") -> list[str]:
    manager = gateway.managers[name]
    assert isinstance(manager, StubManager)
    return manager.calls


@pytest.mark.parametrize(("text", "expected"), [("", 256 << 20), ('transfer_memory = "64 MiB"', 64 << 20)])
def test_transfer_memory_bounds_all_transfers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    monkeypatch.setattr("cloudalpha.toolkit.memory_budget._process_budget", MemoryBudget(1))  # restored after the test
    with running(text + TEXT, tmp_path):
        assert get_process_budget().max_bytes == expected


def test_services_gather_in_the_spool_of_the_configuration(tmp_path: Path) -> None:
    before = get_default_spool()
    with running('spool_size = "7 MiB"' + TEXT, tmp_path):
        assert get_default_spool().max_bytes == 7 << 20
    assert get_default_spool() is before


def test_every_manager_is_started_and_stopped(tmp_path: Path) -> None:
    with running(TEXT, tmp_path) as gateway:
        assert gateway.failures == []
        calls = [get_calls(gateway, "stub"), get_calls(gateway, "other")]
        gateway.stop(1.5)
        gateway.stop()
    assert calls == [["start", "stop 1.5"]] * 2
    assert gateway.managers == {}


def test_managers_keep_state_in_folders_of_their_own(tmp_path: Path) -> None:
    with running(TEXT, tmp_path / "state") as gateway:
        folder = gateway.managers["stub"].state_dir
        assert folder == tmp_path / "state" / "managers" / "stub"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.expects_warnings
@pytest.mark.parametrize(("fail", "message"), [("port", "port 3000 is taken"), ("bug", "ZeroDivisionError: what")])
def test_a_manager_that_fails_is_reported_and_the_others_run(tmp_path: Path, fail: str, message: str) -> None:
    with running(TEXT.replace("port = 3000", f'port = 3000\nfail = "{fail}"'), tmp_path) as gateway:
        assert list(gateway.managers) == ["other"]
        assert [(f.kind, f.name, f.message) for f in gateway.failures] == [("manager", "stub", message)]
        assert isinstance(gateway.failures[0].error, AddressInUseManagerError) == (fail == "port")
        managers = {row["name"]: row for row in gateway.describe()["managers"]}
        assert (managers["stub"]["state"], managers["stub"]["error"]) == ("failed", message)
        assert managers["other"]["state"] == "running"
        assert managers["other"]["endpoints"] == ["stub://127.0.0.1:3001"]


@pytest.mark.expects_warnings
def test_an_account_that_fails_is_reported_and_the_others_run(tmp_path: Path) -> None:
    text = TEXT + '[accounts.b]\nservice = "bucket"\nbucket = "x"\nfail = "account"\n'
    with running(text, tmp_path) as gateway:
        assert [(f.kind, f.name, f.message) for f in gateway.failures] == [("account", "b", "the bucket is not ours")]
        assert len(gateway.managers) == 2
        assert [row["state"] for row in gateway.describe()["accounts"]] == ["connected", "failed"]


@pytest.mark.expects_warnings
def test_nothing_is_left_behind_when_no_manager_starts(tmp_path: Path) -> None:
    text = '[managers.stub]\nport = 3000\nfail = "port"\n'
    gateway = Gateway(configure(text, tmp_path))
    with pytest.raises(ManagerError, match="port 3000 is taken"):
        gateway.start()
    assert list(tmp_path.glob("status.*")) == []


def test_a_configuration_without_a_manager_says_what_to_add(tmp_path: Path) -> None:
    gateway = Gateway(configure("", tmp_path))
    with pytest.raises(ManagerError, match=r"test: no manager is configured: add \[managers.sftp\]"):
        gateway.start()


@pytest.mark.expects_warnings
def test_one_that_cannot_be_stopped_or_reloaded_keeps_no_other(tmp_path: Path) -> None:
    for fail in ("stop", "reload"):
        with running(TEXT.replace("port = 3000", f'port = 3000\nfail = "{fail}"'), tmp_path) as gateway:
            calls = get_calls(gateway, "other")
            gateway.reload(gateway.configuration)
            gateway.stop()
        assert calls == ["start", "reload", "stop 0"]


def test_users_see_their_accounts(tmp_path: Path) -> None:
    with running(TEXT, tmp_path) as gateway:
        visit = gateway.managers["stub"].gate.enter("stub", "127.0.0.1", True)
        assert visit.check_password("alice", "wrong") is False
        visit.close()


def test_reload_takes_over_users_and_new_accounts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with running(TEXT, tmp_path) as gateway:
        text = TEXT + '[accounts.b]\nservice = "memory"\n[users.bob]\nmounts = { "/" = "b:/" }\n'
        gateway.reload(configure(text.replace("3000", "3999"), tmp_path))
        assert set(gateway.configuration.users) == {"alice", "bob"}
        assert [row["name"] for row in gateway.describe()["accounts"]] == ["a", "b"]
        assert get_calls(gateway) == ["start", "reload"]
        fields = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "reloaded"]
        assert fields == [{"users": 2, "needs_restart": "managers"}]


def test_the_running_gateway_tells_its_status(tmp_path: Path) -> None:
    with running(TEXT, tmp_path) as gateway:
        (status,) = read_statuses(tmp_path)
        assert status == {**gateway.describe(), "pid": status["pid"]}
        assert status["configuration"] == "test"
        assert status["sessions"] == []
    assert read_statuses(tmp_path) == []


def test_the_data_store_is_closed_with_the_gateway(tmp_path: Path) -> None:
    with running(TEXT, tmp_path):
        first = DataStore.get_instance(tmp_path)
    second = DataStore.get_instance(tmp_path)
    assert second is not first
    second.close()
