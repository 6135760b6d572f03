"""What tests know of a running S3 server, whichever it is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ACCESS_KEY = "AKCLOUDALPHATESTS000"
SECRET_KEY = "sk-cloudalpha-tests-0123456789abcdefghij"


@dataclass(frozen=True)
class S3Server:
    """Where a server is, and who may use it. pid: of the process that answers."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    pid: int

    def make_client(self, endpoint_url: str | None = None, **options: Any) -> Any:
        """A boto3 client that asks once, never again by itself. endpoint_url: of a proxy in the way. options: of botocore's Config."""
        settings: dict[str, Any] = {
            "s3": {"addressing_style": "path"},
            "retries": {"total_max_attempts": 1},
            "connect_timeout": 10,
            "read_timeout": 60,
            "max_pool_connections": 32,
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "proxies": {},
        }
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url or self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(**{**settings, **options}),
        )

    def make_bucket(self, client: Any = None) -> str:
        """Make an empty bucket, of a name that nobody else uses, and return its name. client: to do it with, where there is one."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        (client or self.make_client()).create_bucket(Bucket=name)
        return name


def delete_bucket(client: Any, bucket: str) -> None:
    """Delete a bucket and all that is in it, unfinished uploads too."""
    empty_bucket(client, bucket)
    client.delete_bucket(Bucket=bucket)


def empty_bucket(client: Any, bucket: str) -> None:
    """Delete all that is in a bucket, unfinished uploads too."""
    for upload in list_uploads(client, bucket):
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])


def list_uploads(client: Any, bucket: str) -> list[dict[str, Any]]:
    """The unfinished uploads of a bucket."""
    try:
        pages = list(client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket))
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":  # rclone says that there are none by this
            raise
        return []
    return [upload for page in pages for upload in page.get("Uploads", [])]
