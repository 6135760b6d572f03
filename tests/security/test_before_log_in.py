"""What strangers get: nothing but the way in (threats.md 5, 6, 10, 13, 16, 18, 36)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import cloudalpha.managers.ftp.manager  # noqa: F401 - fills the table of commands
from cloudalpha.managers.ftp.channel import COMMANDS
from cloudalpha.managers.sftp.packets import string
from cloudalpha.testing.waiting import wait_until
from tests.managers.ftp.helpers import make_client_context
from tests.security.conftest import Target

ARGUMENTS = {
    "REST": "0",
    "TYPE": "I",
    "PORT": "127,0,0,1,200,1",
    "EPRT": "|1|127.0.0.1|51201|",
    "MFMT": "20200101000000 secret.txt",
    "AUTH": "KERBEROS",
}
FOR_STRANGERS = {
    "USER",
    "PASS",
    "ACCT",
    "QUIT",
    "AUTH",
    "PBSZ",
    "PROT",
    "FEAT",
    "HELP",
    "NOOP",
    "OPTS",
    "SYST",
    "CLNT",
    "HOST",
    "LANG",
    "ABOR",
    "REIN",
    "STAT",
}


@pytest.mark.parametrize("encrypted", [False, True], ids=["in clear", "TLS"])
def test_5_no_command_works_before_the_log_in(serve: Callable[..., Target], encrypted: bool) -> None:
    target = serve(defence={"trusted_networks": ["127.0.0.0/8"]})
    (target.root / "secret.txt").write_text("untouched")
    assert {verb for verb, command in COMMANDS.items() if not command.needs_log_in} <= FOR_STRANGERS
    for verb in sorted(set(COMMANDS) - {"QUIT"}):
        client = target.ftp(log_in=False)
        if encrypted:
            client.start_tls(make_client_context())
        else:
            client.read_reply()
        for lines in ([], ["USER demo"], ["USER demo", "PASS wrong"]):
            for line in lines:
                client.send(line)
                client.read_reply()
            reply = client.do(f"{verb} {ARGUMENTS.get(verb, 'secret.txt')}")
            if verb not in FOR_STRANGERS:
                assert reply[:4] in (b"530 ", b"501 ", b"504 "), (verb, reply)
            assert b"untouched" not in reply and b"secret.txt" not in reply and str(target.root).encode() not in reply
        client.close()
    assert sorted(os.listdir(target.root)) == ["secret.txt"]
    assert (target.root / "secret.txt").read_text() == "untouched"


def test_5_who_fails_halfway_is_nobody(target: Target) -> None:
    """A name, then another one's password; a log-in under another name while logged in."""
    client = target.ftp(log_in=False)
    client.read_reply()
    assert client.code("PASS secret") == 503
    client.do("USER nobody")
    assert client.code("PASS secret") == 530
    assert client.code("PASS secret") == 503
    assert client.code("PWD") == 530
    client.do("USER demo")
    assert client.code("PASS secret") == 230
    assert client.code("USER other") == 530
    assert client.code("PASS secret") == 503
    assert client.code("PWD") == 257


def make_packet(payload: bytes) -> bytes:
    """A binary packet before there are keys (RFC 4253, section 6)."""
    padding = 16 - (5 + len(payload)) % 8
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes((padding,)) + payload + bytes(padding)


def make_key_exchange_init() -> bytes:
    names = [
        b"curve25519-sha256,kex-strict-c-v00@openssh.com",
        b"ssh-ed25519",
        *[b"aes128-gcm@openssh.com"] * 2,
        *[b"hmac-sha2-256"] * 2,
        *[b"none"] * 2,
        b"",
        b"",
    ]
    return bytes((20,)) + os.urandom(16) + b"".join(map(string, names)) + bytes(5)


KEY_EXCHANGE_INIT = make_key_exchange_init()
IGNORE, DEBUG, UNIMPLEMENTED = (
    bytes((2,)) + string(b"x"),
    bytes((4, 0)) + string(b"x") + string(b""),
    bytes((3,)) + bytes(4),
)


def talk(target: Target, packets: list[bytes]) -> bytes:
    """What the server says to these packets, before there are keys, until it closes."""
    with socket.create_connection(("127.0.0.1", target.get_port("sftp")), 20) as sock:
        answer = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"SSH-2.0-test\r\n" + b"".join(map(make_packet, packets)))
            while data := sock.recv(65536):
                answer += data
        return answer


