from __future__ import annotations

import logging
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from cloudalpha.configurator.plug_ins import PlugIns
from cloudalpha.exceptions import PlugInError
from tests.configurator.samples import BucketAccount, StubManager, TracingLayer, make_plug_ins

HERE = "tests.configurator.samples"


def make_distribution(folder: Path, name: str, metadata: str, entry_points: str) -> list[EntryPoint]:
    """The entry points of a package that is installed in a folder."""
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{metadata}")
    (info / "entry_points.txt").write_text(entry_points)
    return list(Distribution.at(info).entry_points)


def test_each_kind_is_found_by_its_group() -> None:
    plug_ins = make_plug_ins()
    assert plug_ins.get_names("service") == ["bucket", "memory"]
    assert plug_ins.load("service", "bucket") is BucketAccount
    assert plug_ins.load("layer", "tracing") is TracingLayer
    assert plug_ins.load("manager", "stub") is StubManager


def test_the_built_in_ones_are_found_the_same_way() -> None:
    plug_ins = PlugIns()
    assert {"local", "memory"} <= set(plug_ins.get_names("service"))
    assert {"ftp", "sftp"} <= set(plug_ins.get_names("manager"))
    described = {(plug_in.kind, plug_in.name): plug_in for plug_in in plug_ins.describe_all()}
    local = described["service", "local"]
    assert (local.distribution, local.problem, local.missing) == ("cloudalpha", None, ())


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(PlugInError, match="no service is called 'bukcet'; did you mean 'bucket'"):
        make_plug_ins().load("service", "bukcet")
    with pytest.raises(PlugInError, match="no layer is called 'zzz'; there is: outer, tracing"):
        make_plug_ins().load("layer", "zzz")


@pytest.mark.expects_warnings
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module_of_anybody:X", "No module named 'no_such_module_of_anybody'"),
        (f"{HERE}:NoSuchClass", "NoSuchClass"),
        (f"{HERE}:NOT_A_CLASS", "not a subclass of cloudalpha.account.Account"),
        (f"{HERE}:StubManager", "not a subclass of cloudalpha.account.Account"),
    ],
)
def test_a_broken_one_is_logged_once_with_its_reason_and_skipped(
    target: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    plug_ins = make_plug_ins(EntryPoint("broken", target, "cloudalpha.services"))
    for _ in range(2):
        with pytest.raises(PlugInError, match="'broken' cannot be used") as caught:
            plug_ins.load("service", "broken")
        assert reason in str(caught.value)
    assert [record.getMessage() for record in caplog.records] == ["plug_in_skipped"]
    assert caplog.records[0].levelno == logging.WARNING
    assert plug_ins.load("service", "bucket") is BucketAccount
    described = {plug_in.name: plug_in.problem for plug_in in plug_ins.describe_all()}
    assert reason in str(described["broken"])
    assert described["bucket"] is None


@pytest.mark.expects_warnings
def test_a_module_that_raises_anything_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raising_plug_in.py").write_text("raise ZeroDivisionError('at import')")
    monkeypatch.syspath_prepend(tmp_path)
    plug_ins = make_plug_ins(EntryPoint("raising", "raising_plug_in:X", "cloudalpha.services"))
    with pytest.raises(PlugInError, match="ZeroDivisionError: at import"):
        plug_ins.load("service", "raising")


EXTRAS = """Provides-Extra: cloudy
Provides-Extra: other
Requires-Dist: pydantic>=2; extra == "cloudy"
Requires-Dist: no-such-sdk>=3,<4; extra == "cloudy"
Requires-Dist: another_missing_sdk ; (python_version >= "3.11") and extra == 'cloudy'
Requires-Dist: missing-for-others; extra == "other"
Requires-Dist: missing-for-all
"""


@pytest.mark.expects_warnings
def test_a_missing_extra_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    entries = "[cloudalpha.services]\ncloudy = no_such_module:CloudyAccount\n"
    plug_ins = PlugIns(make_distribution(tmp_path, "cloudy-package", EXTRAS, entries))
    hint = "no-such-sdk, another_missing_sdk is not installed: pip install 'cloudy-package[cloudy]'"
    with pytest.raises(PlugInError) as caught:
        plug_ins.load("service", "cloudy")
    assert str(caught.value) == f"the service 'cloudy' cannot be used: {hint}"
    (described,) = plug_ins.describe_all()
    assert (described.distribution, described.version, described.extra) == ("cloudy-package", "1.5", "cloudy")
    assert described.missing == ("no-such-sdk", "another_missing_sdk")
    assert described.get_hint() == hint


def test_an_extra_may_be_named_in_the_entry_point(tmp_path: Path) -> None:
    entries = f"[cloudalpha.services]\nsomething = {HERE}:BucketAccount [other]\n"
    (described,) = PlugIns(make_distribution(tmp_path, "cloudy-package", EXTRAS, entries)).describe_all()
    assert (described.extra, described.missing, described.problem) == ("other", ("missing-for-others",), None)


@pytest.mark.expects_warnings
def test_nobody_takes_a_built_in_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours = make_distribution(tmp_path, "cloudalpha", "", f"[cloudalpha.services]\nbucket = {HERE}:BucketAccount\n")
    theirs = make_distribution(tmp_path, "aaa", "", f"[cloudalpha.services]\nbucket = {HERE}:StubManager\n")
    for entries in (ours + theirs, theirs + ours):
        caplog.clear()
        assert PlugIns(entries).load("service", "bucket") is BucketAccount
        assert "cloudalpha has one of that name already" in str(caplog.records[0].__dict__["fields"])


def test_a_package_that_is_found_twice_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours = make_distribution(tmp_path, "cloudalpha", "", f"[cloudalpha.services]\nbucket = {HERE}:BucketAccount\n")
    assert len(PlugIns(ours + ours).describe_all()) == 1
    assert caplog.records == []


@pytest.mark.parametrize("name", ["../x", "Bucket", "a b", "é", "a.b"])
def test_a_name_that_is_no_name_cannot_be_used(name: str) -> None:
    plug_ins = make_plug_ins(EntryPoint(name, f"{HERE}:BucketAccount", "cloudalpha.services"))
    with pytest.raises(PlugInError, match="its name"):
        plug_ins.load("service", name)
