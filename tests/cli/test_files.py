"""`cloudalpha ls cat cp mv rm mkdir tree du`, run as a person would."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudalpha.testing.waiting import wait_until
from tests.cli.command_line import CommandLine


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def make_tree(folder: Path) -> None:
    (folder / "2024" / "may").mkdir(parents=True)
    (folder / "2024" / "a.txt").write_text("a" * 10)
    (folder / "2024" / "may" / "b.txt").write_text("b" * 2000)
    (folder / "c.txt").write_text("c")


def read_tree(folder: Path) -> dict[str, bytes | None]:
    """Everything beneath a folder: the content of files, None for folders."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_ls_is_sorted_and_marks_folders(cli: CommandLine) -> None:
    make_tree(cli.root)
    assert cli.run("ls", "photos:/").out == "2024/\nc.txt\n"
    assert cli.run("ls", "photos:2024").out == "a.txt\nmay/\n"
    assert cli.run("ls", "photos:/c.txt").out == "c.txt\n"
    assert sorted(cli.run("ls", "-U", "photos:/").out.split()) == ["2024/", "c.txt"]


def test_ls_long_and_json_tell_sizes_and_times(cli: CommandLine) -> None:
    (cli.root / "a.txt").write_text("12345")
    os.utime(cli.root / "a.txt", (0, 1_700_000_000))
    assert cli.run("ls", "-l", "photos:/").out.split() == ["5", "2023-11-14", "22:13:20", "a.txt"]
    [entry] = cli.run("ls", "--json", "photos:/").json()
    assert entry == {"name": "a.txt", "kind": "file", "size": 5, "modified": "2023-11-14T22:13:20Z", "path": "/a.txt"}


def test_ls_of_several_goes_on_after_a_failure(cli: CommandLine) -> None:
    make_tree(cli.root)
    outcome = cli.run("ls", "photos:/missing", "photos:/2024", code=1)
    assert outcome.out == "photos:/2024:\na.txt\nmay/\n"
    assert outcome.err == "cloudalpha: photos:/missing: no such file or directory\n"


