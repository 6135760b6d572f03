"""Uploads: the journal of uploads in parts, and the abortion of what a crash left of them.

An upload is written down before its first part is sent, and struck out when it is completed or aborted. What others began is never touched: neither
uploads that are not in the journal, nor those of a process that still runs.

In the DataStore, owner `account:NAME`, key `upload:ID`: `{"key": ..., "storage": ..., "process": ...}`; storage is endpoint and bucket, so that an
account that is pointed elsewhere does not strike out what it cannot see; process as `owners.get_owner` has it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloudalpha.exceptions import AccessFailedFileSystemError, DataStoreError, FileSystemError
from cloudalpha.logs import log_event
from cloudalpha.services.s3.content_hashes import ContentHashes
from cloudalpha.services.s3.context import Context
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.owners import get_owner, is_alive

logger = logging.getLogger("cloudalpha.services.s3")

PREFIX = "upload:"
NOBODY = ""
"""The process of an upload that could not be aborted when it was given up."""


class Uploads:
    """The uploads of one account. Safe for threads and processes. endpoint_url: that of the options.

    hashes: of what was uploaded.
    """

    def __init__(self, context: Context, endpoint_url: str | None) -> None:
        self.hashes = ContentHashes(context)
        self._bucket = context.bucket
        self._data_store = context.data_store
        self._owner = f"account:{context.account}"
        self._storage = f"{endpoint_url or ''} {context.bucket.name}".strip()
        self._process = get_owner()

    def add(self, key: str, upload_id: str, path: str = "/") -> None:
        """Write an upload down; on the disk when this returns. Raises AccessFailedFileSystemError for the path where that fails."""
        self._set(key, upload_id, path, self._process)

    def give_up(self, key: str, upload_id: str, path: str = "/") -> None:
        """The upload could not be aborted: leave it to the next sweep."""
        self._set(key, upload_id, path, NOBODY)

    def remove(self, upload_id: str, path: str = "/") -> None:
        """Strike an upload out: it is completed or aborted."""
        with _state_errors(path):
            self._data_store.delete_value(self._owner, PREFIX + upload_id)

    def find_hashes(self, info: ObjectInfo, path: str) -> dict[str, str]:
        """What is known of an object's content beside what it tells itself."""
        return self.hashes.find(info, path)

    def abort_leftovers(self, stopped: threading.Event) -> int:
        """Abort the uploads of processes that are gone, until `stopped` is set; how many they were. The rest stays for the next time."""
        num_aborted = 0
        try:
            for key, upload_id in self._find_leftovers():
                if stopped.is_set():
                    break
                self._bucket.abort_upload(key, "/", upload_id)
                self.remove(upload_id)
                num_aborted += 1
        except (FileSystemError, DataStoreError) as error:
            log_event(logger, "upload_sweep_failed", logging.INFO, error=str(error))
        if num_aborted:
            log_event(logger, "uploads_aborted", number=num_aborted, reason="left by a process that is gone")
        return num_aborted

    def _find_leftovers(self) -> list[tuple[str, str]]:
        """Keys and ids of the uploads that nobody works on any more."""
        return [
            (entry["key"], name.removeprefix(PREFIX))
            for name, entry in self._data_store.items(self._owner)
            if name.startswith(PREFIX) and entry["storage"] == self._storage and not is_alive(entry["process"])
        ]

    def _set(self, key: str, upload_id: str, path: str, process: str) -> None:
        entry = {"key": key, "storage": self._storage, "process": process}
        with _state_errors(path):
            self._data_store.set_value(self._owner, PREFIX + upload_id, entry)


@contextmanager
def _state_errors(path: str) -> Iterator[None]:
    try:
        yield
    except DataStoreError as error:
        raise AccessFailedFileSystemError(path, "the gateway cannot write its own state") from error
