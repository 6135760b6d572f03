"""`cloudalpha status`: what a running gateway says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.configurator.status import StatusServer
from tests.cli.command_line import CommandLine
from tests.cli.serving import Serving

STATUS: dict[str, Any] = {
    "pid": 4711,
    "started": "2026-01-01T00:00:00+00:00",
    "configuration": "/etc/cloudalpha/cloudalpha.toml",
    "managers": [
        {"name": "ftp", "state": "running", "error": None, "endpoints": ["ftp://127.0.0.1:2121"], "sessions": 1},
        {"name": "sftp", "state": "running", "error": None, "endpoints": ["sftp://127.0.0.1:2222"], "sessions": 0},
    ],
    "accounts": [{"name": "photos", "service": "local", "layers": [], "state": "connected", "error": None}],
    "sessions": [{"id": "1", "user_name": "alice", "manager": "ftp", "address": "127.0.0.1"}],
}


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def status(cli: CommandLine) -> Iterator[dict[str, Any]]:
    """The status that a gateway in the configuration's state folder tells; a test may change it."""
    status = {**STATUS, "accounts": [dict(account) for account in STATUS["accounts"]]}
    state_dir = cli.folder / "state"
    state_dir.mkdir(mode=0o700)
    server = StatusServer(state_dir, lambda: status)
    yield status
    server.close()


def test_nothing_runs(cli: CommandLine) -> None:
    outcome = cli.run("status", "--config", cli.config, code=1)
    assert outcome.err == f"cloudalpha: no gateway runs with the state folder {cli.folder / 'state'}\n"
    assert cli.run("status", "--json", code=1).json() == []


def test_what_runs_is_shown(cli: CommandLine, status: dict[str, Any]) -> None:
    out = cli.run("status").out
    for word in ("4711", "ftp://127.0.0.1:2121", "sftp://127.0.0.1:2222", "photos", "connected", "alice"):
        assert word in out
    assert cli.run("status", "--json").json() == [status]
    assert cli.run("status", "--state-dir", cli.folder / "state", "--json").json() == [status]


def test_what_failed_is_shown_with_its_reason(cli: CommandLine, status: dict[str, Any]) -> None:
    status["accounts"][0] |= {"state": "failed", "error": "the folder is missing"}
    outcome = cli.run("status", code=1)
    assert "the folder is missing" in outcome.out


def test_what_a_client_sent_cannot_steer_the_terminal(cli: CommandLine, status: dict[str, Any]) -> None:
    status["sessions"] = [{"id": "1", "user_name": "\x1b[2J", "manager": "ftp"}]
    assert "\x1b" not in cli.run("status").out


def test_the_demo_is_found_without_a_configuration(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with Serving(cli.folder, cli.root, "--ftp-port", "0", "--sftp-port", "0") as serving:
        monkeypatch.setenv("XDG_STATE_HOME", str(serving.state_dir))
        with serving.ftp():
            [status] = cli.run("status", "--json").json()
            out = cli.run("status").out
        assert status["pid"] == serving.process.pid
        assert {manager["name"]: manager["state"] for manager in status["managers"]} == {
            "ftp": "running",
            "sftp": "running",
        }
        assert [session["user_name"] for session in status["sessions"]] == ["demo"]
        assert f"ftp://127.0.0.1:{serving.get_port('ftp')}" in out
    assert "no gateway runs" in cli.run("status", code=1).err
