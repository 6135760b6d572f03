"""No root at run time (threats.md 37): what `run_as` leaves of it, with a gateway that root starts."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudalpha.cli.running import Running
from cloudalpha.configurator.loader import load_values
from cloudalpha.exceptions import InvalidSettingError
from cloudalpha.users.passwords import hash_password
from tests.cli.serving import ANY_PORTS, PASSWORD, Serving, use_both, write_config

NOBODY = pwd.getpwnam("nobody")
NET_BIND_SERVICE = f"{1 << 10:016x}"
pytestmark = [pytest.mark.root, pytest.mark.needs("mount", "unshare")]


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can reach: pytest's own are root's alone."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def reachable_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where Python lies in root's own folder, the gateway gets a view of the disk in which everybody can reach it."""
    closed = [path for path in Path(os.__file__).parents if not path.stat().st_mode & 0o001]
    if not closed:
        return
    run_in_a_view_of_the_disk(
        tmp_path / "python",
        monkeypatch,
        f"mkdir -p {tmp_path}/kept\nmount --rbind {sys.base_prefix} {tmp_path}/kept\n"
        f"mount -t tmpfs -o mode=755 tmpfs {closed[-1]}\nmkdir -p {sys.base_prefix}\n"
        f"mount --rbind {tmp_path}/kept {sys.base_prefix}",
    )


