"""Which way imports run: the rooms of the package, and what each may know. Read from the source, so that an import inside a function counts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cloudalpha"

VALUES = {"exceptions", "paths", "file_metadata", "capabilities", "hashes"}
DRIVER = VALUES | {"file_system", "layer", "progress", "settings", "logs"}
OPEN_FILES = {"open_file", "spool", "native_io"}
CORE = DRIVER | OPEN_FILES | {"file_system_view", "account", "manager", "data_store"}

ALLOWED: dict[str, set[str]] = {
    "exceptions": set(),
    "capabilities": set(),
    "hashes": set(),
    "paths": {"exceptions"},
    "file_metadata": {"paths"},
    "progress": set(),
    "file_system": VALUES | {"progress"},
    "logs": {"paths"},
    "settings": {"exceptions"},
    "layer": VALUES | {"file_system", "settings"},
    "native_io": DRIVER,
    "open_file": DRIVER | OPEN_FILES,
    "spool": DRIVER | OPEN_FILES,
    "file_system_view": DRIVER | OPEN_FILES,
    "data_store": {"exceptions", "logs"},
    "account": {"data_store", "file_system", "settings"},
    "manager": {"file_system_view", "settings"},
    "users": CORE | {"users"},
    "toolkit": DRIVER | {"spool", "native_io", "toolkit"},
    "services": DRIVER | {"account", "data_store", "toolkit"},
    "layers": DRIVER | {"data_store", "toolkit"},
    "managers": DRIVER | OPEN_FILES | {"file_system_view", "manager"},
    "configurator": CORE | {"toolkit", "users", "configurator"},
    "cli": CORE | {"users", "configurator", "cli"},
    "testing": CORE | {"testing"},
    "__init__": CORE | {"configurator"},
    "__main__": {"cli"},
}
"""What each room may import. Plug-ins (services, layers, managers) may import their own folder besides, and nothing of each other."""

REFERENCE_SERVICE = "cloudalpha.services.memory."
"""What `testing` compares others with."""

PLUG_IN_ROOMS = {"services", "layers", "managers"}

HOMES = {
    "pyftpdlib": {"managers/ftp"},
    "asyncssh": {"managers/sftp"},
    "paramiko": {"services/sftp"},
    "typer": {"cli"},
    "rich": {"cli"},
    "sqlitedict": {"data_store.py"},
    "pytest": {"testing"},
    "hypothesis": {"testing"},
    "argon2": {"users"},
    "bcrypt": {"users"},
    "boto3": {"services/s3"},
    "botocore": {"services/s3"},
}
"""Libraries that only one room may know."""

FORBIDDEN = {"pickle", "cPickle", "dill", "marshal", "shelve", "passlib"}
"""What runs code that it reads, or is broken."""


def get_files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def get_imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the absolute name of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def get_room(parts: tuple[str, ...]) -> tuple[str, str]:
    """The room of a module's path within the package, and the plug-in within it: ("services", "local"), ("paths", "")."""
    room = parts[0].removesuffix(".py")
    for family in ("open_file", "file_system_view", "spool"):
        if room.startswith(family):  # one idea in several files
            room = family
    is_plug_in = room in PLUG_IN_ROOMS and len(parts) > 1 and not parts[1].startswith("__init__")
    return room, parts[1].removesuffix(".py") if is_plug_in else ""


def find_wrong_imports(path: Path) -> Iterator[str]:
    room, plug_in = get_room(path.relative_to(PACKAGE).parts)
    for line, name in get_imports(path):
        parts = tuple(name.split("."))
        if parts[0] != "cloudalpha" or len(parts) == 1:
            continue
        target, target_plug_in = get_room(parts[1:])
        if target == room and (room not in PLUG_IN_ROOMS or target_plug_in == plug_in):
            continue
        if room == "testing" and name.startswith(REFERENCE_SERVICE):
            continue
        if not (PACKAGE / target).exists() and not list(PACKAGE.glob(f"{target}*.py")):
            target = "__init__"  # a name of the package itself
        if target not in ALLOWED[room]:
            yield f"{path.relative_to(ROOT)}:{line}: {room} must not import {name}"


def find_strangers(path: Path) -> Iterator[str]:
    """Imports of libraries that belong to another room, or to none."""
    place = path.relative_to(PACKAGE).as_posix()
    for line, name in get_imports(path):
        library = name.split(".")[0]
        homes = HOMES.get(library)
        if library in FORBIDDEN or (homes is not None and not any(place.startswith(home) for home in homes)):
            yield f"{path.relative_to(ROOT)}:{line}: {library} has no place here"


def test_every_room_has_its_rule() -> None:
    rooms = {get_room(path.relative_to(PACKAGE).parts)[0] for path in get_files()}
    assert rooms <= set(ALLOWED)


def test_imports_run_one_way() -> None:
    assert [wrong for path in get_files() for wrong in find_wrong_imports(path)] == []


def test_libraries_stay_in_their_rooms() -> None:
    assert [stranger for path in get_files() for stranger in find_strangers(path)] == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("services/local/x.py", "from cloudalpha.services.memory.account import MemoryAccount"),
        ("managers/ftp/x.py", "import cloudalpha.managers.sftp.manager"),
        ("managers/ftp/x.py", "def f():\n    from cloudalpha.services.local import account"),
        ("managers/ftp/x.py", "from cloudalpha.users.gate import Gatekeeper"),
        ("file_system.py", "from cloudalpha.layer import Layer"),
        ("layer.py", "from cloudalpha import file_system_view"),
        ("users/x.py", "from cloudalpha.configurator import loader"),
        ("cli/x.py", "from cloudalpha.services.local.account import LocalAccount"),
        ("account.py", "from cloudalpha.testing.gate import OpenGate"),
    ],
)
def test_a_wrong_import_is_found(place: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_imports.ROOT", tmp_path)
    monkeypatch.setattr("tests.test_imports.PACKAGE", tmp_path / "cloudalpha")
    for path in get_rooms_of(ALLOWED):
        (tmp_path / "cloudalpha" / path).mkdir(parents=True)
    file = tmp_path / "cloudalpha" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    assert list(find_wrong_imports(file))


def get_rooms_of(rules: dict[str, set[str]]) -> list[str]:
    return [name for name in rules if not name.startswith("__")]


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("users/x.py", "import pickle"),
        ("cli/x.py", "from asyncssh import connect"),
        ("managers/ftp/x.py", "import typer"),
    ],
)
def test_a_stranger_is_found(place: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_imports.ROOT", tmp_path)
    monkeypatch.setattr("tests.test_imports.PACKAGE", tmp_path / "cloudalpha")
    file = tmp_path / "cloudalpha" / place
    file.parent.mkdir(parents=True)
    file.write_text(source)
    assert list(find_strangers(file))
