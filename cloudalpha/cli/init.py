"""`cloudalpha init`: a first configuration file, with comments."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from cloudalpha.cli.output import fail, print_line
from cloudalpha.cli.passwords import PasswordStdinOption, ask_password, make_hash

_TEMPLATE = """\
# CloudAlpha. Check this file with: cloudalpha config check
# Every setting, its default and what it means: docs/settings.md
# Any value may be "env:NAME" (an environment variable) or "file:PATH" (a file's content), so that secrets stay out of this file.

# Where tokens, indexes and host keys are kept; $STATE_DIRECTORY, else the user's state folder, when not said.
# state_dir = "/var/lib/cloudalpha"

# Managers: what people connect to. Each one named here is started.
[managers.ftp]
host = {host}          # "0.0.0.0" lets other machines in; TLS is then required unless `tls` says otherwise
port = {ftp_port}
# tls = "optional"             # off | optional | required | implicit
# passive_ports = "30000-30100"
# public_address = "203.0.113.5"   # what PASV tells clients behind NAT

[managers.sftp]
host = {host}
port = {sftp_port}

# Accounts: where the files are. `cloudalpha plugins` lists the services; `cloudalpha account check {account}` tries this one.
[accounts.{account}]
service = "local"
root = {folder}
create_root = true

# Users: who may log in, and what they see. Add more with: cloudalpha user add NAME
[users.{user}]
password_hash = {password_hash}
mounts = {{ "/" = {mount} }}
permissions = {{ "/" = "all" }}     # list download upload overwrite append delete rename make_dir delete_dir set_times all
# public_keys = ["ssh-ed25519 AAAA... me@laptop"]
"""

OutputOption = Annotated[Path, typer.Option("--config", "--output", "-o", metavar="FILE", help="The file to write.")]
FolderOption = Annotated[Path | None, typer.Option("--folder", metavar="DIR", help="The folder to serve.")]
AccountOption = Annotated[str, typer.Option("--account", metavar="NAME", help="What the folder's account is called.")]
UserOption = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Who may log in.")]
HostOption = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")]
FTPPortOption = Annotated[
    int, typer.Option("--ftp-port", min=0, max=65535, help="The port of FTP; 0 takes a free one.")
]
SFTPPortOption = Annotated[
    int, typer.Option("--sftp-port", min=0, max=65535, help="The port of SFTP; 0 takes a free one.")
]
YesOption = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", help="Ask nothing: take what is given and the defaults; make up a password, and print it."
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(write_configuration)


def write_configuration(
    output: OutputOption = Path("cloudalpha.toml"),
    folder: FolderOption = None,
    account: AccountOption = "files",
    user: UserOption = None,
    host: HostOption = "127.0.0.1",
    ftp_port: FTPPortOption = 2121,
    sftp_port: SFTPPortOption = 2222,
    yes: YesOption = False,
    force: ForceOption = False,
    password_stdin: PasswordStdinOption = False,
) -> None:
    """Write a configuration file with comments: a local folder over FTP and SFTP, and one user. It asks for what is not given."""
    from cloudalpha.cli.config_file import make_key, make_value, write_file

    if output.exists() and not force:
        fail(f"{output}: is there already; replace it with --force, or name another with --config")
    asking = not yes and sys.stdin.isatty()
    if folder is None:
        folder = Path(_ask("Folder to serve", "cloudalpha-data") if asking else "cloudalpha-data")
    if user is None:
        user = _ask("User name", "me") if asking else "me"
    generated = secrets.token_urlsafe(12) if yes and not password_stdin else None
    password_hash = make_hash(generated or ask_password(password_stdin, f"Password of {user}"))
    text = _TEMPLATE.format(
        host=make_value(host),
        ftp_port=ftp_port,
        sftp_port=sftp_port,
        account=make_key(account),
        mount=make_value(f"{account}:/"),
        folder=make_value(str(folder.expanduser().absolute())),
        user=make_key(user),
        password_hash=make_value(password_hash),
    )
    _check(text, output)
    write_file(output, text, overwrite=force)
    print_line(f"{output} is written; start it with: cloudalpha serve --config {output}")
    if generated:
        print_line(f"user {user}, password {generated}")


def _ask(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default, err=True))


def _check(text: str, output: Path) -> None:
    """Nothing is written that `serve` would refuse."""
    import tomllib

    from cloudalpha.configurator.loader import load_values

    load_values(tomllib.loads(text), str(output), environ={})
