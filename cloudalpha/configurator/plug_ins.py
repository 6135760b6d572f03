"""Plug-ins: services, layers and managers, found through entry points, the built-in ones too."""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from cloudalpha.account import Account
from cloudalpha.configurator.mistakes import suggest
from cloudalpha.exceptions import PlugInError
from cloudalpha.layer import Layer
from cloudalpha.logs import log_event
from cloudalpha.manager import Manager

Kind = Literal["service", "layer", "manager"]

KINDS: dict[Kind, type[Any]] = {"service": Account, "layer": Layer, "manager": Manager}
_BUILT_IN = "cloudalpha"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA_MARKER = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_LOGGER = logging.getLogger("cloudalpha.configurator")


@dataclass(frozen=True, slots=True)
class PlugIn:
    """One plug-in that is installed.

    target: `module:Class`. distribution, version: the package that it came with. extra: that package's extra which installs what the plug-in
    needs; None where it has none. missing: packages of the extra that are not installed. problem: why it cannot be used; None when it can.
    """

    kind: Kind
    name: str
    target: str
    distribution: str
    version: str
    extra: str | None = None
    missing: tuple[str, ...] = ()
    problem: str | None = None

    def get_hint(self) -> str:
        """What to do about what is missing; empty when nothing is."""
        if not self.missing:
            return ""
        return f"{', '.join(self.missing)} is not installed: pip install '{self.distribution}[{self.extra}]'"


class PlugIns:
    """The plug-ins of this installation; each is loaded when it is first asked for.

    entry_points: those to look at; without them those of everything that is installed.
    """

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        found = list(entry_points) if entry_points is not None else _find_entry_points()
        self._entry_points: dict[tuple[Kind, str], importlib.metadata.EntryPoint] = {}
        self._classes: dict[tuple[Kind, str], type[Any]] = {}
        self._problems: dict[tuple[Kind, str], str] = {}
        candidates = [(kind, entry) for kind in KINDS for entry in found if entry.group == f"cloudalpha.{kind}s"]
        for kind, entry in sorted(candidates, key=lambda item: _precedence(item[1])):
            self._add(kind, entry)

    def get_names(self, kind: Kind) -> list[str]:
        """The names of a kind's plug-ins, broken ones too."""
        return sorted(name for of_kind, name in self._entry_points if of_kind == kind)

    def load(self, kind: Kind, name: str) -> type[Any]:
        """The plug-in's class: an Account, a Layer or a Manager.

        Raises PlugInError: unknown (with the nearest name), its extra not installed (with the command that installs it), or broken.
        """
        identity = (kind, name)
        if identity not in self._entry_points:
            raise PlugInError(f"no {kind} is called {name!r}; {suggest(name, self.get_names(kind))}")
        if identity not in self._classes:
            if identity not in self._problems:
                self._import(kind, name)
            if problem := self._problems.get(identity):
                raise PlugInError(f"the {kind} {name!r} cannot be used: {problem}")
        return self._classes[identity]

    def describe(self, kind: Kind, name: str) -> PlugIn:
        """What is known of a plug-in of `get_names`; imports it, to see whether it can be used."""
        problem = None
        try:
            self.load(kind, name)
        except PlugInError as error:
            problem = self._problems.get((kind, name)) or str(error)
        entry = self._entry_points[kind, name]
        distribution, version = _get_origin(entry)
        extra, missing = _get_missing(entry)
        return PlugIn(kind, name, entry.value, distribution, version, extra, missing, problem)

    def describe_all(self) -> list[PlugIn]:
        """Every plug-in, by kind and name."""
        return [self.describe(kind, name) for kind in KINDS for name in self.get_names(kind)]

    def get_missing_hint(self, kind: Kind, name: str) -> str:
        """What to install for the plug-in to work; empty when nothing is missing."""
        return PlugIn(
            kind, name, "", *_get_origin(entry := self._entry_points[kind, name]), *_get_missing(entry)
        ).get_hint()

    def _add(self, kind: Kind, entry: importlib.metadata.EntryPoint) -> None:
        identity = (kind, entry.name)
        first = self._entry_points.get(identity)
        if first is None:
            self._entry_points[identity] = entry
            if not _NAME.fullmatch(entry.name):
                self._problems[identity] = "its name is not made of a-z, 0-9 and _"
        elif _get_origin(first) != _get_origin(entry) or first.value != entry.value:
            reason = f"{_get_origin(first)[0]} has one of that name already"
            _warn(kind, entry, reason)

    def _import(self, kind: Kind, name: str) -> None:
        entry = self._entry_points[kind, name]
        try:
            loaded = entry.load()
        except Exception as error:  # noqa: BLE001 - whatever somebody else's module does when it is imported, the others go on
            self._problems[kind, name] = self.get_missing_hint(kind, name) or f"{type(error).__name__}: {error}"
            _warn(kind, entry, self._problems[kind, name], error)
            return
        base = KINDS[kind]
        if not isinstance(loaded, type) or not issubclass(loaded, base):
            self._problems[kind, name] = f"{entry.value} is not a subclass of {base.__module__}.{base.__name__}"
            _warn(kind, entry, self._problems[kind, name])
            return
        self._classes[kind, name] = loaded


def _find_entry_points() -> list[importlib.metadata.EntryPoint]:
    return [entry for kind in KINDS for entry in importlib.metadata.entry_points(group=f"cloudalpha.{kind}s")]


def _warn(kind: Kind, entry: importlib.metadata.EntryPoint, reason: str, error: Exception | None = None) -> None:
    fields = {"kind": kind, "name": entry.name, "target": entry.value, "reason": reason}
    log_event(_LOGGER, "plug_in_skipped", logging.WARNING, exc_info=error, **fields)


def _get_origin(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("unknown", "unknown")


def _precedence(entry: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
    """Built-in plug-ins first: no package takes their names from them."""
    return _get_origin(entry)[0] != _BUILT_IN, _get_origin(entry)[0], entry.value


def _get_missing(entry: importlib.metadata.EntryPoint) -> tuple[str | None, tuple[str, ...]]:
    """The extra that belongs to a plug-in - named in its entry point, or called like the plug-in - and its packages that are not installed."""
    if entry.dist is None:
        return None, ()
    known = entry.dist.metadata.get_all("Provides-Extra") or []
    extra = next((extra for extra in [*entry.extras, entry.name, entry.name.replace("_", "-")] if extra in known), None)
    if extra is None:
        return None, ()
    names = []
    for requirement in entry.dist.requires or []:
        marker, name = _EXTRA_MARKER.search(requirement), _REQUIREMENT.match(requirement)
        if marker and name and marker[1] == extra and not _is_installed(name[1]):
            names.append(name[1])
    return extra, tuple(names)


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
