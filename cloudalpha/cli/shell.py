"""`cloudalpha shell`: the interactive file manager, which runs scripts too."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cloudalpha import paths
from cloudalpha.cli.config import ConfigOption
from cloudalpha.cli.locations import WrongUsageError, open_locations
from cloudalpha.cli.output import EXIT_FAILED, print_line
from cloudalpha.exceptions import CloudAlphaError, FileSystemError

if TYPE_CHECKING:
    from cloudalpha.cli.shell_commands import ShellCommands

HISTORY_LINES = 1000
MAX_COMPLETIONS = 1000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell")(run_shell)


def run_shell(
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Where to begin; the only account where there is one.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Work on files interactively: cd, ls, get, put, cat, cp, mv, rm, mkdir, tree, du. `help` lists the commands.

    When stdin is not a terminal it is a script, one command a line: it ends, with exit code 1, at the first that fails,
    unless the line begins with "-". Lines that begin with "#" are comments.
    """
    from cloudalpha.cli.shell_commands import ShellCommands

    with open_locations(config) as locations:
        is_interactive = sys.stdin.isatty()
        commands = ShellCommands(locations, None, show_progress=is_interactive)
        names = locations.accounts.get_names()
        if account is not None or len(names) == 1:
            commands.run(["cd", f"{(account or names[0]).removesuffix(':')}:/"])
        if is_interactive:
            _run_interactively(commands)
        else:
            _run_script(commands)


def _run_script(commands: ShellCommands) -> None:
    for line in sys.stdin:
        stripped = line.strip()
        may_fail = stripped.startswith("-")
        if not _run_line(commands, stripped.removeprefix("-").strip()) and not may_fail:
            raise typer.Exit(EXIT_FAILED)
        if commands.is_left:
            return


def _run_interactively(commands: ShellCommands) -> None:
    print_line("help lists the commands, quit leaves.")
    with _line_editing(commands):
        while not commands.is_left:
            try:
                line = input(f"{commands.working or 'cloudalpha'}> ")
            except EOFError:
                print_line()
                return
            except KeyboardInterrupt:
                print_line()
                continue
            try:
                _run_line(commands, line.strip())
            except KeyboardInterrupt:
                print_line("stopped", error=True)


def _run_line(commands: ShellCommands, line: str) -> bool:
    """Run one line; whether all went well."""
    if not line or line.startswith("#"):
        return True
    failures = commands.failures
    try:
        commands.run(shlex.split(line))
    except ValueError as error:  # a quote that is not closed
        print_line(f"cloudalpha: {str(error).lower()}", error=True)
        return False
    except FileSystemError as error:
        print_line(f"cloudalpha: {paths.printable(error.path)}: {error.message}", error=True)
        return False
    except (WrongUsageError, CloudAlphaError) as error:
        print_line(f"cloudalpha: {error}", error=True)
        return False
    return commands.failures == failures


@contextlib.contextmanager
def _line_editing(commands: ShellCommands) -> Iterator[None]:
    """History kept between runs, and names completed by the tab key, where readline is there."""
    try:
        import readline
    except ImportError:
        yield
        return
    from cloudalpha.data_store import get_default_state_dir, make_private_dir

    history = make_private_dir(get_default_state_dir()) / "shell_history"
    with contextlib.suppress(OSError):  # none yet
        readline.read_history_file(history)
    readline.set_history_length(HISTORY_LINES)
    readline.set_completer_delims(" \t\n")
    readline.set_completer(lambda text, state: _complete(commands, readline.get_line_buffer(), text, state))
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(None)
        with contextlib.suppress(OSError):  # a full or read-only disk costs the history, nothing else
            readline.write_history_file(history)
            history.chmod(0o600)


def _complete(commands: ShellCommands, line: str, text: str, state: int) -> str | None:
    """The completion number `state` of the word `text`: a command's name at the line's beginning, then names of files."""
    found = list(itertools.islice(find_completions(commands, line, text), MAX_COMPLETIONS))
    return found[state] if state < len(found) else None


def find_completions(commands: ShellCommands, line: str, text: str) -> Iterator[str]:
    """What the word `text` of the line may become."""
    words = line.split()
    if not words or (len(words) == 1 and not line.endswith(" ")):
        yield from (name + " " for name in commands.commands if name.startswith(text))
        return
    dir_text, slash, name_text = text.rpartition("/")
    if not slash and ":" not in text:
        accounts = (f"{name}:" for name in sorted(commands.locations.accounts.get_names()))
        yield from (name for name in accounts if name.startswith(text))
    try:
        folder = commands.parse(dir_text + slash or ".")
        for entry in folder.file_system.list_dir(folder.path):
            if entry.name.startswith(name_text):
                yield dir_text + slash + entry.name.replace(" ", "\\ ") + ("/" if entry.is_dir else " ")
    except (WrongUsageError, CloudAlphaError):
        return
