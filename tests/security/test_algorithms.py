"""What SSH offers and takes by default (threats.md 6, 7, 8), as seen from outside; and FTP's TLS behind AUTH TLS (17)."""

from __future__ import annotations

import re
import socket
import subprocess

import paramiko
import pytest

from tests.security.conftest import Target


def test_7_clients_are_not_told_to_sign_with_sha_1(target: Target) -> None:
    """server-sig-algs (RFC 8308) names what is taken, and nothing of SHA-1 or DSA."""
    with socket.create_connection(("127.0.0.1", target.get_port("sftp")), 20) as sock:
        transport = paramiko.Transport(sock)
        transport.connect(username="demo", password="secret")
        told = set(transport.server_extensions["server-sig-algs"].decode().split(","))
        transport.close()
        transport.join(20)
    assert {"ssh-ed25519", "rsa-sha2-256", "rsa-sha2-512"} <= told
    assert not [name for name in told if name in ("ssh-rsa", "ssh-dss") or name.startswith("x509") or "sha224" in name]


def test_7_an_rsa_key_logs_in_with_sha_2_alone(target: Target) -> None:
    """Not even the question for a key is answered when SHA-1 is to sign."""
    key = paramiko.RSAKey.generate(2048)
    with socket.create_connection(("127.0.0.1", target.get_port("sftp")), 20) as sock:
        transport = paramiko.Transport(sock, disabled_algorithms={"pubkeys": ["rsa-sha2-256", "rsa-sha2-512"]})
        transport.start_client(timeout=20)
        with pytest.raises(paramiko.SSHException):
            transport.auth_publickey("demo", key)
        transport.close()
        transport.join(20)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(
    ("options", "works"),
    [
        (["-tls1_2"], True),
        (["-tls1_3"], True),
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
        (["-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"], False),
        (["-tls1_2", "-cipher", "ECDHE+SHA:ECDHE+SHA256:@SECLEVEL=0"], False),
        (["-alpn", "http/1.1"], False),
        (["-alpn", "ftp"], True),
    ],
    ids=["TLS 1.2", "TLS 1.3", "TLS 1.1", "static RSA", "no AEAD", "ALPN of HTTP", "ALPN of FTP"],
)
def test_17_tls_behind_auth(target: Target, options: list[str], works: bool) -> None:
    """Forward-secret AEAD suites of TLS 1.2 and 1.3 alone, and no protocol but FTP, after AUTH TLS too."""
    address = f"127.0.0.1:{target.get_port('ftp')}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-starttls", "ftp", *options], input=b"", capture_output=True, timeout=60
    )  # fmt: skip
    suite = re.search(rb"Cipher is (\S+)|Cipher +: (\S+)", done.stdout)
    assert (suite is not None and b"NONE" not in suite[0]) == works, done.stdout + done.stderr
    assert target.ftp().code("NOOP") == 200
