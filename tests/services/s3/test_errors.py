"""What storages and boto3 say, in our words: the class, whether repeating helps, the remedy; never a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import exceptions as sdk
from botocore.exceptions import ClientError

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AccountError,
    AuthenticationFailedAccountError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    InvalidPathFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.services.s3.errors import translate, translate_to_account_error, translated

FAILED, DENIED = AccessFailedFileSystemError, PermissionDeniedFileSystemError
SIGNED = "https://b.s3.amazonaws.com/k?X-Amz-Signature=hush&X-Amz-Credential=hush"


def answer(code: str, status: int = 400, headers: dict[str, str] | None = None, **fields: str) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": SIGNED, **fields},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return ClientError(response, "GetObject")


ANSWERS = [
    (answer("NoSuchKey", 404), NotFoundFileSystemError, False, "no such file"),
    (answer("404", 404), NotFoundFileSystemError, False, "no such file"),
    (answer("NoSuchBucket", 404), FAILED, False, "create_bucket = true"),
    (answer("AccessDenied", 403), DENIED, False, "may not"),
    (answer("403", 403), DENIED, False, "may not"),
    (answer("InvalidAccessKeyId", 403), FAILED, False, "access_key_id"),
    (answer("SignatureDoesNotMatch", 403), FAILED, False, "secret_access_key"),
    (answer("ExpiredToken"), FAILED, False, "expired"),
    (answer("PermanentRedirect", 301, {"x-amz-bucket-region": "eu-west-3"}), FAILED, False, r"region \(eu-west-3\)"),
    (answer("AuthorizationHeaderMalformed", Region="eu-west-3"), FAILED, False, r"region \(eu-west-3\)"),
    (answer("PreconditionFailed", 412), RevisionMismatchFileSystemError, False, "changed"),
    (answer("SlowDown", 503), FAILED, True, "patience"),
    (answer("ServiceUnavailable", 503), FAILED, True, "patience"),
    (answer("", 429), FAILED, True, "patience"),
    (answer("RequestTimeout"), FAILED, True, "waited"),
    (answer("InternalError", 500), FAILED, True, "error of its own"),
    (answer("NeverHeardOf", 502), FAILED, True, "error of its own"),
    (answer("NeverHeardOf", 418), FAILED, False, "NeverHeardOf"),
    (answer("EntityTooLarge"), InsufficientSpaceFileSystemError, False, "larger"),
    (answer("QuotaExceeded", 403), InsufficientSpaceFileSystemError, False, "quota"),
    (answer("InvalidObjectState", 403), DENIED, False, "archive"),
    (answer("KMS.DisabledException"), DENIED, False, "kms_key_id"),
    (answer("KMS.SomethingNew"), DENIED, False, "kms_key_id"),
    (answer("KeyTooLongError"), InvalidPathFileSystemError, False, "too long"),
    (answer("NotImplemented", 501), UnsupportedOperationFileSystemError, False, "not supported"),
    (answer("BadDigest"), FAILED, True, "damaged"),
    (sdk.NoCredentialsError(), FAILED, False, "AWS_ACCESS_KEY_ID.*anonymous"),
    (sdk.EndpointConnectionError(endpoint_url=SIGNED), FAILED, True, "endpoint_url"),
    (sdk.ConnectTimeoutError(endpoint_url=SIGNED), FAILED, True, "no answer"),
    (sdk.ReadTimeoutError(endpoint_url=SIGNED), FAILED, True, "silent"),
    (sdk.ConnectionClosedError(endpoint_url=SIGNED), FAILED, True, "cut off"),
    (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), FAILED, True, "cut off"),
    (sdk.ResponseStreamingError(error="x"), FAILED, True, "cut off"),
    (sdk.SSLError(endpoint_url=SIGNED, error="x"), FAILED, False, "ca_file"),
    (sdk.ProfileNotFound(profile="x"), FAILED, False, "profile"),
    (sdk.ParamValidationError(report=SIGNED), FAILED, False, "does not take"),
]


@pytest.mark.parametrize(
    ("error", "error_class", "is_temporary", "words"),
    ANSWERS,
    ids=lambda value: str(value)[:40] if isinstance(value, str) else None,
)
def test_translated(error: Exception, error_class: type[FileSystemError], is_temporary: bool, words: str) -> None:
    with pytest.raises(error_class, match=words) as info, translated("/k"):
        raise error
    assert type(info.value) is error_class
    assert (info.value.path, info.value.temporary) == ("/k", is_temporary)
    assert info.value.__cause__ is error
    assert "hush" not in str(info.value)
    assert "https:" not in info.value.message


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("100000", 300.0), ("soon", None), ("", None)])
def test_how_long_to_wait(header: str, seconds: float | None) -> None:
    assert translate(answer("SlowDown", 503, {"retry-after": header}), "/k").retry_after == seconds


def test_a_wrong_clock_is_told_by_how_much() -> None:
    then = datetime.now(UTC) - timedelta(minutes=30)
    error = translate(answer("RequestTimeTooSkewed", 403, ServerTime=then.strftime("%Y-%m-%dT%H:%M:%SZ")), "/k")
    assert "by 30 minutes" in error.message
    error = translate(answer("RequestTimeTooSkewed", 403, {"date": then.strftime("%a, %d %b %Y %H:%M:%S GMT")}), "/k")
    assert "by 30 minutes" in error.message
    assert "wrong; set it right" in translate(answer("RequestTimeTooSkewed", 403), "/k").message


def test_what_a_storage_says_cannot_forge_a_line() -> None:
    assert "\n" not in translate(answer("Odd\nCode\x1b[1m"), "/k").message


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (answer("InvalidAccessKeyId", 403), AuthenticationFailedAccountError),
        (answer("SignatureDoesNotMatch", 403), AuthenticationFailedAccountError),
        (answer("AccessDenied", 403), AuthenticationFailedAccountError),
        (sdk.NoCredentialsError(), AuthenticationFailedAccountError),
        (answer("NoSuchBucket", 404), AccountError),
        (answer("PermanentRedirect", 301), AccountError),
        (answer("RequestTimeTooSkewed", 403), AccountError),
        (answer("SlowDown", 503), AccessFailedFileSystemError),
        (sdk.EndpointConnectionError(endpoint_url=SIGNED), AccessFailedFileSystemError),
    ],
)
def test_while_an_account_connects(error: Exception, error_class: type[Exception]) -> None:
    direct = translate_to_account_error(error, "archive")
    assert type(direct) is error_class
    try:
        with translated("/"):
            raise error
    except FileSystemError as wrapped:
        assert type(translate_to_account_error(wrapped, "archive")) is error_class
    if isinstance(direct, AccountError):
        assert "archive" in str(direct)
    assert "hush" not in str(direct)
