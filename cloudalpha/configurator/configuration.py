"""Configuration: what a whole configuration says, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from cloudalpha.data_store import get_default_state_dir
from cloudalpha.open_file_settings import OpenFileSettings
from cloudalpha.settings import MASK, Duration, Options, Settings, Size, is_secret
from cloudalpha.users.defence import DefenceOptions
from cloudalpha.users.record import UserOptions


class GeneralOptions(Options):
    """What stands at the top of the file, before any section."""

    state_dir: Path | None = Field(
        None,
        description="Folder for tokens, indexes, journals, host keys; mode 0700. Without it $STATE_DIRECTORY, else the user's state folder.",
    )
    spool_dir: Path | None = Field(
        None,
        description="Folder for what sessions have written and not yet published; the state folder's `spool` without it.",
    )
    spool_size: Size = Field(
        1024**3, description="Bytes that the spool may take, of all sessions together; 0 keeps none."
    )
    transfer_memory: Size = Field(
        256 * 1024**2,
        ge=1024**2,
        description="Memory for content on its way from and to remote storages, of all transfers together; shared fairly.",
    )
    run_as: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*\$?(:[A-Za-z_][A-Za-z0-9_.-]*)?$",
        description="`USER` or `USER:GROUP` that the gateway becomes when root starts it; ports below 1024 still work. "
        "That user must be able to read this file (SIGHUP), certificates and accounts' folders, and to write the log's folder.",
    )
    grace_seconds: Duration = Field(30.0, description="How long a stop waits for transfers that are under way.")


class LogOptions(Options):
    """`[log]`: where the log goes, and how it is written."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    format: Literal["logfmt", "json"] = Field(
        "logfmt", description="How a line is written: for people, or for collectors."
    )
    file: Path | None = Field(None, description="The file; stderr without it. It may be moved away: it is made again.")


SECTIONS: dict[str, type[BaseModel]] = {"log": LogOptions, "defence": DefenceOptions, "open_files": OpenFileSettings}
"""The sections that are there once."""

TABLES = ("managers", "services", "accounts", "users")
"""The sections of which there is one for each name."""


@dataclass(frozen=True, slots=True)
class LayerConfiguration:
    """One layer of an account: its class and its options."""

    name: str
    layer_class: type[Any]
    options: Options


@dataclass(frozen=True, slots=True)
class AccountConfiguration:
    """One account: the service's Account class, its options, and its layers, outermost first."""

    name: str
    service: str
    account_class: type[Any]
    options: Options
    layers: tuple[LayerConfiguration, ...] = ()


@dataclass(frozen=True, slots=True)
class ManagerConfiguration:
    """One manager: its class and its settings."""

    name: str
    manager_class: type[Any]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration. `loader.load` makes it; every part of it is valid, and fits the others.

    origin: where it comes from, for messages. secret_paths: the keys whose values came from `env:` or `file:`.
    """

    origin: str
    general: GeneralOptions
    log: LogOptions
    defence: DefenceOptions
    open_files: OpenFileSettings
    managers: Mapping[str, ManagerConfiguration]
    services: Mapping[str, Settings]
    accounts: Mapping[str, AccountConfiguration]
    users: Mapping[str, UserOptions]
    secret_paths: frozenset[tuple[str, ...]] = field(default=frozenset(), repr=False)

    @property
    def state_dir(self) -> Path:
        """The folder for state, whether the configuration names it or not."""
        return self.general.state_dir or get_default_state_dir()

    def describe(self) -> dict[str, Any]:
        """Every effective value, defaults too, as JSON knows it; secrets are masked."""
        described: dict[str, Any] = self._mask(self.general, ()) | {"state_dir": str(self.state_dir)}
        for name in SECTIONS:
            described[name] = self._mask(getattr(self, name), (name,))
        described["managers"] = {n: self._mask(m.settings, ("managers", n)) for n, m in self.managers.items()}
        described["services"] = {n: self._mask(settings, ("services", n)) for n, settings in self.services.items()}
        described["accounts"] = {name: self._describe_account(account) for name, account in self.accounts.items()}
        described["users"] = {name: self._mask(user, ("users", name)) for name, user in self.users.items()}
        return described

    def _describe_account(self, account: AccountConfiguration) -> dict[str, Any]:
        place = ("accounts", account.name)
        described: dict[str, Any] = {"service": account.service, "layers": [layer.name for layer in account.layers]}
        described |= self._mask(account.options, place)
        return described | {layer.name: self._mask(layer.options, (*place, layer.name)) for layer in account.layers}

    def _mask(self, model: BaseModel, place: tuple[str, ...]) -> dict[str, Any]:
        return {
            name: MASK if value and is_secret(model, name) else self._mask_value(value, (*place, name))
            for name, value in model.model_dump(mode="json").items()
        }

    def _mask_value(self, value: Any, place: tuple[str, ...]) -> Any:
        if place in self.secret_paths:
            return MASK
        if isinstance(value, dict):
            return {name: self._mask_value(inner, (*place, str(name))) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._mask_value(item, (*place, str(number))) for number, item in enumerate(value)]
        return value
