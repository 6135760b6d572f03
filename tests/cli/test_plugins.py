from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudalpha.cli.app import run
from cloudalpha.configurator import plug_ins
from tests.configurator.test_plug_ins import EXTRAS, make_distribution


def test_the_built_in_plug_ins_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["KIND", "NAME", "STATE", "DISTRIBUTION", "VERSION", "NOTE"]
    found = {tuple(line.split()[:4]) for line in lines[1:]}
    assert found >= {
        ("service", "local", "ok", "cloudalpha"),
        ("service", "memory", "ok", "cloudalpha"),
        ("manager", "ftp", "ok", "cloudalpha"),
        ("manager", "sftp", "ok", "cloudalpha"),
    }


def test_missing_and_broken_ones_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "[cloudalpha.services]\ncloudy = no_such_module:X\n[cloudalpha.layers]\ntorn = tests.configurator.samples:NOT_A_CLASS\n"
    entries = make_distribution(tmp_path, "cloudy-package", EXTRAS, text)
    monkeypatch.setattr(plug_ins, "_find_entry_points", lambda: entries)
    assert run(["plugins", "--json"]) == 0
    captured = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(captured.out)}
    assert rows["cloudy"]["state"] == "missing"
    assert rows["cloudy"]["missing"] == ["no-such-sdk", "another_missing_sdk"]
    assert rows["cloudy"]["note"].endswith("pip install 'cloudy-package[cloudy]'")
    assert rows["torn"]["state"] == "broken"
    assert "not a subclass of cloudalpha.layer.Layer" in rows["torn"]["note"]
    assert captured.err == ""


def test_a_package_that_is_installed_appears_and_works(tmp_path: Path) -> None:
    """A package of somebody else's, on the path of a process of its own."""
    (tmp_path / "theirs.py").write_text(
        "from cloudalpha.services.memory.account import MemoryAccount\nclass TheirAccount(MemoryAccount):\n    pass\n"
    )
    make_distribution(tmp_path, "theirs", "", "[cloudalpha.services]\ntheirs = theirs:TheirAccount\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "cloudalpha", "plugins", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    (row,) = [row for row in json.loads(done.stdout) if row["name"] == "theirs"]
    assert (row["kind"], row["state"], row["distribution"], row["version"]) == ("service", "ok", "theirs", "1.5")
    code = "import cloudalpha\nwith cloudalpha.connect('theirs') as files: print(files.is_dir('/'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True\n"
