from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from cloudalpha.cli.app import run

GOOD = """
state_dir = "{folder}/state"
[managers.sftp]
port = 2222
[accounts.photos]
service = "local"
root = "{folder}"
[users.alice]
password_hash = "$2b$12$abcdefghijklmnopqrstuuDHSNZK1Yqp5pVsRhS5VQ7RMOzr0yEZm"
public_keys = ["env:ALICE_KEY"]
mounts = {{ "/" = "photos:/", "/team files" = "photos:/sub" }}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMQ8nqmmb1v8IzoXrBBQnqjFxLMEyvJmTOHnkKSCRYPT alice@laptop"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.format(folder=tmp_path))
    monkeypatch.setenv("ALICE_KEY", KEY)
    return path


def test_check_of_a_good_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--config", str(config)]) == 0
    assert capsys.readouterr().out == f"{config}: no mistakes; 1 manager, 1 account, 1 user\n"
    assert not (config.parent / "state").exists()


def test_check_tells_every_mistake_on_stderr(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(
        config.read_text().replace("port", "prot").replace("photos:/sub", "fotos:/sub") + "enabeld = true\n"
    )
    assert run(["config", "check", "--config", str(config)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"cloudalpha: {config}: [managers.sftp] prot: unknown name; did you mean 'port'?")
    assert lines[1] == f"cloudalpha: {config}: [users.alice] enabeld: unknown name; did you mean 'enabled'?"


def test_check_of_a_mount_of_an_unknown_account(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("photos:/sub", "fotos:/sub"))
    assert run(["config", "check", "--config", str(config)]) == 1
    place = f"cloudalpha: {config}: [users.alice] mounts./team files: "
    assert capsys.readouterr().err == f"{place}no account is called 'fotos'; did you mean 'photos'?\n"


def test_check_of_a_file_that_is_no_toml(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[managers\n")
    assert run(["config", "check", "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "line 1" in error


def test_show_is_toml_that_says_the_same_but_for_secrets(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDALPHA_MANAGERS__SFTP__PORT", "2299")
    assert run(["config", "show", "--config", str(config)]) == 0
    text = capsys.readouterr().out
    shown = tomllib.loads(text)
    assert run(["config", "show", "--json", "--config", str(config)]) == 0
    assert _without_none(json.loads(capsys.readouterr().out)) == shown
    assert shown["managers"]["sftp"]["port"] == 2299
    assert shown["accounts"]["photos"]["root"] == str(config.parent)
    assert shown["users"]["alice"]["mounts"] == {"/": "photos:/", "/team files": "photos:/sub"}
    assert shown["users"]["alice"]["password_hash"] == "***"
    assert shown["users"]["alice"]["public_keys"] == ["***"]
    assert "$2b$" not in text
    assert "AAAA" not in text
    assert shown["defence"]["enabled"] is True


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return value


def test_without_a_file_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["config", "check"]) == 1
    assert "cloudalpha init" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nope"], "No such command 'nope'"),
        (["--nope"], "No such option: --nope"),
        (["config", "nope"], "No such command 'nope'"),
        (["config", "check", "--config"], "--config"),
        (["config", "show", "extra"], "extra"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err
    assert "--help" in captured.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("cloudalpha 0.")
