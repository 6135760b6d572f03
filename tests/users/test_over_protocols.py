"""Users as clients meet them: each verb, each factor and the defence, over FTP and over SFTP."""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncssh
import paramiko
import pytest

from cloudalpha.data_store import DataStore
from cloudalpha.file_system import FileSystem
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.manager import Manager
from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.managers.sftp.manager import SFTPManager
from cloudalpha.managers.sftp.settings import SFTPSettings
from cloudalpha.services.local.account import LocalAccount
from cloudalpha.services.local.settings import LocalOptions
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.settings import Settings
from cloudalpha.testing.waiting import wait_until
from cloudalpha.users.defence import DefenceOptions
from cloudalpha.users.gate import Gatekeeper
from cloudalpha.users.permissions import VERBS
from cloudalpha.users.record import UserOptions
from tests.users.helpers import RIGHT, make_user

SINGLE_VERBS = [verb for verb in VERBS if verb != "all"]
MOMENT = 1_500_000_000

# What each action needs: one of these sets of verbs.
ACTIONS: dict[str, list[set[str]]] = {
    "list": [{"list"}],
    "download": [{"download"}],
    "upload": [{"upload"}],
    "overwrite": [{"overwrite"}],
    "append": [{"append"}, {"overwrite"}],
    "delete": [{"delete"}],
    "rename": [{"rename", "upload"}],
    "make_dir": [{"make_dir"}],
    "delete_dir": [{"delete_dir"}],
    "set_times": [{"set_times"}],
}


class Client(ABC):
    """The ten actions, as one protocol does them. Each raises `refusals` when the server refuses."""

    refusals: tuple[type[Exception], ...]

    def try_to(self, action: str, path: str) -> bool:
        try:
            getattr(self, action)(path)
        except self.refusals:
            return False
        return True

    @abstractmethod
    def close(self) -> None: ...


class FTPClient(Client):
    refusals = (ftplib.error_perm,)

    def __init__(self, port: int, user_name: str, password: str) -> None:
        self.ftp = ftplib.FTP(timeout=30)  # noqa: S321 - what is tested
        try:
            self.ftp.connect("127.0.0.1", port)
            self.ftp.login(user_name, password)
        except BaseException:
            self.ftp.close()
            raise

    def list(self, path: str) -> None:
        list(self.ftp.mlsd(os.path.dirname(path)))

    def download(self, path: str) -> None:
        self.ftp.retrbinary(f"RETR {path}", lambda _: None)

    def upload(self, path: str) -> None:
        self.ftp.storbinary(f"STOR {path}", io.BytesIO(b"brand new"))

    overwrite = upload

    def append(self, path: str) -> None:
        self.ftp.storbinary(f"APPE {path}", io.BytesIO(b" more"))

    def delete(self, path: str) -> None:
        self.ftp.delete(path)

    def rename(self, path: str) -> None:
        self.ftp.rename(path, path + " moved")

    def make_dir(self, path: str) -> None:
        self.ftp.mkd(path)

    def delete_dir(self, path: str) -> None:
        self.ftp.rmd(path)

    def set_times(self, path: str) -> None:
        self.ftp.sendcmd(f"MFMT 20170714024000 {path}")

    def close(self) -> None:
        self.ftp.close()


class SFTPClient(Client):
    refusals = (OSError,)

    def __init__(self, port: int, user_name: str, password: str) -> None:
        self.transport = paramiko.Transport(("127.0.0.1", port))
        try:
            self.transport.connect(username=user_name, password=password)
            sftp = paramiko.SFTPClient.from_transport(self.transport)
        except BaseException:
            self.transport.close()
            raise
        assert sftp is not None
        self.sftp = sftp

    def list(self, path: str) -> None:
        self.sftp.listdir(os.path.dirname(path))

    def download(self, path: str) -> None:
        self.sftp.getfo(path, io.BytesIO())

    def upload(self, path: str) -> None:
        self.sftp.putfo(io.BytesIO(b"brand new"), path)  # asks for the size afterwards: paramiko's close hides errors

    overwrite = upload

    def append(self, path: str) -> None:
        with self.sftp.open(path, "a") as file:
            file.write(b" more")
        if self.sftp.stat(path).st_size != len(b"old more"):
            raise OSError("not appended")

    def delete(self, path: str) -> None:
        self.sftp.remove(path)

    def rename(self, path: str) -> None:
        self.sftp.rename(path, path + " moved")

    def make_dir(self, path: str) -> None:
        self.sftp.mkdir(path)

    def delete_dir(self, path: str) -> None:
        self.sftp.rmdir(path)

    def set_times(self, path: str) -> None:
        self.sftp.utime(path, (MOMENT, MOMENT))

    def close(self) -> None:
        self.transport.close()


