"""What boto3 alone does: `yardstick.py URL ACCESS SECRET REGION BUCKET COMMAND ...`. Prints the seconds that it took, start and imports left out.

get KEY FILE, put KEY FILE: s3transfer with 8 threads and parts of 8 MiB. list PREFIX: all pages. rename OLD NEW COUNT: so many objects, one by one.
"""

from __future__ import annotations

import sys
import time

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

url, access, secret, region, bucket, command, *arguments = sys.argv[1:]
s3 = boto3.client(
    "s3",
    endpoint_url=url,
    aws_access_key_id=access,
    aws_secret_access_key=secret,
    region_name=region,
    config=Config(
        s3={"addressing_style": "path"},
        max_pool_connections=8,
        proxies={},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    ),
)
parallel = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=8)
start = time.perf_counter()
if command == "get":
    s3.download_file(bucket, arguments[0], arguments[1], Config=parallel)
elif command == "put":
    s3.upload_file(arguments[1], bucket, arguments[0], Config=parallel)
elif command == "list":
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=arguments[0], Delimiter="/"):
        page.get("Contents", [])
elif command == "rename":
    for index in range(int(arguments[2])):
        key = f"{index:05}.bin"
        s3.copy_object(
            Bucket=bucket, Key=f"{arguments[1]}/{key}", CopySource={"Bucket": bucket, "Key": f"{arguments[0]}/{key}"}
        )
        s3.delete_object(Bucket=bucket, Key=f"{arguments[0]}/{key}")
else:
    sys.exit(f"unknown: {command}")
print(time.perf_counter() - start)
