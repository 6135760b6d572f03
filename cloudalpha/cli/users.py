"""`cloudalpha user` and `cloudalpha hash-password`: the users of a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cloudalpha.cli.config import ConfigOption, JSONOption
from cloudalpha.cli.locations import WrongUsageError
from cloudalpha.cli.output import fail, print_line
from cloudalpha.cli.passwords import PasswordStdinOption, ask_password, make_hash

_RELOAD_HINT = "a running gateway takes it over at SIGHUP"

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The user's name: letters, digits, '_', '-' and '.'.")
]

MountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mount",
        "-m",
        metavar="[PATH=]ACCOUNT:PATH",
        help="A folder of an account, and where the user sees it ('/' by default). Without one: the configuration's only account.",
    ),
]
PermissionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--permission",
        "-p",
        metavar="PATH=VERBS",
        help="What is allowed there and beneath, like '/team=list download'.",
    ),
]
PublicKeyOption = Annotated[
    list[Path] | None,
    typer.Option("--public-key", "-k", metavar="FILE", help="A file of public SSH keys, one a line."),
]
HomeOption = Annotated[
    str | None, typer.Option("--home", metavar="PATH", help="Where sessions begin; made at the first log-in.")
]
ExpiresOption = Annotated[str | None, typer.Option("--expires", metavar="DATE", help="The last day, like 2030-12-31.")]
NoPasswordOption = Annotated[bool, typer.Option("--no-password", help="Keys only: ask for no password.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="user", help="Add, change, list and remove users in the configuration file.", no_args_is_help=True
    )
    group.command("add")(add_user)
    group.command("passwd")(set_password)
    group.command("list")(list_users)
    group.command("remove")(remove_user)
    app.add_typer(group)
    app.command("hash-password")(print_hash)


def add_user(
    name: NameArgument,
    mounts: MountOption = None,
    permissions: PermissionOption = None,
    public_keys: PublicKeyOption = None,
    home: HomeOption = None,
    expires: ExpiresOption = None,
    no_password: NoPasswordOption = False,
    password_stdin: PasswordStdinOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a user. The password is asked for at the terminal, or read from stdin; only its hash is kept."""
    from cloudalpha.cli.config_file import editing, read_config_file

    if no_password and (password_stdin or not public_keys):
        raise WrongUsageError("--no-password goes with --public-key, and not with --password-stdin")
    file = read_config_file(_find(config))
    if name in file.users:
        fail(f"{file.path}: there is a user {name!r} already; change the password with `cloudalpha user passwd {name}`")
    options: dict[str, Any] = {
        "mounts": _parse_mounts(mounts or [], file.account_names),
        "permissions": dict(_split(text, "--permission", "/team=list download") for text in permissions or []),
        "public_keys": [key for path in public_keys or [] for key in _read_keys(path)],
        "home": home,
        "expires": expires,
    }
    options = {key: value for key, value in options.items() if value not in (None, {}, [])}
    _check(name, options, file.account_names)
    if not no_password:
        options = {"password_hash": make_hash(ask_password(password_stdin))} | options
    with editing(file.path) as file:
        file.add_user(name, options)
    print_line(f"user {name!r} is in {file.path}; {_RELOAD_HINT}")


def set_password(name: NameArgument, password_stdin: PasswordStdinOption = False, config: ConfigOption = None) -> None:
    """Give a user another password, asked for at the terminal or read from stdin."""
    from cloudalpha.cli.config_file import editing, read_config_file

    file = read_config_file(_find(config))
    _check_known(name, list(file.users), file.path)
    password_hash = make_hash(ask_password(password_stdin))
    with editing(file.path) as file:
        _check_known(name, list(file.users), file.path)
        file.set_password_hash(name, password_hash)
    print_line(f"user {name!r} has a new password; {_RELOAD_HINT}")


def list_users(as_json: JSONOption = False, config: ConfigOption = None) -> None:
    """List the users, and what each may do."""
    from cloudalpha.cli.output import print_table
    from cloudalpha.configurator.loader import load

    rows = []
    for name, user in sorted(load(_find(config)).users.items()):
        rows.append(
            {
                "name": name,
                "enabled": user.enabled,
                "password": user.password_hash is not None,
                "keys": len(user.public_keys),
                "mounts": [f"{path}={mount}" for path, mount in user.mounts.items()],
                "permissions": [f"{path}={verbs}" for path, verbs in user.permissions.items()],
                "expires": user.expires.isoformat() if user.expires else None,
            }
        )
    print_table(rows, as_json, empty="no users; add one with `cloudalpha user add NAME`")


def remove_user(name: NameArgument, config: ConfigOption = None) -> None:
    """Remove a user from the configuration file. The user's files stay."""
    from cloudalpha.cli.config_file import editing

    with editing(_find(config)) as file:
        _check_known(name, list(file.users), file.path)
        file.remove_user(name)
    print_line(f"user {name!r} is removed; {_RELOAD_HINT}")


def print_hash(password_stdin: PasswordStdinOption = False) -> None:
    """Print the hash of a password, for `password_hash` of a user in the configuration."""
    print_line(make_hash(ask_password(password_stdin)))


def _find(config: Path | None) -> Path:
    from cloudalpha.configurator.values import find_file

    path = config or find_file()
    if path is None:
        fail("no configuration file found; make one with `cloudalpha init`, or name one with --config")
    return path


def _parse_mounts(texts: list[str], account_names: list[str]) -> dict[str, str]:
    if not texts:
        if len(account_names) != 1:
            there = f"there are: {', '.join(account_names)}" if account_names else "the configuration has none yet"
            raise WrongUsageError(f"say which account the user works in, with --mount ACCOUNT:/; {there}")
        return {"/": f"{account_names[0]}:/"}
    return dict(_split(text if "=" in text else f"/={text}", "--mount", "/team=photos:/shared") for text in texts)


def _split(text: str, option: str, example: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path.startswith("/"):
        raise WrongUsageError(f"{option} {text}: write it like {option} '{example}'")
    return path, value


def _read_keys(path: Path) -> list[str]:
    try:
        lines = path.expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'is not UTF-8'}")
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        fail(f"{path}: holds no public key")
    return keys


def _check(name: str, options: dict[str, Any], account_names: list[str]) -> None:
    """Whether a gateway would take the user."""
    from pydantic import ValidationError

    from cloudalpha.configurator.mistakes import describe_errors, suggest
    from cloudalpha.users.record import UserOptions, check_user_name

    try:
        check_user_name(name)
        user = UserOptions.model_validate(options)
    except ValidationError as error:
        fail("; ".join(f"{key}: {message}" for key, message in describe_errors(UserOptions, error)))
    except ValueError as error:
        raise WrongUsageError(str(error)) from error
    for mount in user.parsed_mounts.values():
        if mount.account_name not in account_names:
            fail(f"no account is called {mount.account_name!r}; {suggest(mount.account_name, account_names)}")


def _check_known(name: str, names: list[str], path: Path) -> None:
    from cloudalpha.configurator.mistakes import suggest

    if name not in names:
        fail(f"{path}: no user is called {name!r}; {suggest(name, names)}")