def run_in_a_view_of_the_disk(wrapper: Path, monkeypatch: pytest.MonkeyPatch, mounts: str) -> None:
    """Let `Serving` start its process where these mounts are done, which nobody else sees."""
    wrapper.write_text(
        '#!/bin/sh -e\n[ -n "$APART" ] || APART=1 exec unshare --mount "$0" "$@"\nunset APART\n'
        f'{mounts}\nexec {sys.executable} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(wrapper))


def make_config(folder: Path, password_hash: str, text: str) -> Path:
    config = write_config(folder, password_hash, text)
    config.chmod(0o644)
    os.chown(folder / "files", NOBODY.pw_uid, NOBODY.pw_gid)
    return config


def get_status(serving: Serving) -> dict[str, set[str]]:
    """What /proc says of each thread: user and group ids, capabilities."""
    seen: dict[str, set[str]] = {}
    for task in Path(f"/proc/{serving.process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            for line in (task / "status").read_text().splitlines():
                name, _, value = line.partition(":")
                seen.setdefault(name, set()).add(value.strip())
    return seen


def test_nothing_of_root_is_left(folder: Path, password_hash: str) -> None:
    config = make_config(folder, password_hash, f'run_as = "nobody"\nstate_dir = "{folder}/new/state"\n')
    with Serving(folder, "--config", config) as serving:
        use_both(serving, "alice")
        status = get_status(serving)
        assert status["Uid"] == {"\t".join([str(NOBODY.pw_uid)] * 4)}
        assert status["Gid"] == {"\t".join([str(NOBODY.pw_gid)] * 4)}
        assert status["Groups"] <= {str(NOBODY.pw_gid), ""}
        assert status["CapEff"] == status["CapPrm"] == {NET_BIND_SERVICE}
        assert status["CapInh"] == status["CapAmb"] == {"0" * 16}
        assert status["NoNewPrivs"] == {"1"}
        assert "running_as_root" not in serving.err
        serving.send(signal.SIGHUP)
        serving.wait_for_log("event=reloaded")
        assert serving.end() == 0
    kept = [*(folder / "new").rglob("*"), folder / "new", *(folder / "files").iterdir()]
    assert any(path.name == "host_key_ed25519" for path in kept)
    for path in kept:
        assert path.stat().st_uid == NOBODY.pw_uid, path
        if path.is_relative_to(folder / "new"):
            assert path.stat().st_mode & 0o077 == 0, path
    with Serving(folder, "--config", config) as serving:  # the same state again
        use_both(serving, "alice")
        assert serving.end() == 0


def test_ports_below_1024_need_no_root(folder: Path, password_hash: str) -> None:
    text = f'run_as = "nobody"\nstate_dir = "{folder}/state"\n'
    for manager, port in (("ftp", find_low_port(700)), ("sftp", find_low_port(800))):
        text += f"[managers.{manager}]\nport = {port}\n"
    with Serving(folder, "--config", make_config(folder, password_hash, text)) as serving:
        assert serving.get_port("ftp") < 1024
        assert serving.get_port("sftp") < 1024
        use_both(serving, "alice")
        assert get_status(serving)["Uid"] == {"\t".join([str(NOBODY.pw_uid)] * 4)}


def find_low_port(first: int) -> int:
    start = first + os.getpid() % 50
    for port in range(start, start + 50):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below 1024")


def test_files_that_are_roots_are_out_of_reach(folder: Path, password_hash: str) -> None:
    (folder / "private.pem").write_text("of root")
    (folder / "private.pem").chmod(0o600)
    text = f'run_as = "nobody:nogroup"\nstate_dir = "{folder}/state"\n[managers.ftp]\nport = 0\ntls_certificate = "{folder}/private.pem"\n'
    with Serving(folder, "--config", make_config(folder, password_hash, text)) as serving:
        assert "the TLS certificate cannot be read: private.pem: Permission denied" in serving.err
        with serving.sftp("alice") as sftp:
            assert sftp.listdir() == []


def test_a_state_folder_of_root_is_not_handed_over(folder: Path, password_hash: str) -> None:
    (folder / "state").mkdir(mode=0o700)
    (folder / "state" / "others").write_text("")
    config = make_config(folder, password_hash, f'run_as = "nobody"\nstate_dir = "{folder}/state"\n')
    with Serving(folder, "--config", config, wait=False) as serving:
        assert serving.wait() == 1
        assert serving.err == (
            f"cloudalpha: run_as: nobody cannot use {folder}/state: name another `state_dir`, or hand it over: chown -R nobody {folder}/state\n"
        )
    assert (folder / "state").stat().st_uid == (folder / "state" / "others").stat().st_uid == 0


def test_a_python_that_is_out_of_reach_is_told(
    folder: Path, password_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one module at a time, in the middle of somebody's session."""
    (folder / "os.py").write_bytes(Path(os.__file__).read_bytes())
    (folder / "os.py").chmod(0o600)
    run_in_a_view_of_the_disk(folder / "python", monkeypatch, f"mount --bind {folder}/os.py {os.__file__}")
    config = make_config(folder, password_hash, f'run_as = "nobody"\nstate_dir = "{folder}/state"\n')
    with Serving(folder, "--config", config, wait=False) as serving:
        assert serving.wait() == 1
        assert serving.err.startswith(f"cloudalpha: run_as: nobody cannot read {os.__file__}: install ")


def test_the_demo_makes_its_folder_for_that_user(folder: Path) -> None:
    for _ in range(2):  # made, and found
        with Serving(folder, *ANY_PORTS, environ={"CLOUDALPHA_RUN_AS": "nobody"}) as serving:
            with serving.ftp() as client:
                client.storbinary("STOR file", io.BytesIO(b"content"))
            assert get_status(serving)["Uid"] == {"\t".join([str(NOBODY.pw_uid)] * 4)}
            assert serving.end() == 0
    served = folder / "cloudalpha-data"
    assert served.stat().st_mode & 0o777 == 0o700
    for path in (served, served / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert folder.stat().st_uid == 0


def test_the_demo_tells_of_a_folder_that_is_out_of_that_users_reach(folder: Path) -> None:
    (folder / "own").mkdir(mode=0o700)
    environ = {"CLOUDALPHA_RUN_AS": "nobody"}
    with Serving(folder, folder / "own", *ANY_PORTS, environ=environ, wait=False) as serving:
        assert serving.wait() == 1
        assert f"cloudalpha: {folder}/own: cannot be served: Permission denied; " in serving.err
        assert f"chown -R nobody {folder}/own" in serving.err
    assert (folder / "own").stat().st_uid == 0


@pytest.mark.parametrize(
    ("run_as", "message"),
    [
        ("nobody-at-all", "run_as: this machine knows no user 'nobody-at-all'"),
        ("nobody:no-group", "run_as: this machine knows no group 'no-group'"),
        ("root", "run_as: name a user that is not root"),
        ("root:nogroup", "run_as: name a user that is not root"),
    ],
)
def test_users_that_it_cannot_become(tmp_path: Path, run_as: str, message: str) -> None:
    configuration = load_values({"run_as": run_as, "state_dir": str(tmp_path / "state")}, "test", environ={})
    with pytest.raises(InvalidSettingError) as caught:
        Running(configuration, lambda: configuration)
    assert str(caught.value) == message
    assert os.geteuid() == 0
    assert not (tmp_path / "state").exists()


def test_root_without_it_is_warned(folder: Path, password_hash: str) -> None:
    config = make_config(folder, password_hash, '[log]\nformat = "json"\n')
    with Serving(folder, "--config", config) as serving:
        warnings = [line for line in map(json.loads, serving.err.splitlines()) if line["event"] == "running_as_root"]
        assert len(warnings) == 1
        assert "run_as" in warnings[0]["hint"]
