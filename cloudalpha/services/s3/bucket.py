"""Bucket: one bucket through one boto3 client. Every request of the service goes through it.

Safe for threads. Each method takes the path that its errors are about; what boto3 raises comes out as a FileSystemError. Requests that change
nothing, and those that may be made twice with the same result, are repeated while their errors are temporary. Those that are not (`put` under a
condition, `complete_upload`), and those whose callers repeat them (`get`, `create_upload`, `put_part`, `copy_part`), are made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.services.s3.errors import SDK_ERRORS, get_code, translate, translated
from cloudalpha.services.s3.multipart import Multipart
from cloudalpha.services.s3.objects import (
    CHUNK_SIZE,
    Body,
    ObjectInfo,
    Page,
    make_info,
    make_listed_info,
    unquote,
)
from cloudalpha.services.s3.requests import PROBE_FOLDER, make_condition, rewound

MAX_BATCH = 1000
"""Keys that DeleteObjects takes."""

_NOT_THERE = frozenset({"404", "NoSuchKey", "NotFound"})
_EXPLAINED = frozenset({"", "301", "400", "403"})
"""Statuses of an answer without a body that a request with one explains."""


class Bucket(Multipart):
    """The requests of one account."""

    def head(self, key: str, path: str) -> ObjectInfo | None:
        """What is known of an object; None where there is none."""
        checksums = {"ChecksumMode": "ENABLED"} if self.card.checksum else {}

        def ask() -> ObjectInfo | None:
            try:
                answer = self._client.head_object(
                    Bucket=self.name, Key=key, **checksums, **self._customer_key, **self._payer
                )
            except ClientError as error:
                if get_code(error) in _NOT_THERE:
                    return None
                if get_code(error) in _EXPLAINED:
                    self._explain(path)
                raise
            return make_info(key, answer)

        return self._repeat(path, ask)

    def get(
        self, key: str, path: str, start: int = 0, num_bytes: int | None = None, if_match: str | None = None
    ) -> tuple[ObjectInfo, Iterator[bytes]]:
        """An object and a range of its content, in chunks; fewer bytes where it ends, none beyond. Not repeated.

        The chunks raise FileSystemError when they are cut off. Closing the iterator ends the request.
        Raises NotFound-, RevisionMismatchFileSystemError.
        """
        condition = {"IfMatch": f'"{if_match}"'} if if_match is not None else {}
        is_range = start > 0 or num_bytes is not None
        end = "" if num_bytes is None else str(start + num_bytes - 1)
        extra = condition | ({"Range": f"bytes={start}-{end}"} if is_range else {})
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key, **extra, **self._customer_key, **self._payer)
        except ClientError as error:
            if get_code(error) in ("InvalidRange", "416"):
                return self._get_nothing(key, path, if_match), iter(())
            raise translate(error, path) from error
        except SDK_ERRORS as error:
            raise translate(error, path) from error
        size = _get_whole_size(answer, is_range)
        if size is None:
            answer["Body"].close()
            raise UnsupportedOperationFileSystemError(path, "the storage does not send parts of a file")
        info = make_info(key, answer, size)
        if if_match is not None and info.etag != if_match:  # the storage ignores the condition
            answer["Body"].close()
            raise RevisionMismatchFileSystemError(path)
        return info, _Content(answer["Body"], path)

    def put(
        self,
        key: str,
        path: str,
        body: Body,
        *,
        metadata: Mapping[str, str],
        if_none_match: bool = False,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """Write an object in one request. Repeated only without a condition.

        if_none_match: refuse when there is an object; if_match: refuse unless its ETag is this. Raises RevisionMismatchFileSystemError for either.
        """
        condition = make_condition(if_none_match, if_match)
        extra = condition | ({"ContentType": content_type} if content_type else {}) | self._storage

        def write() -> ObjectInfo:
            answer = self._client.put_object(
                Bucket=self.name, Key=key, Body=rewound(body), Metadata=dict(metadata),
                **extra, **self._checksum(body), **self._encryption, **self._payer,
            )  # fmt: skip
            headers = {"ContentType": content_type} if content_type else {}
            encryption = "customer" if self._customer_key else answer.get("ServerSideEncryption")
            return ObjectInfo(
                key, _get_size(body), unquote(answer["ETag"]), None, dict(metadata), headers, encryption,
            )  # fmt: skip

        return self._once(path, write) if condition else self._repeat(path, write)

    def copy(
        self,
        source: ObjectInfo,
        key: str,
        path: str,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Copy an object within the storage, and return the new ETag. metadata: replaces that of the source, whose headers are kept.

        source: as `head` tells it; where it has changed since, RevisionMismatchFileSystemError.
        """
        extra: dict[str, Any] = self.get_copied_settings(source)
        if metadata is not None:
            extra |= {"MetadataDirective": "REPLACE", "Metadata": dict(metadata)} | (source.headers or {})
        extra |= self._copy_checksum()

        def copy() -> str:
            answer = self._client.copy_object(
                Bucket=self.name, Key=key, CopySource={"Bucket": self.name, "Key": source.key},
                CopySourceIfMatch=f'"{source.etag}"', **extra, **self._source_key, **self._payer,
            )  # fmt: skip
            return unquote(answer["CopyObjectResult"]["ETag"])

        return self._repeat(path, copy)

    def delete(self, key: str, path: str) -> None:
        """Delete an object; one that is not there is no error."""
        self._repeat(path, lambda: self._client.delete_object(Bucket=self.name, Key=key, **self._payer))

    def delete_many(self, keys: Sequence[str], path: str) -> None:
        """Delete up to 1,000 objects in one request. Raises the error of the first that could not be; the others are deleted."""
        objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}

        def delete() -> None:
            answer = self._client.delete_objects(Bucket=self.name, Delete=objects, **self._payer)
            failed = [entry for entry in answer.get("Errors", []) if entry.get("Code") not in _NOT_THERE]
            if failed:
                raise ClientError({"Error": failed[0], "ResponseMetadata": {}}, "DeleteObjects")

        self._repeat(path, delete)

    def list_page(
        self, prefix: str, path: str, *, delimiter: str = "", token: str | None = None, max_keys: int | None = None
    ) -> Page:
        """One page of the keys that begin with a prefix; those that share what goes up to the delimiter behind it are one prefix.

        token: `next_token` of the page before.
        """
        extra = ({"Delimiter": delimiter} if delimiter else {}) | ({"ContinuationToken": token} if token else {})

        def ask() -> Page:
            answer = self._client.list_objects_v2(
                Bucket=self.name, Prefix=prefix, MaxKeys=max_keys or self.page_size, **extra, **self._payer
            )
            next_token = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
            if answer.get("IsTruncated") and not next_token:
                raise AccessFailedFileSystemError(path, "the storage does not tell how its listing goes on")
            return Page(
                [make_listed_info(entry) for entry in answer.get("Contents", [])],
                [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])],
                next_token,
            )

        return self._repeat(path, ask)

    def list_all(self, prefix: str, path: str) -> Iterator[ObjectInfo]:
        """All objects whose keys begin with a prefix, sorted by key, a page in memory."""
        token = None
        while True:
            page = self.list_page(prefix, path, token=token)
            yield from page.objects
            token = page.next_token
            if token is None:
                return

    def get_tags(self, key: str, path: str) -> dict[str, str]:
        """The tags of an object."""
        answer = self._repeat(path, lambda: self._client.get_object_tagging(Bucket=self.name, Key=key, **self._payer))
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagSet", [])}

    def put_tags(self, key: str, path: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of an object."""
        tag_set = {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}
        self._repeat(
            path,
            lambda: self._client.put_object_tagging(Bucket=self.name, Key=key, Tagging=tag_set, **self._payer),
        )

    # The bucket itself

    def check(self) -> None:
        """Raises the storage's own errors (botocore's) where the bucket cannot be used; unlike a HEAD they say why.

        Looks for keys beneath the account's prefix alone: rights may be for those only. There should be none that begin like this.
        """
        self._client.list_objects_v2(Bucket=self.name, Prefix=self._prefix + PROBE_FOLDER, MaxKeys=1, **self._payer)

    def create(self, region: str | None) -> None:
        """Make the bucket. Raises botocore's errors; one that is the account's own already is none."""
        place = {"LocationConstraint": region} if region not in (None, "us-east-1") else {}
        try:
            self._client.create_bucket(Bucket=self.name, **({"CreateBucketConfiguration": place} if place else {}))
        except ClientError as error:
            if get_code(error) != "BucketAlreadyOwnedByYou":
                raise

    def get_versioning(self) -> str:
        """`enabled`, `suspended` or `off`."""
        answer = self._repeat("/", lambda: self._client.get_bucket_versioning(Bucket=self.name))
        return str(answer.get("Status", "off")).lower()

    # Inside

    def _explain(self, path: str) -> None:
        """Raise what a refused request is about, which answers to HEAD cannot tell; nothing where only that object is refused."""
        with translated(path):
            self.check()

    def _get_nothing(self, key: str, path: str, if_match: str | None) -> ObjectInfo:
        """The object of a range that lies beyond its end."""
        info = self.head(key, path)
        if info is None or (if_match is not None and info.etag != if_match):
            raise RevisionMismatchFileSystemError(path)
        return info


def _get_whole_size(answer: Mapping[str, Any], is_range: bool) -> int | None:
    """The bytes of the whole object that a range was asked of; None where the range was ignored."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    if total.isdigit():
        return int(total)
    return None if is_range else int(answer["ContentLength"])


def _get_size(body: Body) -> int:
    if isinstance(body, bytes):
        return len(body)
    size = body.seek(0, 2)
    body.seek(0)
    return size


class _Content:
    """The chunks of a body. An iterator that ends its request when it is closed, read from or not."""

    def __init__(self, stream: Any, path: str) -> None:
        self._stream = stream
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk: bytes = self._stream.read(CHUNK_SIZE)
        except (*SDK_ERRORS, OSError) as error:
            self.close()
            raise _translate_broken(error, self._path) from error
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def close(self) -> None:
        self._stream.close()


def _translate_broken(error: Exception, path: str) -> FileSystemError:
    if isinstance(error, OSError):  # a connection that was reset in the middle of a body
        return AccessFailedFileSystemError(path, "the content was cut off", temporary=True)
    return translate(error, path)
