"""Copies of objects on the storage's side: metadata, headers and times go along, and every copy is verified."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, wait
from datetime import datetime
from typing import Any

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.metadata import (
    HASHES,
    MTIME,
    KnownObjects,
    format_mtime,
    get_modified,
    make_file_metadata,
)
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.uploads import Uploads

MAX_SINGLE_COPY = 5 * 1024**3
"""What CopyObject takes."""

PART_SIZE = 512 * 1024**2


class Copier:
    """Copies single objects. Safe for threads.

    executor: runs the parts of large copies, and nothing that waits for others. uploads: where those parts are noted.
    max_single_copy, part_size: bytes that go in one request.
    """

    def __init__(
        self,
        bucket: Bucket,
        known: KnownObjects,
        executor: Executor,
        uploads: Uploads,
        max_single_copy: int = MAX_SINGLE_COPY,
        part_size: int = PART_SIZE,
    ) -> None:
        self._bucket = bucket
        self._known = known
        self._executor = executor
        self._uploads = uploads
        self._max_single_copy = max_single_copy
        self._part_size = part_size

    def copy(self, source: ObjectInfo, key: str, path: str, modified: datetime | None = None) -> ObjectInfo:
        """Copy what HEAD told of to a key, and return what is there then; verified.

        modified: the time of the copy; without it the source's, which for one that keeps none is that of its upload.
        Raises RevisionMismatchFileSystemError when the source has changed.
        """
        metadata = self._make_metadata(source, path, modified)
        if metadata is None and key == source.key:  # S3 refuses copies that change nothing
            return source
        if source.size <= self._max_single_copy:
            etag = self._bucket.copy(source, key, path, metadata)
        else:
            etag = self._copy_parts(source, key, path, metadata)
        kept = source.metadata if metadata is None else metadata
        copied = source._replace(key=key, etag=etag, last_modified=None, metadata=kept)
        if etag != source.etag:
            copied = self._verify(copied, path)
        if key.endswith("/"):
            self._known.remember_dir(key, get_modified(copied))
        else:
            self._known.remember(key, copied, make_file_metadata(path, copied))
        return copied

    def _make_metadata(self, source: ObjectInfo, path: str, modified: datetime | None) -> dict[str, str] | None:
        """The metadata of the copy; None where that of the source will do.

        Hashes that are known by the ETag of an upload in parts go into it, because the copy has another ETag.
        """
        if not self._bucket.card.metadata:
            return None
        kept = source.metadata or {}
        metadata = kept | {HASHES[name]: value for name, value in self._uploads.find_hashes(source, path).items()}
        moment = modified or (source.last_modified if MTIME not in kept else None)
        if moment is not None:
            metadata[MTIME] = format_mtime(moment)
        return metadata if metadata != kept else None

    def _verify(self, copied: ObjectInfo, path: str) -> ObjectInfo:
        """What is there, where its ETag does not tell that it is the same: at least as long, and what was copied last."""
        found = self._bucket.head(copied.key, path)
        if found is None or found.size != copied.size or copied.etag not in ("", found.etag):
            raise AccessFailedFileSystemError(path, "the copy that the storage made is not what was copied")
        return found

    def _copy_parts(self, source: ObjectInfo, key: str, path: str, metadata: dict[str, str] | None) -> str:
        if not self._bucket.card.part_copy:
            raise UnsupportedOperationFileSystemError(path, "the storage cannot copy a file of this size by itself")
        kept = source.metadata if metadata is None else metadata
        settings = self._bucket.get_copied_settings(source)
        upload_id = self._uploads.begin(
            key, path, lambda: self._bucket.create_upload(key, path, kept or {}, source.headers, settings)
        )
        try:
            parts = self._send_parts(source, key, path, upload_id)
            self._check_source(source, path)
            etag = self._bucket.complete_upload(key, path, upload_id, parts)
        except BaseException:
            self._bucket.abort_upload(key, path, upload_id)
            self._uploads.remove(upload_id, path)
            raise
        self._uploads.remove(upload_id, path)
        if source.num_tags and source.key != key:
            self._bucket.put_tags(key, path, self._bucket.get_tags(source.key, path))
        return etag

    def _check_source(self, source: ObjectInfo, path: str) -> None:
        """See that all parts are of one version, where the server itself does not."""
        if not self._bucket.card.part_copy_if_match:
            now = self._bucket.head(source.key, path)
            if now is None or now.etag != source.etag:
                raise RevisionMismatchFileSystemError(path)

    def _send_parts(self, source: ObjectInfo, key: str, path: str, upload_id: str) -> list[tuple[int, Any]]:
        def copy_part(span: tuple[int, int, int]) -> tuple[int, Any]:
            number, start, num_bytes = span
            receipt = self._bucket.retry.run(
                lambda: self._bucket.copy_part(key, path, upload_id, number, source.key, source.etag, start, num_bytes)
            )
            return number, receipt

        futures = [self._executor.submit(copy_part, span) for span in self._cut(source.size)]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
            wait(futures)  # an upload that is aborted while a part is under way would keep that part

    def _cut(self, size: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and length of each part."""
        for number, start in enumerate(range(0, size, self._part_size), 1):
            yield number, start, min(self._part_size, size - start)
