from __future__ import annotations

import ftplib
import io
import signal
import socket
from pathlib import Path

import paramiko
import pytest

from cloudalpha.testing.waiting import wait_until
from cloudalpha.users.passwords import hash_password
from tests.cli.serving import (
    ANY_PORTS,
    PASSWORD,
    Serving,
    hold_upload,
    is_refused,
    log_in_by_tls,
    make_certificate,
    use_both,
    write_config,
)


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


class TestReload:
    def test_users_are_read_again_and_sessions_go_on(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash)
        with Serving(tmp_path, "--config", config) as serving:
            alice = serving.ftp("alice")
            with pytest.raises(ftplib.error_perm):
                serving.ftp("bob")
            write_config(tmp_path, password_hash, users=("bob",))
            serving.send(signal.SIGHUP)
            serving.wait_for_log("event=reloaded")
            serving.ftp("bob").quit()
            with pytest.raises(ftplib.error_perm):
                serving.ftp("alice")
            alice.storbinary("STOR still-here", io.BytesIO(b"yes"))
            alice.quit()
            assert serving.end() == 0
        assert (tmp_path / "files" / "still-here").read_bytes() == b"yes"

    def test_certificates_are_read_again_and_sessions_go_on(self, tmp_path: Path, password_hash: str) -> None:
        first = make_certificate(tmp_path)
        tls = f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
        config = write_config(tmp_path, password_hash, f"[managers.ftp]\nport = 0\n{tls}")
        with Serving(tmp_path, "--config", config) as serving:
            session, shown = log_in_by_tls(serving)
            assert shown == first
            second = make_certificate(tmp_path)
            serving.send(signal.SIGHUP)
            serving.wait_for_log("event=reloaded")
            other, shown = log_in_by_tls(serving)
            assert shown == second
            assert session.voidcmd("NOOP").startswith("2")
            session.quit()
            other.quit()
            assert serving.end() == 0

    def test_a_certificate_that_broke_leaves_the_old_one(self, tmp_path: Path, password_hash: str) -> None:
        first = make_certificate(tmp_path)
        tls = f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
        config = write_config(tmp_path, password_hash, f"[managers.ftp]\nport = 0\n{tls}")
        with Serving(tmp_path, "--config", config) as serving:
            (tmp_path / "cert.pem").write_text("broken")
            serving.send(signal.SIGHUP)
            serving.wait_for_log("event=reloaded")
            session, shown = log_in_by_tls(serving)
            assert shown == first
            session.quit()
            assert "level=error" in serving.err
            assert serving.end() == 0

    def test_a_file_with_mistakes_changes_nothing(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash)
        with Serving(tmp_path, "--config", config) as serving:
            config.write_text("[acounts]\n")
            serving.send(signal.SIGHUP)
            serving.wait_for_log("event=not_reloaded")
            assert "did you mean 'accounts'?" in serving.err
            serving.ftp("alice").quit()
            assert serving.end() == 0

    def test_the_demo_survives_it(self, tmp_path: Path) -> None:
        with Serving(tmp_path, *ANY_PORTS) as serving:
            serving.send(signal.SIGHUP)
            serving.wait_for_log("event=reloaded")
            use_both(serving)


class TestStop:
    def test_a_running_transfer_gets_its_grace_period_and_nobody_new_comes_in(
        self, tmp_path: Path, password_hash: str
    ) -> None:
        config = write_config(tmp_path, password_hash, "grace_seconds = 30\n")
        with Serving(tmp_path, "--config", config) as serving:
            ftp, data = hold_upload(serving, user="alice")
            serving.send(signal.SIGTERM)
            serving.wait_for_log("event=stopping")
            wait_until(lambda: is_refused(serving.get_port("ftp")), timeout=20)
            wait_until(lambda: is_refused(serving.get_port("sftp")), timeout=20)
            data.sendall(b"second half")
            data.close()
            assert ftp.voidresp().startswith("226")
            ftp.close()
            assert serving.wait() == 0
        assert (tmp_path / "files" / "held").read_bytes() == b"first half second half"

    def test_an_sftp_upload_gets_its_grace_period_too(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, "grace_seconds = 30\n")
        with Serving(tmp_path, "--config", config) as serving, serving.sftp("alice") as sftp:
            file = sftp.open("held", "w")
            file.write(b"first half ")
            serving.send(signal.SIGTERM)
            serving.wait_for_log("event=stopping")
            wait_until(lambda: is_refused(serving.get_port("sftp")), timeout=20)
            file.write(b"second half")
            file.close()
            assert serving.wait() == 0
        assert (tmp_path / "files" / "held").read_bytes() == b"first half second half"

    def test_what_outlasts_the_grace_period_is_discarded(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, "grace_seconds = '300 ms'\n")
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / "held").write_bytes(b"old")
        with Serving(tmp_path, "--config", config) as serving:
            ftp, data = hold_upload(serving, user="alice")
            assert serving.end() == 0
            data.close()
            ftp.close()
        assert [path.name for path in (tmp_path / "files").iterdir()] == ["held"]
        assert (tmp_path / "files" / "held").read_bytes() == b"old"

    def test_idle_sessions_do_not_hold_it_up(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, "grace_seconds = '10m'\n")
        with Serving(tmp_path, "--config", config) as serving:
            ftp = serving.ftp("alice")
            with serving.sftp("alice"):
                assert serving.end() == 0
            ftp.close()

    def test_a_second_signal_ends_it_at_once(self, tmp_path: Path, password_hash: str) -> None:
        config = write_config(tmp_path, password_hash, "grace_seconds = '10m'\n")
        with Serving(tmp_path, "--config", config) as serving:
            ftp, data = hold_upload(serving, user="alice")
            serving.send(signal.SIGTERM)
            serving.wait_for_log("event=stopping")
            assert serving.end() == 1
            data.close()
            ftp.close()
        assert not (tmp_path / "files" / "held").exists()

    def test_the_same_ports_can_be_taken_again_at_once(self, tmp_path: Path) -> None:
        with Serving(tmp_path, *ANY_PORTS) as serving:
            use_both(serving)
            ports = ("--ftp-port", str(serving.get_port("ftp")), "--sftp-port", str(serving.get_port("sftp")))
            assert serving.end() == 0
        with Serving(tmp_path, *ports) as serving:
            use_both(serving)

    def test_a_wrong_host_key_is_never_served_after_a_restart(self, tmp_path: Path) -> None:
        keys: list[paramiko.PKey] = []
        for _ in range(2):
            with (
                Serving(tmp_path, *ANY_PORTS) as serving,
                socket.create_connection(("127.0.0.1", serving.get_port("sftp"))) as s,
            ):
                transport = paramiko.Transport(s)
                transport.start_client(timeout=20)
                keys.append(transport.get_remote_server_key())
                transport.close()
        assert keys[0] == keys[1]
