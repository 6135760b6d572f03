from __future__ import annotations

import ftplib
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudalpha.cli.app import run
from cloudalpha.configurator.status import read_statuses
from cloudalpha.users.passwords import hash_password
from tests.cli.serving import (
    ANY_PORTS,
    PASSWORD,
    Serving,
    use_both,
    write_config,
)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


class TestDemo:
    def test_it_serves_a_folder_of_its_own_over_both_protocols(self, tmp_path: Path) -> None:
        with Serving(tmp_path, *ANY_PORTS) as serving:
            use_both(serving)
            assert (tmp_path / "cloudalpha-data" / "by-sftp").read_bytes() == b"from sftp"
            assert serving.end() == 0

    def test_it_serves_the_folder_that_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "a.txt").write_text("here")
        (tmp_path / "cloudalpha.toml").write_text("this is not looked at")
        with Serving(tmp_path, "mine", *ANY_PORTS) as serving:
            ftp = serving.ftp()
            assert ftp.nlst() == ["a.txt"]
            ftp.quit()
            assert serving.end(signal.SIGINT) == 0
        assert not (tmp_path / "cloudalpha-data").exists()

    def test_it_says_how_to_connect(self, tmp_path: Path) -> None:
        with Serving(tmp_path, *ANY_PORTS) as serving:
            out = serving.out
            assert f"user demo, password {PASSWORD}" in out
            for start in ("lftp ", "curl ", "sftp "):
                assert any(line.strip().startswith(start) for line in serving.lines), out
            assert re.search(r"^sftp host key SHA256:\S{43}$", out, re.MULTILINE)
            assert re.search(r"^ftp certificate \S+", out, re.MULTILINE)
            assert serving.lines[-1] == "ready"

    def test_its_password_is_new_each_time_and_its_keys_stay(self, tmp_path: Path) -> None:
        outs = []
        for _ in range(2):
            with Serving(tmp_path, *ANY_PORTS, environ={"CLOUDALPHA_DEMO_PASSWORD": ""}) as serving:
                outs.append(serving.out)
                assert serving.end() == 0
        passwords = {re.search(r"password (\S{14})$", out, re.MULTILINE)[1] for out in outs}  # type: ignore[index]
        prints = {tuple(re.findall(r"SHA256:\S+", out)) for out in outs}
        assert len(passwords) == 2
        assert len(prints) == 1

    def test_it_listens_on_this_machine_alone(self, tmp_path: Path) -> None:
        with Serving(tmp_path, *ANY_PORTS) as serving:
            connections = psutil.Process(serving.process.pid).net_connections("inet")
            listening = [connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN]
            assert listening == ["127.0.0.1"] * 2

    @pytest.mark.parametrize("manager", ["ftp", "sftp"])
    def test_a_taken_port_is_told_with_the_option_that_helps(
        self, tmp_path: Path, manager: str, taken_port: int
    ) -> None:
        args = [*ANY_PORTS, f"--{manager}-port", str(taken_port)]
        with Serving(tmp_path, *args, wait=False) as serving:
            assert serving.wait() == 1
            message = f"port {taken_port} is taken: choose another with --{manager}-port (0 = any that is free)"
            assert serving.err.splitlines()[-1] == f"cloudalpha: {message}" or f"cloudalpha: {message}\n" in serving.err
            assert "Traceback" not in serving.err
            assert "ready" not in serving.out

    def test_the_environment_reaches_it(self, tmp_path: Path) -> None:
        environ = {"CLOUDALPHA_LOG__FORMAT": "json", "CLOUDALPHA_STATE_DIR": str(tmp_path / "elsewhere")}
        with Serving(tmp_path, *ANY_PORTS, environ=environ) as serving:
            assert serving.end() == 0
            events = [json.loads(line)["event"] for line in serving.err.splitlines()]
            assert {"listening", "account_connected", "stopping", "stopped"} <= set(events)
        assert (tmp_path / "elsewhere" / "managers").is_dir()

    def test_a_password_that_cannot_be_used_is_told(self, tmp_path: Path) -> None:
        with Serving(tmp_path, *ANY_PORTS, environ={"CLOUDALPHA_DEMO_PASSWORD": "a\nb"}, wait=False) as serving:
            assert serving.wait() == 1
            assert serving.err.startswith("cloudalpha: the password of the demo cannot be used")


