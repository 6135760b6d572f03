"""The typer application: gathers the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated

import typer

from cloudalpha.cli.output import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, print_line
from cloudalpha.exceptions import CloudAlphaError

COMMAND_MODULES = ("serve", "init", "config", "plugins", "users", "accounts", "files", "shell", "status")
"""The modules of this package that have `register(app)`, in the order of `cloudalpha --help`."""

_INTERRUPTED = 130  # what typer makes of KeyboardInterrupt


def make_app() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="cloudalpha",
        help="A gateway: any FTP or SFTP client works on files that live in cloud services.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help: rich would take half of the time that `--help` has
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common_options)
    for name in COMMAND_MODULES:
        importlib.import_module(f"cloudalpha.cli.{name}").register(app)
    return app


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: list[str]) -> int:
    """Run the command line and return its exit code. Errors are one line each on stderr."""
    try:
        code = make_app()(args, prog_name="cloudalpha", standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else EXIT_DONE
    except typer.TyperException as error:
        return _report_usage(error)
    except (typer.Abort, KeyboardInterrupt):
        print_line("cloudalpha: stopped", error=True)
    except CloudAlphaError as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            print_line(f"cloudalpha: {line}", error=True)
    except BrokenPipeError:
        _abandon_stdout()
    except OSError as error:
        print_line(f"cloudalpha: {error.filename or 'the system'}: {error.strerror or error}", error=True)
    return EXIT_FAILED


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        print_line(f"cloudalpha {version('cloudalpha')}")
        raise typer.Exit(EXIT_DONE)


def _common_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """The options that stand before a command."""


def _report_usage(error: typer.TyperException) -> int:
    message = str(getattr(error, "format_message", error.__str__)())
    if "\n" in message:  # a group of commands without a command: its help
        print(message, file=sys.stderr)
    else:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "cloudalpha"
        print_line(f"cloudalpha: {message.rstrip('.')}; see `{command} --help`", error=True)
    return int(getattr(error, "exit_code", EXIT_USAGE))


def _abandon_stdout() -> None:
    """Whoever read stdout has gone; what is still buffered must not raise again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
