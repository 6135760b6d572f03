"""The record of a user: what `[users.NAME]` takes, validated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from cloudalpha import paths
from cloudalpha.settings import Options
from cloudalpha.users.keys import parse_public_key
from cloudalpha.users.networks import Network
from cloudalpha.users.passwords import check_hash_format
from cloudalpha.users.permissions import Permissions, parse_path

_USER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def is_valid_user_name(name: str) -> bool:
    """Whether a user may have that name: letters, digits, "_", "-" and ".", at most 64; neither "." nor ".."."""
    return _USER_NAME.fullmatch(name) is not None and name not in (".", "..")


def check_user_name(name: str) -> str:
    """The name itself. Raises ValueError, whose message says what a name may be."""
    if not is_valid_user_name(name):
        raise ValueError(f"{paths.printable(name)!r} is no name for a user; take 1 to 64 of A-Z a-z 0-9 _ . -")
    return name


class Mount(NamedTuple):
    """A folder of an account: what `"photos:/incoming"` names."""

    account_name: str
    path: str


def parse_mount(text: str) -> Mount:
    """The account and the folder of `"photos:/incoming"`. Raises ValueError."""
    account_name, colon, path = text.partition(":")
    if not colon or not account_name:
        raise ValueError(
            f"{text!r} names no folder of an account; write 'ACCOUNT:/PATH', like '{account_name or 'photos'}:/'"
        )
    return Mount(account_name, parse_path(path or paths.ROOT))


def _parse_expiry(value: object) -> object:
    """The moment from which on nobody is let in. A day without a time counts to its end; a time without a zone is UTC."""
    if isinstance(value, str):
        value = _parse_date(value.strip())
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC) + timedelta(days=1)
    return value


def _parse_date(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"not a date: {text!r}; write for example 2030-12-31 or 2030-12-31T18:00:00Z") from None


PublicKey = Annotated[str, AfterValidator(parse_public_key)]
PasswordHash = Annotated[str, AfterValidator(check_hash_format)]


class UserOptions(Options):
    """A user. The name is the section's."""

    password_hash: PasswordHash | None = Field(
        None,
        repr=False,
        description="argon2id or bcrypt hash of the password: `cloudalpha hash-password`; without it no password is right",
    )
    public_keys: tuple[PublicKey, ...] = Field(
        (), description="SSH keys that log the user in, `TYPE BASE64 comment` each"
    )
    certificate_authorities: tuple[PublicKey, ...] = Field(
        (), description="keys of authorities whose SSH certificates log the user in, `TYPE BASE64 comment` each"
    )
    principals: tuple[str, ...] = Field(
        (), description="a certificate must name one of these; the user's own name by default"
    )
    require: Literal["any", "key_and_password"] = Field(
        "any",
        description="`any`: a key, a certificate or the password; `key_and_password`: a key or certificate, and then the password",
    )
    mounts: dict[str, str] = Field(
        description='the user\'s tree: a path in it = the folder of an account, like {"/" = "photos:/"}'
    )
    permissions: dict[str, str] = Field(
        {"/": "all"},
        description="what may be done at a path and beneath it; the longest path wins: list download upload overwrite append delete rename "
        "make_dir delete_dir set_times all",
    )
    home: str = Field("/", description="the folder of the tree in which sessions begin; made at the first log-in")
    expires: Annotated[datetime, BeforeValidator(_parse_expiry)] | None = Field(
        None, description="last day, or moment, at which the user may log in; UTC where no zone is named"
    )
    allowed_networks: tuple[Network, ...] = Field(
        (), description="networks that the user may come from; any, when empty"
    )
    allowed_managers: tuple[str, ...] = Field(
        (), description="managers that the user may use, like `sftp`; any, when empty"
    )
    max_sessions: int | None = Field(None, ge=1, description="sessions at once; no bound of the user's own by default")
    enabled: bool = Field(True, description="false: nobody can log in as this user")

    @field_validator("mounts")
    @classmethod
    def _check_mounts(cls, mounts: dict[str, str]) -> dict[str, str]:
        if not mounts:
            raise ValueError('a user needs at least one mount, like {"/" = "photos:/"}')
        checked = {parse_path(point): f"{mount.account_name}:{mount.path}" for point, mount in _parse_mounts(mounts)}
        if len(checked) < len(mounts):
            raise ValueError("two mounts at one path")
        return checked

    @field_validator("permissions")
    @classmethod
    def _check_permissions(cls, permissions: dict[str, str]) -> dict[str, str]:
        Permissions.parse(permissions)
        return permissions

    @field_validator("home")
    @classmethod
    def _check_home(cls, home: str) -> str:
        return parse_path(home)

    @model_validator(mode="after")
    def _check_require(self) -> Self:
        if self.require == "key_and_password":
            if self.password_hash is None:
                raise ValueError("require = 'key_and_password' needs a password_hash")
            if not self.public_keys and not self.certificate_authorities:
                raise ValueError("require = 'key_and_password' needs public_keys or certificate_authorities")
        return self

    @cached_property
    def parsed_mounts(self) -> dict[str, Mount]:
        """The mounts by the path that each is at."""
        return dict(_parse_mounts(self.mounts))

    @cached_property
    def parsed_permissions(self) -> Permissions:
        """The permissions, ready to be asked."""
        return Permissions.parse(self.permissions)


def _parse_mounts(mounts: Mapping[str, str]) -> list[tuple[str, Mount]]:
    return [(point, parse_mount(text)) for point, text in mounts.items()]