PROTOCOLS: dict[str, tuple[type[Client], Callable[[Gatekeeper, Path], Manager], type[Exception]]] = {
    "ftp": (
        FTPClient,
        lambda gate, path: FTPManager("ftp", FTPSettings(port=0, passive_ports="0", tls="off"), gate, path),
        ftplib.error_perm,
    ),
    "sftp": (
        SFTPClient,
        lambda gate, path: SFTPManager("sftp", SFTPSettings(port=0), gate, path),
        paramiko.AuthenticationException,
    ),
}

StartManager = Callable[..., Manager]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartManager]:
    """Starts a manager in front of a real gate; stops it after the test, with nobody left in it."""
    with contextlib.ExitStack() as stack:

        def start(protocol: str, gate: Gatekeeper) -> Manager:
            manager = PROTOCOLS[protocol][1](gate, tmp_path / protocol)
            manager.start()
            stack.callback(wait_until, lambda: not gate.get_sessions(), 20)
            stack.callback(manager.stop)
            return manager

        yield start


def connect(protocol: str, manager: Manager, user_name: str, password: str = RIGHT) -> Client:
    client_class: Callable[..., Client] = PROTOCOLS[protocol][0]
    return client_class(manager.get_endpoints()[0].port, user_name, password)


@pytest.fixture(params=["memory", "local"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileSystem]:
    if request.param == "memory":
        yield MemoryFileSystem()
        return
    data_store = DataStore.get_instance(tmp_path / "state")
    account = LocalAccount("files", LocalOptions(root=tmp_path / "root", create_root=True), Settings(), data_store)
    yield account.file_system
    account.close()
    data_store.close()


def prepare(files: FileSystem) -> None:
    files.make_dirs("/dir")
    for action in ("download", "overwrite", "append", "delete", "rename", "set_times"):
        files.write_all(f"/dir/{action}", b"old")
    files.make_dir("/dir/delete_dir")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "missing"])
def test_each_verb(protocol: str, is_alone: bool, files: FileSystem, start: StartManager) -> None:
    """A user with one verb alone, and one with all but it, tries everything."""
    granted = {verb: {verb} if is_alone else set(SINGLE_VERBS) - {verb} for verb in SINGLE_VERBS}
    users = {verb: make_user(permissions={"/": " ".join(verbs)}) for verb, verbs in granted.items()}
    make_view: Callable[..., FileSystemView] = FileSystemView
    manager = start(protocol, Gatekeeper(users, lambda name: files, DefenceOptions(), make_view))
    mistakes = []
    for verb, verbs in granted.items():
        prepare(files)
        client = connect(protocol, manager, verb)
        try:
            for action, needs in ACTIONS.items():
                expected = any(need <= verbs for need in needs)
                if client.try_to(action, f"/dir/{action}") != expected:
                    mistakes.append(f"{sorted(verbs)}: {action} should be {'allowed' if expected else 'refused'}")
        finally:
            client.close()
        if "overwrite" not in verbs:
            assert files.read_all("/dir/overwrite") == b"old"
        if verbs & {"append", "overwrite"}:
            assert files.read_all("/dir/append") == b"old more"
        files.delete_tree("/dir")
    assert not mistakes, "\n".join(mistakes)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mounts_home_and_rules_by_path(protocol: str, start: StartManager) -> None:
    accounts = {"files": MemoryFileSystem(), "more": MemoryFileSystem()}
    accounts["more"].make_dirs("/shared")
    accounts["more"].write_all("/shared/plan", b"Plan")
    user = UserOptions(
        password_hash=make_user().password_hash,
        mounts={"/": "files:/people/alice", "/far/team": "more:/shared"},
        permissions={"/": "all", "/far/team": "list download"},
        home="/home",
    )
    manager = start(protocol, Gatekeeper({"alice": user}, accounts.__getitem__))
    client = connect(protocol, manager, "alice")
    try:
        if isinstance(client, FTPClient):
            assert client.ftp.pwd() == "/home"
            assert sorted(name for name, _ in client.ftp.mlsd("/") if name not in (".", "..")) == ["far", "home"]
            assert [name for name, _ in client.ftp.mlsd("/far/team") if name not in (".", "..")] == ["plan"]
        elif isinstance(client, SFTPClient):
            assert client.sftp.normalize(".") == "/home"
            assert sorted(client.sftp.listdir("/")) == ["far", "home"] and client.sftp.listdir("/far/team") == ["plan"]
        assert client.try_to("upload", "note") and client.try_to("download", "/far/team/plan")
        assert not client.try_to("overwrite", "/far/team/plan") and not client.try_to("upload", "/far/team/new")
        assert not client.try_to("upload", "/far/new") and not client.try_to("rename", "/far/team")
        assert not client.try_to("delete_dir", "/far") and not client.try_to("rename", "/far/team/plan")
    finally:
        client.close()
    assert accounts["files"].read_all("/people/alice/home/note") == b"brand new"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_same_reply_whatever_is_wrong(protocol: str, start: StartManager) -> None:
    users = {
        "alice": make_user(),
        "off": make_user(enabled=False),
        "late": make_user(expires="2020-01-01"),
        "elsewhere": make_user(allowed_networks=["192.0.2.0/24"]),
        "other": make_user(allowed_managers=["webdav"]),
        "both": make_user(require="key_and_password"),
    }
    gate = Gatekeeper(users, lambda name: MemoryFileSystem(), DefenceOptions(ban_threshold=1000), pause=lambda *_: None)
    manager = start(protocol, gate)
    replies = set()
    for name, password in [
        ("alice", "wrong"),
        ("nobody", RIGHT),
        *((name, RIGHT) for name in users if name != "alice"),
    ]:
        with pytest.raises(PROTOCOLS[protocol][2]) as caught:
            connect(protocol, manager, name, password)
        replies.add(str(caught.value))
    assert len(replies) == 1
    connect(protocol, manager, "alice").close()


