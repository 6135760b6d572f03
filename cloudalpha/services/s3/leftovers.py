"""Leftovers: what a crash has left half done is finished in the background when the account connects: renamed folders, uploads in parts."""

from __future__ import annotations

import logging
import threading

from cloudalpha import paths
from cloudalpha.exceptions import CloudAlphaError
from cloudalpha.logs import log_event
from cloudalpha.services.s3.journal import Journal, RenameRecord
from cloudalpha.services.s3.tree import Renamer
from cloudalpha.services.s3.uploads import Uploads

logger = logging.getLogger("cloudalpha.services.s3")


class Leftovers:
    """One pass over the journals, in a thread of its own. Nothing of a live process is touched."""

    def __init__(self, renamer: Renamer, journal: Journal, uploads: Uploads) -> None:
        self._renamer = renamer
        self._journal = journal
        self._uploads = uploads
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="s3 leftovers", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the pass."""
        self._thread.join()

    def stop(self) -> None:
        """End the pass after the step in hand, and wait for that. Harmless when repeated."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for record in self._journal.find_left():
                if self._stopped.is_set():
                    return
                self._finish(self._journal.take_over(record))
            self._uploads.abort_leftovers(self._stopped)
        except CloudAlphaError as error:
            log_event(logger, "leftovers_not_finished", logging.WARNING, error=str(error))

    def _finish(self, record: RenameRecord) -> None:
        log_event(logger, "rename_resumed", source=record.source, target=record.target, phase=record.phase)
        self._renamer.finish(record, paths.ROOT)
        log_event(logger, "rename_finished", source=record.source, target=record.target)
