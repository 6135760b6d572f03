"""The demo of `cloudalpha serve`: one folder, one user, FTP and SFTP on this machine alone."""

from __future__ import annotations

import os
import secrets
import shlex
import string
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cloudalpha.exceptions import AddressInUseManagerError, InvalidSettingError

if TYPE_CHECKING:
    from cloudalpha.configurator.configuration import Configuration
    from cloudalpha.configurator.gateway import Failure
    from cloudalpha.manager import Endpoint

DEFAULT_FOLDER = Path("cloudalpha-data")
USER_NAME = "demo"
HOST = "127.0.0.1"
STATE_FOLDER = "demo"
"""Where the demo keeps its state, in the user's state folder."""
PASSWORD_LENGTH = 14


def make_folder(run_as: str | None) -> None:
    """Make the folder that is served when none is named, where it is missing, for the user that serves it. Raises InvalidSettingError."""
    from cloudalpha.cli.privileges import make_dirs_for

    folder = DEFAULT_FOLDER.absolute()
    if run_as is not None:
        make_dirs_for(run_as, folder)
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InvalidSettingError(f"{folder}: cannot be made: {error.strerror}; name a folder to serve") from error


def check_folder(folder: Path, run_as: str | None = None) -> None:
    """Raises InvalidSettingError when this process cannot read the folder that it is to serve. run_as: who it serves as, where that is said."""
    try:
        with os.scandir(folder):
            return
    except OSError as error:
        remedy = f"{run_as} can read, or hand it over: chown -R {run_as} {folder}" if run_as else "you can read"
        raise InvalidSettingError(
            f"{folder}: cannot be served: {error.strerror}; name a folder that {remedy}"
        ) from error


def make_password() -> str:
    """The password that $CLOUDALPHA_DEMO_PASSWORD sets, or a new one of letters and digits."""
    from cloudalpha.configurator.values import DEMO_PASSWORD_VARIABLE

    alphabet = string.ascii_lowercase + string.digits
    made = "".join(secrets.choice(alphabet) for _ in range(PASSWORD_LENGTH))
    return os.environ.get(DEMO_PASSWORD_VARIABLE) or made


def make_configuration(folder: Path, password: str, ftp_port: int, sftp_port: int) -> Configuration:
    """The demo as a configuration. Its state is kept, so that clients see the same host key again. Raises SettingError."""
    from cloudalpha.configurator.loader import load_values
    from cloudalpha.data_store import get_default_state_dir
    from cloudalpha.users.passwords import hash_password

    try:
        password_hash = hash_password(password)
    except ValueError as error:
        raise InvalidSettingError(f"the password of the demo cannot be used: {error}") from error
    data = {
        "state_dir": str(get_default_state_dir() / STATE_FOLDER),
        "managers": {"ftp": {"host": HOST, "port": ftp_port}, "sftp": {"host": HOST, "port": sftp_port}},
        "accounts": {"files": {"service": "local", "root": str(folder)}},
        "users": {USER_NAME: {"password_hash": password_hash, "mounts": {"/": "files:/"}}},
    }
    return load_values(data, "demo")


def describe_failure(failure: Failure, configuration: Configuration) -> str:
    """Why the demo does not run, and what to do."""
    if failure.kind == "manager" and isinstance(failure.error, AddressInUseManagerError):
        port = getattr(configuration.managers[failure.name].settings, "port", "?")
        return f"port {port} is taken: choose another with --{failure.name}-port (0 = any that is free)"
    return f"{failure.kind} {failure.name} is not available: {failure.message}"


def describe(folder: Path, password: str, endpoints: Iterable[Endpoint]) -> list[str]:
    """What tells a newcomer how to connect."""
    lines = [f"CloudAlpha serves {folder}", f"user {USER_NAME}, password {password}", ""]
    fingerprints = []
    for endpoint in endpoints:
        lines += [f"  {command}" for command in _get_commands(endpoint, password)]
        if endpoint.fingerprint:
            what = "host key" if endpoint.scheme == "sftp" else "certificate"
            fingerprints.append(f"{endpoint.scheme} {what} {endpoint.fingerprint}")
    return [*lines, "", *fingerprints]


def _get_commands(endpoint: Endpoint, password: str) -> list[str]:
    address = f"{endpoint.host}:{endpoint.port}"
    log_in = shlex.quote(f"{USER_NAME}:{password}")
    if endpoint.scheme == "sftp":
        return [
            f"sftp -P {endpoint.port} {USER_NAME}@{endpoint.host}",
            f"curl --insecure --user {log_in} sftp://{address}/",
        ]
    user = shlex.quote(f"{USER_NAME},{password}")
    return [
        f"lftp -e 'set ssl:verify-certificate no' -u {user} {endpoint.scheme}://{address}",
        f"curl --user {log_in} {endpoint.scheme}://{address}/",
    ]