def test_a_name_cannot_steer_the_terminal(cli: CommandLine) -> None:
    (cli.root / "\x1b[2Ja\nb").write_text("")
    (cli.root / "ok").write_text("")
    out = cli.run("ls", "photos:/").out
    assert "\x1b" not in out
    assert "ok\n" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["ls", "nowhere:/"], "no account 'nowhere': there are: notes, photos"),
        (["ls", "/etc"], "write ACCOUNT:PATH"),
        (["cp", "photos:/a"], "SOURCE and TARGET are needed"),
        (["cp", "nowhere:/a", "here"], "a local file is written ./nowhere:/a"),
        (["mv", "-", "photos:/a"], "stdin cannot be moved"),
        (["rm"], "Missing argument"),
        (["ls", "--wrong", "photos:/"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(cli: CommandLine, args: list[str], message: str) -> None:
    outcome = cli.run(*args, code=2)
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not outcome.out


def test_cat_writes_bytes_as_they_are(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(bytes(range(256)))
    (cli.root / "b").write_bytes(b"\n")
    assert cli.run("cat", "photos:/a", "photos:/b").raw == bytes(range(256)) + b"\n"
    assert cli.run("cat", "photos:/missing", "photos:/b", code=1).raw == b"\n"


def test_cp_down_and_up_keeps_content_and_times(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(b"content")
    os.utime(cli.root / "a", (0, 1_700_000_000))
    cli.run("cp", "photos:/a", cli.local / "b")
    assert (cli.local / "b").read_bytes() == b"content"
    assert (cli.local / "b").stat().st_mtime == 1_700_000_000
    cli.run("cp", cli.local / "b", "notes:/c")
    assert (cli.notes / "c").read_bytes() == b"content"
    assert (cli.notes / "c").stat().st_mtime == 1_700_000_000


def test_cp_between_accounts_and_within_one(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(b"content")
    cli.run("cp", "photos:/a", "notes:/")
    cli.run("cp", "photos:/a", "photos:/b")
    assert read_tree(cli.notes) == {"a": b"content"}
    assert read_tree(cli.root) == {"a": b"content", "b": b"content"}


def test_cp_recursive(cli: CommandLine) -> None:
    make_tree(cli.root)
    cli.run("cp", "-r", "photos:/2024", cli.local)
    assert read_tree(cli.local / "2024") == read_tree(cli.root / "2024")
    cli.run("cp", "-r", "photos:/2024", cli.local / "new")
    assert read_tree(cli.local / "new") == read_tree(cli.root / "2024")
    cli.run("cp", "-r", cli.local / "new", "notes:/")
    assert read_tree(cli.notes / "new") == read_tree(cli.root / "2024")


def test_cp_of_a_whole_account_copies_what_it_holds(cli: CommandLine) -> None:
    make_tree(cli.root)
    cli.run("cp", "-r", "photos:/", cli.local)
    assert read_tree(cli.local) == read_tree(cli.root)
    cli.run("cp", "-r", f"{cli.local}/.", "notes:/")
    assert read_tree(cli.notes) == read_tree(cli.root)


def test_cp_without_r_refuses_folders_and_goes_on(cli: CommandLine) -> None:
    make_tree(cli.root)
    outcome = cli.run("cp", "photos:/2024", "photos:/c.txt", cli.local, code=1)
    assert "copy it with -r" in outcome.err
    assert read_tree(cli.local) == {"c.txt": b"c"}


def test_cp_overwrites_unless_told_not_to(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(b"new")
    (cli.local / "a").write_bytes(b"old")
    cli.run("cp", "-n", "photos:/a", cli.local)
    assert (cli.local / "a").read_bytes() == b"old"
    cli.run("cp", "photos:/a", cli.local)
    assert (cli.local / "a").read_bytes() == b"new"


def test_cp_from_stdin(cli: CommandLine) -> None:
    cli.run("cp", "-", "photos:/dump", stdin=b"x" * 1_000_000)
    assert (cli.root / "dump").read_bytes() == b"x" * 1_000_000


def test_cp_to_a_folder_that_is_missing_is_an_error(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(b"")
    assert "no such directory" in cli.run("cp", "photos:/a", f"{cli.local}/missing/", code=1).err
    assert "no such" in cli.run("cp", "photos:/a", "notes:/missing/a", code=1).err
    outcome = cli.run("cp", "photos:/a", "photos:/a", cli.local / "missing", code=1)
    assert "several sources need one" in outcome.err
    assert read_tree(cli.local) == {}
    assert read_tree(cli.notes) == {}


def test_a_partial_failure_is_told_and_the_rest_is_copied(cli: CommandLine) -> None:
    make_tree(cli.root)
    (cli.local / "2024").mkdir()
    (cli.local / "2024" / "a.txt").mkdir()  # a folder stands where a file should go
    outcome = cli.run("cp", "-r", "photos:/2024", "photos:/c.txt", cli.local, code=1)
    assert outcome.err.count("\n") == 1
    assert "photos:/2024/a.txt: not copied to " in outcome.err
    assert read_tree(cli.local) == {
        "2024": None,
        "2024/a.txt": None,
        "2024/may": None,
        "2024/may/b.txt": b"b" * 2000,
        "c.txt": b"c",
    }


def test_a_file_onto_itself_or_a_folder_into_itself(cli: CommandLine) -> None:
    make_tree(cli.root)
    before = read_tree(cli.root)
    assert "the same file" in cli.run("cp", "photos:/c.txt", "photos:/", code=1).err
    assert "the same file" in cli.run("mv", "photos:/c.txt", "photos:/c.txt", code=1).err
    assert "into itself" in cli.run("cp", "-r", "photos:/2024", "photos:/2024/may", code=1).err
    assert "into itself" in cli.run("mv", "photos:/2024", "photos:/2024/may", code=1).err
    assert read_tree(cli.root) == before


def test_mv_within_an_account_renames(cli: CommandLine) -> None:
    make_tree(cli.root)
    expected = read_tree(cli.root / "2024")
    cli.run("mv", "photos:/2024", "photos:/2025")
    cli.run("mv", "photos:/c.txt", "photos:/2025")
    assert read_tree(cli.root / "2025") == expected | {"c.txt": b"c"}
    assert sorted(os.listdir(cli.root)) == ["2025"]


def test_mv_between_accounts_leaves_nothing_behind(cli: CommandLine) -> None:
    make_tree(cli.root)
    expected = read_tree(cli.root)
    cli.run("mv", "photos:/2024", "photos:/c.txt", "notes:/")
    assert read_tree(cli.notes) == expected
    assert read_tree(cli.root) == {}


def test_mv_between_accounts_keeps_what_could_not_be_copied(cli: CommandLine) -> None:
    make_tree(cli.root)
    (cli.notes / "2024").mkdir()
    (cli.notes / "2024" / "a.txt").mkdir()
    cli.run("mv", "photos:/2024", "notes:/", code=1)
    assert (cli.root / "2024" / "a.txt").read_text() == "a" * 10
    assert (cli.notes / "2024" / "may" / "b.txt").read_text() == "b" * 2000


def test_a_whole_account_is_neither_moved_nor_deleted(cli: CommandLine) -> None:
    make_tree(cli.root)
    before = read_tree(cli.root)
    assert "whole account" in cli.run("mv", "photos:/", "notes:/", code=1).err
    assert "whole account" in cli.run("rm", "-r", "photos:/", code=1).err
    assert read_tree(cli.root) == before


def test_rm(cli: CommandLine) -> None:
    make_tree(cli.root)
    assert "with -r" in cli.run("rm", "photos:/2024", code=1).err
    cli.run("rm", "photos:/missing", code=1)
    cli.run("rm", "-f", "photos:/missing")
    cli.run("rm", "-r", "photos:/2024", "photos:/c.txt")
    assert read_tree(cli.root) == {}


def test_mkdir(cli: CommandLine) -> None:
    cli.run("mkdir", "photos:/a")
    assert "already exists" in cli.run("mkdir", "photos:/a", code=1).err
    cli.run("mkdir", "photos:/b/c", code=1)
    cli.run("mkdir", "-p", "photos:/b/c", "photos:/a")
    assert read_tree(cli.root) == {"a": None, "b": None, "b/c": None}


def test_tree(cli: CommandLine) -> None:
    make_tree(cli.root)
    assert cli.run("tree", "photos:/").out == (
        "photos:/\n├── 2024/\n│   ├── a.txt\n│   └── may/\n│       └── b.txt\n└── c.txt\n"
    )
    assert cli.run("tree", "-d", "1", "photos:/").out == "photos:/\n├── 2024/\n└── c.txt\n"
    assert [row["path"] for row in cli.run("tree", "--json", "photos:/2024").json()] == [
        "/2024/a.txt",
        "/2024/may",
        "/2024/may/b.txt",
    ]


def test_du(cli: CommandLine) -> None:
    make_tree(cli.root)
    assert cli.run("du", "--json", "photos:/").json() == [{"path": "photos:/", "bytes": 2011, "files": 3, "folders": 2}]
    rows = cli.run("du", "--json", "--depth", "1", "photos:/").json()
    assert [(row["path"], row["bytes"]) for row in rows] == [("photos:/2024", 2010), ("photos:/", 2011)]
    assert "2.0 KiB" in cli.run("du", "photos:/").out
    assert "2011" in cli.run("du", "-b", "photos:/").out
    assert cli.run("du", "--json", "photos:/c.txt").json()[0]["bytes"] == 1


@pytest.mark.expects_warnings
def test_an_account_that_cannot_connect_is_one_line(cli: CommandLine) -> None:
    cli.root.rmdir()
    outcome = cli.run("ls", "photos:/", code=1)
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err


def test_a_configuration_that_is_missing_is_told(cli: CommandLine) -> None:
    cli.config.unlink()
    outcome = cli.run("ls", "photos:/", code=1)
    assert str(cli.config) in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_real_process_shows_progress_to_a_terminal_only(cli: CommandLine) -> None:
    (cli.root / "a").write_bytes(b"x" * 5_000_000)
    command = [sys.executable, "-m", "cloudalpha", "cp", "--config", str(cli.config), "photos:/a", str(cli.local / "b")]
    silent = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert silent.stdout == silent.stderr == b""
    master, slave = pty.openpty()
    try:
        watched = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=True, timeout=60)
        os.set_blocking(master, False)
        assert os.read(master, 65536)
    finally:
        os.close(master)
        os.close(slave)
    assert watched.stdout == b""
    assert (cli.local / "b").stat().st_size == 5_000_000


def is_waiting_for_input(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has read all that was sent, and sleeps."""
    assert process.stdin is not None
    waiting = array("i", [0])
    fcntl.ioctl(process.stdin, termios.FIONREAD, waiting)
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]
    return waiting[0] == 0 and state == "S"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_stopped_leaves_nothing(cli: CommandLine, number: signal.Signals) -> None:
    (cli.local / "dump").write_bytes(b"old")
    command = [sys.executable, "-m", "cloudalpha", "cp", "--config", str(cli.config), "-", str(cli.local / "dump")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"x" * (1 << 20))
        process.stdin.flush()
        wait_until(lambda: len(os.listdir(cli.local)) > 1, timeout=30, message="nothing was written")
        # Python looks for signals before it waits for input, not at the same moment: one that comes between is heard with the next input.
        wait_until(lambda: is_waiting_for_input(process), timeout=30, message="it does not wait for input")
        process.send_signal(number)
        assert process.wait(30) == 1
        assert process.stderr.read() == b"cloudalpha: stopped\n"
    assert read_tree(cli.local) == {"dump": b"old"}


def test_times_before_1970_survive(cli: CommandLine) -> None:
    (cli.local / "old").write_bytes(b"")
    then = datetime(1965, 1, 1, tzinfo=UTC).timestamp()
    os.utime(cli.local / "old", (then, then))
    cli.run("cp", cli.local / "old", "photos:/")
    assert (cli.root / "old").stat().st_mtime == then
