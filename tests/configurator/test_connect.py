from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cloudalpha
from cloudalpha.configurator.connect import connect
from cloudalpha.exceptions import AccountError, SettingError
from tests.configurator.samples import OuterLayer, TracingLayer, make_plug_ins


def test_a_storage_by_the_names_of_the_file(tmp_path: Path) -> None:
    with cloudalpha.connect("memory", state_dir=tmp_path, max_size="1 MiB") as files:
        files.write_all("/a.txt", b"content")
        assert [(entry.path, entry.size) for entry in files.list_dir("/")] == [("/a.txt", 7)]


def test_nothing_is_written_where_nothing_is_kept(tmp_path: Path) -> None:
    with cloudalpha.connect("memory", state_dir=tmp_path / "state") as files:
        files.make_dir("/x")
    assert list(tmp_path.iterdir()) == []


def test_layers_and_their_options(tmp_path: Path) -> None:
    options = {"bucket": "b", "tracing": {"label": "mine"}}
    with connect("bucket", ["outer", "tracing"], tmp_path, None, {"timeout": "1m"}, options, make_plug_ins()) as files:
        outer = files.inner
        assert isinstance(outer, OuterLayer)
        assert isinstance(outer.inner, TracingLayer)
        assert outer.inner.label == "mine"
        tracing = outer.inner
    assert (outer.closed, tracing.closed) == (1, 1)


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    files = cloudalpha.connect("memory", state_dir=tmp_path)
    files.close()
    files.close()


def test_mistakes_are_told_all_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        cloudalpha.connect("memory", max_sise=1, layers=["nope"])
    assert len(str(caught.value).splitlines()) == 2
    assert "did you mean 'max_size'?" in str(caught.value)
    with pytest.raises(SettingError, match="did you mean 'memory'"):
        cloudalpha.connect("memroy")


def test_values_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDALPHA_ACCOUNTS__LIBRARY__PREFIX", "from the environment")
    options = {"bucket": "env:HOME", "prefix": "file:/etc/passwd"}
    with connect("bucket", [], tmp_path, None, None, options, make_plug_ins()) as files:
        account = files._account.configuration.options
        assert (account.bucket, account.prefix) == ("env:HOME", "file:/etc/passwd")  # type: ignore[attr-defined]


@pytest.mark.expects_warnings
def test_an_account_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AccountError, match="not ours"):
        connect("bucket", [], tmp_path, None, None, {"bucket": "b", "fail": "account"}, make_plug_ins())


def test_importing_the_package_costs_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import cloudalpha; new = set(sys.modules) - before; "
        "print(sorted(name for name in new if name.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "['cloudalpha']"
