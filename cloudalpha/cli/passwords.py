"""Asking for passwords: at the terminal, unseen and twice, or from stdin; never on the command line, where every process can read them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cloudalpha.cli.locations import WrongUsageError

PasswordStdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin: one line.")]

MAX_LINE_CHARACTERS = 4096


def ask_password(from_stdin: bool, prompt: str = "Password") -> str:
    """The password that a person types, or that the first line of stdin is.

    Raises WrongUsageError without a terminal to ask at, or when nothing comes.
    """
    if from_stdin:
        password = sys.stdin.readline(MAX_LINE_CHARACTERS).rstrip("\r\n")
    elif sys.stdin.isatty():
        password = str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
    else:
        raise WrongUsageError("there is no terminal to ask for the password: give it with --password-stdin")
    if not password:
        raise WrongUsageError("the password is empty")
    return password


def make_hash(password: str) -> str:
    """The hash that the configuration keeps. Raises WrongUsageError for a password that no client could send."""
    from cloudalpha.users.passwords import hash_password

    try:
        return hash_password(password)
    except ValueError as error:
        raise WrongUsageError(str(error)) from error
