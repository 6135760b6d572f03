"""`cloudalpha user` and `hash-password`: the file's other lines stay as they were."""

from __future__ import annotations

import os
import threading
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.cli.config_file import ConfigFile, editing, make_value, read_config_file, write_file
from cloudalpha.exceptions import SettingError
from cloudalpha.users.passwords import check_hash
from tests.cli.command_line import CommandLine
from tests.cli.terminal import Terminal

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjoBfGJbqy1IfFGx5vTUrpJwWJF1ESVFQXCsnZvyM6D me@laptop"

LAID_OUT = """\
# the top
state_dir = "state"   # where

[users.alice]   # the first one
mounts = { "/" = "photos:/" }   # all of it
password_hash = "old"   # changed last year

# the account
[accounts.photos]
service = "local"

# the second one
[users."b.o b"]
public_keys = [
  "one",   # laptop
  "two",
]
mounts = { "/" = "photos:/" }

[users."b.o b".permissions]
"/" = "all"

# about the log
[log]
level = "info"
"""


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def read_user(cli: CommandLine, name: str) -> dict[str, object]:
    user = tomllib.loads(cli.config.read_text())["users"][name]
    assert isinstance(user, dict)
    return user


def test_add_and_list_and_remove(cli: CommandLine) -> None:
    before = cli.config.read_text()
    cli.run("user", "add", "alice", "--mount", "photos:/", "--password-stdin", stdin=b"secret\n")
    assert cli.config.read_text().startswith(before)
    user = read_user(cli, "alice")
    assert check_hash(str(user["password_hash"]), b"secret")
    assert user["mounts"] == {"/": "photos:/"}
    [row] = cli.run("user", "list", "--json").json()
    assert (row["name"], row["password"], row["keys"], row["mounts"]) == ("alice", True, 0, ["/=photos:/"])
    cli.run("config", "check")
    cli.run("user", "remove", "alice")
    assert cli.config.read_text().strip() == before.strip()
    assert cli.run("user", "list", "--json").json() == []
    assert "add one with" in cli.run("user", "list").out


def test_add_with_everything(cli: CommandLine) -> None:
    keys = cli.folder / "keys.pub"
    keys.write_text(f"# mine\n{KEY}\n\n")
    cli.run(
        *("user", "add", "bob", "-m", "/=photos:/", "-m", "/team=notes:/shared", "-p", "/=all"),
        *("-p", "/team=list download", "-k", keys, "--home", "/home", "--expires", "2030-12-31", "--no-password"),
    )
    assert read_user(cli, "bob") == {
        "mounts": {"/": "photos:/", "/team": "notes:/shared"},
        "permissions": {"/": "all", "/team": "list download"},
        "public_keys": [KEY],
        "home": "/home",
        "expires": "2030-12-31",
    }
    [row] = cli.run("user", "list", "--json").json()
    assert row["keys"] == 1
    assert not row["password"]


def test_passwd(cli: CommandLine) -> None:
    cli.run("user", "add", "alice", "-m", "photos:/", "--password-stdin", stdin=b"one")
    mode = 0o640
    cli.config.chmod(mode)
    cli.run("user", "passwd", "alice", "--password-stdin", stdin="zwei é\n".encode())
    assert check_hash(str(read_user(cli, "alice")["password_hash"]), "zwei é".encode())
    assert cli.config.stat().st_mode & 0o777 == mode
    assert sorted(os.listdir(cli.folder)) == ["cloudalpha.toml", "notes", "photos"]


@pytest.mark.parametrize(
    ("args", "stdin", "code", "message"),
    [
        (["add", "alice", "-m", "photos:/"], b"", 2, "--password-stdin"),
        (["add", "alice", "-m", "photos:/", "--password-stdin"], b"\n", 2, "the password is empty"),
        (["add", "alice", "-m", "photos:/", "--password-stdin"], b"a\x00b\n", 2, "no control characters"),
        (["add", "alice", "--password-stdin"], b"x", 2, "there are: notes, photos"),
        (["add", "alice", "-m", "photo:/", "--password-stdin"], b"x", 1, "did you mean 'photos'?"),
        (["add", "a/b", "-m", "photos:/", "--password-stdin"], b"x", 2, "is no name for a user"),
        (["add", "..", "-m", "photos:/", "--password-stdin"], b"x", 2, "is no name for a user"),
        (["add", "alice", "-m", "photos:/", "-p", "/=fly", "--password-stdin"], b"x", 1, "fly"),
        (["add", "alice", "-m", "photos:/", "-p", "all", "--password-stdin"], b"x", 2, "write it like"),
        (["add", "alice", "-m", "photos:/", "--expires", "soon", "--password-stdin"], b"x", 1, "not a date"),
        (["add", "alice", "-m", "photos:/", "-k", "/missing.pub"], b"", 1, "/missing.pub: cannot be read"),
        (["add", "alice", "-m", "photos:/", "--no-password"], b"", 2, "--no-password goes with --public-key"),
        (["passwd", "nobody", "--password-stdin"], b"x", 1, "no user is called 'nobody'"),
        (["remove", "nobody"], b"", 1, "no user is called 'nobody'"),
    ],
)
def test_mistakes_change_nothing(cli: CommandLine, args: list[str], stdin: bytes, code: int, message: str) -> None:
    before = cli.config.read_bytes()
    outcome = cli.run("user", *args, stdin=stdin, code=code)
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert cli.config.read_bytes() == before


