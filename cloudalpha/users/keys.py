"""Public keys as OpenSSH writes them: `TYPE BASE64 comment` (RFC 4253 section 6.6; the lines of ~/.ssh/id_ed25519.pub).

Only text is looked at: nothing here is ever opened as a file or fetched.
"""

from __future__ import annotations

import base64
import binascii

MIN_RSA_BITS = 2048

_CURVES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
_ECDSA = {f"ecdsa-sha2-{curve}": curve for curve in _CURVES}
KEY_TYPES = ("ssh-ed25519", "ssh-rsa", *_ECDSA, "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")

_MAX_LENGTH = 8192


def parse_public_key(text: str) -> str:
    """The key as `TYPE BASE64`, without its comment. Raises ValueError, whose message says what to do."""
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key; what belongs here is the public one, the line of the .pub file")
    words = text.split()
    if len(text) > _MAX_LENGTH or len(words) < 2 or "\n" in text.strip():
        raise ValueError(
            "not a public key; write it as 'TYPE BASE64 comment' on one line, like 'ssh-ed25519 AAAA... me@laptop'"
        )
    key_type, encoded = words[:2]
    if key_type not in KEY_TYPES:
        raise ValueError(_explain_type(key_type))
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the {key_type} key is not valid base64; is it whole?") from None
    _check_fields(key_type, _split_fields(key_type, blob))
    return f"{key_type} {base64.b64encode(blob).decode()}"


def get_offered_key(text: str) -> str | None:
    """What a client offers, as `parse_public_key` would write it; None for anything that cannot be a key. Cheap, and never raises."""
    words = text.split(None, 2) if len(text) <= _MAX_LENGTH else []
    return f"{words[0]} {words[1]}" if len(words) >= 2 else None


def _explain_type(key_type: str) -> str:
    if "=" in key_type or "," in key_type or key_type in ("cert-authority", "restrict"):
        return "options before the key are not supported; write 'TYPE BASE64 comment'"
    if key_type == "ssh-dss":
        return "DSA keys are broken; make a new key with: ssh-keygen -t ed25519"
    if "-cert-" in key_type:
        return "this is a certificate; name the key of its authority in certificate_authorities instead"
    return f"unknown type of key; there are: {', '.join(KEY_TYPES)}"


def _split_fields(key_type: str, blob: bytes) -> list[bytes]:
    """The strings that the key is made of (RFC 4251 section 5)."""
    fields = []
    position = 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4], "big")
        field = blob[position + 4 : position + 4 + length]
        if position + 4 > len(blob) or len(field) != length:
            raise ValueError(f"the {key_type} key is cut off; is it whole?")
        fields.append(field)
        position += 4 + length
    return fields


def _check_fields(key_type: str, fields: list[bytes]) -> None:
    if not fields or fields[0] != key_type.encode():
        raise ValueError(f"the key is not of the type that stands before it ({key_type})")
    values = (
        fields[1:-1] if key_type.startswith("sk-") else fields[1:]
    )  # a security key names its application at the end
    if key_type == "ssh-rsa":
        is_right = len(values) == 2
        if is_right and (bits := int.from_bytes(values[1], "big").bit_length()) < MIN_RSA_BITS:
            raise ValueError(f"an RSA key of {bits} bits is too short; {MIN_RSA_BITS} are the least")
    elif "ed25519" in key_type:
        is_right = len(values) == 1 and len(values[0]) == 32
    else:
        curve = _ECDSA.get(key_type, "nistp256")
        is_right = len(values) == 2 and values[0] == curve.encode() and len(values[1]) == _CURVES[curve]
    if not is_right:
        raise ValueError(f"not a valid {key_type} key; is it whole?")