@pytest.mark.parametrize(
    "packets",
    [
        [IGNORE, KEY_EXCHANGE_INIT],
        [KEY_EXCHANGE_INIT, IGNORE],
        [KEY_EXCHANGE_INIT, DEBUG],
        [KEY_EXCHANGE_INIT, UNIMPLEMENTED],
    ],
    ids=["ignore first", "ignore", "debug", "unimplemented"],
)
def test_6_nothing_is_smuggled_into_a_strict_key_exchange(target: Target, packets: list[bytes]) -> None:
    """Terrapin, CVE-2023-48795: the connection ends at what has no place in a key exchange."""
    answer = talk(target, packets)
    assert b"kex-strict-s-v00@openssh.com" in answer
    assert len(answer) < 4000
    assert target.sftp().list_names(b"/") == []


@pytest.mark.parametrize("kind", [5, 21, 50, 51, 52, 60, 61, 80, 81, 90, 91, 93, 94, 98, 192, 255])
def test_5_messages_before_there_are_keys(target: Target, kind: int) -> None:
    """SERVICE_REQUEST, NEWKEYS, USERAUTH_*, CHANNEL_*: CVE-2018-10933 and its kin, in clear."""
    body = bytes((kind,)) + string(b"demo") + string(b"ssh-connection") + string(b"none") + bytes(40)
    for packets in ([body], [KEY_EXCHANGE_INIT, body]):
        answer = talk(target, packets)
        assert bytes((52,)) + bytes(16) not in answer and len(answer) < 4000
    assert target.gateway.describe()["sessions"] == []


@pytest.mark.needs("ssh", "sshpass")
@pytest.mark.parametrize(
    "options",
    [
        ["id"],
        [],
        ["-tt"],
        ["-s", "netconf"],
        ["scp -t /; id"],
        ["-o", "SetEnv=LD_PRELOAD=/tmp/x.so", "id"],
        ["-W", "127.0.0.1:1"],
        ["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1"],
        ["-o", "ExitOnForwardFailure=yes", "-w", "0:0", "-N"],
    ],
    ids=[
        "command",
        "shell",
        "terminal",
        "subsystem",
        "scp and more",
        "environment",
        "stdio forward",
        "remote forward",
        "tunnel",
    ],
)
def test_36_openssh_gets_nothing_but_files(target: Target, options: list[str], tmp_path: Path) -> None:
    command = [
        "sshpass",
        "-p",
        "secret",
        "ssh",
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        f"UserKnownHostsFile={tmp_path}/hosts",
    ]
    where = [
        "-p",
        str(target.get_port("sftp")),
        "-l",
        "demo",
        "-o",
        "PreferredAuthentications=password",
        "-o",
        "PubkeyAuthentication=no",
    ]
    flags, rest = (
        [o for o in options if o not in ("id", "netconf", "scp -t /; id")],
        [o for o in options if o in ("id", "netconf", "scp -t /; id")],
    )
    done = subprocess.run(
        [*command, *where, *flags, "127.0.0.1", *rest], input=b"id\n", capture_output=True, timeout=60
    )
    assert done.returncode != 0
    assert b"uid=" not in done.stdout
    assert target.sftp().list_names(b"/") == []


@pytest.mark.needs("ssh", "sshpass")
def test_36_local_and_dynamic_forwards_reach_nothing(target: Target, tmp_path: Path) -> None:
    """They are asked for when somebody uses them: the channel is refused, nothing is connected."""
    with socket.create_server(("127.0.0.1", 0)) as secret, socket.create_server(("127.0.0.1", 0)) as probe:
        secret.settimeout(0.2)
        local = probe.getsockname()[1]
        probe.close()
        forward = f"127.0.0.1:{local}:127.0.0.1:{secret.getsockname()[1]}"
        command = [
            "sshpass",
            "-p",
            "secret",
            "ssh",
            "-F",
            "none",
            "-N",
            "-L",
            forward,
            "-o",
            "StrictHostKeyChecking=no",
        ]
        where = [
            "-o",
            f"UserKnownHostsFile={tmp_path}/hosts",
            "-o",
            "PubkeyAuthentication=no",
            "-p",
            str(target.get_port("sftp")),
            "demo@127.0.0.1",
        ]
        with subprocess.Popen(
            [*command, *where], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as ssh:
            try:
                client = wait_until(lambda: connect(local), 20)
                client.settimeout(20)
                with contextlib.suppress(ConnectionError):
                    assert client.recv(1) == b""
                client.close()
                with pytest.raises(TimeoutError):
                    secret.accept()
            finally:
                ssh.terminate()


def connect(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), 5)
    except ConnectionRefusedError:
        return None