class TestWrongUsage:
    def test_a_folder_that_is_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").write_text("")
        for name, reason in (("missing", "No such file or directory"), ("file", "Not a directory")):
            assert run(["serve", str(tmp_path / name)]) == 1
            assert capsys.readouterr().err == (
                f"cloudalpha: {tmp_path / name}: cannot be served: {reason}; name a folder that you can read\n"
            )

    def test_a_folder_that_cannot_be_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(path: object) -> object:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "scandir", refuse)  # root could read any
        assert run(["serve", str(tmp_path)]) == 1
        assert "cannot be served: Permission denied" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "args",
        [
            ("DIR", "--config", "FILE"),
            ("--config", "FILE", "--ftp-port", "5"),
            ("--config", "FILE", "--sftp-port", "5"),
            ("--ftp-port", "70000"),
            ("--ftp-port", "x"),
            ("a", "b"),
            ("--nope",),
        ],
    )
    def test_options_that_make_no_sense(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: tuple[str, ...]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run(["serve", *args]) == 2
        captured = capsys.readouterr()
        assert len(captured.err.splitlines()) == 1
        assert captured.out == ""

    def test_nothing_starts_on_mistakes_and_all_are_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = tmp_path / "c.toml"
        config.write_text(
            f'state_dir = "{tmp_path}/state"\n[managers.sftp]\nport = 0\nhost_kies = []\n[managers.fpt]\n'
            '[accounts.a]\nservice = "memory"\n[users.u]\nmounts = { "/" = "b:/" }\n[users."../v"]\nmounts = { "/" = "a:/" }\n'
        )
        assert run(["serve", "--config", str(config)]) == 1
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert len(lines) == 4, captured.err
        assert all(line.startswith(f"cloudalpha: {config}: [") for line in lines)
        assert captured.out == ""
        assert not (tmp_path / "state").exists()

    def test_a_file_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["serve", "--config", str(tmp_path / "nope.toml")]) == 1
        assert "nope.toml: cannot be read: No such file" in capsys.readouterr().err

    def test_a_log_that_cannot_be_written(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, f'[log]\nfile = "{tmp_path}/missing/log"\n')
        with Serving(tmp_path, "--config", config, wait=False) as serving:
            assert serving.wait() == 1
            assert (
                serving.err == f"cloudalpha: {config}: [log] file: {tmp_path}/missing/log: No such file or directory\n"
            )


