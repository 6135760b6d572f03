"""What the s3 service and its accounts take."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from cloudalpha.settings import Duration, Options, Settings, Size

MIB = 1024**2
MAX_PREFIX_BYTES = 512
CUSTOMER_KEY_BYTES = 32


class S3Options(Options):
    """The options of `[accounts.NAME]` where the service is `s3`."""

    bucket: str = Field(min_length=1, max_length=255, description="The bucket whose objects these are.")
    create_bucket: bool = Field(False, description="Make the bucket when it is missing.")
    prefix: str = Field(
        "", description="Only the objects whose keys begin with it; it ends in `/`, which is added where it is missing."
    )
    region: str | None = Field(
        None, description="The bucket's region. By default the one of the environment or the profile, else us-east-1."
    )
    endpoint_url: str | None = Field(
        None, description="Where the storage is, for everything but Amazon, for example 'https://s3.example.org'."
    )
    access_key_id: str | None = Field(
        None,
        description="The access key. Without it the usual places are searched: environment variables, the profile, a web identity, the "
        "role of the machine.",
    )
    secret_access_key: str | None = Field(None, description="The secret that belongs to the access key.")
    session_token: str | None = Field(None, description="The token that belongs to a temporary access key.")
    profile: str | None = Field(None, description="The profile of `~/.aws/config` and `~/.aws/credentials` to use.")
    role_arn: str | None = Field(None, description="A role to take on with these credentials; it is renewed in time.")
    role_external_id: str | None = Field(None, description="What the owner of the role wants to be told along with it.")
    role_endpoint_url: str | None = Field(
        None, description="Where the role is asked for (STS); by default at Amazon's STS in the region."
    )
    anonymous: bool = Field(False, description="Sign nothing: for public buckets.")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto",
        description="Where requests name the bucket: in the path, in the host name, or as the endpoint suggests (path for any but Amazon's).",
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="How the storage is to encrypt new objects; by default as the bucket says."
    )
    kms_key_id: str | None = Field(
        None, description="The key of the storage's key service, where it is not the default."
    )
    customer_key: str | None = Field(
        None,
        description="A key of your own, 32 bytes in base64, that is sent with every request (SSE-C); objects of another key cannot be read.",
    )
    storage_class: str | None = Field(
        None, description="The storage class of new objects, for example 'STANDARD_IA'; by default as the bucket says."
    )
    requester_pays: bool = Field(False, description="Agree to pay for the requests to a bucket of somebody else.")
    ca_file: Path | None = Field(
        None, description="Certificates (PEM) of the authorities to trust, instead of those of the system."
    )
    listing_times: Literal["upload", "stored"] = Field(
        "upload",
        description="The times in listings, which S3 lists without metadata: `upload` is the time of the upload where the kept one is not known, "
        "`stored` asks for each (a request for every file).",
    )

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if prefix.startswith("/"):
            raise ValueError("keys do not begin with a slash; leave it out")
        if len(prefix.encode()) > MAX_PREFIX_BYTES:
            raise ValueError(f"longer than {MAX_PREFIX_BYTES} bytes")
        return prefix if not prefix or prefix.endswith("/") else prefix + "/"

    @field_validator("endpoint_url", "role_endpoint_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not a URL; write for example 'https://s3.example.org'")
        if parts.username or parts.password:
            raise ValueError("credentials do not belong into the URL; use access_key_id and secret_access_key")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("only scheme, host and port; the bucket has an option of its own")
        return url.rstrip("/")

    @field_validator("customer_key")
    @classmethod
    def _check_customer_key(cls, key: str | None) -> str | None:
        try:
            is_right = key is None or len(base64.b64decode(key, validate=True)) == CUSTOMER_KEY_BYTES
        except binascii.Error:
            is_right = False
        if not is_right:
            raise ValueError(f"not {CUSTOMER_KEY_BYTES} bytes in base64; `openssl rand -base64 32` makes some")
        return key

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key belong together")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("session_token belongs to an access_key_id")
        if self.anonymous and (self.access_key_id or self.profile or self.role_arn):
            raise ValueError("anonymous takes no access_key_id, profile or role_arn")
        if self.profile is not None and self.access_key_id is not None:
            raise ValueError("profile and access_key_id exclude each other")
        if self.role_arn is None and (self.role_external_id or self.role_endpoint_url):
            raise ValueError("role_external_id and role_endpoint_url belong to a role_arn")
        if self.kms_key_id is not None and self.server_side_encryption not in ("aws:kms", "aws:kms:dsse"):
            raise ValueError("kms_key_id belongs to server_side_encryption = 'aws:kms'")
        if self.customer_key is not None and self.server_side_encryption is not None:
            raise ValueError("customer_key and server_side_encryption exclude each other")
        if self.customer_key is not None and (self.endpoint_url or "").startswith("http:"):
            raise ValueError("a customer_key is sent over https only")
        return self


class S3Settings(Settings):
    """The settings of `[services.s3]`."""

    part_size: Size = Field(
        8 * MIB,
        ge=5 * MIB,
        le=512 * MIB,
        description="Bytes of a part of an upload; it grows where a file would need more than 10,000 parts.",
    )
    parts_in_flight: int = Field(8, ge=1, le=64, description="Parts of one upload that are sent at once.")
    range_size: Size = Field(
        8 * MIB, ge=MIB, le=512 * MIB, description="Bytes of a range, once a file is read from start to end."
    )
    ranges_in_flight: int = Field(8, ge=1, le=64, description="Ranges of one file that are asked for at once.")
    tree_parallel: int = Field(
        32, ge=1, le=256, description="Objects that are copied at once when a folder is renamed or copied."
    )
    max_connections: int = Field(64, ge=1, le=1024, description="Connections of one account that are kept open.")
    connect_timeout: Duration = Field(10, gt=0, le=300, description="How long a connection may take to be made.")
    read_timeout: Duration = Field(
        60, gt=0, le=3600, description="How long the storage may be silent in the middle of an answer."
    )
    attempts: int = Field(
        6,
        ge=1,
        le=20,
        description="How often a request is made that fails for a while: throttled, cut off, an error of the server.",
    )
    max_retry_time: Duration = Field(
        60, ge=0, le=600, description="How long a request is repeated at most, the pauses between included."
    )
    remember_folders: Duration = Field(
        10,
        ge=0,
        le=300,
        description="How long a folder that was seen, or found free, is not looked for again before something is put into it.",
    )
