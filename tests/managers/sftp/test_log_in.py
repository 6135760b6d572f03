"""Who comes in, by which factors; and that nobody does otherwise (threats 5, 6, 7, 8, 9, 12, 20, 36)."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import paramiko
import pytest

from cloudalpha.exceptions import RefusedManagerError
from cloudalpha.manager import Visit
from cloudalpha.managers.sftp.connection import Connection
from cloudalpha.managers.sftp.manager import SFTPManager
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.gate import OpenGate, OpenVisit
from cloudalpha.testing.waiting import wait_until
from tests.managers.sftp.conftest import Serve

TIMEOUT = 30.0


class TwoFactorVisit(OpenVisit):
    """A user who needs a key and a password."""

    def __init__(self, gate: OpenGate) -> None:
        super().__init__(gate)
        self.factors: set[str] = set()

    def check_password(self, user_name: str, password: str) -> bool:
        return self._count("password", super().check_password(user_name, password))

    def check_public_key(self, user_name: str, public_key: str, proven: bool = True) -> bool:
        known = self.gate.public_keys.get(user_name) == public_key
        return self._count("key", known) if proven else known

    def is_authenticated(self, user_name: str) -> bool:
        return self.factors == {"key", "password"}

    def _count(self, factor: str, proven: bool) -> bool:
        if proven:
            self.factors.add(factor)
        return proven


class TwoFactorGate(OpenGate):
    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        visit = TwoFactorVisit(self)
        self.visits.append(visit)
        return visit


class CertificateVisit(OpenVisit):
    authority = ""
    subjects: list[str]

    def get_certificate_authorities(self, user_name: str) -> list[str]:
        return [self.authority] if user_name == "demo" else []

    def accept_certificate(self, user_name: str, subject: str) -> bool:
        self.subjects.append(subject)
        return self._prove(user_name, True)


class CertificateGate(OpenGate):
    def __init__(self, authority: asyncssh.SSHKey) -> None:
        super().__init__(MemoryFileSystem())
        self.authority = " ".join(authority.export_public_key().decode().split()[:2])
        self.subjects: list[str] = []

    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        visit = CertificateVisit(self)
        visit.authority, visit.subjects = self.authority, self.subjects
        self.visits.append(visit)
        return visit


@pytest.fixture
def transports() -> Iterator[list[paramiko.Transport]]:
    opened: list[paramiko.Transport] = []
    yield opened
    for transport in opened:
        transport.close()
        transport.join(TIMEOUT)


def start(manager: SFTPManager, transports: list[paramiko.Transport]) -> paramiko.Transport:
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", manager.get_endpoints()[0].port), TIMEOUT))
    transports.append(transport)
    transport.start_client(timeout=TIMEOUT)
    return transport


def can_work(transport: paramiko.Transport) -> bool:
    sftp = paramiko.SFTPClient.from_transport(transport)
    assert sftp is not None
    return sftp.listdir("/") == []


def test_password(serve: Serve, transports: list[paramiko.Transport]) -> None:
    transport = start(serve(), transports)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_password("demo", "wrong")
    assert transport.auth_password("demo", "secret") == []
    assert can_work(transport)


def test_keyboard_interactive(serve: Serve, transports: list[paramiko.Transport]) -> None:
    transport = start(serve(), transports)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_interactive("demo", lambda title, instructions, prompts: ["wrong"])
    assert transport.auth_interactive("demo", lambda title, instructions, prompts: ["secret"]) == []
    assert can_work(transport)


def test_public_key(serve: Serve, transports: list[paramiko.Transport], user_key: Path) -> None:
    manager = serve()
    transport = start(manager, transports)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("demo", paramiko.Ed25519Key.from_private_key(stranger()))
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("other", paramiko.Ed25519Key(filename=str(user_key)))
    assert transport.auth_publickey("demo", paramiko.Ed25519Key(filename=str(user_key))) == []
    assert can_work(transport)


def stranger() -> object:
    import io

    return io.StringIO(asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode())


def test_the_question_for_a_key_proves_nothing(serve: Serve, gate: OpenGate, user_key: Path) -> None:
    """A client that knows a public key alone may ask whether it would do; that must not count as a factor."""

    class Thief(paramiko.Ed25519Key):
        def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> paramiko.Message:
            message = paramiko.Message()
            message.add_string("ssh-ed25519")
            message.add_string(bytes(64))
            return message

    transports: list[paramiko.Transport] = []
    transport = start(serve(), transports)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("demo", Thief(filename=str(user_key)))
    assert gate.visits[0].user_name is None
    transport.close()


@pytest.mark.parametrize("first", ["key", "password"])
def test_key_and_password(
    serve: Serve, gate: OpenGate, transports: list[paramiko.Transport], user_key: Path, first: str
) -> None:
    transport = start(serve(TwoFactorGate(gate.file_system, public_keys=gate.public_keys)), transports)
    key = paramiko.Ed25519Key(filename=str(user_key))
    if first == "key":
        remaining = transport.auth_publickey("demo", key)
        assert not transport.is_authenticated()
        assert "publickey" not in remaining
        assert "password" in remaining
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password("demo", "wrong")
        assert transport.auth_password("demo", "secret") == []
    else:
        remaining = transport.auth_password("demo", "secret")
        assert not transport.is_authenticated()
        assert remaining == ["publickey"]
        assert transport.auth_publickey("demo", key) == []
    assert can_work(transport)


def test_what_openssh_does_with_two_factors(serve: Serve, gate: OpenGate, user_key: Path, tmp_path: Path) -> None:
    manager = serve(TwoFactorGate(gate.file_system, public_keys=gate.public_keys))
    command = ["sshpass", "-p", "secret", "sftp", "-i", str(user_key), "-o", "IdentitiesOnly=yes"]
    command += ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=no"]
    command += ["-P", str(manager.get_endpoints()[0].port), "demo@127.0.0.1"]
    done = subprocess.run(command, input="pwd\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Remote working directory: /" in done.stdout


@pytest.mark.parametrize(
    ("principals", "hours", "right_authority", "comes_in"),
    [
        (["demo"], 1, True, True),
        (["other", "demo"], 1, True, True),
        (["other"], 1, True, False),
        ([], 1, True, False),
        (["demo"], -1, True, False),
        (["demo"], 1, False, False),
    ],
)
def test_certificates(
    serve: Serve, tmp_path: Path, principals: list[str], hours: int, right_authority: bool, comes_in: bool
) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    gate = CertificateGate(authority)
    manager = serve(gate)
    key = asyncssh.generate_private_key("ssh-ed25519")
    signer = authority if right_authority else asyncssh.generate_private_key("ssh-ed25519")
    certificate = signer.generate_user_certificate(
        key, "laptop", serial=7, principals=principals, valid_after="-1d", valid_before=f"{hours:+}h"
    )
    path = tmp_path / "id"
    key.write_private_key(path)
    path.chmod(0o600)
    certificate.write_certificate(f"{path}-cert.pub")
    command = ["sftp", "-i", str(path), "-o", f"CertificateFile={path}-cert.pub", "-o", "IdentitiesOnly=yes"]
    command += ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
    command += ["-P", str(manager.get_endpoints()[0].port), "demo@127.0.0.1"]
    done = subprocess.run(command, input="pwd\n", capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == comes_in, done.stderr
    assert gate.subjects == (["laptop (serial 7)"] if comes_in else [])


def test_a_check_that_fails_lets_nobody_in(
    serve: Serve, transports: list[paramiko.Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> bool:
        raise RuntimeError("the database is gone")

    manager = serve()
    for name in ("check_password", "is_authenticated"):
        with monkeypatch.context() as patch:
            patch.setattr(OpenVisit, name, fail)
            transport = start(manager, transports)
            with pytest.raises(paramiko.SSHException):
                transport.auth_password("demo", "secret")
            assert not transport.is_authenticated()


def test_success_without_the_hook_gives_no_session(
    serve: Serve, transports: list[paramiko.Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should AsyncSSH ever log in by another way than `send_userauth_success`, the gate still refuses the session."""
    manager = serve()
    monkeypatch.setattr(OpenVisit, "is_authenticated", lambda self, user_name: False)
    monkeypatch.delattr(Connection, "send_userauth_success")
    transport = start(manager, transports)
    transport.auth_password("demo", "secret")
    with pytest.raises(paramiko.ChannelException):
        transport.open_session(timeout=TIMEOUT)


