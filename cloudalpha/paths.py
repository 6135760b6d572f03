"""Pure functions on paths: absolute, normalized, POSIX; "/" is the root, and no other path ends in a slash.

A path is a `str`. Bytes of a name that are not UTF-8 are carried as lone surrogates (PEP 383, `surrogateescape`), so that every
name survives byte for byte; nothing is folded, neither letter case nor Unicode form. `normalize` is the one place where what a client
sent becomes a path; everything behind it may rely on the form.
"""

from __future__ import annotations

from cloudalpha.exceptions import InvalidPathFileSystemError

ROOT = "/"
MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255

_CONTROL_CHARACTERS = frozenset(chr(code) for code in (*range(0x20), 0x7F))


def decode(raw: bytes) -> str:
    """The path of bytes that came over the wire or from a disk."""
    return raw.decode("utf-8", "surrogateescape")


def encode(path: str) -> bytes:
    """The bytes of a path: the inverse of `decode`.

    Raises InvalidPathFileSystemError for a lone surrogate that stands for no byte.
    """
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidPathFileSystemError(printable(path), "the name is not valid Unicode") from error


def printable(path: str) -> str:
    """The path for a log line or a message: control characters and lone surrogates escaped, at most 300 characters."""
    text = path if path.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
    return text if len(text) <= 300 else text[:297] + "..."


def normalize(raw: str | bytes, working_dir: str = ROOT) -> str:
    """The path that a client means: relative to working_dir, with "//", "." and ".." resolved by their names alone.

    ".." above the root stays at the root (RFC 959 and POSIX agree). Raises InvalidPathFileSystemError for an empty path, control
    characters (C0, NUL, DEL), a name of more than 255 bytes or a path of more than 4096.
    """
    path = decode(raw) if isinstance(raw, bytes) else raw
    if not path:
        raise InvalidPathFileSystemError("", "the path is empty")
    if not _CONTROL_CHARACTERS.isdisjoint(path):
        raise InvalidPathFileSystemError(printable(path), "the path contains a control character")
    if path[0] != "/":
        path = working_dir + "/" + path
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            if names:
                names.pop()
        elif name and name != ".":
            names.append(name)
    normalized = "/" + "/".join(names)
    if len(encode(normalized)) > MAX_PATH_BYTES:
        raise InvalidPathFileSystemError(printable(normalized), f"the path is longer than {MAX_PATH_BYTES} bytes")
    for name in names:
        if len(name) > MAX_NAME_BYTES // 4 and len(encode(name)) > MAX_NAME_BYTES:
            raise InvalidPathFileSystemError(printable(normalized), f"a name is longer than {MAX_NAME_BYTES} bytes")
    return normalized


def is_valid_name(name: str) -> bool:
    """Whether a name that a storage reports can be addressed by a client."""
    if name in ("", ".", "..") or "/" in name or not _CONTROL_CHARACTERS.isdisjoint(name):
        return False
    try:
        return len(encode(name)) <= MAX_NAME_BYTES
    except InvalidPathFileSystemError:
        return False


def join(dir_path: str, name: str) -> str:
    """The path of the entry `name` of a directory."""
    return dir_path + name if dir_path == ROOT else dir_path + "/" + name


def get_parent(path: str) -> str:
    """The directory that a path lies in; the root is its own parent."""
    return path[: path.rfind("/")] or ROOT


def get_name(path: str) -> str:
    """The last name of a path; empty for the root."""
    return path[path.rfind("/") + 1 :]


def get_names(path: str) -> list[str]:
    """All names of a path, from the root down."""
    return path[1:].split("/") if path != ROOT else []


def is_within(path: str, dir_path: str) -> bool:
    """Whether path is dir_path or lies beneath it."""
    return path == dir_path or dir_path == ROOT or path.startswith(dir_path + "/")


def rebase(path: str, old_dir: str, new_dir: str) -> str:
    """The path with old_dir, which it must lie within, replaced by new_dir."""
    rest = path[len(old_dir) :] if old_dir != ROOT else (path if path != ROOT else "")
    return (new_dir + rest if new_dir != ROOT else rest) or ROOT
