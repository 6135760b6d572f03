"""Probing: what a server can do is tried out with a few small objects, under PREFIX + `.cloudalpha-probe-RANDOM/`, all of which are removed again.

Each trial has two sides: what should work does, and what should be refused is. A trial that fails in any way only means that its power is not
promised. The result is kept in the DataStore (owner `account:NAME`, key `capabilities`) with a fingerprint of endpoint, bucket and prefix, so that
it is asked for once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import secrets
from collections.abc import Callable

from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import FileSystemError, NotFoundFileSystemError, RevisionMismatchFileSystemError
from cloudalpha.logs import log_event
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.card import Card
from cloudalpha.services.s3.objects import ObjectInfo, compute_crc32
from cloudalpha.services.s3.requests import PROBE_FOLDER
from cloudalpha.services.s3.settings import S3Options

logger = logging.getLogger("cloudalpha.services.s3")

KEY = "capabilities"
PART_SIZE = 5 * 1024**2

_OTHER_ETAG = "0" * 32
_CONTENT = b"cloudalpha"


def get_card(bucket: Bucket, options: S3Options, data_store: DataStore, account: str) -> Card:
    """What the server can do, as it was probed once; probed now where that was never done for this bucket."""
    owner, fingerprint = f"account:{account}", make_fingerprint(options)
    kept = data_store.get_value(owner, KEY)
    if isinstance(kept, dict) and kept.get("fingerprint") == fingerprint:
        card = Card.from_json(kept.get("card"))
        if card is not None:
            return card
    return probe_anew(bucket, options, data_store, account, is_thorough=False)


def probe_anew(bucket: Bucket, options: S3Options, data_store: DataStore, account: str, is_thorough: bool) -> Card:
    """Probe and keep the result. is_thorough: also try what moves some megabytes."""
    card = _Probe(bucket, options.prefix + PROBE_FOLDER + secrets.token_hex(8) + "/").run(is_thorough)
    if card.is_writable:  # otherwise it is tried again: rights may be given later
        value = {"fingerprint": make_fingerprint(options), "card": card.to_json()}
        data_store.set_value(f"account:{account}", KEY, value)
    log_event(
        logger, "probed", account=account, card=" ".join(f"{name}={value}" for name, value in card.describe().items())
    )
    return card


def make_fingerprint(options: S3Options) -> str:
    """What a card is true of: the server, the bucket and the credentials."""
    parts = (
        options.endpoint_url, options.region, options.bucket, options.prefix, options.access_key_id, options.profile, options.role_arn,
        str(options.anonymous), options.server_side_encryption, str(options.customer_key is not None), options.storage_class,
    )  # fmt: skip
    return hashlib.sha256("\0".join(part or "" for part in parts).encode()).hexdigest()


class _Probe:
    """One probing. folder: what its keys begin with."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket = bucket
        self._folder = folder
        self._keys: set[str] = set()
        self._uploads: list[tuple[str, str]] = []

    def run(self, is_thorough: bool) -> Card:
        before = self._bucket.card
        self._bucket.card = Card()
        try:
            if not self._try(self._can_write):
                return Card(versioning=self._find_versioning())
            return self._probe(is_thorough)
        finally:
            self._bucket.card = before
            self._clean_up()

    def _probe(self, is_thorough: bool) -> Card:
        can_copy_part = self._can_copy_ranges if is_thorough else self._can_copy_part
        card = Card(
            is_writable=True,
            put_if_none_match=self._try(self._can_put_if_none_match),
            put_if_match=self._try(self._can_put_if_match),
            read_if_match=self._try(self._can_read_if_match),
            multipart=self._try(self._has_multipart),
            complete_if_none_match=self._try(self._can_complete_if_none_match),
            complete_if_match=self._try(self._can_complete_if_match),
            copy=self._try(self._can_copy),
            copy_if_match=self._try(self._can_copy_if_match),
            part_copy=self._try(can_copy_part),
            part_copy_if_match=self._try(self._can_copy_part_if_match),
            delete_many=self._try(self._can_delete_many),
            markers=self._try(self._has_markers),
            tags=self._try(self._has_tags),
            versioning=self._find_versioning(),
        )
        card = dataclasses.replace(card, metadata=card.copy and self._try(self._keeps_metadata))
        return dataclasses.replace(card, checksum="CRC32" if self._try(self._checks_checksums) else "")

    def _try(self, trial: Callable[[], bool]) -> bool:
        try:
            return trial()
        except FileSystemError:
            return False

    # Trials

    def _can_write(self) -> bool:
        written = self._put("w", _CONTENT)
        found = self._head("w")
        return found is not None and found.size == len(_CONTENT) and found.etag == written.etag

    def _can_put_if_none_match(self) -> bool:
        self._put("n", b"1", if_none_match=True)
        return self._is_refused(lambda: self._put("n", b"2", if_none_match=True))

    def _can_put_if_match(self) -> bool:
        etag = self._put("m", b"1").etag
        self._put("m", b"2", if_match=etag)
        return self._is_refused(lambda: self._put("m", b"3", if_match=etag)) and self._is_refused(
            lambda: self._put("missing", b"3", if_match=etag)
        )

    def _can_read_if_match(self) -> bool:
        key, etag = self._key("w"), self._put("w", _CONTENT).etag
        _, chunks = self._bucket.get(key, "/", 1, 3, etag)
        return b"".join(chunks) == _CONTENT[1:4] and self._is_refused(
            lambda: self._bucket.get(key, "/", 1, 3, _OTHER_ETAG)
        )

    def _has_multipart(self) -> bool:
        self._put_parts("p", if_none_match=False)
        found = self._head("p")
        return found is not None and found.size == len(_CONTENT)

    def _can_complete_if_none_match(self) -> bool:
        self._put_parts("pn", if_none_match=True)
        return self._is_refused(lambda: self._put_parts("pn", if_none_match=True))

    def _can_complete_if_match(self) -> bool:
        etag = self._put("pm", b"1").etag
        self._put_parts("pm", if_match=etag)
        return self._is_refused(lambda: self._put_parts("pm", if_match=etag))

    def _can_copy(self) -> bool:
        source = self._get_source()
        self._bucket.copy(source, self._key("c"), "/")
        found = self._head("c")
        return found is not None and found.size == source.size

    def _can_copy_if_match(self) -> bool:
        other = self._get_source()._replace(etag=_OTHER_ETAG)
        return self._is_refused(lambda: self._bucket.copy(other, self._key("c"), "/"))

    def _keeps_metadata(self) -> bool:
        self._put("k", b"1", metadata={"mtime": "1.000001"})
        info = self._head("k")
        if info is None or info.metadata != {"mtime": "1.000001"}:
            return False
        self._bucket.copy(info, info.key, "/", {"mtime": "2.000002"})
        found = self._head("k")
        return found is not None and found.metadata == {"mtime": "2.000002"}

    def _can_copy_part(self) -> bool:
        return self._is_copied_by_parts(self._get_source(), None)

    def _can_copy_part_if_match(self) -> bool:
        other = self._get_source()._replace(etag=_OTHER_ETAG)
        return self._is_refused(lambda: self._is_copied_by_parts(other, None))

    def _can_copy_ranges(self) -> bool:
        self._put("large", bytes(PART_SIZE + 1))
        source = self._head("large")
        return source is not None and self._is_copied_by_parts(source, PART_SIZE) and self._can_copy_part()

    def _can_delete_many(self) -> bool:
        keys = [self._put(name, b"1").key for name in ("d1", "d2")]
        self._bucket.delete_many(keys, "/")
        return self._head("d1") is None and self._head("d2") is None

    def _has_markers(self) -> bool:
        self._put("a/", b"")
        self._put("a", b"1")
        found = {info.key: info.size for info in self._bucket.list_page(self._folder + "a", "/").objects}
        return found == {self._key("a"): 1, self._key("a/"): 0}

    def _has_tags(self) -> bool:
        """Whether tags come back; there are servers that take them for the content."""
        written = self._put("t", b"1")
        self._bucket.put_tags(written.key, "/", {"probe": "1"})
        found = self._head("t")
        is_whole = found is not None and (found.size, found.etag) == (written.size, written.etag)
        return is_whole and self._bucket.get_tags(written.key, "/") == {"probe": "1"}

    def _checks_checksums(self) -> bool:
        """Whether a checksum that goes along with content comes back, one that is wrong is refused, and parts take them."""
        self._bucket.card = Card(checksum="CRC32")
        try:
            self._put("s", _CONTENT)
            found = self._head("s")
            self._put_parts("ps")
            return found is not None and (found.checksums or {}).get("CRC32") == compute_crc32(_CONTENT)
        finally:
            self._bucket.card = Card()

    def _find_versioning(self) -> str:
        try:
            return self._bucket.get_versioning()
        except FileSystemError:
            return "unknown"

    # Steps

    def _key(self, name: str) -> str:
        key = self._folder + name
        self._keys.add(key)
        return key

    def _put(
        self,
        name: str,
        content: bytes,
        metadata: dict[str, str] | None = None,
        if_none_match: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        return self._bucket.put(
            self._key(name), "/", content, metadata=metadata or {}, if_none_match=if_none_match, if_match=if_match
        )

    def _head(self, name: str) -> ObjectInfo | None:
        return self._bucket.head(self._key(name), "/")

    def _get_source(self) -> ObjectInfo:
        return self._put("w", _CONTENT)

    def _begin(self, name: str) -> tuple[str, str]:
        key = self._key(name)
        upload_id = self._bucket.retry.run(lambda: self._bucket.create_upload(key, "/", {}))
        self._uploads.append((key, upload_id))
        return key, upload_id

    def _put_parts(self, name: str, if_none_match: bool = False, if_match: str | None = None) -> None:
        key, upload_id = self._begin(name)
        receipt = self._bucket.put_part(key, "/", upload_id, 1, _CONTENT)
        self._bucket.complete_upload(
            key, "/", upload_id, [(1, receipt)], if_none_match=if_none_match, if_match=if_match
        )

    def _is_copied_by_parts(self, source: ObjectInfo, num_bytes: int | None) -> bool:
        key, upload_id = self._begin("pc")
        receipt = self._bucket.copy_part(key, "/", upload_id, 1, source.key, source.etag, 0, num_bytes)
        self._bucket.complete_upload(key, "/", upload_id, [(1, receipt)])
        found = self._head("pc")
        return found is not None and found.size == (num_bytes or source.size)

    def _is_refused(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except (RevisionMismatchFileSystemError, NotFoundFileSystemError):
            return True
        return False

    def _clean_up(self) -> None:
        for key, upload_id in self._uploads:
            with contextlib.suppress(FileSystemError):
                self._bucket.abort_upload(key, "/", upload_id)
        for key in sorted(self._keys):
            with contextlib.suppress(FileSystemError):
                self._bucket.delete(key, "/")