class TestFile:
    def test_every_manager_of_the_file_is_started(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash)
        with Serving(tmp_path, "--config", config) as serving:
            use_both(serving, "alice")
            assert serving.end() == 0

    def test_the_file_is_found_where_it_lies(self, tmp_path: Path, password_hash: str) -> None:
        write_config(tmp_path, password_hash).rename(tmp_path / "cloudalpha.toml")
        with Serving(tmp_path) as serving:
            serving.ftp("alice").quit()

    def test_a_manager_whose_port_is_taken_keeps_no_other(
        self, tmp_path: Path, password_hash: str, taken_port: int
    ) -> None:
        config = write_config(tmp_path, password_hash, f"[managers.ftp]\nport = {taken_port}\n")
        with Serving(tmp_path, "--config", config) as serving:
            assert "cloudalpha: manager ftp is not available: " in serving.err
            assert "Traceback" not in serving.err
            with serving.sftp("alice") as sftp:
                assert sftp.listdir() == []
            assert serving.end() == 0

    def test_a_broken_certificate_keeps_no_other(self, tmp_path: Path, password_hash: str) -> None:
        (tmp_path / "broken.pem").write_text("no certificate")
        tls = f'tls_certificate = "{tmp_path}/broken.pem"\ntls_key = "{tmp_path}/broken.pem"\n'
        config = write_config(tmp_path, password_hash, f"[managers.ftp]\nport = 0\n{tls}")
        with Serving(tmp_path, "--config", config) as serving:
            assert "cloudalpha: manager ftp is not available: " in serving.err
            assert "Traceback" not in serving.err
            with serving.sftp("alice") as sftp:
                assert sftp.listdir() == []

    def test_an_account_that_fails_keeps_no_other(self, tmp_path: Path, password_hash: str) -> None:
        text = f'[accounts.gone]\nservice = "local"\nroot = "{tmp_path}/gone"\n'
        config = write_config(tmp_path, password_hash, text)
        with Serving(tmp_path, "--config", config) as serving:
            assert "cloudalpha: account gone is not available: " in serving.err
            use_both(serving, "alice")

    def test_it_ends_when_no_manager_can_start(self, tmp_path: Path, taken_port: int) -> None:
        config = tmp_path / "c.toml"
        config.write_text(f"[managers.sftp]\nport = {taken_port}\n")
        with Serving(tmp_path, "--config", config, wait=False) as serving:
            assert serving.wait() == 1
            assert "ready" not in serving.out
            assert str(taken_port) in serving.err.splitlines()[-1]

    def test_the_process_keeps_secrets_to_itself(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, f'[log]\nfile = "{tmp_path}/log"\nlevel = "debug"\n')
        with Serving(tmp_path, "--config", config) as serving:
            use_both(serving, "alice")
            with pytest.raises(ftplib.error_perm):
                serving.ftp("alice", "wrong-staple")
            proc = Path(f"/proc/{serving.process.pid}")
            assert re.search(r"^Max core file size +0 +0 ", (proc / "limits").read_text(), re.MULTILINE)
            assert re.search(r"^Umask:\s*0077$", (proc / "status").read_text(), re.MULTILINE)
            assert re.search(r"^NoNewPrivs:\s*1$", (proc / "status").read_text(), re.MULTILINE)
            assert PASSWORD.encode() not in (proc / "cmdline").read_bytes()
            assert serving.end() == 0
        kept = [*(tmp_path / "state").rglob("*"), tmp_path / "log", tmp_path / "stderr"]
        assert any("managers" in str(path) for path in kept)
        for path in kept:
            if path.is_file():
                content = path.read_bytes()
                assert PASSWORD.encode() not in content
                assert password_hash.encode() not in content
                assert b"wrong-staple" not in content
            if path.name != "stderr":
                assert path.stat().st_mode & 0o077 == 0, path

    def test_one_log_line_for_each_transfer(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, f'[log]\nfile = "{tmp_path}/log"\nformat = "json"\n')
        with Serving(tmp_path, "--config", config) as serving:
            use_both(serving, "alice")
            assert serving.end() == 0
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        transfers = [line for line in lines if line["logger"] == "cloudalpha.transfer"]
        assert sorted(
            (line["event"], line["path"], line["manager"], line["bytes"], line["result"]) for line in transfers
        ) == [
            ("download", "/by-ftp", "sftp", 8, "ok"),
            ("download", "/by-sftp", "ftp", 9, "ok"),
            ("upload", "/by-ftp", "ftp", 8, "ok"),
            ("upload", "/by-sftp", "sftp", 9, "ok"),
        ]
        assert all(line["user"] == "alice" and line["seconds"] >= 0 for line in transfers)

    def test_the_status_is_told_while_it_runs(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash)
        with Serving(tmp_path, "--config", config) as serving:
            state_dir = serving.state_dir / "cloudalpha"
            ftp = serving.ftp("alice")
            (status,) = read_statuses(state_dir)
            assert status["pid"] == serving.process.pid
            assert [(session["user_name"], session["manager"]) for session in status["sessions"]] == [("alice", "ftp")]
            ftp.quit()
            assert serving.end() == 0
        assert read_statuses(state_dir) == []
