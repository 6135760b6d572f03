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
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.fakes.huge_content import make_content
from tests.fakes.huge_s3_handler import Handler
from tests.fakes.huge_store import S3Object, Store
from tests.servers.processes import HOST


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


class HugeS3(ThreadingHTTPServer):
    """The service, as a context manager; it runs in threads of its own."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int = 0) -> None:
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
    parser.add_argument(
        "--objects-from", choices=["-"], help="the same, many: lines of the standard input, to an empty one"
    )
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
