"""Public keys as text."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.users.keys import get_offered_key, parse_public_key
from tests.users.helpers import KEY


def get_text(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("ssh-ed25519", {}),
        ("ssh-rsa", {"key_size": 2048}),
        ("ecdsa-sha2-nistp256", {}),
        ("ecdsa-sha2-nistp384", {}),
        ("ecdsa-sha2-nistp521", {}),
    ],
)
def test_keys_of_another_program(algorithm: str, options: dict[str, int]) -> None:
    text = get_text(asyncssh.generate_private_key(algorithm, comment="a b@c", **options))
    assert parse_public_key(text) == " ".join(text.split()[:2])
    assert parse_public_key(f"  {text}\n") == " ".join(text.split()[:2])
    assert get_offered_key(text) == parse_public_key(text)


@pytest.mark.needs("ssh-keygen")
def test_key_of_openssh(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    assert parse_public_key((tmp_path / "key.pub").read_text()).startswith("ssh-ed25519 AAAA")
    with pytest.raises(ValueError, match="private key"):
        parse_public_key((tmp_path / "key").read_text())


def test_security_keys() -> None:
    def pack(*fields: bytes) -> str:
        return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()

    for key_type, fields in (
        ("sk-ssh-ed25519@openssh.com", (bytes(32), b"ssh:")),
        ("sk-ecdsa-sha2-nistp256@openssh.com", (b"nistp256", bytes(65), b"ssh:")),
    ):
        text = f"{key_type} {pack(key_type.encode(), *fields)}"
        assert parse_public_key(text) == text
        with pytest.raises(ValueError, match="not a valid"):
            parse_public_key(f"{key_type} {pack(key_type.encode(), *fields[:-1])}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "TYPE BASE64"),
        ("   ", "TYPE BASE64"),
        ("ssh-ed25519", "TYPE BASE64"),
        ("/etc/passwd", "TYPE BASE64"),
        ("\\\\server\\share key", "unknown type"),
        ("file:///etc/passwd x", "unknown type"),
        ("https://example.org/key x", "unknown type"),
        (KEY + "\n" + KEY, "one line"),
        ('from="10.0.0.1" ' + KEY, "options before the key"),
        ("cert-authority " + KEY, "options before the key"),
        ("ssh-dss AAAA", "DSA"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
        (KEY[:-4], "cut off"),
        (KEY + "!", "base64"),
        (KEY.replace("ssh-ed25519", "ecdsa-sha2-nistp256", 1), "not of the type"),
        ("ssh-rsa " + KEY.split()[1], "not of the type"),
        ("ssh-ed25519 AAAA", "cut off"),
        ("ssh-ed25519 " + "A" * 9000, "TYPE BASE64"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
    ],
)
def test_texts_that_are_no_keys(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_public_key(text)


def test_short_rsa_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="1024 bits is too short"):
        parse_public_key(get_text(asyncssh.generate_private_key("ssh-rsa", key_size=1024)))


@given(st.text() | st.binary().map(lambda data: "ssh-ed25519 " + base64.b64encode(data).decode()))
def test_any_text_is_refused_properly(text: str) -> None:
    get_offered_key(text)
    with pytest.raises(ValueError, match="key"):
        parse_public_key(text)
