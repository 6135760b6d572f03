"""A gateway as the work of this process: what the process may do, and the signals that reload and stop it."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cloudalpha.cli.privileges import become_user
from cloudalpha.configurator.configuration import Configuration
from cloudalpha.configurator.gateway import Gateway
from cloudalpha.exceptions import CloudAlphaError, InvalidSettingError
from cloudalpha.logs import configure_logs, log_event

MAX_OPEN_FILES = 65536
STOP_SECONDS = 15.0
"""What a stop may take beyond its grace period; what hangs then is left behind: nothing is visible that was not committed."""

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_END_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = _END_SIGNALS | {signal.SIGHUP}
_LOGGER = logging.getLogger("cloudalpha.gateway")


class Running:
    """A gateway in this process; leaving the `with` block stops it.

    load_again: reads the configuration again, for SIGHUP.
    """

    def __init__(self, configuration: Configuration, load_again: Callable[[], Configuration]) -> None:
        self._load_again = load_again
        self._grace_seconds = 0.0
        # Blocked in every thread from here on: they wait until `wait` takes them.
        self._old_signals = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._old_umask = os.umask(0o077)
        try:
            if configuration.general.run_as is not None:
                become_user(
                    configuration.general.run_as, configuration.state_dir
                )  # before anything is made, so that all is theirs
            limit_process()
            _open_log(configuration)
            self.gateway = Gateway(configuration)
        except BaseException:
            self._restore()
            raise

    def start(self) -> None:
        """Start the gateway. What could not be started is in `gateway.failures`; raises ManagerError when no manager could."""
        if os.geteuid() == 0:
            log_event(
                _LOGGER,
                "running_as_root",
                logging.WARNING,
                hint="set `run_as` to a user of its own; ports below 1024 work then too",
            )
        self.gateway.start()

    def wait(self) -> None:
        """Return when a signal ends the gateway; reload at each SIGHUP before."""
        while (number := signal.sigwait(_SIGNALS)) == signal.SIGHUP:
            self._reload()
        self._grace_seconds = self.gateway.configuration.general.grace_seconds
        log_event(_LOGGER, "stopping", signal=signal.Signals(number).name, grace_seconds=self._grace_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        self._restore()

    def _restore(self) -> None:
        os.umask(self._old_umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._old_signals)

    def _reload(self) -> None:
        try:
            self.gateway.reload(self._load_again())
        except CloudAlphaError as error:
            for line in str(error).splitlines():
                log_event(_LOGGER, "not_reloaded", logging.ERROR, reason=line)

    def _stop(self) -> None:
        """Stop within bounds; a second signal, or something that hangs, ends the process as it is."""
        stopper = threading.Thread(target=self.gateway.stop, args=(self._grace_seconds,), name="stop", daemon=True)
        stopper.start()
        for _ in range(round((self._grace_seconds + STOP_SECONDS) / 0.1)):
            if not stopper.is_alive() or signal.sigtimedwait(_END_SIGNALS, 0.1):
                break
        is_clean = not stopper.is_alive()
        log_event(_LOGGER, "stopped" if is_clean else "stopped_unfinished", logging.INFO if is_clean else logging.ERROR)
        others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
        if not is_clean or any(t.is_alive() for t in others):
            _end_process(0 if is_clean else 1)


def limit_process() -> None:
    """No core dumps, which would hold secrets; no program that is started gains privileges; open files for thousands of sessions."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refuses PR_SET_NO_NEW_PRIVS")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_log(configuration: Configuration) -> None:
    log = configuration.log
    try:
        configure_logs(log.level, log.format, log.file)
    except OSError as error:
        raise InvalidSettingError(f"{configuration.origin}: [log] file: {log.file}: {error.strerror}") from error


def _end_process(code: int) -> None:
    """End at once: threads that hang in a storage's call would keep the interpreter for as long as they like."""
    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)
