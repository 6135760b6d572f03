"""What boto3 raises -> FileSystemError, or AccountError while an account connects: the one place.

Messages are our own: those of the libraries hold URLs with signatures, and names of this machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions as sdk

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AccountError,
    AlreadyExistsFileSystemError,
    AuthenticationFailedAccountError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    InvalidPathFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)

AccountErrorClass = type[AccountError]

MAX_RETRY_AFTER = 300.0

_FAILED, _DENIED = AccessFailedFileSystemError, PermissionDeniedFileSystemError
_AUTH = AuthenticationFailedAccountError

_BUSY = "the storage asks for patience: too many requests"
_BROKEN = "the storage has an error of its own"
_EXPIRED = (
    "the credentials have expired; renew session_token, or configure a role_arn or a profile, which renew themselves"
)
_NO_BUCKET = "the bucket does not exist; set create_bucket = true, or correct `bucket`, `region` and `endpoint_url`"
_REGION = "the bucket is in another region{region}; set `region`, or the `endpoint_url` of that region"
_ARCHIVED = "the content is in an archive; restore it with the storage's own tools before it can be read"
_KMS = "the key service of the storage refuses the key of this content; check kms_key_id and the rights to use that key"
_CLOCK = "the clock of this machine is wrong{by}; set it right (NTP)"
_SIGNATURE = "the storage refuses the signature; check secret_access_key, and `region`"
_KEY_ID = "the storage does not know the access key; check access_key_id"
_DENIED_TEXT = "the credentials of this account may not do that"
_REDIRECTED = "the storage sends this bucket elsewhere; check `endpoint_url` and `region`"

_TABLE: dict[str, tuple[type[FileSystemError], str | None, bool]] = {
    "404": (NotFoundFileSystemError, None, False),
    "NoSuchKey": (NotFoundFileSystemError, None, False),
    "NoSuchUpload": (
        NotFoundFileSystemError,
        "the upload is gone: aborted by somebody, or by a rule of the bucket",
        False,
    ),
    "NoSuchVersion": (NotFoundFileSystemError, None, False),
    "NoSuchBucket": (_FAILED, _NO_BUCKET, False),
    "403": (_DENIED, _DENIED_TEXT, False),
    "AccessDenied": (_DENIED, _DENIED_TEXT, False),
    "AllAccessDisabled": (_DENIED, _DENIED_TEXT, False),
    "AccountProblem": (_DENIED, "the storage has closed the account; ask its operator", False),
    "MethodNotAllowed": (_DENIED, "the storage does not allow that", False),
    "InvalidAccessKeyId": (_FAILED, _KEY_ID, False),
    "SignatureDoesNotMatch": (_FAILED, _SIGNATURE, False),
    "ExpiredToken": (_FAILED, _EXPIRED, False),
    "ExpiredTokenException": (_FAILED, _EXPIRED, False),
    "TokenRefreshRequired": (_FAILED, _EXPIRED, False),
    "InvalidToken": (_FAILED, "the storage does not take session_token", False),
    "RequestTimeTooSkewed": (_FAILED, _CLOCK, False),
    "301": (_FAILED, _REGION, False),
    "PermanentRedirect": (_FAILED, _REGION, False),
    "AuthorizationHeaderMalformed": (_FAILED, _REGION, False),
    "IllegalLocationConstraintException": (_FAILED, _REGION, False),
    "TemporaryRedirect": (_FAILED, _REDIRECTED, True),
    "412": (RevisionMismatchFileSystemError, None, False),
    "PreconditionFailed": (RevisionMismatchFileSystemError, None, False),
    "409": (_FAILED, "another change of the same file is under way", True),
    "ConditionalRequestConflict": (_FAILED, "another change of the same file is under way", True),
    "OperationAborted": (_FAILED, "another change of the same file is under way", True),
    "BucketAlreadyExists": (AlreadyExistsFileSystemError, "somebody else has a bucket of that name", False),
    "SlowDown": (_FAILED, _BUSY, True),
    "Throttling": (_FAILED, _BUSY, True),
    "ThrottlingException": (_FAILED, _BUSY, True),
    "TooManyRequests": (_FAILED, _BUSY, True),
    "RequestLimitExceeded": (_FAILED, _BUSY, True),
    "BandwidthLimitExceeded": (_FAILED, _BUSY, True),
    "ServiceUnavailable": (_FAILED, _BUSY, True),
    "429": (_FAILED, _BUSY, True),
    "503": (_FAILED, _BUSY, True),
    "InternalError": (_FAILED, _BROKEN, True),
    "RequestTimeout": (_FAILED, "the storage waited too long for the data", True),
    "IncompleteBody": (_FAILED, "the connection to the storage was cut off", True),
    "BadDigest": (_FAILED, "the content was damaged on its way to the storage", True),
    "XAmzContentSHA256Mismatch": (_FAILED, "the content was damaged on its way to the storage", True),
    "XAmzContentChecksumMismatch": (_FAILED, "the content was damaged on its way to the storage", True),
    "InvalidDigest": (_FAILED, "the content was damaged on its way to the storage", True),
    "EntityTooLarge": (InsufficientSpaceFileSystemError, "larger than a file can be here", False),
    "MaxMessageLengthExceeded": (InsufficientSpaceFileSystemError, "larger than a file can be here", False),
    "QuotaExceeded": (InsufficientSpaceFileSystemError, "the quota is used up", False),
    "InsufficientStorage": (InsufficientSpaceFileSystemError, None, False),
    "XMinioStorageFull": (InsufficientSpaceFileSystemError, None, False),
    "507": (InsufficientSpaceFileSystemError, None, False),
    "413": (InsufficientSpaceFileSystemError, "larger than a file can be here", False),
    "InvalidObjectState": (_DENIED, _ARCHIVED, False),
    "ObjectNotInActiveTierError": (_DENIED, _ARCHIVED, False),
    "KeyTooLongError": (InvalidPathFileSystemError, "the name is too long", False),
    "KeyTooLong": (InvalidPathFileSystemError, "the name is too long", False),
    "InvalidURI": (InvalidPathFileSystemError, "the storage does not take this name", False),
    "InvalidObjectName": (InvalidPathFileSystemError, "the storage does not take this name", False),
    "XMinioInvalidObjectName": (InvalidPathFileSystemError, "the storage does not take this name", False),
    "NotImplemented": (UnsupportedOperationFileSystemError, None, False),
    "501": (UnsupportedOperationFileSystemError, None, False),
    "KMS.DisabledException": (_DENIED, _KMS, False),
    "KMS.NotFoundException": (_DENIED, _KMS, False),
    "KMS.InvalidStateException": (_DENIED, _KMS, False),
}
"""Code of the storage (or the status, where an answer has no body) -> class, words, and whether repeating may help."""

_ACCOUNT_TABLE: dict[str, AccountErrorClass] = {
    "InvalidAccessKeyId": _AUTH,
    "SignatureDoesNotMatch": _AUTH,
    "ExpiredToken": _AUTH,
    "ExpiredTokenException": _AUTH,
    "TokenRefreshRequired": _AUTH,
    "InvalidToken": _AUTH,
    "InvalidClientTokenId": _AUTH,
    "AccessDenied": _AUTH,
    "AllAccessDisabled": _AUTH,
    "AccountProblem": _AUTH,
    "403": _AUTH,
}
"""Codes that tell, while an account connects, that its credentials are not taken. What is not temporary is an AccountError in any case."""

_SDK_TABLE: list[tuple[type[Exception], str, bool]] = [
    (
        sdk.NoCredentialsError,
        "no credentials found: looked for access_key_id, then in environment variables (AWS_ACCESS_KEY_ID), the profile, a web identity, "
        "and the role of the machine; for a public bucket set anonymous = true",
        False,
    ),
    (sdk.PartialCredentialsError, "half of the credentials are missing; check the environment and the profile", False),
    (sdk.ProfileNotFound, "there is no such profile; check `profile` and ~/.aws/config", False),
    (sdk.TokenRetrievalError, "the sign-on of the profile has expired; sign on again (aws sso login)", False),
    (sdk.SSOTokenLoadError, "the profile needs a sign-on first (aws sso login)", False),
    (sdk.CredentialRetrievalError, "the credentials could not be renewed", True),
    (sdk.SSLError, "the certificate of the storage cannot be trusted; check `ca_file` and `endpoint_url`", False),
    (sdk.ProxyConnectionError, "the proxy of this machine cannot be reached", True),
    (sdk.ConnectTimeoutError, "the storage cannot be reached: no answer", True),
    (sdk.EndpointConnectionError, "the storage cannot be reached; check `endpoint_url`", True),
    (sdk.ReadTimeoutError, "the storage fell silent", True),
    (sdk.ConnectionClosedError, "the connection to the storage was cut off", True),
    (sdk.IncompleteReadError, "the content was cut off", True),
    (sdk.ResponseStreamingError, "the content was cut off", True),
    (sdk.FlexibleChecksumError, "the content was damaged on its way from the storage", True),
    (sdk.HTTPClientError, "the connection to the storage was cut off", True),
    (sdk.ParamValidationError, "the storage does not take this name or value", False),
]
"""What the library finds out itself; the first that fits."""

SDK_ERRORS = (sdk.BotoCoreError, sdk.ClientError)


def get_code(error: Exception) -> str:
    """The code of what a storage answered: its own, or the status; empty where it did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, sdk.ClientError) else ""


