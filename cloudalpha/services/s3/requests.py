"""What every request of a bucket shares: the client, the options that go along, errors translated, repetitions."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cloudalpha.exceptions import AccessFailedFileSystemError
from cloudalpha.services.s3.card import Card
from cloudalpha.services.s3.errors import translated
from cloudalpha.services.s3.objects import Body, ObjectInfo, compute_crc32
from cloudalpha.services.s3.settings import S3Options
from cloudalpha.toolkit.retry import Retry

T = TypeVar("T")

PAGE_SIZE = 1000
MAX_SMALL_BODY = 128 << 10
PROBE_FOLDER = ".cloudalpha-probe-"
"""What the names of objects begin with that are there only while a server is probed."""


class Requests:
    """The base of `Bucket`.

    client: boto3's, with retries off. retry: how those that may be are repeated. page_size: entries of a listing asked for at once.
    card: what the server can do; promises nothing until somebody sets it.
    """

    def __init__(self, client: Any, options: S3Options, retry: Retry, page_size: int = PAGE_SIZE) -> None:
        self.name = options.bucket
        self.card = Card()
        self.page_size = page_size
        self.retry = retry
        self._client = client
        self._prefix = options.prefix
        self._stopped = threading.Event()
        self._payer = {"RequestPayer": "requester"} if options.requester_pays else {}
        self._customer_key = _make_customer_key(options, "")
        self._source_key = _make_customer_key(options, "CopySource")
        self._storage: dict[str, Any] = {"StorageClass": options.storage_class} if options.storage_class else {}
        encryption = {"ServerSideEncryption": options.server_side_encryption, "SSEKMSKeyId": options.kms_key_id}
        self._encryption = {name: value for name, value in encryption.items() if value} | self._customer_key

    def close(self) -> None:
        """End what is waiting to be repeated, and close the connections."""
        self._stopped.set()
        self._client.close()

    def get_copied_settings(self, source: ObjectInfo) -> dict[str, Any]:
        """Encryption and storage class of a copy: the account's where it has any, else those of the source."""
        encryption = self._encryption
        if not encryption and source.encryption not in (None, "AES256", "customer"):
            encryption = {"ServerSideEncryption": source.encryption}
            encryption |= {"SSEKMSKeyId": source.kms_key_id} if source.kms_key_id else {}
        return encryption | ({"StorageClass": source.storage_class} if source.storage_class else self._storage)

    def _repeat(self, path: str, call: Callable[[], T]) -> T:
        """What the call returns, repeated while its error is temporary."""
        return self.retry.run(lambda: self._once(path, call), self._stopped)

    def _once(self, path: str, call: Callable[[], T]) -> T:
        try:
            with translated(path):
                return call()
        except OSError as error:  # of the content: a body that was given up cannot be read any more
            raise AccessFailedFileSystemError(path, str(error)) from error
        except KeyError as error:  # of the answer: not every server that speaks S3 says all that belongs to it
            raise AccessFailedFileSystemError(path, f"the answer of the storage lacks {error}") from error

    def _checksum(self, body: Body) -> dict[str, str]:
        return {"ChecksumCRC32": compute_crc32(body)} if self.card.checksum else {}

    def _copy_checksum(self) -> dict[str, str]:
        return {"ChecksumAlgorithm": self.card.checksum} if self.card.checksum else {}


def make_condition(if_none_match: bool, if_match: str | None) -> dict[str, str]:
    """The parameters of a condition on what a key holds."""
    if if_none_match:
        return {"IfNoneMatch": "*"}
    return {"IfMatch": f'"{if_match}"'} if if_match is not None else {}


def rewound(body: Body) -> Body:
    """The body, at its start; a small one as bytes: for what looks like a file the SDK asks whether it may send it, which is a round trip more."""
    if isinstance(body, bytes):
        return body
    size = body.seek(0, 2)
    body.seek(0)
    return body.read(size) if size <= MAX_SMALL_BODY else body


def _make_customer_key(options: S3Options, where: str) -> dict[str, Any]:
    if options.customer_key is None:
        return {}
    key = base64.b64decode(options.customer_key)
    return {f"{where}SSECustomerAlgorithm": "AES256", f"{where}SSECustomerKey": key}
