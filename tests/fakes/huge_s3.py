"""S3 on the wire with objects of any size, in no memory: for what no real server on this machine could hold, or would be too slow for.

    with HugeS3() as service:
        service.add("bucket", "big.bin", 10 << 30)

It makes up what is read, recognises it where it is written (huge_content), enforces conditions, and counts. It looks at no signature. Alone:

    python -m tests.fakes.huge_s3 --bucket bucket --object big.bin=10737418240
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
import uuid
from bisect import bisect_left
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.fakes.huge_content import Content, Keeper, make_content
from tests.servers.processes import HOST

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


@dataclass
class Counts:
    """What was asked. requests: by the names that Amazon gives them. bytes_in, bytes_out: of bodies of objects and parts.

    most_at_once: how many requests were answered at one time, at most.
    """

    requests: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    at_once: int = 0
    most_at_once: int = 0


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
            names = self._sorted.setdefault(bucket, sorted(objects))
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


class HugeS3(ThreadingHTTPServer):
    """The service, as a context manager; it runs in threads of its own."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int = 0) -> None:
        from tests.fakes.huge_s3_handler import Handler

        super().__init__((HOST, port), Handler)
        self.store = Store()
        self.counts = Counts()
        self._thread = threading.Thread(target=lambda: self.serve_forever(0.02), name="huge S3", daemon=True)

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def add(self, bucket: str, key: str, size: int, start: int = 0) -> S3Object:
        """Plant an object of pattern content, from `start` of the pattern on; its bucket is made where it is missing."""
        etag = hashlib.md5(f"{key} {size} {start}".encode(), usedforsecurity=False).hexdigest()
        planted = S3Object(make_content(size, start), f"{etag}-{max(1, size >> 23)}")
        with self.store.lock:
            self.store.buckets.setdefault(bucket, {})
        self.store.put(bucket, key, planted)
        return planted

    def reset_counts(self) -> Counts:
        """Begin to count anew; what was counted before."""
        with self.store.lock:
            before, self.counts = self.counts, Counts(at_once=self.counts.at_once)
        return before

    def count(self, operation: str) -> None:
        """Count a request that begins."""
        with self.store.lock:
            counts = self.counts
            counts.requests[operation] = counts.requests.get(operation, 0) + 1
            counts.at_once += 1
            counts.most_at_once = max(counts.most_at_once, counts.at_once)

    def count_end(self) -> None:
        """Count a request that ends."""
        with self.store.lock:
            self.counts.at_once -= 1

    def count_bytes(self, num_in: int, num_out: int) -> None:
        with self.store.lock:
            self.counts.bytes_in += num_in
            self.counts.bytes_out += num_out

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go when they like; everything else is a mistake of this fake."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join(10)
        self.server_close()


def main() -> int:
    """Run alone, until the standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.huge_s3", description="S3 with objects of any size.")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: a free port)")
    parser.add_argument("--bucket", default="bucket", help="a bucket to begin with")
    parser.add_argument("--object", action="append", default=[], help="KEY=SIZE in bytes, an object to begin with")
    parser.add_argument("--objects-from", choices=["-"], help="the same, many: lines of the standard input, to an empty one")
    arguments = parser.parse_args()
    if arguments.objects_from:
        arguments.object += [line.strip() for line in iter(sys.stdin.readline, "\n")]
    with HugeS3(arguments.port) as service:
        service.store.buckets[arguments.bucket] = {}
        for planted in arguments.object:
            key, _, size = planted.rpartition("=")
            service.add(arguments.bucket, key, int(size))
        print(f"ready {service.endpoint_url}", flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
