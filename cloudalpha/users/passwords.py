"""Password hashes: made with argon2id, checked with argon2id or bcrypt, and never more of them at once than memory allows.

The parameters are those of RFC 9106 section 4 for bounded memory: 64 MiB, 3 passes, 4 lanes. Passwords are taken in the Unicode form NFC, so that
the same keys give the same password on every system; bytes that are not UTF-8 are kept. argon2 and bcrypt are imported when the first hash is needed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache

ARGON2_MEMORY_KIB = 65536
ARGON2_PASSES = 3
ARGON2_LANES = 4
MAX_PASSWORD_BYTES = 1024

_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_MAX_ARGON2_MEMORY_KIB = 1024 * 1024
_MAX_ARGON2_PASSES = 64
_MAX_BCRYPT_COST = 16
_BCRYPT_BYTES = 72
_CONTROL_CHARACTERS = frozenset(chr(code) for code in (*range(0x20), 0x7F))


class BusyError(Exception):
    """More passwords wait to be checked than the bound allows."""


def hash_password(password: str) -> str:
    """The argon2id hash of a password, as the configuration keeps it.

    Raises ValueError for a password that no log-in could use: empty, with a control character, longer than 1024 bytes.
    """
    import argon2

    encoded = _encode(password)
    if encoded is None:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes, and no control characters")
    return argon2.PasswordHasher(ARGON2_PASSES, ARGON2_MEMORY_KIB, ARGON2_LANES).hash(encoded)


def check_hash_format(password_hash: str) -> str:
    """The hash itself, when it is one that can be checked within bounds. Raises ValueError, which does not repeat it."""
    if match := _ARGON2ID.fullmatch(password_hash):
        memory, passes, lanes = (int(group) for group in match.groups())
        if (
            memory > _MAX_ARGON2_MEMORY_KIB
            or not 1 <= passes <= _MAX_ARGON2_PASSES
            or not 1 <= lanes <= 64
            or memory < 8 * lanes
        ):
            raise ValueError("the parameters of the argon2id hash are out of bounds: at most m=1048576, t=64, p=64")
        return password_hash
    if match := _BCRYPT.fullmatch(password_hash):
        if not 4 <= int(match[1]) <= _MAX_BCRYPT_COST:
            raise ValueError(f"the cost of the bcrypt hash is out of bounds: 4 to {_MAX_BCRYPT_COST}")
        return password_hash
    raise ValueError("not an argon2id or bcrypt hash; make one with: cloudalpha hash-password")


def check_hash(password_hash: str, encoded: bytes) -> bool:
    """Whether the hash is that of the password, given as bytes. Takes a while, and up to the memory that the hash names."""
    if password_hash.startswith("$argon2id$"):
        import argon2

        try:
            return argon2.PasswordHasher().verify(password_hash, encoded)
        except argon2.exceptions.VerifyMismatchError:
            return False
    import bcrypt

    # bcrypt looks at 72 bytes; its library refuses more. "$2y$" is what others call "$2b$".
    return bcrypt.checkpw(encoded[:_BCRYPT_BYTES], b"$2b$" + password_hash[4:].encode())


class PasswordChecker:
    """Checks passwords with the same work for every name, known or not.

    max_parallel: hashes computed at once (64 MiB each, as a rule). max_waiting: how many more may wait for their turn.
    check: computes a hash and compares; replaced in tests.
    """

    def __init__(
        self,
        max_parallel: int = 4,
        max_waiting: int = 64,
        check: Callable[[str, bytes], bool] = check_hash,
    ) -> None:
        self._check = check
        self._turns = threading.BoundedSemaphore(max_parallel)
        self._places = threading.BoundedSemaphore(max_parallel + max_waiting)
        self._secret = secrets.token_bytes(16)
        self._stand_ins: tuple[str, ...] = (_make_default_stand_in(),)

    def learn_hashes(self, password_hashes: Iterable[str]) -> None:
        """Tell which hashes there are, so that those made up for unknown names take as long as real ones."""
        kinds = {_get_kind(password_hash): password_hash for password_hash in sorted(password_hashes)}
        self._stand_ins = tuple(_make_stand_in(kind) for kind in sorted(kinds)) or (_make_default_stand_in(),)

    def check(self, user_name: str, password_hash: str | None, password: str) -> bool:
        """Whether the password is that of the hash; without one the same work is done, and the answer is False.

        Blocks, also until there is room to compute. Raises BusyError when too many wait already.
        """
        encoded = _encode(password)
        stand_in = self._get_stand_in(user_name)  # made up for every name: its making takes time too
        compared = password_hash or stand_in
        if not self._places.acquire(blocking=False):
            raise BusyError("too many passwords are being checked")
        try:
            with self._turns:
                matches = self._check(compared, encoded if encoded is not None else b"-")
        finally:
            self._places.release()
        return matches and password_hash is not None and encoded is not None

    def _get_stand_in(self, user_name: str) -> str:
        """Always the same for one name, and nobody outside can tell which: a name keeps looking like one that exists."""
        digest = hashlib.blake2b(user_name.encode("utf-8", "replace"), key=self._secret, digest_size=8).digest()
        stand_ins = self._stand_ins
        return stand_ins[int.from_bytes(digest, "big") % len(stand_ins)]


def _encode(password: str) -> bytes | None:
    """The bytes that are hashed; None for a password that nobody can have."""
    if not _CONTROL_CHARACTERS.isdisjoint(password):
        return None
    try:
        encoded = unicodedata.normalize("NFC", password[: MAX_PASSWORD_BYTES + 1]).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    return encoded if 0 < len(encoded) <= MAX_PASSWORD_BYTES else None


def _get_kind(password_hash: str) -> str:
    """The algorithm and its parameters: what decides how long a check takes."""
    end = password_hash.rfind("$", 0, password_hash.rfind("$")) if password_hash.startswith("$argon2id$") else 6
    return "$2b$" + password_hash[4:end] if password_hash.startswith("$2") else password_hash[:end]


def _make_stand_in(kind: str) -> str:
    """A hash of that kind that no password gives, but by a chance of 1 in 2**128 and more."""
    if kind.startswith("$2b$"):
        return f"{kind}$" + _random_text(
            53, "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "Oeu.", 21
        )
    return f"{kind}${_random_text(22, _BASE64, 'AQgw', 21)}${_random_text(43, _BASE64, 'AEIMQUYcgkosw048', 42)}"


_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _random_text(length: int, alphabet: str, padded: str, padded_at: int) -> str:
    """Random text in a base64; the character at the end of the whole bytes must have zero bits left over."""
    return "".join(secrets.choice(padded if index == padded_at else alphabet) for index in range(length))


@cache
def _make_default_stand_in() -> str:
    return _make_stand_in(f"$argon2id$v=19$m={ARGON2_MEMORY_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}")
