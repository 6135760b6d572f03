"""`cloudalpha shell`: as a script, and at a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudalpha.cli.local_files import LocalFiles
from cloudalpha.cli.locations import Location, Locations
from cloudalpha.cli.shell import find_completions
from cloudalpha.cli.shell_commands import ShellCommands
from cloudalpha.file_system import FileSystem
from tests.cli.command_line import CommandLine, Outcome
from tests.cli.terminal import Terminal


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def run_script(cli: CommandLine, *lines: str, code: int = 0, account: str | None = "photos") -> Outcome:
    args = ["shell", account] if account else ["shell"]
    return cli.run(*args, stdin="\n".join(lines).encode(), code=code)


def test_a_script_moves_about_and_works(cli: CommandLine) -> None:
    (cli.local / "a b.txt").write_bytes(b"content")
    outcome = run_script(
        cli,
        "# a comment",
        "",
        "pwd",
        "mkdir -p trips/2024",
        "cd trips/2024",
        f"lcd {cli.local}",
        "put 'a b.txt'",
        "ls",
        "cp 'a b.txt' ../copy",
        "mv ../copy c",
        "get c here.txt",
        "cat c",
        "cd ..",
        "pwd",
        "du",
        "tree",
        "rm -r 2024",
        "ls",
        "quit",
        "ls nowhere",
    )
    assert outcome.err == ""
    assert "photos:/\n" in outcome.out
    assert "photos:/trips\n" in outcome.out
    assert "a b.txt\n" in outcome.out
    assert (cli.local / "here.txt").read_bytes() == b"content"
    assert os.listdir(cli.root / "trips") == []


def test_a_script_ends_at_the_first_failure(cli: CommandLine) -> None:
    outcome = run_script(cli, "cd missing", "mkdir later", code=1)
    assert outcome.err == "cloudalpha: /missing: no such file or directory\n"
    assert os.listdir(cli.root) == []


def test_a_failure_behind_a_dash_is_forgiven(cli: CommandLine) -> None:
    run_script(cli, "-rm missing", "mkdir later")
    assert os.listdir(cli.root) == ["later"]


def test_a_failed_transfer_ends_a_script(cli: CommandLine) -> None:
    run_script(cli, "get missing", "mkdir later", code=1)
    assert os.listdir(cli.root) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fly", "no command 'fly'; try help"),
        ("ls -z", "ls has no option -z; usage: ls [-l] [FOLDER...]"),
        ("mv a", "usage: mv [-n] SOURCE... TARGET"),
        ("pwd here", "usage: pwd"),
        ("ls 'open", "no closing quotation"),
        ("ls nowhere:/", "no account 'nowhere'"),
        ("rm *.gone", "photos:/*.gone: nothing matches"),
        ("cd file", "photos:/file: not a directory"),
    ],
)
def test_mistakes_are_one_line(cli: CommandLine, line: str, message: str) -> None:
    (cli.root / "file").write_bytes(b"")
    outcome = run_script(cli, line, code=1)
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_without_an_account_the_accounts_are_listed(cli: CommandLine) -> None:
    assert run_script(cli, "ls", "accounts", "pwd", account=None).out == (
        "notes:\nphotos:\nnotes:\nphotos:\nno account is chosen yet\n"
    )
    assert "cd notes:, cd photos:" in run_script(cli, "cat x", account=None, code=1).err
    assert run_script(cli, "cd notes:", "pwd", account=None).out == "notes:/\n"
    assert "no account 'nowhere'" in cli.run("shell", "nowhere", code=2).err


def test_between_accounts(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(b"x")
    run_script(cli, "cp a notes:/", "cd notes:/", "mv a b", "mkdir d", "mv b d")
    assert (cli.notes / "d" / "b").read_bytes() == b"x"


def test_patterns(cli: CommandLine) -> None:
    for name in ("a.txt", "b.txt", "c.log", "[x]"):
        (cli.root / name).write_bytes(b"")
    assert run_script(cli, "ls *.txt").out == "photos:/a.txt:\na.txt\nphotos:/b.txt:\nb.txt\n"
    run_script(cli, f"lcd {cli.local}", "get *.txt to .", "rm [x]", "rm -f *.none", "rm ?.log")
    assert sorted(os.listdir(cli.local)) == ["a.txt", "b.txt"]
    assert sorted(os.listdir(cli.root)) == ["a.txt", "b.txt"]
    run_script(cli, f"lcd {cli.local}", "put *.txt to notes:/")
    assert sorted(os.listdir(cli.notes)) == ["a.txt", "b.txt"]


def test_get_and_put_as_sftp_has_them(cli: CommandLine) -> None:
    (cli.root / "d").mkdir()
    (cli.root / "d" / "a").write_bytes(b"1")
    run_script(cli, f"lcd {cli.local}", "get -r d e", "lls", "lpwd", "put -r e notes:/")
    assert (cli.local / "e" / "a").read_bytes() == b"1"
    assert (cli.notes / "e" / "a").read_bytes() == b"1"


def test_help_names_every_command(cli: CommandLine) -> None:
    out = run_script(cli, "help").out
    for name in (
        "cd",
        "ls",
        "get",
        "put",
        "cat",
        "cp",
        "mv",
        "rm",
        "mkdir",
        "pwd",
        "lcd",
        "tree",
        "du",
        "help",
        "quit",
    ):
        assert f"\n{name}" in "\n" + out
    assert run_script(cli, "help mv").out.startswith("mv [-n] SOURCE... TARGET")


class OneAccount:
    def get_names(self) -> list[str]:
        return ["photos"]

    def get_file_system(self, name: str) -> FileSystem:
        return LocalFiles()

    def close(self) -> None:
        pass


def test_completions(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "abc").write_bytes(b"")
    locations = Locations(OneAccount())
    commands = ShellCommands(locations, Location(LocalFiles(), str(tmp_path), "photos"), show_progress=False)
    assert sorted(find_completions(commands, "l", "l")) == ["lcd ", "lls ", "lpwd ", "ls "]
    assert sorted(find_completions(commands, "ls a", "a")) == ["a\\ b/", "abc "]
    assert sorted(find_completions(commands, "ls p", "p")) == ["photos:"]
    assert sorted(find_completions(commands, f"ls {tmp_path}/ab", f"{tmp_path}/ab")) == [f"{tmp_path}/abc "]
    assert list(find_completions(commands, "ls missing/", "missing/")) == []


def test_at_a_terminal(cli: CommandLine) -> None:
    """A prompt, commands, an error that does not end it, and the history kept, private."""
    home = cli.folder / "home"
    home.mkdir()
    environment = {"HOME": str(home), "TERM": "dumb", "CLOUDALPHA_CONFIG": str(cli.config)}
    with Terminal("shell", "photos", environment=environment, out_too=True) as terminal:
        terminal.read_until("photos:/> ")
        terminal.write("cd missing\n")
        terminal.read_until("no such file or directory")
        terminal.write("mkdir new\ncd new\n")
        terminal.read_until("photos:/new> ")
        terminal.write("quit\n")
        assert terminal.finish() == 0
    assert (cli.root / "new").is_dir()
    [history] = home.rglob("shell_history")
    assert "mkdir new" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600
