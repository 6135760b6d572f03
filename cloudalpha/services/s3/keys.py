"""Paths and keys. `/a/b.txt` is the key PREFIX + `a/b.txt`, always, and every key has a path, but for names longer than 255 bytes.

A key is cut at its slashes into components; each is a name of the path, byte for byte, without any change of Unicode form or letter case. What cannot
stand in a path is shown *escaped*, and is reached under that name:

| the key holds | the path holds |
|---|---|
| an empty component (`a//b`) | `%~`  (`/a/%~/b`) |
| `.` and `..` as components | `%~.` and `%~..` |
| control characters, NUL, DEL | `%~`, then the component with each of them, and each `%`, as %XX: `a<TAB>50%` is `%~a%0950%25` |
| a component that begins with `%~` or `%!` | the same: `%~x` is `%~%25~x` |
| a component of more than 255 bytes, escaped or not | nothing: such objects are left out of listings, and the log tells of them |
| one name as a file and as a folder (`x`, `x/y`) | the file keeps the name, the folder is `%!x` (`/%!x/y`) |
| a marker `a/` that has content | `%~` in the folder (`/a/%~`): it can be read, copied and deleted, not written |

So a key has exactly one path that a listing shows, and no two keys share one. In the other direction a name that begins with `%~` and is not the
escaped form of anything is refused, and so is a new file or folder with a `%!` name: nothing is ever stored under another name than the one given.

On servers that cannot tell `a/` from `a` (the probing finds out), the marker of a folder is the hidden file `.cloudalpha-folder` in it.

A key is Unicode text of at most 1024 bytes: names that are not valid UTF-8 are refused.
"""

from __future__ import annotations

import re

from cloudalpha import paths
from cloudalpha.exceptions import InvalidPathFileSystemError

ESCAPED = "%~"
TWIN = "%!"
HIDDEN_MARKER = ".cloudalpha-folder"
MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = paths.MAX_NAME_BYTES

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f%]")
_CODE = re.compile(r"%([0-9A-F]{2})")


def to_name(component: str) -> str | None:
    """The name that a component of a key is shown as; None where none of at most 255 bytes exists."""
    if component in ("", ".", "..") or component.startswith((ESCAPED, TWIN)) or _CONTROL.search(component):
        component = ESCAPED + _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", component)
    return component if paths.is_valid_name(component) else None


def to_component(name: str) -> str:
    """The component of a key that a name of a path stands for: the inverse of `to_name`, a `%!` in front left aside.

    Raises ValueError for a name that stands for none.
    """
    if name.startswith(TWIN):
        name = name[len(TWIN) :]
        if not name or name.startswith(TWIN):
            raise ValueError(name)
    if not name.startswith(ESCAPED):
        return name
    component = _CODE.sub(lambda match: chr(int(match[1], 16)), name[len(ESCAPED) :])
    if to_name(component) != name:
        raise ValueError(name)
    return component


def to_twin(name: str) -> str | None:
    """The name of a folder beside a file of the same name; None where it would be too long."""
    return TWIN + name if paths.is_valid_name(TWIN + name) else None


def is_marker_content(path: str) -> bool:
    """Whether a path, taken as a file, is the content of the marker of the folder that it lies in."""
    return path.endswith("/" + ESCAPED)


def is_twin(path: str) -> bool:
    """Whether a path can only be a folder: the one beside a file of the same name."""
    return paths.get_name(path).startswith(TWIN)


class Keys:
    """The keys of an account, all of which begin with its prefix (empty, or with a slash at its end).

    marker: the name of the object in a folder that makes it be there; empty where the server takes the key `a/`.
    """

    def __init__(self, prefix: str, marker: str = "") -> None:
        self.prefix = prefix
        self.marker = marker

    def get_key(self, path: str) -> str:
        """The key of a path, taken as a file.

        Raises InvalidPathFileSystemError for a name that no key can have: not UTF-8, a wrong escape, longer than 255 bytes, 1024 in all.
        """
        if len(path) <= MAX_NAME_BYTES and path.isascii() and "%" not in path:
            key = self.prefix + path[1:]
        else:
            key = self.prefix + "/".join(_get_component(path, name) for name in paths.get_names(path))
        if len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
            raise InvalidPathFileSystemError(path, f"longer than {MAX_KEY_BYTES} bytes, the prefix included")
        return key

    def get_dir_key(self, path: str) -> str:
        """What the keys of everything in a folder begin with. Empty for the root of a whole bucket."""
        return self.prefix if path == paths.ROOT else self.get_key(path) + "/"

    def get_marker_key(self, path: str) -> str:
        """The key of a folder's marker. Empty for the root of a whole bucket, which has none."""
        key = self.get_dir_key(path)
        return key and key + self.marker

    def is_hidden_marker(self, path: str) -> bool:
        """Whether a path, taken as a file, is a marker with a name of its own, which nobody is to see."""
        return self.marker != "" and paths.get_name(path) == self.marker

    def get_path(self, key: str) -> str | None:
        """The path of an object, twins left aside; None where a name would be too long. The key must begin with the prefix."""
        names = [to_name(component) for component in key[len(self.prefix) :].split("/")]
        known = [name for name in names if name is not None]
        return "/" + "/".join(known) if len(known) == len(names) else None


def _get_component(path: str, name: str) -> str:
    try:
        component = to_component(name) if name.startswith("%") else name
    except ValueError as error:
        message = (
            f"names that begin with {ESCAPED} or {TWIN} stand for what has no other name; this one stands for nothing"
        )
        raise InvalidPathFileSystemError(path, message) from error
    try:
        component.encode()
        if len(name.encode()) > MAX_NAME_BYTES:
            raise InvalidPathFileSystemError(path, f"a name is longer than {MAX_NAME_BYTES} bytes")
    except UnicodeEncodeError as error:
        raise InvalidPathFileSystemError(path, "the storage takes no name that is not valid UTF-8") from error
    return component
