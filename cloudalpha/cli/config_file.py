"""Editing the users of a configuration file: their sections change, and every other line stays as somebody wrote it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cloudalpha.exceptions import SettingError

_PASSWORD_HASH = re.compile(
    r"""(?P<key>\s*["']?password_hash["']?\s*=\s*)(?P<value>"[^"]*"|'[^']*')(?P<rest>.*)""", re.DOTALL
)


class ConfigFile:
    """A configuration file, in memory. text: its lines. data: what they say."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.data = _parse(path, text)

    @property
    def users(self) -> Mapping[str, Any]:
        """The users' sections by name."""
        return self._get_table("users")

    @property
    def account_names(self) -> list[str]:
        """The accounts that the file names."""
        return sorted(self._get_table("accounts"))

    def add_user(self, name: str, options: Mapping[str, Any]) -> None:
        """Add a section at the end of the file. Raises SettingError when the user is there already."""
        if name in self.users:
            raise SettingError(f"{self.path}: there is a user {name!r} already")
        section = f"[users.{make_key(name)}]\n" + "".join(
            f"{key} = {make_value(value)}\n" for key, value in options.items()
        )
        text = self.text.rstrip("\n")
        self._replace((text + "\n\n" if text else "") + section, name, dict(options))

    def set_password_hash(self, name: str, password_hash: str) -> None:
        """Give a user another password; a comment behind the old hash stays."""
        lines = self.text.splitlines(keepends=True)
        start, end = self._find_section(lines, ["users", name], exact=True)
        new = make_value(password_hash)
        for number in range(start, end):
            if match := _PASSWORD_HASH.fullmatch(lines[number]):
                lines[number] = match["key"] + new + match["rest"]
                break
        else:
            lines[start] = lines[start].rstrip("\n") + "\n"
            lines.insert(start + 1, f"password_hash = {new}\n")
        self._replace("".join(lines), name, {**self.users[name], "password_hash": password_hash})

    def remove_user(self, name: str) -> None:
        """Remove a user's section, and those within it; comments before the next section stay."""
        lines = self.text.splitlines(keepends=True)
        while any(_get_header(line)[:2] == ["users", name] for line in lines):
            start, end = self._find_section(lines, ["users", name])
            del lines[start:end]
        self._replace("".join(lines), name, None)

    def _find_section(self, lines: list[str], header: list[str], exact: bool = False) -> tuple[int, int]:
        """The first and the last line (not included) of a section, without the blank lines and comments at its end."""
        depth = None if exact else len(header)
        start = next((number for number, line in enumerate(lines) if _get_header(line)[:depth] == header), None)
        if start is None:
            raise self._make_error(header[-1])
        end = next((number for number in range(start + 1, len(lines)) if _get_header(lines[number])), len(lines))
        while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        return start, end

    def _replace(self, text: str, name: str, options: dict[str, Any] | None) -> None:
        """Take the new text, when it says what it should and nothing else has changed; an unusual layout is not guessed at."""
        users = {key: value for key, value in self.users.items() if key != name}
        if options is not None:
            users[name] = options
        expected = {key: value for key, value in self.data.items() if key != "users"}
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._make_error(name) from error
        if {key: value for key, value in data.items() if key != "users"} != expected or data.get("users", {}) != users:
            raise self._make_error(name)
        self.text, self.data = text, data

    def _make_error(self, name: str) -> SettingError:
        return SettingError(
            f"{self.path}: the user {name!r} does not stand in a section [users.{make_key(name)}] of its own; change it with an editor"
        )

    def _get_table(self, name: str) -> Mapping[str, Any]:
        table = self.data.get(name, {})
        return table if isinstance(table, dict) else {}


@contextlib.contextmanager
def editing(path: Path) -> Iterator[ConfigFile]:
    """A block that edits the file; at its end the file is replaced in one step, unless the block raised.

    Mode and owner stay; two editors take turns. Raises SettingError when the file cannot be read, edited or written.
    """
    target = Path(os.path.realpath(path))
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        file = read_config_file(path)
        before = file.text
        yield file
        if file.text != before:
            write_file(target, file.text)
    finally:
        os.close(folder)


def read_config_file(path: Path) -> ConfigFile:
    """The file as it is. Raises SettingError when it cannot be read, or is no TOML."""
    try:
        return ConfigFile(path, path.read_text("utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: is not UTF-8") from error


def write_file(path: Path, text: str, overwrite: bool = True) -> None:
    """Write a file in one step, so that nobody ever sees half of it: mode 0600 when it is new, else the mode and the owner that it has.

    Raises SettingError when that fails, or, without overwrite, when it is there already.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="") as file:
                _keep_mode(path, descriptor)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            if overwrite:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    except FileExistsError as error:
        raise SettingError(f"{path}: is there already") from error
    except OSError as error:
        raise SettingError(f"{path}: cannot be written: {error.strerror}") from error


def make_value(value: object) -> str:
    """A value as TOML writes it: text, number, truth, a list of them, or a table in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{make_key(str(key), quoted=True)} = {make_value(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(make_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def make_key(name: str, quoted: bool = False) -> str:
    """A name as TOML writes it in front of a value or in a section's header."""
    return name if not quoted and re.fullmatch(r"[A-Za-z0-9_-]+", name) else make_value(name)


def _get_header(line: str) -> list[str]:
    """The names of a section's header; empty for any other line."""
    if not line.lstrip().startswith("["):
        return []
    try:
        table: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return []
    names = []
    while isinstance(table, dict) and table:
        name, table = next(iter(table.items()))
        names.append(name)
    return names


def _keep_mode(path: Path, descriptor: int) -> None:
    """The mode of the file that is replaced, and its owner where we may give files away."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: is not TOML: {error}") from error
