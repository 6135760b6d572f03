"""Account: one configured storage of a service; authenticates, and supplies its FileSystem.

A service is a module with an Account and a FileSystem, made known by the entry point `cloudalpha.services`:

    [options.entry_points]
    cloudalpha.services =
        my_service = my_package.account:MyAccount
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

from cloudalpha.data_store import DataStore
from cloudalpha.file_system import FileSystem
from cloudalpha.settings import Options, Settings


class Account(ABC):
    """One configured storage. Its SDK is imported in `connect`, never at the top of the module.

    options_class: what `[accounts.NAME]` takes beside `service` and `layers`.
    settings_class: what `[services.NAME]` takes; one instance, shared by all accounts of the service.

    name: the account's name, unique in the configuration.
    data_store: keeps tokens between runs; owner of the values is `account:NAME`.
    """

    options_class: ClassVar[type[Options]] = Options
    settings_class: ClassVar[type[Settings]] = Settings

    def __init__(self, name: str, options: Any, settings: Any, data_store: DataStore) -> None:
        self.name = name
        self.options = options
        self.settings = settings
        self.data_store = data_store
        self._lock = threading.Lock()
        self._file_system: FileSystem | None = None

    @abstractmethod
    def connect(self) -> FileSystem:
        """Authenticate and make the FileSystem. Called once; again after it raised.

        Raises AccountError when the account cannot be used as it is configured, AccessFailedFileSystemError for an outage.
        """

    def get_card(self) -> dict[str, str]:
        """More lines for what `cloudalpha account check` prints of the storage: what it can do -> how it does that.

        Found out anew, by trying it where nothing else tells; what is written for that has names of its own, and is removed. Called while the account
        is connected, and may take its time. The default has no more to say than the capabilities. Raises AccountError, FileSystemError.
        """
        return {}

    @final
    @property
    def file_system(self) -> FileSystem:
        """The account's files; connects on first use. Raises as `connect`."""
        with self._lock:
            if self._file_system is None:
                self._file_system = self.connect()
            return self._file_system

    @final
    def close(self) -> None:
        """Close the FileSystem, if it was ever made."""
        with self._lock:
            if self._file_system is not None:
                self._file_system.close()
