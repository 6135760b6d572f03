"""The commands of `cloudalpha shell`."""

from __future__ import annotations

import fnmatch
import glob
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from cloudalpha import paths
from cloudalpha.cli.listing import format_size, list_entries, measure, print_entries, print_tree
from cloudalpha.cli.local_files import make_local_path
from cloudalpha.cli.locations import Location, Locations, WrongUsageError
from cloudalpha.cli.output import print_line, print_table
from cloudalpha.cli.progress import Progress
from cloudalpha.cli.transfers import Transfers
from cloudalpha.exceptions import NotADirectoryFileSystemError, NotFoundFileSystemError


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it is called with, what it does, and how many words it takes at least and at most (None: any number)."""

    run: Callable[[list[str], str], None]
    usage: str
    summary: str
    flags: str = ""
    min_words: int = 0
    max_words: int | None = None


class ShellCommands:
    """What the commands act on: a folder of an account, and a local folder.

    working: None as long as no account is chosen. failures: what could not be copied, moved or deleted so far.
    is_left: whether `quit` was the last word.
    """

    def __init__(self, locations: Locations, working: Location | None, show_progress: bool) -> None:
        self.locations = locations
        self.working = working
        self.local_dir = make_local_path("")
        self.failures = 0
        self.is_left = False
        self._show_progress = show_progress
        self.commands = self._make_commands()

    def _make_commands(self) -> dict[str, Command]:
        return {
            "accounts": Command(self._accounts, "accounts", "the accounts", "", 0, 0),
            "cat": Command(self._cat, "cat FILE...", "write files to the screen", "", 1),
            "cd": Command(self._cd, "cd [FOLDER | ACCOUNT:]", "go to another folder", "", 0, 1),
            "cp": Command(self._cp, "cp [-r] [-n] SOURCE... TARGET", "copy within and between accounts", "rn", 2),
            "du": Command(self._du, "du [FOLDER...]", "sum up what folders hold"),
            "get": Command(self._get, "get [-r] [-n] SOURCE... [to LOCAL]", "copy to the local folder", "rn", 1),
            "help": Command(self._help, "help [COMMAND]", "this list", "", 0, 1),
            "lcd": Command(self._lcd, "lcd [FOLDER]", "go to another local folder", "", 0, 1),
            "lls": Command(self._lls, "lls [-l] [FOLDER]", "list a local folder", "l", 0, 1),
            "lpwd": Command(self._lpwd, "lpwd", "where we are on this machine", "", 0, 0),
            "ls": Command(self._ls, "ls [-l] [FOLDER...]", "list folders", "l"),
            "mkdir": Command(self._mkdir, "mkdir [-p] FOLDER...", "make folders", "p", 1),
            "mv": Command(self._mv, "mv [-n] SOURCE... TARGET", "move or rename", "n", 2),
            "put": Command(self._put, "put [-r] [-n] LOCAL... [to TARGET]", "copy from the local folder", "rn", 1),
            "pwd": Command(self._pwd, "pwd", "where we are", "", 0, 0),
            "quit": Command(self._quit, "quit", "leave; so do exit and the end of the input", "", 0, 0),
            "rm": Command(self._rm, "rm [-r] [-f] PATH...", "delete files, and with -r folders", "rf", 1),
            "tree": Command(self._tree, "tree [FOLDER]", "a folder and all that it holds", "", 0, 1),
        }

    def run(self, words: list[str]) -> None:
        """Run one command line. Raises WrongUsageError, FileSystemError, AccountError."""
        name = {"exit": "quit", "bye": "quit", "?": "help", "dir": "ls", "del": "rm"}.get(words[0], words[0])
        command = self.commands.get(name)
        if command is None:
            raise WrongUsageError(f"no command {paths.printable(words[0])!r}; try help")
        flags, rest = _split_flags(words[1:])
        if unknown := flags.strip(command.flags):
            raise WrongUsageError(f"{name} has no option -{paths.printable(unknown[0])}; usage: {command.usage}")
        if len(rest) < command.min_words or (command.max_words is not None and len(rest) > command.max_words):
            raise WrongUsageError(f"usage: {command.usage}")
        command.run(rest, flags)

    def expand(self, words: list[str]) -> list[Location]:
        """The locations of paths, `*`, `?` and `[...]` in the last name expanded."""
        return [location for word in words for location in self._expand(word)]

    def _expand(self, word: str) -> list[Location]:
        location = self.parse(word)
        pattern = location.name
        if not any(character in pattern for character in "*?[") or location.find() is not None:
            return [location]
        parent = location.at(paths.get_parent(location.path))
        names = (entry.name for entry in parent.file_system.list_dir(parent.path))
        found = [parent.join(name) for name in sorted(names) if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise NotFoundFileSystemError(str(location), "nothing matches")
        return found

    def parse(self, word: str) -> Location:
        """The location of a path, relative to the folder that we are in. Raises as `Locations.parse`."""
        if self.working is None and ":" not in word:
            names = ", ".join(f"cd {name}:" for name in sorted(self.locations.accounts.get_names()))
            raise WrongUsageError(f"no account is chosen yet: {names or 'the configuration has none'}")
        return self.locations.parse(word, self.working)

    def _parse_local(self, word: str) -> Location:
        return self.locations.parse_local(word, self.local_dir)

    def _accounts(self, words: list[str], flags: str) -> None:
        for name in sorted(self.locations.accounts.get_names()):
            print_line(f"{name}:")

    def _cat(self, words: list[str], flags: str) -> None:
        for location in self.expand(words):
            for chunk in location.file_system.read(location.path):
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def _cd(self, words: list[str], flags: str) -> None:
        location = self.parse(words[0] if words else "/")
        if not location.file_system.get_metadata(location.path).is_dir:
            raise NotADirectoryFileSystemError(str(location))
        self.working = location

    def _cp(self, words: list[str], flags: str) -> None:
        sources, target = self.expand(words[:-1]), self.parse(words[-1])
        self._transfer(flags, lambda transfers: transfers.copy(sources, target, "r" in flags))

    def _mv(self, words: list[str], flags: str) -> None:
        sources, target = self.expand(words[:-1]), self.parse(words[-1])
        self._transfer(flags, lambda transfers: transfers.move(sources, target))

    def _get(self, words: list[str], flags: str) -> None:
        words, target = _split_target(words)
        sources = self.expand(words)
        self._transfer(flags, lambda transfers: transfers.copy(sources, self._parse_local(target), "r" in flags))

    def _put(self, words: list[str], flags: str) -> None:
        words, target = _split_target(words)
        sources = [self._parse_local(word) for pattern in words for word in self._expand_local(pattern)]
        place = self.parse(target)
        self._transfer(flags, lambda transfers: transfers.copy(sources, place, "r" in flags))

    def _expand_local(self, pattern: str) -> list[str]:
        path = make_local_path(pattern, self.local_dir)
        return [pattern] if os.path.lexists(path) else sorted(glob.glob(path)) or [pattern]

    def _rm(self, words: list[str], flags: str) -> None:
        locations = []
        for word in words:
            try:
                locations += self._expand(word)
            except NotFoundFileSystemError:
                if "f" not in flags:
                    raise

        def delete(transfers: Transfers) -> None:
            for location in locations:
                transfers.delete(location, "r" in flags, "f" in flags)

        self._transfer(flags, delete)

    def _mkdir(self, words: list[str], flags: str) -> None:
        for location in map(self.parse, words):
            if "p" in flags:
                location.file_system.make_dirs(location.path)
            else:
                location.file_system.make_dir(location.path)

    def _ls(self, words: list[str], flags: str) -> None:
        if not words and self.working is None:
            self._accounts(words, flags)
            return
        locations = self.expand(words or ["."])
        for location in locations:
            if len(locations) > 1:
                print_line(f"{location}:")
            print_entries(sorted(list_entries(location), key=lambda entry: entry.name), "l" in flags)

    def _tree(self, words: list[str], flags: str) -> None:
        self.failures += print_tree(self.parse(words[0] if words else "."))

    def _du(self, words: list[str], flags: str) -> None:
        rows = [row for location in self.expand(words or ["."]) for row in measure(location)]
        print_table([row | {"bytes": format_size(row["bytes"])} for row in rows])

    def _pwd(self, words: list[str], flags: str) -> None:
        print_line(str(self.working) if self.working is not None else "no account is chosen yet")

    def _lpwd(self, words: list[str], flags: str) -> None:
        print_line(self.local_dir)

    def _lcd(self, words: list[str], flags: str) -> None:
        location = self._parse_local(words[0] if words else "~")
        if not location.file_system.get_metadata(location.path).is_dir:
            raise NotADirectoryFileSystemError(location.path)
        self.local_dir = location.path

    def _lls(self, words: list[str], flags: str) -> None:
        location = self._parse_local(words[0] if words else ".")
        print_entries(sorted(list_entries(location), key=lambda entry: entry.name), "l" in flags)

    def _help(self, words: list[str], flags: str) -> None:
        for name, command in self.commands.items():
            if not words or words[0] == name:
                print_line(f"{command.usage:38} {command.summary}")

    def _quit(self, words: list[str], flags: str) -> None:
        self.is_left = True

    def _transfer(self, flags: str, action: Callable[[Transfers], None]) -> None:
        with Progress(self._show_progress) as progress:
            transfers = Transfers(progress, overwrite="n" not in flags)
            action(transfers)
        self.failures += transfers.failures


def _split_flags(words: list[str]) -> tuple[str, list[str]]:
    """The letters of options, and the other words; "--" ends the options."""
    flags = ""
    for number, word in enumerate(words):
        if word == "--":
            return flags, words[number + 1 :]
        if not word.startswith("-") or word == "-":
            return flags, words[number:]
        flags += word[1:]
    return flags, []


def _split_target(words: list[str]) -> tuple[list[str], str]:
    """`get a b to there`, and `get a there` as sftp has it: the sources and the target, by default the folder that we are in."""
    if len(words) > 2 and words[-2] == "to":
        return words[:-2], words[-1]
    if len(words) == 2:
        return words[:1], words[1]
    return words, "."
