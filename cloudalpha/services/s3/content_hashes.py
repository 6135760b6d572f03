"""Hashes of objects that were uploaded in parts: their metadata is fixed before their content is known.

They are kept twice. In a tag of the object, where the server has tags, so that other gateways know them too: `cloudalpha-hashes`, whose value is the
ETag and then `algorithm:hex`, apart by spaces; with another ETag in front it tells nothing. And in the DataStore, owner `account:NAME`, in a table of
a fixed number of places (`hashes:NUMBER`, the CRC-32 of the ETag modulo SLOTS), each with the ETag that was last put there.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping

from cloudalpha.exceptions import DataStoreError, FileSystemError
from cloudalpha.services.s3.context import Context
from cloudalpha.services.s3.metadata import HASHES, get_hashes
from cloudalpha.services.s3.objects import ObjectInfo

TAG = "cloudalpha-hashes"
WRITE_ID = "cloudalpha-write"
"""In the metadata of an object: a random name of the write that made it."""
SLOTS = 16_384


class ContentHashes:
    """What is known of the contents of one account's objects. Safe for threads."""

    def __init__(self, context: Context) -> None:
        self._bucket = context.bucket
        self._data_store = context.data_store
        self._owner = f"account:{context.account}"
        self._executor = context.executor  # sets tags while nobody waits for them

    def keep(self, key: str, path: str, etag: str, hashes: Mapping[str, str]) -> None:
        """Keep what was found of an object that has just been written. What cannot be kept is computed again by who needs it."""
        if hashes:
            self._remember(etag, hashes)
            if self._bucket.card.tags:
                text = " ".join([etag, *(f"{algorithm}:{value}" for algorithm, value in sorted(hashes.items()))])
                with contextlib.suppress(RuntimeError):  # the account is being closed
                    self._executor.submit(self._set_tag, key, path, text)

    def find(self, info: ObjectInfo, path: str) -> dict[str, str]:
        """What is known beside what the object tells itself, by algorithm. Asks the server only for objects that CloudAlpha uploaded, and once."""
        if set(HASHES) <= set(get_hashes(info)) or "-" not in info.etag:
            return {}
        hashes = self._recall(info.etag)
        if hashes is None and WRITE_ID in (info.metadata or {}) and self._bucket.card.tags:
            hashes = self._read_tag(info, path)
            if hashes is not None:
                self._remember(info.etag, hashes)
        return hashes or {}

    def _set_tag(self, key: str, path: str, text: str) -> None:
        with contextlib.suppress(FileSystemError):
            self._bucket.put_tags(key, path, {TAG: text})

    def _read_tag(self, info: ObjectInfo, path: str) -> dict[str, str] | None:
        """The hashes of the tag, none where there is no tag; None where it could not be read."""
        try:
            etag, *entries = self._bucket.get_tags(info.key, path).get(TAG, "").split() or [""]
        except FileSystemError:
            return None
        pairs = (entry.partition(":") for entry in entries)
        return {algorithm: value for algorithm, _, value in pairs if value} if etag == info.etag else {}

    def _remember(self, etag: str, hashes: Mapping[str, str]) -> None:
        with contextlib.suppress(DataStoreError):
            self._data_store.set_value(self._owner, _get_slot(etag), {"etag": etag, "hashes": dict(hashes)})

    def _recall(self, etag: str) -> dict[str, str] | None:
        with contextlib.suppress(DataStoreError):
            entry = self._data_store.get_value(self._owner, _get_slot(etag))
            if entry is not None and entry["etag"] == etag:
                return dict(entry["hashes"])
        return None


def _get_slot(etag: str) -> str:
    return f"hashes:{zlib.crc32(etag.encode()) % SLOTS}"
