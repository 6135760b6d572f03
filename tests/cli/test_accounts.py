"""`cloudalpha account list` and `check`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudalpha.cli.accounts import _Check
from cloudalpha.cli.local_files import LocalFiles
from cloudalpha.exceptions import AccessFailedFileSystemError, AccountError
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem
from cloudalpha.layer import Layer
from cloudalpha.services.local.account import LocalAccount
from tests.cli.command_line import CommandLine


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


class Beneath(Layer):
    """The caller's files, beneath one folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(LocalFiles())
        self.folder = folder

    def _at(self, path: str) -> str:
        return f"{self.folder}{path}".rstrip("/")

    def get_metadata(self, path: str) -> FileMetadata:
        return self.inner.get_metadata(self._at(path)).at(path)

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        for entry in self.inner.list_dir(self._at(path)):
            yield entry.at(path.rstrip("/") + "/" + entry.name)

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        return self.inner.read(self._at(path), start_byte, num_bytes, expected)

    def create_new_file(self, path: str, *args: object, **options: object):  # type: ignore[no-untyped-def, override]
        return self.inner.create_new_file(self._at(path), *args, **options)  # type: ignore[arg-type]

    def delete(self, path: str) -> None:
        self.inner.delete(self._at(path))


class Altering(Beneath):
    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        for chunk in super().read(path, start_byte, num_bytes, expected):
            yield chunk[::-1]


class Forgetting(Beneath):
    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        return iter(())


class Keeping(Beneath):
    def delete(self, path: str) -> None:
        pass


class Failing(Beneath):
    def get_metadata(self, path: str) -> FileMetadata:
        raise AccessFailedFileSystemError(path, "the storage is away")


def test_list(cli: CommandLine) -> None:
    assert cli.run("account", "list", "--json").json() == [
        {"name": "notes", "service": "local", "layers": []},
        {"name": "photos", "service": "local", "layers": []},
    ]
    assert "photos" in cli.run("account", "list").out


def test_check_leaves_nothing_and_prints_the_card(cli: CommandLine) -> None:
    (cli.root / "mine").write_bytes(b"x")
    outcome = cli.run("account", "check", "photos", "--json").json()
    assert outcome["works"]
    assert [step["step"] for step in outcome["steps"]] == ["connect", "write", "metadata", "read", "list", "delete"]
    assert {step["result"] for step in outcome["steps"]} == {"ok"}
    assert outcome["card"]["sets_modified"] is True
    assert outcome["card"]["free_bytes"] > 0
    assert os.listdir(cli.root) == ["mine"]
    out = cli.run("account", "check", "photos").out
    assert "sets modified" in out
    assert out.endswith("photos works\n")


@pytest.mark.expects_warnings
def test_check_of_an_account_that_does_not_connect(cli: CommandLine) -> None:
    cli.root.rmdir()
    outcome = cli.run("account", "check", "photos", code=1)
    assert outcome.out.endswith("photos does not work\n")
    assert cli.run("account", "check", "photos", "--json", code=1).json()["works"] is False


def test_check_of_an_unknown_account(cli: CommandLine) -> None:
    assert "did you mean 'photos'?" in cli.run("account", "check", "photo", code=2).err


@pytest.mark.parametrize(
    ("kind", "step", "message", "left"),
    [
        (Altering, "read", "another content", 0),
        (Forgetting, "list", "it is not listed", 0),
        (Keeping, "delete", "still there", 1),
        (Failing, "metadata", "the storage is away", 0),
    ],
)
def test_a_step_that_fails_is_named_and_the_probe_is_deleted(
    tmp_path: Path, kind: type[Beneath], step: str, message: str, left: int
) -> None:
    check = _Check(lambda: kind(tmp_path))
    check.run()
    assert not check.works
    failed = [found for found in check.steps if found["result"] != "ok"]
    assert failed[0]["step"] == step
    assert message in failed[0]["result"]
    assert len(os.listdir(tmp_path)) == left


def test_the_card_has_what_the_service_says(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalAccount, "get_card", lambda self: {"conditional_puts": "yes", "checksums": "crc32c"})
    card = cli.run("account", "check", "photos", "--json").json()["card"]
    assert (card["conditional_puts"], card["checksums"], card["sets_modified"]) == ("yes", "crc32c", True)
    lines = cli.run("account", "check", "photos").out.splitlines()
    assert any(line.split() == ["conditional", "puts", "yes"] for line in lines)


def test_a_card_that_cannot_be_made_says_why(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LocalAccount) -> dict[str, str]:
        raise AccountError("the probe was refused")

    monkeypatch.setattr(LocalAccount, "get_card", fail)
    outcome = cli.run("account", "check", "photos", "--json").json()
    assert outcome["works"], "what it does not know of itself is no failure"
    assert outcome["card"]["probing"] == "the probe was refused"


def test_an_account_without_credentials_ends_at_once() -> None:
    def connect() -> FileSystem:
        raise AccountError("authorize it first")

    check = _Check(connect)
    check.run()
    assert [(step["step"], step["result"]) for step in check.steps] == [("connect", "authorize it first")]
