"""Gateway: one configuration, running. Accounts, users and managers are made from it, started, reloaded and stopped."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cloudalpha.configurator.accounts import make_accounts
from cloudalpha.configurator.configuration import Configuration, ManagerConfiguration
from cloudalpha.configurator.status import StatusServer
from cloudalpha.data_store import DataStore, make_private_dir
from cloudalpha.exceptions import CloudAlphaError, ManagerError
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.logs import log_event
from cloudalpha.manager import Manager
from cloudalpha.spool import Spool, set_default_spool, take_back_default_spool
from cloudalpha.users.gate import Gatekeeper

CONNECT_SECONDS = 5.0
_LOGGER = logging.getLogger("cloudalpha.gateway")


@dataclass(frozen=True, slots=True)
class Failure:
    """A part that could not be started: `account` or `manager`, its name, and one line that says why."""

    kind: str
    name: str
    message: str
    error: Exception | None = None


class Gateway:
    """A configuration that runs: `start`, then `stop`; `reload` between.

    failures: the managers that could not be started, and the accounts that could not be connected when `start` tried.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.failures: list[Failure] = []
        self.managers: dict[str, Manager] = {}
        self.state_dir = make_private_dir(configuration.state_dir)
        self._started = datetime.now(UTC)
        self._data_store = DataStore.get_instance(self.state_dir)
        self._accounts = make_accounts(configuration, self._data_store)
        spool_dir = configuration.general.spool_dir or make_private_dir(self.state_dir / "spool")
        self._spool = Spool(spool_dir, configuration.general.spool_size)
        make_view = partial(FileSystemView, spool=self._spool, settings=configuration.open_files)
        self._gate = Gatekeeper(configuration.users, self._accounts.get_file_system, configuration.defence, make_view)
        self._status_server: StatusServer | None = None

    def start(self) -> None:
        """Start every manager. One that cannot start, or an account that cannot connect, is noted in `failures`; the others run.

        Raises ManagerError when no manager runs, with nothing left behind.
        """
        set_default_spool(self._spool)  # for what services gather there
        for configuration in self.configuration.managers.values():
            self._start_manager(configuration)
        if not self.managers:
            self.stop()
            reasons = "; ".join(failure.message for failure in self.failures)
            raise ManagerError(reasons or f"{self.configuration.origin}: no manager is configured: add [managers.sftp]")
        for name, reason in self._accounts.connect_all(CONNECT_SECONDS).items():
            self.failures.append(Failure("account", name, reason))
        self._start_status()

    def reload(self, configuration: Configuration) -> None:
        """Take over what can change while sessions go on: users, accounts that are new, and the managers' certificates and keys."""
        self._accounts.add(configuration.accounts.values(), configuration.services)
        self._gate.reload(configuration.users)
        for manager in self.managers.values():
            _run_step(f"reload of {manager.name}", manager.reload)
        old, new = self.configuration.describe(), configuration.describe()
        waiting = [name for name in old if name != "users" and _needs_restart(name, old[name], new[name])]
        self.configuration = configuration
        log_event(_LOGGER, "reloaded", users=len(configuration.users), needs_restart=" ".join(waiting) or None)

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Let nobody in, wait at most so long for running transfers, then end everything. Harmless when repeated.

        A manager or an account that cannot be stopped is logged, and does not keep the others.
        """
        threads = [
            threading.Thread(
                target=_run_step, args=(f"stop of {name}", lambda m=manager: m.stop(grace_seconds)), name="stop"
            )
            for name, manager in self.managers.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.managers.clear()
        self._accounts.close()
        if self._status_server is not None:
            self._status_server.close()
            self._status_server = None
        self._data_store.close()
        take_back_default_spool(self._spool)

    def describe(self) -> dict[str, Any]:
        """What `cloudalpha status` shows."""
        return {
            "pid": os.getpid(),
            "started": self._started.isoformat(timespec="seconds"),
            "configuration": self.configuration.origin,
            "managers": [self._describe_manager(name) for name in self.configuration.managers],
            "accounts": self._accounts.describe(),
            "sessions": [asdict(session) for session in self._gate.get_sessions()],
        }

    def _start_manager(self, configuration: ManagerConfiguration) -> None:
        name = configuration.name
        try:
            state_dir = make_private_dir(self.state_dir / "managers" / name)
            manager: Manager = configuration.manager_class(name, configuration.settings, self._gate, state_dir)
            manager.start()
        except CloudAlphaError as error:
            self._note_failure(name, str(error), error)
        except Exception as error:  # noqa: BLE001 - whatever one manager does, the others run
            self._note_failure(name, f"{type(error).__name__}: {error}", error)
        else:
            self.managers[name] = manager
            for endpoint in manager.get_endpoints():
                address = f"{endpoint.host}:{endpoint.port}"
                log_event(_LOGGER, "listening", manager=name, address=address, fingerprint=endpoint.fingerprint)

    def _note_failure(self, name: str, reason: str, error: Exception) -> None:
        self.failures.append(Failure("manager", name, reason, error))
        cause = None if isinstance(error, CloudAlphaError) else error
        log_event(_LOGGER, "manager_not_started", logging.ERROR, exc_info=cause, manager=name, reason=reason)

    def _start_status(self) -> None:
        try:
            self._status_server = StatusServer(self.state_dir, self.describe)
        except OSError as error:
            log_event(_LOGGER, "no_status", logging.WARNING, exc_info=error, reason=str(error))

    def _describe_manager(self, name: str) -> dict[str, Any]:
        manager = self.managers.get(name)
        if manager is None:
            reasons = [f.message for f in self.failures if (f.kind, f.name) == ("manager", name)]
            return {"name": name, "state": "failed", "error": reasons[-1] if reasons else None}
        endpoints = [f"{e.scheme}://{e.host}:{e.port}" for e in manager.get_endpoints()]
        sessions = manager.count_sessions()
        return {"name": name, "state": "running", "error": None, "endpoints": endpoints, "sessions": sessions}


def _run_step(what: str, step: Callable[[], None]) -> None:
    """One step of many that all must be tried."""
    try:
        step()
    except Exception as error:  # noqa: BLE001 - the other steps are tried in any case
        log_event(_LOGGER, "failed", logging.ERROR, exc_info=error, what=what, reason=str(error))


def _needs_restart(name: str, old: Any, new: Any) -> bool:
    """Whether a change of a section is not taken over by a reload: but for new accounts, any is."""
    if name in ("accounts", "services"):
        return any(new.get(key) != value for key, value in old.items())
    return bool(old != new)
