"""The values of a configuration before they are validated: a TOML file, the environment over it, and what `env:` and `file:` refer to."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudalpha.configurator.mistakes import Mistake, suggest
from cloudalpha.exceptions import SettingError

PREFIX = "CLOUDALPHA_"
CONFIG_VARIABLE = "CLOUDALPHA_CONFIG"
DEMO_PASSWORD_VARIABLE = "CLOUDALPHA_DEMO_PASSWORD"  # noqa: S105 - the name of a variable
FILE_NAME = "cloudalpha.toml"
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_SECRET_BYTES = 64 * 1024
_NOT_SETTINGS = {CONFIG_VARIABLE, DEMO_PASSWORD_VARIABLE}


def find_file(environ: Mapping[str, str] | None = None) -> Path | None:
    """The configuration file: $CLOUDALPHA_CONFIG, ./cloudalpha.toml, the user's configuration folder, /etc/cloudalpha; None where none is.

    A file that $CLOUDALPHA_CONFIG names is returned whether it is there or not.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    config_home = environ.get("XDG_CONFIG_HOME", "")
    user_folder = Path(config_home) if os.path.isabs(config_home) else Path.home() / ".config"
    candidates = [Path(FILE_NAME), user_folder / "cloudalpha" / FILE_NAME, Path("/etc/cloudalpha") / FILE_NAME]
    return next((path for path in candidates if path.exists()), None)


def read_file(path: Path) -> dict[str, Any]:
    """The values of a TOML file. Raises SettingError when it cannot be read, or is no TOML (with line and column)."""
    try:
        return tomllib.loads(_read_text(path, MAX_FILE_BYTES))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: is not UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingError(f"{path}: is not TOML: {error}") from error


@dataclass
class Values:
    """Values, where each comes from, and the mistakes found so far.

    origin: the file's name. data: the tables. variables: places whose values an environment variable set. secret_paths: places whose values came
    from `env:` or `file:`. environ: the environment. folder: what `file:` paths are relative to.
    """

    origin: str
    data: dict[str, Any]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    folder: Path = field(default_factory=Path)
    variables: dict[tuple[str, ...], str] = field(default_factory=dict)
    secret_paths: set[tuple[str, ...]] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)

    def add_mistake(self, section: tuple[str, ...], key: str, message: str) -> None:
        """Note a mistake of one key of a section; the environment variable is named where one set the value."""
        place = (*section, *key.split(".")) if key else section
        variable = next((name for path, name in self.variables.items() if place[: len(path)] == path), None)
        origin = f"environment {variable}" if variable else self.origin
        mistake = Mistake(origin, ".".join(section), key, message)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)

    def override(self, tables: Collection[str], options: Collection[str]) -> None:
        """Put environment variables over the values: CLOUDALPHA_MANAGERS__FTP__PORT is `port` of `[managers.ftp]`.

        tables: the sections. options: the names at the top of the file. A variable that resembles none of either is not ours.
        """
        for variable in sorted(self.environ):
            if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
                continue
            path = variable.removeprefix(PREFIX).split("__")
            known = tables if len(path) > 1 else options
            message = suggest(path[0], known)
            if path[0].lower() in known and all(path):
                self._set(variable, path)
            elif len(path) > 1 or "did you mean" in message:
                self.mistakes.append(Mistake(f"environment {variable}", "", "", f"names no setting; {message}"))

    def resolve(self) -> None:
        """Replace `"env:NAME"` and `"file:PATH"`, wherever they stand, by what they refer to."""
        self.data = {name: self._resolve(value, (name,)) for name, value in self.data.items()}

    def _set(self, variable: str, path: list[str]) -> None:
        table: Any = self.data
        place: list[str] = []
        for name in path:
            if not isinstance(table, dict):
                message = f"[{'.'.join(place)}] is not a table"
                self.mistakes.append(Mistake(f"environment {variable}", "", "", message))
                return
            place.append(next((known for known in table if known.lower() == name.lower()), name.lower()))
            parent, table = table, table.setdefault(place[-1], {})
        parent[place[-1]] = _parse(self.environ[variable])
        self.variables[tuple(place)] = variable

    def _resolve(self, value: Any, place: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {name: self._resolve(inner, (*place, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._resolve(inner, (*place, str(number))) for number, inner in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(("env:", "file:")):
            return value
        self.secret_paths.add(place)
        kind, _, name = value.partition(":")
        try:
            return self.environ[name] if kind == "env" else self._read_secret(name)
        except KeyError:
            problem = f"the environment variable {name} is not set"
        except (OSError, ValueError) as error:
            problem = f"the file {name} cannot be read: {getattr(error, 'strerror', None) or error}"
        self.add_mistake(place[:-1], place[-1], problem)
        return UNRESOLVED

    def _read_secret(self, name: str) -> str:
        return _read_text(self.folder / Path(name).expanduser(), MAX_SECRET_BYTES).rstrip("\r\n")


class Unresolved:
    """Stands for a value that could not be had; the mistake is noted, and no second one is made of it."""


UNRESOLVED = Unresolved()


def contains_unresolved(value: Any) -> bool:
    """Whether a value that could not be had lies somewhere in this one."""
    if isinstance(value, dict):
        return any(map(contains_unresolved, value.values()))
    if isinstance(value, list):
        return any(map(contains_unresolved, value))
    return value is UNRESOLVED


def _parse(text: str) -> Any:
    """The value of an environment variable: a list or a table as TOML writes them, else text, which the setting's type makes something of."""
    if text[:1] in ("[", "{"):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _read_text(path: Path, max_bytes: int) -> str:
    """The text of a regular file of bounded size: neither a pipe nor a device can hold us up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(None, f"it is larger than {max_bytes} bytes")
    return data.decode("utf-8")
