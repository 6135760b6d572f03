"""An account of the local service."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import ClassVar

from cloudalpha.account import Account
from cloudalpha.exceptions import AccountError
from cloudalpha.file_system import FileSystem
from cloudalpha.logs import log_event
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.settings import LocalOptions
from cloudalpha.services.local.temporary_file import logger
from cloudalpha.services.local.tree import Tree
from cloudalpha.settings import Options


class LocalAccount(Account):
    """The files beneath one folder of the gateway's own machine."""

    options_class: ClassVar[type[Options]] = LocalOptions

    def connect(self) -> FileSystem:
        options: LocalOptions = self.options
        try:
            folder = self._find_root(options)
            tree = Tree(folder, options.fsync, options.follow_links, options.file_mode, options.dir_mode)
        except (OSError, RuntimeError) as error:  # RuntimeError: a `~` whose home nobody knows
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such home"
            # Whoever runs the gateway finds the folder in the log; the message may reach a client.
            log_event(logger, "root_unusable", logging.ERROR, account=self.name, root=options.root, error=reason)
            hint = "" if options.create_root else "; make the folder, or set create_root = true"
            raise AccountError(f"account {self.name!r}: its root cannot be used ({reason}){hint}") from error
        file_system = LocalFileSystem(tree)
        file_system.start_sweep()
        return file_system

    def _find_root(self, options: LocalOptions) -> Path:
        folder = options.root.expanduser().absolute()
        if options.create_root:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.X_OK) and folder.is_dir():
            raise PermissionError(13, "permission denied")
        return folder