@pytest.mark.expects_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_guessing_ends_in_a_ban_of_all_managers(protocol: str, start: StartManager) -> None:
    options = DefenceOptions(ban_threshold=3)
    gate = Gatekeeper({"alice": make_user()}, lambda name: MemoryFileSystem(), options, pause=lambda *_: None)
    managers = {name: start(name, gate) for name in PROTOCOLS}
    for _ in range(3):
        with pytest.raises(PROTOCOLS[protocol][2]):
            connect(protocol, managers[protocol], "alice", "wrong")
    for name, manager in managers.items():
        with pytest.raises((EOFError, OSError, ftplib.Error, paramiko.SSHException)):
            connect(name, manager, "alice")
    assert list(gate.defence.get_bans()) == ["127.0.0.1"]


def test_key_then_password(start: StartManager) -> None:
    key = paramiko.ECDSAKey.generate()
    user = make_user(public_keys=[f"{key.get_name()} {key.get_base64()}"], require="key_and_password")
    manager = start("sftp", Gatekeeper({"alice": user}, lambda name: MemoryFileSystem(), pause=lambda *_: None))
    transport = paramiko.ServiceRequestingTransport(("127.0.0.1", manager.get_endpoints()[0].port))
    try:
        transport.start_client(timeout=30)
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password("alice", RIGHT, fallback=False)
        assert "password" in transport.auth_publickey("alice", key) and not transport.is_authenticated()
        assert transport.auth_password("alice", RIGHT, fallback=False) == [] and transport.is_authenticated()
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None and sftp.listdir("/") == []
    finally:
        transport.close()


async def _log_in_with_certificate(
    port: int, user_name: str, key: asyncssh.SSHKey, certificate: asyncssh.SSHCertificate
) -> None:
    async with (
        asyncssh.connect(
            "127.0.0.1",
            port,
            username=user_name,
            client_keys=[(key, certificate)],
            known_hosts=None,
            config=None,
            agent_path=None,
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        assert await sftp.listdir("/") is not None


@pytest.mark.parametrize(
    ("user_name", "principals", "valid_before", "comes_in"),
    [
        ("alice", ["alice"], "+1h", True),
        ("alice", ["bob"], "+1h", False),
        ("alice", [], "+1h", False),
        ("alice", ["alice"], "-1h", False),
        ("operator", ["guests", "ops"], "+1h", True),
        ("operator", ["ops"], "-1h", False),
        ("operator", ["operator"], "+1h", False),
        ("alice", ["ops"], "+1h", False),
        ("bob", ["bob", "ops"], "+1h", False),
        ("nobody", ["nobody", "ops"], "+1h", False),
    ],
)
def test_certificates(
    user_name: str, principals: list[str], valid_before: str, comes_in: bool, start: StartManager
) -> None:
    """The operator's certificates name `ops`; those of bob come from another authority."""
    authority, other, key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
    certificate = authority.generate_user_certificate(
        key, "laptop", principals=principals, valid_after="-2h", valid_before=valid_before
    )
    text = authority.export_public_key().decode()
    users = {
        "alice": make_user(public_keys=[], certificate_authorities=[text]),
        "operator": make_user(public_keys=[], certificate_authorities=[text], principals=["ops"]),
        "bob": make_user(public_keys=[], certificate_authorities=[other.export_public_key().decode()]),
    }
    manager = start("sftp", Gatekeeper(users, lambda name: MemoryFileSystem()))
    log_in = partial(_log_in_with_certificate, manager.get_endpoints()[0].port, user_name, key, certificate)
    if comes_in:
        asyncio.run(log_in())
    else:
        with pytest.raises(asyncssh.PermissionDenied):
            asyncio.run(log_in())