@pytest.mark.parametrize(
    "user_name", ["../../etc", "/etc/passwd", "http://127.0.0.1/", "de\x1bmo", "demo\nroot", "x" * 900]
)
def test_odd_user_names(serve: Serve, transports: list[paramiko.Transport], user_name: str) -> None:
    transport = start(serve(), transports)
    with pytest.raises(paramiko.SSHException):
        transport.auth_password(user_name, "secret")
    assert not transport.is_authenticated()


def test_too_many_tries(serve: Serve, transports: list[paramiko.Transport]) -> None:
    transport = start(serve(max_log_in_tries=3), transports)
    for _ in range(5):
        try:
            transport.auth_password("demo", "wrong", fallback=False)
        except paramiko.AuthenticationException:
            continue
        except paramiko.SSHException:
            break
    wait_until(lambda: not transport.is_active())


def test_banner(serve: Serve, transports: list[paramiko.Transport]) -> None:
    transport = start(serve(banner="For members only"), transports)
    transport.auth_password("demo", "secret")
    assert transport.get_banner() == b"For members only\n"


class ClosedGate(OpenGate):
    def enter(self, manager: str, address: str, encrypted: bool) -> Visit:
        raise RefusedManagerError("banned")


def test_nothing_is_sent_to_whom_the_gate_refuses(serve: Serve) -> None:
    manager = serve(ClosedGate(MemoryFileSystem()))
    port = manager.get_endpoints()[0].port
    with (
        contextlib.suppress(ConnectionResetError),
        socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection,
    ):
        assert connection.recv(100) == b""


