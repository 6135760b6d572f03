from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from cloudalpha.cli import app
from cloudalpha.cli.output import fail, print_json, print_line, print_table
from cloudalpha.exceptions import NotFoundFileSystemError, SettingError

ROWS = [
    {"name": "a", "file_size": 5, "works": True, "tags": ["x", "y"], "note": None},
    {"name": "long\x1b[2Jname", "file_size": 12345, "works": False, "tags": [], "note": "é"},
]


def test_a_table_is_aligned_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "NAME             FILE SIZE  WORKS  TAGS  NOTE",
        "a                5          yes    x, y  -",
        "long\\x1b[2Jname  12345      no           é",
    ]


def test_columns_may_be_chosen_and_json_holds_all(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, columns=["works", "name"])
    assert capsys.readouterr().out.splitlines()[0].split() == ["WORKS", "NAME"]
    print_table(ROWS, True, ["works"])
    assert json.loads(capsys.readouterr().out) == ROWS


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], empty="nothing here")
    assert capsys.readouterr().out == "nothing here\n"
    print_table([])
    assert capsys.readouterr().out == ""
    print_table([], True, empty="nothing here")
    assert json.loads(capsys.readouterr().out) == []


def test_json_writes_what_json_does_not_know_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"at": datetime(2026, 1, 2, tzinfo=UTC), "where": Path("/x"), "name": "\udcff"})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-02 00:00:00+00:00", "where": "/x", "name": "\udcff"}


def test_a_line_escapes_what_is_not_printable(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\nb\udcff", error=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a\\nb\\udcff\n")


def test_fail_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        fail("what to do", 2)
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == "cloudalpha: what to do\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NotFoundFileSystemError("/a"), 1, "cloudalpha: /a: no such file or directory\n"),
        (SettingError("one\ntwo"), 1, "cloudalpha: one\ncloudalpha: two\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "cloudalpha: /x: Permission denied\n"),
        (OSError(5, "Input/output error"), 1, "cloudalpha: the system: Input/output error\n"),
        (KeyboardInterrupt(), 1, "cloudalpha: stopped\n"),
        (typer.Abort(), 1, "cloudalpha: stopped\n"),
        (typer.BadParameter("wrong"), 2, "cloudalpha: Invalid value: wrong; see `cloudalpha --help`\n"),
        (typer.Exit(5), 5, ""),
    ],
)
def test_errors_become_a_line_and_an_exit_code(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make_app() -> typer.Typer:
        made = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

        @made.command()
        def command() -> None:
            raise error

        return made

    monkeypatch.setattr(app, "make_app", make_app)
    assert app.run([]) == code
    assert capsys.readouterr().err == message


def test_stopped_before_the_command_has_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make_app() -> typer.Typer:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "make_app", make_app)
    assert app.run([]) == 1
    assert capsys.readouterr().err == "cloudalpha: stopped\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m cloudalpha plugins | true; {sys.executable} -m cloudalpha --help | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
