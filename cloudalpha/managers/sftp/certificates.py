"""What an OpenSSH user certificate says of itself (OpenSSH's PROTOCOL.certkeys): for the log, and to refuse one that names no user.

AsyncSSH verifies the certificate; this only reads it.
"""

from __future__ import annotations

from typing import NamedTuple

from cloudalpha.managers.sftp.packets import BadMessageError, Reader

_SUFFIX = b"-cert-v01@openssh.com"
_KEY_FIELDS = {
    b"ssh-ed25519": 1,
    b"ssh-rsa": 2,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"ecdsa-sha2-nistp521": 2,
    b"sk-ssh-ed25519": 2,
    b"sk-ecdsa-sha2-nistp256": 3,
}


class Certificate(NamedTuple):
    """subject: its key id and serial number. principals: the users that it is good for."""

    subject: str
    principals: list[str]


def describe_certificate(key_data: bytes) -> Certificate | None:
    """What a public key says of itself if it is a certificate; None if it is a plain key. A malformed certificate has no principals."""
    reader = Reader(key_data)
    try:
        kind = reader.get_string()
        if not kind.endswith(_SUFFIX):
            return None
        reader.get_string()  # nonce
        for _ in range(_KEY_FIELDS[kind.removesuffix(_SUFFIX)]):
            reader.get_string()
        serial = reader.get_uint64()
        reader.get_uint32()  # type
        key_id = reader.get_string().decode("utf-8", "replace")
        names = Reader(reader.get_string())
    except (BadMessageError, KeyError):
        return Certificate("", [])
    return Certificate(f"{key_id} (serial {serial})", _read_names(names))


def _read_names(reader: Reader) -> list[str]:
    names = []
    try:
        while True:
            names.append(reader.get_string().decode("utf-8", "replace"))
    except BadMessageError:
        return names