def test_log_in_timeout(serve: Serve) -> None:
    gate = OpenGate(MemoryFileSystem(), timeout=0.3)
    manager = serve(gate)
    with socket.create_connection(("127.0.0.1", manager.get_endpoints()[0].port), TIMEOUT) as connection:
        while connection.recv(100):
            pass
    wait_until(lambda: gate.visits[0].closed)


def test_a_refused_session_says_why(
    serve: Serve,
    transports: list[paramiko.Transport],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(self: OpenVisit, user_name: str) -> None:
        raise RefusedManagerError("too many sessions")

    monkeypatch.setattr(OpenVisit, "open_session", refuse)
    transport = start(serve(), transports)
    transport.auth_password("demo", "secret")
    with pytest.raises(paramiko.ChannelException):
        transport.open_session(timeout=TIMEOUT)
    assert "too many sessions" in caplog.text  # paramiko tells its log alone


def test_channels_are_bounded(serve: Serve, transports: list[paramiko.Transport]) -> None:
    transport = start(serve(max_channels=3), transports)
    transport.auth_password("demo", "secret")
    channels = [transport.open_session(timeout=TIMEOUT) for _ in range(3)]
    with pytest.raises(paramiko.ChannelException):
        transport.open_session(timeout=TIMEOUT)
    channels[0].close()

    def opens() -> bool:
        try:
            transport.open_session(timeout=TIMEOUT)
        except paramiko.ChannelException:
            return False
        return True

    wait_until(opens)


def test_nothing_but_files(serve: Serve, transports: list[paramiko.Transport]) -> None:
    transport = start(serve(), transports)
    transport.auth_password("demo", "secret")
    for request in (
        lambda channel: channel.invoke_shell(),
        lambda channel: channel.exec_command("id"),
        lambda channel: channel.exec_command("scp -t /; id"),
        lambda channel: channel.exec_command("scp -S /bin/sh -t /"),
        lambda channel: channel.invoke_subsystem("netconf"),
        lambda channel: channel.get_pty(),
        lambda channel: channel.request_x11(),
    ):
        channel = transport.open_session(timeout=TIMEOUT)
        channel.settimeout(TIMEOUT)
        with pytest.raises(paramiko.SSHException):
            request(channel)
        channel.close()
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=TIMEOUT)
    with pytest.raises(paramiko.SSHException):
        transport.request_port_forward("127.0.0.1", 0)
    assert can_work(transport)


@pytest.mark.parametrize(
    "kind", [52, 80, 90, 94], ids=["USERAUTH_SUCCESS", "GLOBAL_REQUEST", "CHANNEL_OPEN", "CHANNEL_DATA"]
)
def test_messages_before_the_log_in(
    serve: Serve, gate: OpenGate, transports: list[paramiko.Transport], kind: int
) -> None:
    transport = start(serve(), transports)
    message = paramiko.Message()
    message.add_byte(bytes((kind,)))
    if kind == 90:
        message.add_string("session")
        for value in (0, 1 << 20, 1 << 15):
            message.add_int(value)
    else:
        message.add_string("x")
        message.add_boolean(True)
    transport._send_message(message)
    wait_until(lambda: not transport.is_active())
    wait_until(lambda: gate.visits[0].closed)
    assert not gate.visits[0].sessions


def audit(manager: SFTPManager) -> dict[str, object]:
    command = [str(Path(sys.executable).with_name("ssh-audit")), "-j", "--skip-rate-test", "-p"]
    done = subprocess.run(
        [*command, str(manager.get_endpoints()[0].port), "127.0.0.1"], capture_output=True, text=True, timeout=100
    )
    report: dict[str, object] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("settings", [{}, {"rsa_host_key": True}], ids=["default", "rsa"])
def test_ssh_audit(serve: Serve, settings: dict[str, bool]) -> None:
    report = audit(serve(**settings))
    failures, warnings = [], []
    for group in ("kex", "key", "enc", "mac"):
        for algorithm in report[group]:  # type: ignore[attr-defined]
            failures += algorithm["notes"].get("fail", [])
            warnings += algorithm["notes"].get("warn", [])
    assert failures == []
    assert len(warnings) <= 2, warnings
    names = {algorithm["algorithm"] for algorithm in report["kex"]}  # type: ignore[attr-defined]
    assert "kex-strict-s-v00@openssh.com" in names
    assert "mlkem768x25519-sha256" in names
    keys = {algorithm["algorithm"] for algorithm in report["key"]}  # type: ignore[attr-defined]
    assert keys == {"ssh-ed25519"} | ({"rsa-sha2-256", "rsa-sha2-512"} if settings else set())
