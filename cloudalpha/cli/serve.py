"""`cloudalpha serve`: the gateway in the foreground, until a signal ends it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from cloudalpha.cli.config import ConfigOption
from cloudalpha.cli.output import EXIT_USAGE, fail, print_line
from cloudalpha.exceptions import ManagerError

DEFAULT_FTP_PORT = 2121
DEFAULT_SFTP_PORT = 2222


DirectoryArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DIR]", help="Serve this folder as a demo, without a configuration file.", show_default=False
    ),
]
FTPPortOption = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, metavar="PORT", help=f"FTP port of the demo, {DEFAULT_FTP_PORT} by default; 0 = any free one."
    ),
]
SFTPPortOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        help=f"SFTP port of the demo, {DEFAULT_SFTP_PORT} by default; 0 = any free one.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    directory: DirectoryArgument = None,
    config: ConfigOption = None,
    ftp_port: FTPPortOption = None,
    sftp_port: SFTPPortOption = None,
) -> None:
    """Start every manager of the configuration file, and run until SIGTERM or SIGINT.

    With DIR, or where there is no file at all, this is the demo: that folder (./cloudalpha-data without DIR) over FTP and SFTP on 127.0.0.1, for the
    user `demo` with a password that is made anew each time ($CLOUDALPHA_DEMO_PASSWORD sets it).

    Prints `ready` once all listen. SIGTERM and SIGINT let nobody in any more and wait `grace_seconds` for transfers that are under way; a second one
    ends at once. SIGHUP reads users, certificates and keys again; sessions go on.
    """
    from cloudalpha.configurator.values import find_file

    if directory is not None and config is not None:
        fail("DIR and --config exclude each other: the demo has no configuration file", EXIT_USAGE)
    file = None if directory is not None else config or find_file()
    if file is None:
        _serve_demo(
            directory,
            DEFAULT_FTP_PORT if ftp_port is None else ftp_port,
            DEFAULT_SFTP_PORT if sftp_port is None else sftp_port,
        )
    elif ftp_port is not None or sftp_port is not None:
        fail(f"--ftp-port and --sftp-port belong to the demo; set `port` in [managers.ftp] of {file}", EXIT_USAGE)
    else:
        _serve_file(file)


def _serve_file(file: Path) -> None:
    from cloudalpha.cli.running import Running
    from cloudalpha.configurator.loader import load

    with Running(load(file), load_again=lambda: load(file)) as running:
        running.start()
        for failure in running.gateway.failures:
            print_line(f"cloudalpha: {failure.kind} {failure.name} is not available: {failure.message}", error=True)
        for manager in running.gateway.managers.values():
            for endpoint in manager.get_endpoints():
                fingerprint = f"  {endpoint.fingerprint}" if endpoint.fingerprint else ""
                print_line(
                    f"{manager.name} listens on {endpoint.scheme}://{endpoint.host}:{endpoint.port}{fingerprint}"
                )
        if not running.gateway.configuration.users:
            print_line("cloudalpha: nobody can log in: add users with `cloudalpha user add`", error=True)
        print_line("ready")
        running.wait()


def _serve_demo(directory: Path | None, ftp_port: int, sftp_port: int) -> None:
    from cloudalpha.cli import demo
    from cloudalpha.cli.running import Running

    folder = (directory or demo.DEFAULT_FOLDER).absolute()
    if directory is not None:
        demo.check_folder(folder)
    password = demo.make_password()
    configuration = demo.make_configuration(folder, password, ftp_port, sftp_port)
    run_as = configuration.general.run_as
    if directory is None:
        demo.make_folder(run_as)
    with Running(configuration, load_again=lambda: configuration) as running:
        if run_as is not None:
            demo.check_folder(folder, run_as)  # again, with the rights that are left
        with contextlib.suppress(ManagerError):  # told below, with the option that helps
            running.start()
        if running.gateway.failures:
            fail(demo.describe_failure(running.gateway.failures[0], configuration))
        endpoints = [e for manager in running.gateway.managers.values() for e in manager.get_endpoints()]
        for line in demo.describe(folder, password, endpoints):
            print_line(line)
        print_line("ready")
        running.wait()
