"""Settings and Options: what the configuration may say, validated.

`Settings` are shared by all accounts of a service, or belong to a manager (`[services.NAME]`, `[managers.NAME]`). `Options` belong to one
account or one layer of it (`[accounts.NAME]`, `[accounts.NAME.LAYER]`). Each field carries its default, its type and a description, and
nothing else in the project repeats them: the documentation's tables are made from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cloudalpha.exceptions import InvalidSettingError, UnknownSettingError

MASK = "***"
_SECRET_NAME = re.compile(r"password|passphrase|secret|token|private|credential|_key$", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "b": 1} | {
    unit + suffix: 1024 ** (power + 1) if suffix == "ib" else 1000 ** (power + 1)
    for power, unit in enumerate("kmgtp")
    for suffix in ("ib", "b", "")
}
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "": 1.0}
_QUANTITY = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]*)\s*")


def parse_size(value: object) -> object:
    """Bytes of "20 GiB", "1.5 MB" or a number; anything else is returned for pydantic to refuse."""
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        factor = _SIZE_UNITS.get(match[2].lower()) if match else None
        if match is None or factor is None:
            raise ValueError(f"not a size: {value!r}; write for example '20 GiB' or '500 MB'")
        return round(float(match[1]) * factor)
    return value


def parse_duration(value: object) -> object:
    """Seconds of "5m", "1h30m", "250 ms" or a number; anything else is returned for pydantic to refuse."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        parts = list(_QUANTITY.finditer(value))
        units = [part[2] for part in parts]
        known = all(unit in _DURATION_UNITS and (unit or len(units) == 1) for unit in units)
        if not parts or "".join(part[0] for part in parts) != value or not known:
            raise ValueError(f"not a duration: {value!r}; write for example '30s', '5m' or '24h'")
        return sum(float(part[1]) * _DURATION_UNITS[part[2]] for part in parts)
    return value


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0, le=2**63 - 1)]
"""Bytes, written as people write them: "20 GiB"."""

Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=1e10, allow_inf_nan=False)]
"""Seconds, written as people write them: "5m"."""


def is_secret(model: BaseModel, name: str) -> bool:
    """Whether nobody is to see a field's value: its name tells of a secret, or it is declared with `repr=False`. A path is no secret."""
    info = type(model).model_fields[name]
    return (not info.repr or _SECRET_NAME.search(name) is not None) and not isinstance(getattr(model, name), Path)


class _Masked(BaseModel):
    """A model whose `repr` holds no secret."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, MASK if name in type(self).model_fields and value and is_secret(self, str(name)) else value


class Options(_Masked):
    """The base of the options of an account or a layer: an unknown name is an error, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Settings(_Masked, BaseSettings):
    """The base of the settings of a service or a manager: an unknown name is an error."""

    model_config = SettingsConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments alone. The configurator merges environment variables into them, under names that tell the sections apart."""
        return (init_settings,)

    def set(self, name: str, value: Any) -> None:
        """Change one setting.

        Raises UnknownSettingError when there is none of that name, InvalidSettingError when it does not take the value.
        """
        if name not in type(self).model_fields:
            raise UnknownSettingError(
                f"{name}: no such setting; there are: {', '.join(sorted(type(self).model_fields))}"
            )
        try:
            setattr(self, name, value)
        except ValidationError as error:
            raise InvalidSettingError(f"{name}: {error.errors(include_input=False)[0]['msg']}") from error
