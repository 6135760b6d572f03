"""LocalAccount and its options."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cloudalpha.exceptions import AccountError
from cloudalpha.services.local.account import LocalAccount
from cloudalpha.services.local.settings import LocalOptions
from cloudalpha.settings import Settings


class NoDataStore:
    """An account that needs no tokens never asks for any."""


def make_account(**options: Any) -> LocalAccount:
    return LocalAccount("files", LocalOptions(**options), Settings(), NoDataStore())  # type: ignore[arg-type]


def test_files_of_the_root(root: Path) -> None:
    account = make_account(root=root)
    account.file_system.write_all("/file", b"content")
    assert (root / "file").read_bytes() == b"content"
    assert account.file_system is account.file_system
    account.close()
    account.close()


def test_leftovers_go_when_it_starts(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / ".cloudalpha-0123456789abcdef.tmp").touch()
    account = make_account(root=root)
    sweep = account.file_system._sweep  # type: ignore[attr-defined]
    sweep.wait()
    assert os.listdir(root / "sub") == []
    account.close()


def test_home(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    account = make_account(root="~/root")
    account.file_system.make_dir("/folder")
    assert (root / "folder").is_dir()
    account.close()


@pytest.mark.expects_warnings
def test_home_of_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AccountError):
        make_account(root="~no such user/root").connect()


@pytest.mark.expects_warnings
@pytest.mark.parametrize("kind", ["missing", "file", "missing parent"])
def test_unusable_root(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "root" if kind != "missing parent" else tmp_path / "a" / "b"
    if kind == "file":
        root.touch()
    with pytest.raises(AccountError) as caught:
        make_account(root=root).connect()
    assert "'files'" in str(caught.value)
    assert str(tmp_path) not in str(caught.value), "the message may reach a client"
    assert "root_unusable" in caplog.text


@pytest.mark.root
@pytest.mark.expects_warnings
def test_unreadable_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(AccountError):
            make_account(root=tmp_path).connect()
    finally:
        os.seteuid(0)


def test_root_that_is_made(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    account = make_account(root=root, create_root=True)
    assert list(account.file_system.list_dir("/")) == []
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    account.close()
    make_account(root=root, create_root=True).file_system.close()


def test_options_reach_the_files(root: Path) -> None:
    account = make_account(root=root, fsync=False, follow_links=False, file_mode="0640", dir_mode="750")
    (root / "link").symlink_to(".")
    account.file_system.write_all("/file", b"")
    account.file_system.make_dir("/folder")
    assert stat.S_IMODE((root / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "folder").stat().st_mode) == 0o750
    assert not account.file_system.is_dir("/link")
    assert account.file_system._tree.fsync is False  # type: ignore[attr-defined]
    account.close()


@pytest.mark.parametrize("mode", [640, "0o640", "rw-r-----", "888", "7777", True, ""])
def test_wrong_modes(mode: object) -> None:
    with pytest.raises(ValidationError):
        LocalOptions(root=Path("/"), file_mode=mode)


def test_unknown_and_missing_options() -> None:
    with pytest.raises(ValidationError):
        LocalOptions()  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        LocalOptions(root=Path("/"), rooot=1)  # type: ignore[call-arg]
