"""Every option reaches the wire, or the configuration of the client."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.card import Card
from cloudalpha.services.s3.client import make_client
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.settings import S3Options, S3Settings
from cloudalpha.toolkit.retry import Retry

Sent = list[AWSPreparedRequest]

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "hush"}
SOURCE = ObjectInfo("source", 3, "etag", metadata={}, headers={"ContentType": "text/x-odd"})

ANSWERS = {
    "PUT copy": b'<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>',
    "PUT part copy": b'<CopyPartResult><ETag>"e"</ETag></CopyPartResult>',
    "POST uploads": b"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
    "POST complete": b'<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>',
    "POST delete": b"<DeleteResult/>",
    "GET list": b"<ListBucketResult/>",
}


class _Raw(io.BytesIO):
    def stream(self, *_args: Any, **_kwargs: Any) -> Iterator[bytes]:
        yield self.read()


def get_kind(request: AWSPreparedRequest) -> str:
    query = request.url.partition("?")[2]
    if request.method == "PUT" and "x-amz-copy-source" in request.headers:
        return "PUT part copy" if "partNumber" in query else "PUT copy"
    if request.method == "POST":
        return (
            "POST uploads"
            if query.startswith("uploads")
            else "POST delete"
            if query.startswith("delete")
            else "POST complete"
        )
    return "GET list" if "list-type" in query else ""


@contextmanager
def recorded(settings: dict[str, Any] | None = None, **options: Any) -> Iterator[tuple[Bucket, Sent]]:
    """A bucket whose requests are answered here, and noted."""
    sent: Sent = []

    def answer(request: AWSPreparedRequest, **_kwargs: Any) -> AWSResponse:
        sent.append(request)
        headers = {"ETag": '"e"', "Content-Length": "0"}
        return AWSResponse(request.url, 200, headers, _Raw(ANSWERS.get(get_kind(request), b"")))

    given = {"bucket": "bucket", **KEYS, **options}
    made = S3Options.model_validate({key: value for key, value in given.items() if value is not None})
    client = make_client(made, S3Settings(**(settings or {})))
    client.meta.events.register("before-send.s3", answer)
    with closing(Bucket(client, made, Retry(attempts=1))) as bucket:
        yield bucket, sent


def get_header(request: AWSPreparedRequest, name: str) -> str | None:
    value = request.headers.get(name)
    return value.decode() if isinstance(value, bytes) else value


REQUESTS: dict[str, Callable[[Bucket], object]] = {
    "head": lambda bucket: bucket.head("k", "/k"),
    "get": lambda bucket: bucket.get("k", "/k"),
    "put": lambda bucket: bucket.put("k", "/k", b"abc", metadata={}),
    "copy": lambda bucket: bucket.copy(SOURCE, "k", "/k"),
    "list": lambda bucket: bucket.list_page("", "/"),
    "delete": lambda bucket: bucket.delete("k", "/k"),
    "delete_many": lambda bucket: bucket.delete_many(["k"], "/k"),
    "create_upload": lambda bucket: bucket.create_upload("k", "/k", {}),
    "put_part": lambda bucket: bucket.put_part("k", "/k", "U", 1, b"abc"),
    "copy_part": lambda bucket: bucket.copy_part("k", "/k", "U", 1, "source", "etag", 0, 5),
    "complete": lambda bucket: bucket.complete_upload("k", "/k", "U", [(1, {"ETag": '"e"'})]),
    "abort": lambda bucket: bucket.abort_upload("k", "/k", "U"),
    "list_parts": lambda bucket: list(bucket.list_parts("k", "/k", "U")),
    "list_uploads": lambda bucket: list(bucket.list_uploads("")),
    "get_tags": lambda bucket: bucket.get_tags("k", "/k"),
    "put_tags": lambda bucket: bucket.put_tags("k", "/k", {"a": "b"}),
}
WRITES_CONTENT = ["put", "copy", "create_upload"]


@pytest.mark.parametrize("name", REQUESTS)
def test_requester_pays(name: str) -> None:
    with recorded(requester_pays=True) as (bucket, sent):
        REQUESTS[name](bucket)
    assert [get_header(request, "x-amz-request-payer") for request in sent] == ["requester"]


@pytest.mark.parametrize("name", REQUESTS)
def test_nothing_goes_along_that_nobody_asked_for(name: str) -> None:
    with recorded() as (bucket, sent):
        REQUESTS[name](bucket)
    [request] = sent
    odd = {header.lower() for header in request.headers if header.lower().startswith("x-amz-")}
    assert odd <= {
        "x-amz-date", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-copy-source-if-match", "x-amz-copy-source-range",
        *({"x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"} if name in ("delete_many", "put_tags") else ()),
    }  # fmt: skip


@pytest.mark.parametrize("name", WRITES_CONTENT)
def test_encryption_and_storage_class(name: str) -> None:
    with recorded(server_side_encryption="aws:kms", kms_key_id="key", storage_class="STANDARD_IA") as (bucket, sent):
        REQUESTS[name](bucket)
    [request] = sent
    assert get_header(request, "x-amz-server-side-encryption") == "aws:kms"
    assert get_header(request, "x-amz-server-side-encryption-aws-kms-key-id") == "key"
    assert get_header(request, "x-amz-storage-class") == "STANDARD_IA"


@pytest.mark.parametrize("name", ["head", "get", "put", "copy", "create_upload", "put_part", "copy_part", "complete"])
def test_customer_key(name: str) -> None:
    key = bytes(range(32))
    with recorded(customer_key=base64.b64encode(key).decode()) as (bucket, sent):
        REQUESTS[name](bucket)
    [request] = sent
    wanted = {
        "algorithm": "AES256",
        "key": base64.b64encode(key).decode(),
        "key-md5": base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode(),
    }
    prefixes = ["x-amz-server-side-encryption-customer-"]
    if name.startswith("copy"):
        prefixes.append("x-amz-copy-source-server-side-encryption-customer-")
    for prefix in prefixes:
        assert {part: get_header(request, prefix + part) for part in wanted} == wanted


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://bucket.s3.amazonaws.com/k"),
        ({"region": "eu-central-1"}, "https://bucket.s3.eu-central-1.amazonaws.com/k"),
        ({"region": "eu-central-1", "addressing_style": "path"}, "https://s3.eu-central-1.amazonaws.com/bucket/k"),
        ({"endpoint_url": "https://s3.example.org"}, "https://s3.example.org/bucket/k"),
        ({"endpoint_url": "https://s3.example.org", "addressing_style": "virtual"}, "https://bucket.s3.example.org/k"),
    ],
)
def test_where_requests_go(options: dict[str, str], url: str) -> None:
    with recorded(**options) as (bucket, sent):
        bucket.head("k", "/k")
    assert sent[0].url == url


def test_region_of_the_signature() -> None:
    with recorded(region="eu-south-2", endpoint_url="https://s3.example.org") as (bucket, sent):
        bucket.head("k", "/k")
    assert "AKIDEXAMPLE/" in str(get_header(sent[0], "Authorization"))
    assert "/eu-south-2/s3/" in str(get_header(sent[0], "Authorization"))


def test_session_token() -> None:
    with recorded(session_token="temporary") as (bucket, sent):
        bucket.head("k", "/k")
    assert get_header(sent[0], "x-amz-security-token") == "temporary"


def test_anonymous() -> None:
    with recorded(access_key_id=None, secret_access_key=None, anonymous=True) as (bucket, sent):
        bucket.head("k", "/k")
    assert get_header(sent[0], "Authorization") is None


def test_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKWORK\naws_secret_access_key = hush\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with recorded(access_key_id=None, secret_access_key=None, profile="work") as (bucket, sent):
        bucket.head("k", "/k")
    assert re.search(r"AKWORK/\d+/eu-north-1/", str(get_header(sent[0], "Authorization")))


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    with recorded(access_key_id=None, secret_access_key=None) as (bucket, sent):
        bucket.head("k", "/k")
    assert "AKENVIRONMENT/" in str(get_header(sent[0], "Authorization"))


def test_repetitions_of_the_sdk_are_off_and_every_wait_has_an_end() -> None:
    options = S3Options(bucket="b", **KEYS)  # type: ignore[arg-type]
    settings = S3Settings(connect_timeout="3s", read_timeout="7s", max_connections=5)
    with closing(make_client(options, settings)) as client:
        config = client.meta.config
        assert config.retries["total_max_attempts"] == 1
        assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (3, 7, 5)
        assert config.request_checksum_calculation == "when_required"


@pytest.mark.parametrize("name", ["put", "put_part", "copy", "create_upload", "head"])
def test_checksums_go_along_where_the_server_takes_them(name: str) -> None:
    with recorded() as (bucket, sent):
        bucket.card = Card(checksum="CRC32")
        REQUESTS[name](bucket)
    header, value = {
        "put": ("x-amz-checksum-crc32", "NSRBwg=="),
        "put_part": ("x-amz-checksum-crc32", "NSRBwg=="),
        "copy": ("x-amz-checksum-algorithm", "CRC32"),
        "create_upload": ("x-amz-checksum-algorithm", "CRC32"),
        "head": ("x-amz-checksum-mode", "ENABLED"),
    }[name]
    assert get_header(sent[0], header) == value


def test_a_copy_keeps_what_replaced_metadata_would_drop() -> None:
    with recorded() as (bucket, sent):
        source = SOURCE._replace(storage_class="GLACIER_IR", encryption="aws:kms", kms_key_id="its key")
        bucket.copy(source, "k", "/k", {"mtime": "1"})
    headers = {name: get_header(sent[0], name) for name in sent[0].headers}
    assert headers["Content-Type"] == "text/x-odd"
    assert headers["x-amz-storage-class"] == "GLACIER_IR"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "its key"
    assert headers["x-amz-metadata-directive"] == "REPLACE"
    assert headers["x-amz-meta-mtime"] == "1"
    assert headers["x-amz-copy-source-if-match"] == '"etag"'


def test_conditions() -> None:
    with recorded() as (bucket, sent):
        bucket.put("k", "/k", b"", metadata={}, if_none_match=True)
        bucket.put("k", "/k", b"", metadata={}, if_match="e1")
        bucket.complete_upload("k", "/k", "U", [(1, {"ETag": '"e"'})], if_none_match=True)
    assert [get_header(request, "If-None-Match") for request in sent] == ["*", None, "*"]
    assert [get_header(request, "If-Match") for request in sent] == [None, '"e1"', None]
