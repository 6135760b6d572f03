"""S3PartStore: one upload to one key, in one request or in parts.

Beside the content it keeps, in the object's metadata, what `metadata.py` lists, and `cloudalpha-write`: a random name of this write. By that name it
finds out what became of a request whose answer was lost, instead of making it again blindly: after a lost answer a second request under a condition
would be refused because of the first one's success.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    FileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, Expected, WriteOptions, close_stream
from cloudalpha.services.s3.content_hashes import WRITE_ID
from cloudalpha.services.s3.context import Context
from cloudalpha.services.s3.errors import get_code
from cloudalpha.services.s3.metadata import HASHES, MTIME, format_mtime, make_file_metadata
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.uploads import Uploads
from cloudalpha.toolkit.part_upload import PartBody, PartStore, Receipt


class _Condition(NamedTuple):
    """What a write expects: what the server enforces (the first two), and what has to be looked up before."""

    if_none_match: bool
    if_match: str | None
    looked_up: Expected


class S3PartStore(PartStore):
    """The store of one PartedFile."""

    def __init__(self, context: Context, uploads: Uploads, path: str, options: WriteOptions) -> None:
        self.copies_parts = context.bucket.card.part_copy
        self._bucket = context.bucket
        self._places = context.places
        self._known = context.known
        self._uploads = uploads
        self._key = context.keys.get_key(path)
        self._path = path
        self._options = options
        self._write_id = secrets.token_hex(16)
        self._metadata: dict[str, str] = {}
        self._upload_id = ""
        self._source: ObjectInfo | None = None

    # In one step

    def put_whole(self, body: PartBody, hashes: Mapping[str, str]) -> FileMetadata:
        condition = self._get_condition(self._bucket.card.put_if_none_match, self._bucket.card.put_if_match)
        self._places.check_target(self._path, condition.looked_up)
        self._metadata = self._make_metadata() | {
            HASHES[name]: value for name, value in hashes.items() if name in HASHES
        }
        headers = self._source.headers or {} if self._source is not None else {}

        def put() -> ObjectInfo:
            return self._bucket.put(
                self._key,
                self._path,
                body,
                metadata=self._metadata,
                if_none_match=condition.if_none_match,
                if_match=condition.if_match,
                content_type=headers.get("ContentType"),
            )

        has_condition = condition.if_none_match or condition.if_match is not None
        info = self._do_surely(put, condition) if has_condition else put()  # repeated by the bucket
        return self._tell(info, {})

    # In parts

    def begin(self) -> None:
        self._metadata = self._make_metadata()
        headers = self._source.headers if self._source is not None else None
        self._upload_id = self._uploads.begin(
            self._key,
            self._path,
            lambda: self._bucket.create_upload(self._key, self._path, self._metadata, headers),
        )

    def put_part(self, number: int, body: PartBody) -> Receipt:
        return self._bucket.put_part(self._key, self._path, self._upload_id, number, body)

    def pin(self) -> int:
        self._source = self._places.get_file(self._path)
        expected = self._options.expected
        if expected is NOTHING:
            raise AlreadyExistsFileSystemError(self._path)
        if isinstance(expected, str) and self._source.etag != expected:
            raise RevisionMismatchFileSystemError(self._path)
        return self._source.size

    def copy_part(self, number: int, start_byte: int, num_bytes: int) -> Receipt:
        etag = self._get_source().etag
        return self._bucket.copy_part(
            self._key, self._path, self._upload_id, number, self._key, etag, start_byte, num_bytes
        )

    def read_kept(self, start_byte: int, num_bytes: int) -> Iterator[bytes]:
        _, chunks = self._bucket.get(self._key, self._path, start_byte, num_bytes, self._get_source().etag)
        try:
            yield from chunks
        finally:
            close_stream(chunks)

    def complete(self, parts: Sequence[tuple[int, Receipt]], size: int, hashes: Mapping[str, str]) -> FileMetadata:
        condition = self._get_condition(self._bucket.card.complete_if_none_match, self._bucket.card.complete_if_match)
        self._places.check_target(self._path, condition.looked_up)

        def complete() -> ObjectInfo:
            etag = self._bucket.complete_upload(
                self._key,
                self._path,
                self._upload_id,
                parts,
                if_none_match=condition.if_none_match,
                if_match=condition.if_match,
            )
            if not etag:
                raise AccessFailedFileSystemError(
                    self._path, "the storage gave an answer of another kind", temporary=True
                )
            return ObjectInfo(self._key, size, etag, None, self._metadata)

        info = self._do_surely(complete, condition)
        if info.size != size:
            raise AccessFailedFileSystemError(self._path, f"the storage has {info.size} bytes instead of {size}")
        self._uploads.remove(self._upload_id, self._path)
        self._uploads.hashes.keep(self._key, self._path, info.etag, hashes)
        return self._tell(info, hashes)

    def abort(self) -> None:
        if self._upload_id:
            try:
                self._bucket.abort_upload(self._key, self._path, self._upload_id)
            except FileSystemError:
                self._uploads.give_up(self._key, self._upload_id, self._path)
                raise
            self._uploads.remove(self._upload_id, self._path)

    # Conditions

    def _get_expected(self) -> Expected:
        return self._source.etag if self._source is not None else self._options.expected

    def _get_condition(self, has_none_match: bool, has_match: bool) -> _Condition:
        expected = self._get_expected()
        if expected is NOTHING and has_none_match:
            return _Condition(True, None, ANYTHING)
        if isinstance(expected, str) and has_match:
            return _Condition(False, expected, ANYTHING)
        return _Condition(False, None, expected)

    def _do_surely(self, write: Callable[[], ObjectInfo], condition: _Condition) -> ObjectInfo:
        """What a write makes. Where its answer is lost, it is looked up whether it did its work, and only if not, it is made again."""
        attempts = self._bucket.retry.begin()
        is_in_doubt = False
        while True:
            try:
                return write()
            except FileSystemError as error:
                if error.temporary or is_in_doubt:
                    is_in_doubt = True
                    info = self._find_written(error)
                    if info is not None:
                        return info
                if not error.temporary:
                    raise self._explain(error, condition) from error
                attempts.wait_after(error)

    def _find_written(self, error: FileSystemError) -> ObjectInfo | None:
        """The object, if this very write made it."""
        try:
            info = self._bucket.head(self._key, self._path)
        except FileSystemError as second_error:
            message = f"the storage did not confirm that the file is stored ({error.message})"
            raise AccessFailedFileSystemError(self._path, message) from second_error
        return info if info is not None and (info.metadata or {}).get(WRITE_ID) == self._write_id else None

    def _explain(self, error: FileSystemError, condition: _Condition) -> FileSystemError:
        """What a refusal means for the path."""
        cause = error.__cause__
        is_upload_gone = isinstance(cause, Exception) and get_code(cause) == "NoSuchUpload"
        if is_upload_gone:
            return AccessFailedFileSystemError(self._path, error.message)
        if condition.if_none_match and isinstance(error, RevisionMismatchFileSystemError):
            return AlreadyExistsFileSystemError(self._path)
        if condition.if_match is not None and isinstance(error, NotFoundFileSystemError):
            return RevisionMismatchFileSystemError(self._path)
        return error

    # Inside

    def _make_metadata(self) -> dict[str, str]:
        modified = self._options.modified_datetime or datetime.now(UTC)
        return {MTIME: format_mtime(modified), WRITE_ID: self._write_id}

    def _get_source(self) -> ObjectInfo:
        if self._source is None:
            raise ValueError("nothing is pinned")
        return self._source

    def _tell(self, info: ObjectInfo, hashes: Mapping[str, str]) -> FileMetadata:
        if not self._bucket.card.metadata:
            info = info._replace(metadata={})
        metadata = make_file_metadata(self._path, info, dict(hashes))
        self._known.remember(self._key, info, metadata)
        return metadata
