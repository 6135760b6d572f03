"""What the huge S3 holds: buckets, objects, uploads; and the errors of S3."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from bisect import bisect_left
from dataclasses import dataclass, field

from tests.fakes.huge_content import Content, Keeper

MAX_KEPT_BYTES = 64 << 20
MIN_PART_SIZE = 5 << 20


@dataclass
class S3Object:
    """An object. headers: what comes back with it, as it was given."""

    content: Content
    etag: str
    headers: dict[str, str] = field(default_factory=dict)
    modified: float = field(default_factory=time.time)
    tags: str = ""


@dataclass
class Upload:
    """A multipart upload. parts: number -> object."""

    bucket: str
    key: str
    headers: dict[str, str]
    parts: dict[int, S3Object] = field(default_factory=dict)
    started: float = field(default_factory=time.time)


class RefusedError(Exception):
    """An answer that is an error, as S3 words it."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message or code


class Store:
    """What the service holds. Thread-safe: each step is done under one lock, and none waits for the network."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.buckets: dict[str, dict[str, S3Object]] = {}
        self.uploads: dict[str, Upload] = {}
        self.keeper = Keeper(MAX_KEPT_BYTES)
        self._sorted: dict[str, list[str]] = {}

    def get_bucket(self, bucket: str) -> dict[str, S3Object]:
        if bucket not in self.buckets:
            raise RefusedError(404, "NoSuchBucket")
        return self.buckets[bucket]

    def get(self, bucket: str, key: str) -> S3Object:
        found = self.get_bucket(bucket).get(key)
        if found is None:
            raise RefusedError(404, "NoSuchKey")
        return found

    def put(self, bucket: str, key: str, new: S3Object, if_match: str = "", if_none_match: str = "") -> None:
        """Put an object in place, under conditions (ETags, "*" or nothing)."""
        with self.lock:
            objects = self.get_bucket(bucket)
            old = objects.get(key)
            if if_match and old is None:
                raise RefusedError(404, "NoSuchKey")
            if (old and if_none_match == "*") or (old and if_match and not is_match(if_match, old.etag)):
                raise RefusedError(412, "PreconditionFailed")
            if old is None:
                self._sorted.pop(bucket, None)
            objects[key] = new

    def delete(self, bucket: str, key: str) -> None:
        with self.lock:
            if self.get_bucket(bucket).pop(key, None):
                self._sorted.pop(bucket, None)

    def list(
        self, bucket: str, prefix: str, delimiter: str, after: str, count: int
    ) -> tuple[list[tuple[str, S3Object | None]], bool]:
        """(entries, more follow): keys with their objects, and folders (common prefixes) with None, in order."""
        with self.lock:
            objects = self.get_bucket(bucket)
            if bucket not in self._sorted:
                self._sorted[bucket] = sorted(objects)
            names = self._sorted[bucket]
            at = bisect_left(names, max(prefix, after))
            entries: list[tuple[str, S3Object | None]] = []
            while at < len(names) and names[at].startswith(prefix):
                key = names[at]
                end = key.find(delimiter, len(prefix)) if delimiter else -1
                name = key if end < 0 else key[: end + len(delimiter)]
                if name > after:
                    if len(entries) == count:
                        return entries, True
                    entries.append((name, objects[key] if end < 0 else None))
                at = at + 1 if end < 0 else bisect_left(names, name + "\U0010ffff", at)
            return entries, False

    def get_upload(self, upload_id: str) -> Upload:
        if upload_id not in self.uploads:
            raise RefusedError(404, "NoSuchUpload")
        return self.uploads[upload_id]

    def begin_upload(self, upload: Upload) -> str:
        with self.lock:
            self.get_bucket(upload.bucket)
            upload_id = uuid.uuid4().hex
            self.uploads[upload_id] = upload
            return upload_id

    def complete(self, upload_id: str, wanted: list[tuple[int, str]], if_match: str, if_none_match: str) -> S3Object:
        """Join parts (number, ETag) to an object."""
        with self.lock:
            upload = self.get_upload(upload_id)
            content, digests = Content(), hashlib.md5(usedforsecurity=False)
            if not wanted or [number for number, _ in wanted] != sorted({number for number, _ in wanted}):
                raise RefusedError(400, "InvalidPartOrder")
            for number, etag in wanted:
                part = upload.parts.get(number)
                if part is None or not is_match(etag, part.etag):
                    raise RefusedError(400, "InvalidPart")
                if part.content.size < MIN_PART_SIZE and number != wanted[-1][0]:
                    raise RefusedError(400, "EntityTooSmall")
                content += part.content
                digests.update(bytes.fromhex(part.etag))
            whole = S3Object(content, f"{digests.hexdigest()}-{len(wanted)}", upload.headers)
            self.put(upload.bucket, upload.key, whole, if_match, if_none_match)
            del self.uploads[upload_id]
            return whole


def is_match(wanted: str, etag: str) -> bool:
    """Whether an ETag is among those of a condition."""
    return wanted == "*" or etag in [one.strip().strip('"') for one in wanted.split(",")]
