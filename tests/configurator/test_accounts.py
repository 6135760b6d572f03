from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudalpha.configurator.accounts import Accounts
from cloudalpha.configurator.loader import load_values
from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import AccessFailedFileSystemError, AccountError
from cloudalpha.testing.waiting import wait_until
from tests.configurator.samples import BucketAccount, OuterLayer, TracingLayer, make_plug_ins


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    tables = {
        name: {"service": "bucket", "bucket": "b", "fail": name}
        for name in ("account", "outage", "import", "bug", "hang")
    }
    tables["fine"] = {
        "service": "bucket",
        "bucket": "b",
        "layers": ["outer", "tracing"],  # type: ignore[dict-item]
        "tracing": {"label": "x"},  # type: ignore[dict-item]
    }
    configuration = load_values({"accounts": tables}, "test", environ={}, plug_ins=make_plug_ins())
    accounts = Accounts(tmp_path, DataStore.get_instance(tmp_path))
    accounts.add(configuration.accounts.values(), configuration.services)
    BucketAccount.hang.clear()
    BucketAccount.is_hanging.clear()
    yield accounts
    BucketAccount.hang.set()
    BucketAccount.mended.clear()
    accounts.close()


def test_layers_are_stacked_outermost_first(accounts: Accounts, tmp_path: Path) -> None:
    outer = accounts.get_file_system("fine")
    assert type(outer) is OuterLayer
    assert type(outer.inner) is TracingLayer
    assert outer.inner.label == "x"
    assert outer.context.account_name == "fine"
    assert outer.context.state_dir == tmp_path / "layers" / "fine" / "outer"
    assert outer.context.state_dir.stat().st_mode & 0o777 == 0o700


def test_an_account_is_connected_once_by_many_threads(accounts: Accounts) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(map(id, pool.map(accounts.get_file_system, ["fine"] * 32)))
    assert len(found) == 1


def test_an_unknown_account_is_an_error(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="no account 'nope'"):
        accounts.get_file_system("nope")


@pytest.mark.expects_warnings
def test_the_card_of_an_account_connects_it(accounts: Accounts) -> None:
    assert accounts.get_card("fine") == {"bucket": "b"}
    for name in ("nope", "account"):
        with pytest.raises(AccountError):
            accounts.get_card(name)


@pytest.mark.expects_warnings
def test_errors_keep_their_kind_and_tell_no_more_than_they_should(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="the bucket is not ours"):
        accounts.get_file_system("account")
    with pytest.raises(AccessFailedFileSystemError):
        accounts.get_file_system("outage")
    with pytest.raises(AccountError, match="needs a package that is not installed: bucket_sdk"):
        accounts.get_file_system("import")
    with pytest.raises(AccountError) as caught:
        accounts.get_file_system("bug")
    assert str(caught.value) == "the account 'bug' cannot be used"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.expects_warnings
def test_an_outage_ends_and_the_next_call_connects(accounts: Accounts) -> None:
    with pytest.raises(AccessFailedFileSystemError):
        accounts.get_file_system("outage")
    BucketAccount.mended.add("outage")
    assert accounts.get_file_system("outage").exists("/")
    states = {row["name"]: (row["state"], row["error"]) for row in accounts.describe()}
    assert states["outage"] == ("connected", None)


@pytest.mark.expects_warnings
def test_a_failure_is_logged_once_and_with_a_traceback_only_where_it_was_not_foreseen(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in ("account", "bug", "account", "bug"):
        with pytest.raises(AccountError):
            accounts.get_file_system(name)
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]


@pytest.mark.expects_warnings
def test_all_are_tried_at_once_and_one_that_hangs_keeps_none(accounts: Accounts) -> None:
    for name in ("account", "outage"):
        BucketAccount.mended.discard(name)
    failures = accounts.connect_all(timeout=0.5)
    assert set(failures) == {"account", "outage", "import", "bug"}
    assert failures["account"] == "the bucket is not ours"
    states = {row["name"]: row["state"] for row in accounts.describe()}
    assert states["fine"] == "connected"
    assert states["hang"] == "not used yet"
    assert states["account"] == "failed"


def test_closing_lets_layers_drain_and_nothing_connects_afterwards(accounts: Accounts) -> None:
    outer = accounts.get_file_system("fine")
    assert isinstance(outer, OuterLayer)
    assert isinstance(outer.inner, TracingLayer)
    accounts.close()
    assert (outer.closed, outer.inner.closed) == (1, 1)
    with pytest.raises(AccountError, match="closed"):
        accounts.get_file_system("fine")


def test_adding_leaves_those_that_are_there(accounts: Accounts) -> None:
    before = accounts.get_file_system("fine")
    tables = {"fine": {"service": "memory"}, "new": {"service": "memory"}}
    configuration = load_values({"accounts": tables}, "test", environ={}, plug_ins=make_plug_ins())
    accounts.add(configuration.accounts.values(), configuration.services)
    assert accounts.get_file_system("fine") is before
    assert accounts.get_file_system("new").exists("/")


def test_an_account_that_hangs_does_not_keep_the_others_from_closing(accounts: Accounts) -> None:
    fine = accounts.get_file_system("fine")
    assert isinstance(fine, OuterLayer)
    with ThreadPoolExecutor(2) as pool:
        try:
            connecting = pool.submit(accounts.get_file_system, "hang")
            assert BucketAccount.is_hanging.wait(30)
            closing = pool.submit(accounts.close)
            wait_until(lambda: fine.closed)
            assert not closing.done()
        finally:
            BucketAccount.hang.set()
        connecting.result(30)
        closing.result(30)