def test_a_user_is_not_added_twice(cli: CommandLine) -> None:
    cli.run("user", "add", "alice", "-m", "photos:/", "--password-stdin", stdin=b"one")
    before = cli.config.read_bytes()
    outcome = cli.run("user", "add", "alice", "-m", "photos:/", "--password-stdin", stdin=b"two", code=1)
    assert "there is a user 'alice' already" in outcome.err
    assert cli.config.read_bytes() == before


def test_hash_password(cli: CommandLine) -> None:
    password_hash = cli.run("hash-password", "--password-stdin", stdin=b"secret\n").out.strip()
    assert password_hash.startswith("$argon2id$")
    assert check_hash(password_hash, b"secret")


def test_a_password_is_asked_for_twice_and_not_shown() -> None:
    with Terminal("hash-password") as terminal:
        for again in ("anders", "geheim"):
            terminal.read_until("Password: ")
            terminal.write("geheim\n")
            terminal.read_until("confirmation: ")
            terminal.write(again + "\n")
        assert terminal.finish() == 0
    assert check_hash(terminal.out.decode().strip(), b"geheim")
    assert b"geheim" not in terminal.shown


def test_every_other_line_stays(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "c.toml", LAID_OUT)
    file.set_password_hash("alice", "new")
    assert file.text == LAID_OUT.replace('"old"', '"new"')
    file.set_password_hash("b.o b", "hers")
    assert file.text.replace('password_hash = "hers"\n', "") == LAID_OUT.replace('"old"', '"new"')
    file.add_user("carol", {"mounts": {"/": "photos:/"}})
    assert file.text.endswith('level = "info"\n\n[users.carol]\nmounts = { "/" = "photos:/" }\n')
    file.remove_user("b.o b")
    for comment in (
        "# the top",
        "# where",
        "# the first one",
        "# changed last year",
        "# the account",
        "# about the log",
    ):
        assert comment in file.text
    assert sorted(file.users) == ["alice", "carol"]


@pytest.mark.parametrize(
    "text",
    [
        'users = { alice = { mounts = { "/" = "photos:/" } } }\n',
        'users.alice.mounts = { "/" = "photos:/" }\n',
        '[users]\nalice = { mounts = { "/" = "photos:/" } }\n',
    ],
)
def test_an_unusual_layout_is_refused_and_not_guessed_at(tmp_path: Path, text: str) -> None:
    file = ConfigFile(tmp_path / "c.toml", text)
    with pytest.raises(SettingError, match="change it with an editor"):
        file.set_password_hash("alice", "new")
    with pytest.raises(SettingError, match="change it with an editor"):
        file.remove_user("alice")
    assert file.text == text


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def make_tables(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)


@given(st.recursive(st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT, make_tables, max_leaves=8))
def test_values_are_read_back_as_they_were(value: object) -> None:
    assert tomllib.loads(f"value = {make_value(value)}")["value"] == value


@given(
    name=st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True),
    password_hash=TEXT,
)
def test_any_user_can_be_added_changed_and_removed(name: str, password_hash: str) -> None:
    file = ConfigFile(Path("c.toml"), LAID_OUT)
    if name == "alice":
        return
    file.add_user(name, {"password_hash": "x", "mounts": {"/": "photos:/"}})
    file.set_password_hash(name, password_hash)
    assert file.users[name] == {"password_hash": password_hash, "mounts": {"/": "photos:/"}}
    file.remove_user(name)
    assert file.text.strip() == LAID_OUT.strip()


def test_new_files_are_private_and_a_link_stays_a_link(tmp_path: Path) -> None:
    write_file(tmp_path / "real", "a = 1\n")
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingError, match="already"):
        write_file(tmp_path / "real", "", overwrite=False)
    (tmp_path / "link").symlink_to("real")
    with editing(tmp_path / "link") as file:
        file.add_user("alice", {"mounts": {"/": "photos:/"}})
    assert (tmp_path / "link").is_symlink()
    assert "alice" in read_config_file(tmp_path / "real").users


def test_editors_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    write_file(path, "")

    def add(number: int) -> None:
        with editing(path) as file:
            file.add_user(f"user{number}", {"mounts": {"/": "photos:/"}})

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_config_file(path).users) == [f"user{number}" for number in range(8)]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    write_file(path, LAID_OUT)
    with pytest.raises(KeyError), editing(path) as file:
        file.remove_user("alice")
        raise KeyError
    assert path.read_text() == LAID_OUT
    assert os.listdir(tmp_path) == ["c.toml"]
