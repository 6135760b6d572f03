"""What a bucket tells of its objects: values, made from boto3's answers at one place."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

CHUNK_SIZE = 256 * 1024

_REPLACED_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "WebsiteRedirectLocation",
)
"""What a copy that replaces the metadata must carry along, because the storage forgets it otherwise."""


class ReadableBody(Protocol):
    """Content that can be read more than once: bytes in a file, a part of an upload."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


Body = bytes | ReadableBody


class ObjectInfo(NamedTuple):
    """One object.

    etag: without quotes. last_modified: aware; None where the answer did not tell.
    metadata: what is kept beside the content, names in lower case; None from a listing.
    headers: content type and the like, as parameters of boto3; None from a listing.
    encryption: `AES256`, `aws:kms`, `customer` ...; None where there is none, or the answer did not tell.
    storage_class: None for the standard one.
    checksums: of the whole content by algorithm (`CRC32` ...), as the storage tells them. num_tags: where the answer tells of tags.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime | None = None
    metadata: dict[str, str] | None = None
    headers: dict[str, Any] | None = None
    encryption: str | None = None
    kms_key_id: str | None = None
    storage_class: str | None = None
    checksums: dict[str, str] | None = None
    num_tags: int = 0

    @property
    def has_md5_etag(self) -> bool:
        """Whether the ETag is certainly the MD5 of the content: of one piece, and not encrypted by a key that changes it."""
        return (
            self.headers is not None
            and self.encryption in (None, "AES256")
            and len(self.etag) == 32
            and set(self.etag) <= set("0123456789abcdef")
        )


class Page(NamedTuple):
    """One page of a listing. objects and prefixes are sorted; next_token is None on the last page."""

    objects: list[ObjectInfo]
    prefixes: list[str]
    next_token: str | None


class Upload(NamedTuple):
    """A multipart upload that is under way."""

    key: str
    upload_id: str
    initiated: datetime | None


class Part(NamedTuple):
    """A part of a multipart upload that is under way."""

    number: int
    size: int
    receipt: dict[str, str]


def make_info(key: str, answer: Mapping[str, Any], size: int | None = None) -> ObjectInfo:
    """The object that HeadObject or GetObject answered about. size: of the whole, where the answer is a range."""
    encryption = answer.get("ServerSideEncryption")
    if answer.get("SSECustomerAlgorithm"):
        encryption = "customer"
    checksums = {
        name.removeprefix("Checksum"): value
        for name, value in answer.items()
        if name.startswith("Checksum") and name != "ChecksumType" and "-" not in value
    }
    return ObjectInfo(
        key,
        int(answer["ContentLength"]) if size is None else size,
        unquote(answer.get("ETag", "")),
        _to_utc(answer.get("LastModified")),
        {name.lower(): value for name, value in answer.get("Metadata", {}).items()},
        {name: answer[name] for name in _REPLACED_HEADERS if answer.get(name)},
        encryption,
        answer.get("SSEKMSKeyId"),
        answer.get("StorageClass"),
        checksums if answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" else {},
        int(answer.get("TagCount", 0)),
    )


def make_listed_info(entry: Mapping[str, Any]) -> ObjectInfo:
    """The object of an entry of a listing."""
    storage_class = entry.get("StorageClass")
    return ObjectInfo(
        entry["Key"],
        int(entry["Size"]),
        unquote(entry.get("ETag", "")),
        _to_utc(entry.get("LastModified")),
        storage_class=storage_class if storage_class != "STANDARD" else None,
    )


def _to_utc(moment: datetime | None) -> datetime | None:
    """In whole seconds, as HEAD tells it: some listings tell fractions, and then one object would have two times."""
    return moment.astimezone(UTC).replace(microsecond=0) if moment is not None else None


def unquote(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')


def make_receipt(answer: Mapping[str, Any]) -> dict[str, str]:
    """What completing an upload must know of a part: its ETag, and its checksum where there is one."""
    names = (name for name in answer if name.startswith("Checksum") and name != "ChecksumType")
    return {"ETag": answer["ETag"]} | {name: answer[name] for name in names}


def compute_crc32(body: Body) -> str:
    """The CRC-32 of a body, as S3 writes it; the body stands at its start afterwards."""
    value = 0
    if isinstance(body, bytes):
        value = zlib.crc32(body)
    else:
        body.seek(0)
        while chunk := body.read(CHUNK_SIZE):
            value = zlib.crc32(chunk, value)
        body.seek(0)
    return base64.b64encode(value.to_bytes(4, "big")).decode("ascii")
