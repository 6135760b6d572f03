"""`cloudalpha init`: a file that `serve` takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cloudalpha.configurator.loader import load
from cloudalpha.users.passwords import check_hash
from tests.cli.command_line import CommandLine
from tests.cli.terminal import Terminal


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_without_questions(cli: CommandLine) -> None:
    file = cli.folder / "new.toml"
    outcome = cli.run("init", "--yes", "--config", file, "--folder", cli.root, "--user", "alice", "--ftp-port", "0")
    assert file.stat().st_mode & 0o777 == 0o600
    configuration = load(file)
    assert configuration.managers["ftp"].settings.port == 0
    assert configuration.managers["sftp"].settings.port == 2222
    password = outcome.out.split("password ")[1].strip()
    assert check_hash(str(configuration.users["alice"].password_hash), password.encode())
    assert password not in file.read_text()
    assert cli.run("--help").out
    assert cli.run("ls", "--config", file, "files:/").out == ""


def test_the_password_may_come_from_stdin(cli: CommandLine) -> None:
    file = cli.folder / "new.toml"
    outcome = cli.run("init", "-o", file, "--folder", cli.root, "--password-stdin", stdin=b"secret\n")
    assert check_hash(str(load(file).users["me"].password_hash), b"secret")
    assert "secret" not in outcome.out


def test_a_file_that_is_there_stays(cli: CommandLine) -> None:
    before = cli.config.read_bytes()
    assert "--force" in cli.run("init", "--yes", "--config", cli.config, code=1).err
    assert cli.config.read_bytes() == before
    cli.run("init", "--yes", "--force", "--config", cli.config)
    assert "ftp" in load(cli.config).managers


@pytest.mark.parametrize(
    "args",
    [["--user", "a b"], ["--account", 'x"]\nstate_dir = "/'], ["--ftp-port", "2222"], ["--user", ".."]],
)
def test_nothing_is_written_that_serve_would_refuse(cli: CommandLine, args: list[str]) -> None:
    file = cli.folder / "new.toml"
    outcome = cli.run("init", "--yes", "--config", file, *args, code=1)
    assert outcome.err
    assert not file.exists()


def test_names_are_written_as_toml_wants_them(cli: CommandLine) -> None:
    file = cli.folder / "new.toml"
    folder = cli.folder / 'a "quoted" folder'
    cli.run("init", "--yes", "--config", file, "--user", "a.b", "--folder", folder)
    data = tomllib.loads(file.read_text())
    assert list(data["users"]) == ["a.b"]
    assert data["accounts"]["files"]["root"] == str(folder)


def test_without_a_terminal_and_a_password_it_says_what_to_do(cli: CommandLine) -> None:
    outcome = cli.run("init", "--config", cli.folder / "new.toml", code=2)
    assert "--password-stdin" in outcome.err


def test_a_folder_that_is_missing_is_told(cli: CommandLine) -> None:
    outcome = cli.run("init", "--yes", "--config", cli.folder / "missing" / "new.toml", code=1)
    assert "cannot be written: No such file or directory" in outcome.err


def test_at_a_terminal_it_asks(cli: CommandLine) -> None:
    file = cli.folder / "new.toml"
    with Terminal("init", "--config", str(file), out_too=True) as terminal:
        for answer in (str(cli.root), "alice", "secret", "secret"):
            terminal.read_until(": ")
            terminal.write(answer + "\n")
        terminal.read_until("is written")
        assert terminal.finish() == 0
    assert b"secret" not in terminal.shown
    configuration = load(file)
    assert configuration.accounts["files"].options.root == cli.root
    assert check_hash(str(configuration.users["alice"].password_hash), b"secret")
