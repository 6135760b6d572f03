"""What lies on the disk, in the log and in the process of a gateway that has been used and attacked (threats.md 2, 11, 29)."""

from __future__ import annotations

import ftplib
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from cloudalpha.configurator.loader import load_values
from cloudalpha.data_store import FILE_NAME, DataStore
from cloudalpha.exceptions import DataStoreError, SettingError
from cloudalpha.testing.waiting import wait_until
from cloudalpha.users.passwords import hash_password
from tests.cli.serving import PASSWORD, Serving, use_both, write_config

TOKEN = "a-refresh-token-of-some-service"
WRONG = "wrong-but-nearly-right"


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Whoever starts the gateway has everything readable by everybody."""
    old = os.umask(0)
    yield
    os.umask(old)


class Bomb:
    """What a pickle can do: run a command when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


def test_29_no_secret_is_left_and_nobody_else_can_read(tmp_path: Path, password_hash: str, open_umask: None) -> None:
    """Both protocols, right and wrong, a reload, an upload that is held, a kill -9, and a second life."""
    (tmp_path / "password").write_text(password_hash)
    config = write_config(
        tmp_path,
        "file:password",
        f'[log]\nfile = "{tmp_path}/log"\nlevel = "debug"\nformat = "json"\n[defence]\ndelay = 0\n',
    )
    environ = {
        "CLOUDALPHA_USERS__BOB__PASSWORD_HASH": password_hash,
        "CLOUDALPHA_USERS__BOB__MOUNTS": '{ "/" = "files:/" }',
    }
    for end in (signal.SIGKILL, signal.SIGTERM):
        with Serving(tmp_path, "--config", config, environ=environ) as serving:
            state_dir = serving.state_dir
            DataStore.get_instance(state_dir / "cloudalpha").set_value("some_service", "token", TOKEN, secret=True)
            use_both(serving, "alice")
            for user in ("alice", "bob", "nobody", "../bob", "alice\\x00"):
                with pytest.raises(ftplib.Error):
                    serving.ftp(user, WRONG).close()
                with pytest.raises(paramiko.SSHException), serving.sftp(user, WRONG):
                    pass
            proc = Path(f"/proc/{serving.process.pid}")
            assert PASSWORD.encode() not in (proc / "cmdline").read_bytes()
            assert proc.stat().st_mode & 0o777 == 0o555
            serving.send(signal.SIGHUP)
            wait_until(lambda: "reloaded" in (tmp_path / "log").read_text())
            serving.end(end)
    DataStore.get_instance(state_dir / "cloudalpha").close()
    outputs = (tmp_path / "stderr").read_text() + "\n".join(serving.lines)
    kept = [*state_dir.rglob("*"), tmp_path / "log"]
    assert {"host_key_ed25519", "ftp.pem", FILE_NAME, "log"} <= {path.name for path in kept}
    key = re.sub(r"-----.*?-----|\s", "", next(p for p in kept if p.name == "host_key_ed25519").read_text())
    for secret in (PASSWORD, WRONG, TOKEN, password_hash, password_hash.rsplit("$", 1)[1], key[60:100]):
        assert secret not in outputs
        for path in kept:
            if path.is_file() and not (path.name == "host_key_ed25519" and secret in key):
                assert secret.encode() not in path.read_bytes(), path
    for path in kept:
        if not path.is_socket():
            assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == os.getuid()
    assert (tmp_path / "files" / "by-ftp").stat().st_mode & 0o007 == 0


def test_29_a_crash_leaves_no_core(tmp_path: Path, password_hash: str) -> None:
    with Serving(tmp_path, "--config", write_config(tmp_path, password_hash)) as serving:
        use_both(serving, "alice")
        limits = Path(f"/proc/{serving.process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        assert serving.end(signal.SIGSEGV) == -signal.SIGSEGV
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith("core")] == []


def test_11_a_planted_pickle_is_not_run(tmp_path: Path, password_hash: str) -> None:
    """In every row of every store, as whoever can write there would plant it: the gateway serves, and says what is broken."""
    config = write_config(tmp_path, password_hash)
    state_dir, proof = tmp_path / "state" / "cloudalpha", tmp_path / "was-run"
    state_dir.mkdir(parents=True, mode=0o700)
    store = DataStore.get_instance(state_dir)
    store.set_value("some_service", "token", TOKEN, secret=True)
    store.set_value("some_service", "cursor", 5)
    store.close()
    bomb = pickle.dumps(Bomb(proof))
    subprocess.run([sys.executable, "-c", f"import pickle; pickle.loads({bomb!r})"], check=True)
    assert proof.exists(), "the bomb works"
    proof.unlink()
    with sqlite3.connect(state_dir / FILE_NAME) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert tables
        for table in tables:
            database.execute(f'UPDATE "{table}" SET value = ?', (bomb,))  # noqa: S608 - a name of our own
    database.close()
    for name in ("spool", "managers", "layers"):
        (state_dir / name).mkdir(exist_ok=True, mode=0o700)
        (state_dir / name / "session.pickle").write_bytes(bomb)
    with Serving(tmp_path, "--config", config) as serving:
        use_both(serving, "alice")
        assert serving.end() == 0
    store = DataStore.get_instance(state_dir)
    for key in ("token", "cursor"):
        with pytest.raises(DataStoreError):
            store.get_value("some_service", key)
    store.close()
    assert not proof.exists()


@pytest.mark.parametrize(
    "name", ["..", "a/../b", ".", "", "a\x00b", "ä", "a b", "x" * 65, "%username%", "../../etc", "~", "C:\\x"]
)
def test_2_user_names_that_would_become_paths(tmp_path: Path, name: str) -> None:
    user = {
        "password_hash": "$argon2id$v=19$m=8,t=1,p=1$5fbwc/kRupRSu5L4YMZtuQ$uCIdkn9g9VX9JIrqs3S29Q",
        "mounts": {"/": "files:/"},
    }
    data = {"accounts": {"files": {"service": "memory"}}, "users": {name: user}}
    with pytest.raises(SettingError):
        load_values(data, "test", environ={})
