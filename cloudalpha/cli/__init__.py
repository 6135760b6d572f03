"""The `cloudalpha` command. Each module that `app.COMMAND_MODULES` names has `register(app)`, which adds its commands; what a command needs is
imported when it runs, so that `cloudalpha --help` loads neither an SDK nor a protocol library."""

from __future__ import annotations

from cloudalpha.cli.app import main

__all__ = ["main"]
