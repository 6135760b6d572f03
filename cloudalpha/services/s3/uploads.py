"""Uploads: the journal of uploads in parts, and the abortion of what a crash left of them.

An upload is written down before its first part is sent, and struck out when it is completed or aborted. What others began is never touched: neither
uploads that are not in the journal, nor those of a process that still runs.

In the DataStore, owner `account:NAME`, key `upload:ID`: `{"key": ..., "storage": ..., "process": ...}`; storage is endpoint and bucket, so that an
account that is pointed elsewhere does not strike out what it cannot see; process as `owners.get_owner` has it.

The id is known only when the storage has answered. So that an upload whose answer was lost, or came to a process that died of it, is found too, it is
noted that one is to come: key `begin:RANDOM`, and beside the same values `since` and `until`, seconds since 1970 between which it was asked for.
Such an upload is taken for ours when it is for the very key, was begun at that time, has no part, and is not in the journal by its id.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    DataStoreError,
    FileSystemError,
    NotFoundFileSystemError,
)
from cloudalpha.logs import log_event
from cloudalpha.services.s3.content_hashes import ContentHashes
from cloudalpha.services.s3.context import Context
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.owners import get_owner, is_alive

logger = logging.getLogger("cloudalpha.services.s3")

PREFIX = "upload:"
BEGIN = "begin:"
MAX_BEGIN_SECONDS = 120.0
"""How long after it was noted an upload may have begun whose process died meanwhile."""
MAX_SKEW_SECONDS = 30.0
"""By which the storage's clock may differ from ours."""
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

    def begin(self, key: str, path: str, create: Callable[[], str]) -> str:
        """Begin an upload and write it down; its id, which `create` asks for, repeated while its errors are temporary.

        Raises what `create` raises, and AccessFailedFileSystemError for the path where the journal cannot be written.
        """
        name, since = BEGIN + secrets.token_hex(8), time.time()
        self._set(name, key, path, self._process, since=since, until=since + MAX_BEGIN_SECONDS)
        is_in_doubt = False
        attempts = self._bucket.retry.begin()
        try:
            while True:
                try:
                    upload_id = create()
                    break
                except FileSystemError as error:
                    is_in_doubt = is_in_doubt or error.temporary
                    attempts.wait_after(error)
            self._add_or_abort(key, upload_id, path)
        finally:
            if is_in_doubt:
                self._set(name, key, path, NOBODY, since=since, until=time.time())
            else:
                self._remove(name, path)
        return upload_id

    def add(self, key: str, upload_id: str, path: str = "/") -> None:
        """Write an upload down; on the disk when this returns. Raises AccessFailedFileSystemError for the path where that fails."""
        self._set(PREFIX + upload_id, key, path, self._process)

    def give_up(self, key: str, upload_id: str, path: str = "/") -> None:
        """The upload could not be aborted: leave it to the next sweep."""
        self._set(PREFIX + upload_id, key, path, NOBODY)

    def remove(self, upload_id: str, path: str = "/") -> None:
        """Strike an upload out: it is completed or aborted."""
        self._remove(PREFIX + upload_id, path)

    def find_hashes(self, info: ObjectInfo, path: str) -> dict[str, str]:
        """What is known of an object's content beside what it tells itself."""
        return self.hashes.find(info, path)

    def abort_leftovers(self, stopped: threading.Event) -> int:
        """Abort the uploads of processes that are gone, until `stopped` is set; how many they were. The rest stays for the next time."""
        num_aborted = 0
        try:
            for name, entry in self._find_leftovers():
                num_aborted += self._abort_leftover(name, entry, stopped)
        except DataStoreError as error:
            log_event(logger, "upload_sweep_failed", logging.INFO, error=str(error))
        if num_aborted:
            log_event(logger, "uploads_aborted", number=num_aborted, reason="left by a process that is gone")
        return num_aborted

    def _abort_leftover(self, name: str, entry: dict[str, Any], stopped: threading.Event) -> int:
        """What one entry stands for; how many uploads that were. One that cannot be aborted stays, and keeps no other."""
        num_aborted = 0
        try:
            for upload_id in [name.removeprefix(PREFIX)] if name.startswith(PREFIX) else self._find_begun(entry):
                if stopped.is_set():
                    return num_aborted
                self._bucket.abort_upload(entry["key"], "/", upload_id)
                num_aborted += 1
            if not stopped.is_set():
                self._remove(name, "/")
        except FileSystemError as error:
            log_event(logger, "upload_sweep_failed", logging.INFO, error=str(error))
        return num_aborted

    def _find_leftovers(self) -> list[tuple[str, dict[str, Any]]]:
        """Names and entries of what nobody works on any more; what is noted by its id first."""
        noted = [
            (name, entry)
            for name, entry in self._data_store.items(self._owner)
            if name.startswith((PREFIX, BEGIN)) and entry["storage"] == self._storage
        ]
        left = [(name, entry) for name, entry in noted if not is_alive(entry["process"])]
        beginning = {entry["key"] for name, entry in noted if name.startswith(BEGIN) and is_alive(entry["process"])}
        of_ids = [item for item in left if item[0].startswith(PREFIX)]
        return of_ids + [item for item in left if item[0].startswith(BEGIN) and item[1]["key"] not in beginning]

    def _find_begun(self, entry: dict[str, Any]) -> Iterator[str]:
        """Ids of the uploads that a request made whose answer never came."""
        since, until = entry["since"] - MAX_SKEW_SECONDS, entry["until"] + MAX_SKEW_SECONDS
        for upload in list(self._bucket.list_uploads(entry["key"])):
            is_of_then = upload.initiated is not None and since <= upload.initiated.timestamp() <= until
            if is_of_then and upload.key == entry["key"] and not self._is_known(upload.upload_id):
                with suppress(NotFoundFileSystemError):  # completed or aborted meanwhile
                    if next(self._bucket.list_parts(upload.key, "/", upload.upload_id), None) is None:
                        yield upload.upload_id

    def _is_known(self, upload_id: str) -> bool:
        return self._data_store.get_value(self._owner, PREFIX + upload_id) is not None

    def _add_or_abort(self, key: str, upload_id: str, path: str) -> None:
        try:
            self.add(key, upload_id, path)
        except BaseException:
            self._bucket.abort_upload(key, path, upload_id)
            raise

    def _set(self, name: str, key: str, path: str, process: str, **times: float) -> None:
        entry = {"key": key, "storage": self._storage, "process": process} | times
        with _state_errors(path):
            self._data_store.set_value(self._owner, name, entry)

    def _remove(self, name: str, path: str) -> None:
        with _state_errors(path):
            self._data_store.delete_value(self._owner, name)


@contextmanager
def _state_errors(path: str) -> Iterator[None]:
    try:
        yield
    except DataStoreError as error:
        raise AccessFailedFileSystemError(path, "the gateway cannot write its own state") from error
