"""Reads a configuration: every mistake in one run, one line each, and nothing of it is used while there is one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cloudalpha.configurator.configuration import (
    SECTIONS,
    TABLES,
    AccountConfiguration,
    Configuration,
    GeneralOptions,
    LayerConfiguration,
    ManagerConfiguration,
)
from cloudalpha.configurator.mistakes import describe_errors, suggest
from cloudalpha.configurator.plug_ins import Kind, PlugIns
from cloudalpha.configurator.values import Unresolved, Values, contains_unresolved, find_file, read_file
from cloudalpha.exceptions import PlugInError, SettingError
from cloudalpha.settings import Settings
from cloudalpha.users.record import UserOptions, check_user_name

_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
_WILDCARDS = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
Model = TypeVar("Model", bound=BaseModel)


def load(
    file: Path | None = None, environ: Mapping[str, str] | None = None, plug_ins: PlugIns | None = None
) -> Configuration:
    """The configuration of a file, with the environment over it.

    file: without it the one that `find_file` finds. Raises SettingError: one line for each mistake, naming file, section and key.
    """
    path = file or find_file(environ)
    if path is None:
        raise SettingError("no configuration file found; make one with `cloudalpha init`, or name one with --config")
    return load_values(read_file(path), str(path), path.parent, environ, plug_ins)


def load_values(
    data: dict[str, Any],
    origin: str,
    folder: Path = Path(),
    environ: Mapping[str, str] | None = None,
    plug_ins: PlugIns | None = None,
    as_they_are: bool = False,
) -> Configuration:
    """The configuration that values say, as `load`.

    origin: how messages call it. folder: what `file:` paths are relative to. as_they_are: neither the environment nor `env:` and `file:` count.
    """
    values = Values(origin, data, os.environ if environ is None else environ, folder)
    if not as_they_are:
        values.override((*TABLES, *SECTIONS), list(GeneralOptions.model_fields))
        values.resolve()
    configuration = _Reader(values, plug_ins or PlugIns()).read()
    if values.mistakes:
        raise SettingError("\n".join(str(mistake) for mistake in sorted(values.mistakes)))
    return configuration


class _Reader:
    """Makes a Configuration of values. Where something is wrong, a mistake is noted, and a stand-in goes on."""

    def __init__(self, values: Values, plug_ins: PlugIns) -> None:
        self._values = values
        self._plug_ins = plug_ins
        self._services: dict[str, Settings] = {}

    def read(self) -> Configuration:
        data = self._values.data
        top = {name: value for name, value in data.items() if name not in TABLES and name not in SECTIONS}
        general = self._validate(GeneralOptions, (), top, (*TABLES, *SECTIONS))
        sections = {
            name: self._validate(model, (name,), self._get_table((name,), data)) for name, model in SECTIONS.items()
        }
        for name in self._get_table(("services",), data):
            self._get_service(name)
        managers = {
            name: manager for name in self._get_table(("managers",), data) if (manager := self._read_manager(name))
        }
        accounts = {
            name: account for name in self._get_table(("accounts",), data) if (account := self._read_account(name))
        }
        users = {name: user for name in self._get_table(("users",), data) if (user := self._read_user(name))}
        self._check_ports(managers.values())
        secret_paths = frozenset(self._values.secret_paths)
        return Configuration(
            origin=self._values.origin,
            general=general or GeneralOptions(),
            **{name: section or SECTIONS[name]() for name, section in sections.items()},  # type: ignore[arg-type]
            managers=managers,
            services=self._services,
            accounts=accounts,
            users=users,
            secret_paths=secret_paths,
        )

    def _read_manager(self, name: str) -> ManagerConfiguration | None:
        place = ("managers", name)
        manager_class = self._load("manager", name, place, "")
        if manager_class is None:
            return None
        settings = self._validate(manager_class.settings_class, place, self._get_named(place))
        return ManagerConfiguration(name, manager_class, settings) if settings is not None else None

    def _get_service(self, name: str) -> Settings | None:
        """The settings of a service, shared by its accounts."""
        if name not in self._services:
            place = ("services", name)
            account_class = self._load("service", name, place, "")
            if account_class is None:
                return None
            settings = self._validate(account_class.settings_class, place, self._get_named(place))
            self._services[name] = settings if settings is not None else account_class.settings_class.model_construct()
        return self._services[name]

    def _read_account(self, name: str) -> AccountConfiguration | None:
        place = ("accounts", name)
        table = dict(self._get_named(place))
        if not _ACCOUNT_NAME.fullmatch(name):
            self._values.add_mistake(place, "", "not a name for an account; take 1 to 64 of A-Z a-z 0-9 _ . -")
        service, layer_names = table.pop("service", None), table.pop("layers", [])
        layers = self._read_layers(place, layer_names, table)
        if isinstance(service, Unresolved):
            return None
        if not isinstance(service, str):
            message = "is missing" if service is None else "must be the name of a service"
            self._values.add_mistake(place, "service", f"{message}; {suggest('', self._plug_ins.get_names('service'))}")
            return None
        account_class = self._load("service", service, place, "service")
        if account_class is None or self._get_service(service) is None:
            return None
        options = self._validate(account_class.options_class, place, table, self._plug_ins.get_names("layer"))
        return AccountConfiguration(name, service, account_class, options, layers) if options is not None else None

    def _read_layers(self, place: tuple[str, ...], names: Any, table: dict[str, Any]) -> tuple[LayerConfiguration, ...]:
        """The layers of an account; takes their options out of its table."""
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._values.add_mistake(place, "layers", 'must be a list of names, like ["metadata_cache"]')
            return ()
        layers = []
        for name in names:
            layer_class = self._load("layer", name, place, "layers")
            options_table = table.pop(name, {})
            if layer_class is None:
                continue
            if not isinstance(options_table, dict):
                self._values.add_mistake(place, name, "must be a table: the options of the layer")
                continue
            options = self._validate(layer_class.options_class, (*place, name), options_table)
            if options is not None:
                layers.append(LayerConfiguration(name, layer_class, options))
        for name in set(table) & set(self._plug_ins.get_names("layer")):
            if isinstance(table[name], dict):
                self._values.add_mistake(place, name, "has options for a layer that `layers` does not name")
                del table[name]
        if len(set(names)) < len(names):
            self._values.add_mistake(place, "layers", "names a layer twice")
        return tuple(layers)

    def _read_user(self, name: str) -> UserOptions | None:
        place = ("users", name)
        try:
            check_user_name(name)
        except ValueError as error:
            self._values.add_mistake(place, "", str(error))
        user = self._validate(UserOptions, place, self._get_named(place))
        if user is None:
            return None
        accounts, managers = self._get_table(("accounts",), self._values.data), self._plug_ins.get_names("manager")
        for path, mount in user.parsed_mounts.items():
            if mount.account_name not in accounts:
                message = f"no account is called {mount.account_name!r}; {suggest(mount.account_name, accounts)}"
                self._values.add_mistake(place, f"mounts.{path}", message)
        for manager in user.allowed_managers:
            if manager not in managers:
                message = f"no manager is called {manager!r}; {suggest(manager, managers)}"
                self._values.add_mistake(place, "allowed_managers", message)
        return user

    def _check_ports(self, managers: Iterable[ManagerConfiguration]) -> None:
        """No port is taken twice."""
        taken: list[tuple[str, int, str, str]] = []
        for manager in managers:
            host = str(getattr(manager.settings, "host", ""))
            names = [name for name in type(manager.settings).model_fields if name == "port" or name.endswith("_port")]
            for key in names:
                port = getattr(manager.settings, key)
                if not isinstance(port, int) or port == 0:
                    continue
                for other_host, other_port, other_name, other_key in taken:
                    if port == other_port and (host == other_host or _WILDCARDS & {host, other_host}):
                        message = f"port {port} is taken by `{other_key}` of [managers.{other_name}] already"
                        self._values.add_mistake(("managers", manager.name), key, message)
                taken.append((host, port, manager.name, key))

    def _get_table(self, place: tuple[str, ...], data: dict[str, Any]) -> dict[str, Any]:
        table = data.get(place[-1], {})
        if isinstance(table, dict):
            return table
        if not isinstance(table, Unresolved):
            self._values.add_mistake((), ".".join(place), "must be a table")
        return {}

    def _get_named(self, place: tuple[str, ...]) -> dict[str, Any]:
        tables = self._values.data.get(place[0], {})
        if not isinstance(tables, dict):  # a mistake that is noted already
            return {}
        table = tables.get(place[1], {})
        if isinstance(table, dict):
            return table
        if not isinstance(table, Unresolved):
            self._values.add_mistake(place[:1], place[1], "must be a table")
        return {}

    def _load(self, kind: Kind, name: str, section: tuple[str, ...], key: str) -> type[Any] | None:
        try:
            return self._plug_ins.load(kind, name)
        except PlugInError as error:
            self._values.add_mistake(section, key, str(error))
            return None

    def _validate(
        self, model: type[Model], section: tuple[str, ...], table: dict[str, Any], also: Iterable[str] = ()
    ) -> Model | None:
        """The model of a table; None, and mistakes, where it is not valid. Values that could not be had make no further mistake."""
        hidden = {name for name in table if contains_unresolved(table[name])}
        names = {name: value for name, value in table.items() if name not in hidden}
        # BaseSettings takes arguments that begin with an underscore for itself
        for name in [name for name in names if name.startswith("_")]:
            del names[name]
            self._values.add_mistake(section, name, f"unknown name; {suggest(name, [*model.model_fields, *also])}")
        try:
            validated = model.model_validate(names)
        except ValidationError as error:
            for key, message in describe_errors(model, error, also):
                if key.split(".")[0] not in hidden:
                    self._values.add_mistake(section, key, message)
            return None
        return validated if not hidden else None
