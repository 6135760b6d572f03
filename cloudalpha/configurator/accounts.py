"""The accounts of a gateway: made from their configuration, connected when they are first used, their layers stacked."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from cloudalpha.account import Account
from cloudalpha.configurator.configuration import AccountConfiguration, Configuration
from cloudalpha.data_store import DataStore, make_private_dir
from cloudalpha.exceptions import AccountError, CloudAlphaError, FileSystemError
from cloudalpha.file_system import FileSystem
from cloudalpha.layer import LayerContext
from cloudalpha.logs import log_event
from cloudalpha.settings import Settings
from cloudalpha.toolkit.memory_budget import set_process_budget

MAX_PARALLEL_CONNECTS = 8
_LOGGER = logging.getLogger("cloudalpha.accounts")


class ConnectedAccount:
    """One account with its layers. Connects on first use, and tries again on the next when that failed.

    layers_dir: where its layers keep state. Its lock is held while it connects, so that only one thread does.
    """

    def __init__(
        self, configuration: AccountConfiguration, settings: Settings, data_store: DataStore, layers_dir: Path
    ) -> None:
        self.configuration = configuration
        self.error: str | None = None
        self._layers_dir = layers_dir
        self._account: Account = configuration.account_class(
            configuration.name, configuration.options, settings, data_store
        )
        self._lock = threading.Lock()
        self._file_system: FileSystem | None = None
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        """Whether it is in use already."""
        return self._file_system is not None

    @property
    def file_system(self) -> FileSystem:
        """What users see of it. Raises AccountError, or FileSystemError for an outage."""
        if (file_system := self._file_system) is not None and not self._is_closed:
            return file_system
        with self._lock:
            if self._is_closed:
                raise AccountError(f"the account {self.configuration.name!r} is closed")
            if self._file_system is None:
                self._file_system = self._connect()
            return self._file_system

    def get_card(self) -> dict[str, str]:
        """What the service itself says of its storage, found out anew; connects first. Raises as `file_system`."""
        self.file_system  # noqa: B018 - asking for it connects
        return self._account.get_card()

    def close(self) -> None:
        """Let the layers drain and close the account. Repeated calls are harmless."""
        with self._lock:
            self._is_closed = True
            try:
                if self._file_system is not None:
                    self._file_system.close()
            finally:
                self._account.close()

    def _connect(self) -> FileSystem:
        name = self.configuration.name
        try:
            file_system = self._stack(self._account.file_system)
        except (AccountError, FileSystemError) as error:
            self._note_failure(None, str(error))
            raise
        except ImportError as error:
            hint = f"the account {name!r} needs a package that is not installed: {error.name or error}"
            self._note_failure(None, hint)
            raise AccountError(f"{hint}; see `cloudalpha plugins`") from error
        except Exception as error:
            # A service that fails in a way of its own must not stop the others, nor tell clients how.
            self._note_failure(error, f"{type(error).__name__}: {error}")
            raise AccountError(f"the account {name!r} cannot be used") from error
        self.error = None
        log_event(_LOGGER, "account_connected", account=name, service=self.configuration.service)
        return file_system

    def _note_failure(self, error: Exception | None, reason: str) -> None:
        is_news = self.error != reason
        self.error = reason
        level = logging.ERROR if is_news else logging.DEBUG
        name = self.configuration.name
        log_event(_LOGGER, "account_not_available", level, exc_info=error, account=name, reason=reason)

    def _stack(self, file_system: FileSystem) -> FileSystem:
        for layer in reversed(self.configuration.layers):
            context = LayerContext(self.configuration.name, make_private_dir(self._layers_dir / layer.name))
            file_system = layer.layer_class.from_options(file_system, layer.options, context)
        return file_system


class Accounts:
    """All accounts of a gateway, by name.

    state_dir: the gateway's. Accounts connect when they are first used; `connect_all` is there to find early what does not work.
    """

    def __init__(self, state_dir: Path, data_store: DataStore) -> None:
        self._state_dir = state_dir
        self._data_store = data_store
        self._accounts: dict[str, ConnectedAccount] = {}

    def add(self, configurations: Iterable[AccountConfiguration], services: Mapping[str, Settings]) -> None:
        """Make the accounts that are not there yet."""
        for configuration in configurations:
            if configuration.name not in self._accounts:
                layers_dir = self._state_dir / "layers" / configuration.name
                settings = services[configuration.service]
                account = ConnectedAccount(configuration, settings, self._data_store, layers_dir)
                self._accounts[configuration.name] = account

    def get_names(self) -> list[str]:
        """The names of all accounts."""
        return list(self._accounts)

    def get_file_system(self, name: str) -> FileSystem:
        """The files of an account, connected. Raises AccountError, or FileSystemError for an outage."""
        return self._get(name).file_system

    def get_card(self, name: str) -> dict[str, str]:
        """What the service of an account says of its storage, found out anew. Raises AccountError, or FileSystemError for an outage."""
        return self._get(name).get_card()

    def _get(self, name: str) -> ConnectedAccount:
        account = self._accounts.get(name)
        if account is None:
            raise AccountError(f"there is no account {name!r}")
        return account

    def connect_all(self, timeout: float) -> dict[str, str]:
        """Connect every account, several at once, and wait at most so many seconds; those that need longer go on.

        Returns the reason for each that failed.
        """
        waiting: SimpleQueue[ConnectedAccount] = SimpleQueue()
        for account in self._accounts.values():
            waiting.put(account)
        num_threads = min(MAX_PARALLEL_CONNECTS, len(self._accounts))
        # Daemons: an account that hangs must not keep the process from ending.
        threads = [
            Thread(target=_connect_waiting, args=(waiting,), name="connect", daemon=True) for _ in range(num_threads)
        ]
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return {name: account.error for name, account in self._accounts.items() if account.error is not None}

    def describe(self) -> list[dict[str, Any]]:
        """Name, service, layers and state of each account."""
        return [
            {
                "name": name,
                "service": account.configuration.service,
                "layers": [layer.name for layer in account.configuration.layers],
                "state": "connected" if account.is_connected else "failed" if account.error else "not used yet",
                "error": account.error,
            }
            for name, account in self._accounts.items()
        ]

    def close(self) -> None:
        """Close them all, at once; one that fails is logged. One that fails, or hangs, does not keep the others."""
        threads = [
            Thread(target=_close, args=(name, account), name="close", daemon=True)
            for name, account in self._accounts.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def make_accounts(configuration: Configuration, data_store: DataStore) -> Accounts:
    """The accounts of a configuration, for a process that has no others: what bounds all of their transfers together is set too."""
    set_process_budget(configuration.general.transfer_memory)
    accounts = Accounts(configuration.state_dir, data_store)
    accounts.add(configuration.accounts.values(), configuration.services)
    return accounts


def _close(name: str, account: ConnectedAccount) -> None:
    try:
        account.close()
    except Exception as error:  # noqa: BLE001 - the others are closed in any case
        log_event(_LOGGER, "account_not_closed", logging.ERROR, exc_info=error, account=name, reason=str(error))


def _connect_waiting(waiting: SimpleQueue[ConnectedAccount]) -> None:
    while not waiting.empty():
        try:
            account = waiting.get_nowait()
        except Empty:
            return
        with contextlib.suppress(CloudAlphaError):  # the account has noted and logged it
            account.file_system  # noqa: B018 - asking for it connects