def translate(error: Exception, path: str) -> FileSystemError:
    """The FileSystemError of what boto3 raised for a path; to be raised `from` it."""
    if not isinstance(error, sdk.ClientError):
        for error_class, words, is_temporary in _SDK_TABLE:
            if isinstance(error, error_class):
                return _FAILED(path, words, is_temporary)
        return _FAILED(path, f"the storage was asked in a wrong way ({type(error).__name__})")
    code, status = get_code(error), _get_status(error)
    retry_after = _get_retry_after(error)
    known = _TABLE.get(code) or _TABLE.get(str(status))
    if known is None and code.startswith("KMS."):
        known = (_DENIED, _KMS, False)
    if known is None and status >= 500:
        known = (_FAILED, _BROKEN, True)
    if known is None:
        return _FAILED(path, f"the storage refused the request ({_printable(code) or status})")
    error_class, message, is_temporary = known
    if message is not None:
        message = message.replace("{region}", _get_region(error)).replace("{by}", _get_clock_error(error))
    return error_class(path, message, is_temporary, retry_after)


def translate_to_account_error(error: Exception, account: str) -> AccountError | FileSystemError:
    """What connecting an account raises: AccountError for what somebody must put right, FileSystemError for an outage."""
    translated = error if isinstance(error, FileSystemError) else translate(error, "/")
    if translated.temporary:
        return translated
    cause = translated.__cause__ if isinstance(error, FileSystemError) else error
    code = get_code(cause) if isinstance(cause, Exception) else ""
    is_refused = code in _ACCOUNT_TABLE or isinstance(cause, (sdk.NoCredentialsError, sdk.PartialCredentialsError))
    error_class = _AUTH if is_refused else AccountError
    return error_class(f"account {account!r}: {translated.message}")


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Raises what boto3 raises within as the FileSystemError of a path."""
    try:
        yield
    except SDK_ERRORS as error:
        raise translate(error, path) from error


def _get_status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _get_header(error: Any, name: str) -> str:
    return str(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name, ""))


def _get_retry_after(error: Any) -> float | None:
    value = _get_header(error, "retry-after").strip()
    return min(float(value), MAX_RETRY_AFTER) if value.isdigit() else None


def _get_region(error: Any) -> str:
    region = error.response.get("Error", {}).get("Region") or _get_header(error, "x-amz-bucket-region")
    return f" ({_printable(str(region))})" if region else ""


def _get_clock_error(error: Any) -> str:
    text = str(error.response.get("Error", {}).get("ServerTime", ""))
    try:
        server = datetime.fromisoformat(text) if text else parsedate_to_datetime(_get_header(error, "date"))
    except (TypeError, ValueError):
        return ""
    server = server if server.tzinfo else server.replace(tzinfo=UTC)
    return f" by {round(abs((datetime.now(UTC) - server).total_seconds()) / 60)} minutes"


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isalnum() or c in "._-")[:60]
