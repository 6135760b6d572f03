"""Which SSH algorithms are offered, in which order: what ssh-audit finds nothing wrong with, and a way to serve old clients knowingly."""

from __future__ import annotations

from functools import cache
from pathlib import Path

KEY_EXCHANGES = ["mlkem768x25519-sha256", "curve25519-sha256"]
MACS = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
]  # the last for libssh2 1.10: curl
HOST_KEY_ALGORITHMS = {
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"rsa-sha2-256",
    b"rsa-sha2-512",
}
"""How a host key may sign: what a key could do beside these (SHA-1, private names) is not offered."""

SIGNATURES = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
]
"""How clients are told to sign with their keys (RFC 8308, section 3.1): AsyncSSH's own list has DSA, and RSA over SHA-1."""

_AES_GCM = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]
_CHACHA = ["chacha20-poly1305@openssh.com"]
_AES_CTR = ["aes256-ctr", "aes128-ctr"]

LEGACY_KEY_EXCHANGES = [
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group14-sha1",
]
LEGACY_CIPHERS = ["aes192-ctr", "aes256-cbc", "aes128-cbc"]
LEGACY_MACS = ["hmac-sha2-512", "hmac-sha1"]


@cache
def has_aes_instructions(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor computes AES itself; then AES-GCM costs half of what ChaCha20 does, else more."""
    try:
        lines = cpu_info.read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any("aes" in line.split() for line in lines if line.lower().startswith(("flags", "features")))


def get_ciphers(aes: bool | None = None) -> list[str]:
    """The default ciphers.

    SSH follows the client's order (RFC 4253, section 7.1), and OpenSSH's clients ask for ChaCha20 first: where the processor has AES
    instructions, it is therefore not offered at all beside AES-GCM, which every client that knows it knows as well.
    """
    aes = has_aes_instructions() if aes is None else aes
    return _AES_GCM + _AES_CTR if aes else _CHACHA + _AES_GCM + _AES_CTR
