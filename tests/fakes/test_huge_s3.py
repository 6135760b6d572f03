"""The huge S3 answers boto3 as S3 does, and counts what it was asked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.huge_content import PERIOD, Content, Extent, Keeper, make_bytes, make_content
from tests.fakes.huge_s3 import HugeS3
from tests.servers.s3_server import S3Server

MIB = 1 << 20
GIB = 1 << 30
BIG_SIZE = 10 * GIB


@pytest.fixture(scope="module")
def service() -> Iterator[HugeS3]:
    with HugeS3() as service:
        service.add("bucket", "big.bin", BIG_SIZE)
        yield service


@pytest.fixture(scope="module")
def s3(service: HugeS3) -> Any:
    return S3Server("huge", service.endpoint_url, "any", "any", "us-east-1", 0).make_client()


@pytest.fixture(autouse=True)
def _count_anew(service: HugeS3) -> None:
    service.reset_counts()


def get(s3: Any, key: str, start: int, num_bytes: int, **options: Any) -> bytes:
    response = s3.get_object(Bucket="bucket", Key=key, Range=f"bytes={start}-{start + num_bytes - 1}", **options)
    content: bytes = response["Body"].read()
    return content


def get_code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


def upload(s3: Any, key: str, parts: list[bytes | tuple[str, int, int]], **conditions: Any) -> str:
    """Upload in parts: bytes, or (key, start, size) of what is copied."""
    upload_id = s3.create_multipart_upload(Bucket="bucket", Key=key, Metadata={"mtime": "1.5"})["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        target = {"Bucket": "bucket", "Key": key, "UploadId": upload_id, "PartNumber": number}
        if isinstance(part, bytes):
            etag = s3.upload_part(**target, Body=part)["ETag"]
        else:
            source, start, size = part
            copied = s3.upload_part_copy(
                **target,
                CopySource={"Bucket": "bucket", "Key": source},
                CopySourceRange=f"bytes={start}-{start + size - 1}",
            )
            etag = copied["CopyPartResult"]["ETag"]
        done.append({"PartNumber": number, "ETag": etag})
    target = {"Bucket": "bucket", "Key": key, "UploadId": upload_id}
    etag = s3.complete_multipart_upload(**target, MultipartUpload={"Parts": done}, **conditions)["ETag"]
    return str(etag)


class TestReading:
    def test_ranges_of_ten_gibibytes(self, s3: Any, service: HugeS3) -> None:
        for start in (0, 1, PERIOD - 1, 3 * GIB + 7, BIG_SIZE - 4096):
            assert get(s3, "big.bin", start, 4096) == make_bytes(start, 4096)
        assert service.counts.requests == {"GetObject": 5}
        assert service.counts.bytes_out == 5 * 4096

    def test_what_its_head_says(self, s3: Any) -> None:
        head = s3.head_object(Bucket="bucket", Key="big.bin")
        assert head["ContentLength"] == BIG_SIZE
        tail = s3.get_object(Bucket="bucket", Key="big.bin", Range="bytes=-10")
        assert tail["ETag"] == head["ETag"]
        assert tail["ContentRange"] == f"bytes {BIG_SIZE - 10}-{BIG_SIZE - 1}/{BIG_SIZE}"
        assert tail["Body"].read() == make_bytes(BIG_SIZE - 10, 10)
        assert get_code(s3.head_object, Bucket="bucket", Key="none") == "404"
        assert get_code(s3.get_object, Bucket="bucket", Key="none") == "NoSuchKey"
        assert get_code(s3.get_object, Bucket="nowhere", Key="none") == "NoSuchBucket"

    def test_only_what_can_be_had(self, s3: Any) -> None:
        etag = s3.head_object(Bucket="bucket", Key="big.bin")["ETag"]
        assert get(s3, "big.bin", 5, 5, IfMatch=etag) == make_bytes(5, 5)
        assert get_code(s3.get_object, Bucket="bucket", Key="big.bin", IfMatch='"other"') == "PreconditionFailed"
        assert get_code(s3.get_object, Bucket="bucket", Key="big.bin", IfNoneMatch=etag) == "304"
        assert get_code(s3.get_object, Bucket="bucket", Key="big.bin", Range=f"bytes={BIG_SIZE}-") == "InvalidRange"

    def test_a_client_may_leave_in_the_middle(self, s3: Any, service: HugeS3) -> None:
        body = s3.get_object(Bucket="bucket", Key="big.bin")["Body"]
        assert body.read(MIB) == make_bytes(0, MIB)
        body.close()
        assert get(s3, "big.bin", 0, 1) == make_bytes(0, 1)
        assert service.counts.bytes_out < GIB

    def test_at_once(self, s3: Any, service: HugeS3) -> None:
        with ThreadPoolExecutor(16) as pool:
            got = list(pool.map(lambda index: get(s3, "big.bin", index * 8 * MIB, 8 * MIB), range(16)))
        assert b"".join(got) == make_bytes(0, 128 * MIB)
        assert 2 <= service.counts.most_at_once <= 16


class TestWriting:
    def test_what_is_put_is_there(self, s3: Any, service: HugeS3) -> None:
        content = bytes(range(256)) * 5000 + make_bytes(77, MIB) + bytes(MIB)
        etag = s3.put_object(Bucket="bucket", Key="own", Body=content, Metadata={"mtime": "1.5"})["ETag"]
        assert etag == f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        got = s3.get_object(Bucket="bucket", Key="own")
        assert got["Body"].read() == content
        assert (got["ETag"], got["Metadata"]) == (etag, {"mtime": "1.5"})
        assert service.counts.bytes_in == len(content)
        s3.delete_object(Bucket="bucket", Key="own")
        assert get_code(s3.head_object, Bucket="bucket", Key="own") == "404"

    def test_a_wrong_checksum_is_refused(self, s3: Any) -> None:
        given = {"Bucket": "bucket", "Key": "wrong", "Body": b"hello", "ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
        assert get_code(s3.put_object, **given) == "BadDigest"

    def test_conditions(self, s3: Any) -> None:
        put = {"Bucket": "bucket", "Key": "conditions"}
        etag = s3.put_object(**put, Body=b"1", IfNoneMatch="*")["ETag"]
        assert get_code(s3.put_object, **put, Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
        s3.put_object(**put, Body=b"3", IfMatch=etag)
        assert get_code(s3.put_object, **put, Body=b"4", IfMatch=etag) == "PreconditionFailed"
        assert get(s3, "conditions", 0, 1) == b"3"
        assert get_code(s3.put_object, Bucket="bucket", Key="none", Body=b"4", IfMatch=etag) == "NoSuchKey"

    def test_one_byte_of_a_huge_object(self, s3: Any, service: HugeS3) -> None:
        at = 5 * GIB + 1234
        first, last = at - at % (8 * MIB), at - at % (8 * MIB) + 8 * MIB
        part = bytearray(make_bytes(first, 8 * MIB))
        part[at - first] ^= 0xFF
        parts: list[Any] = [("big.bin", 0, first), bytes(part), ("big.bin", last, BIG_SIZE - last)]
        etag = upload(s3, "edited", parts)
        assert etag.endswith('-3"')
        head = s3.head_object(Bucket="bucket", Key="edited")
        assert (head["ContentLength"], head["Metadata"]) == (BIG_SIZE, {"mtime": "1.5"})
        assert service.counts.bytes_in == 8 * MIB
        for start in (0, first - 10, last - 10, BIG_SIZE - 20):
            assert get(s3, "edited", start, 20) == make_bytes(start, 20)
        wanted = make_bytes(at, 1)[0] ^ 0xFF
        assert get(s3, "edited", at - 5, 10) == make_bytes(at - 5, 5) + bytes([wanted]) + make_bytes(at + 1, 4)

    def test_conditions_of_uploads(self, s3: Any) -> None:
        etag = upload(s3, "whole", [b"1"])
        with pytest.raises(ClientError, match="PreconditionFailed"):
            upload(s3, "whole", [b"2"], IfNoneMatch="*")
        upload(s3, "whole", [b"3"], IfMatch=etag)
        with pytest.raises(ClientError, match="PreconditionFailed"):
            upload(s3, "whole", [b"4"], IfMatch=etag)
        assert get(s3, "whole", 0, 1) == b"3"
        with pytest.raises(ClientError, match="EntityTooSmall"):
            upload(s3, "small", [b"1", b"2"])
        for left in s3.list_multipart_uploads(Bucket="bucket")["Uploads"]:
            s3.abort_multipart_upload(Bucket="bucket", Key=left["Key"], UploadId=left["UploadId"])

    def test_unfinished_uploads(self, s3: Any) -> None:
        target = {"Bucket": "bucket", "Key": "unfinished"}
        upload_id = s3.create_multipart_upload(**target)["UploadId"]
        for number in (3, 1, 2):
            s3.upload_part(**target, UploadId=upload_id, PartNumber=number, Body=b"z" * number)
        pages = s3.get_paginator("list_parts").paginate(**target, UploadId=upload_id, PaginationConfig={"PageSize": 2})
        assert [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]] == [
            (1, 1),
            (2, 2),
            (3, 3),
        ]
        uploads = s3.list_multipart_uploads(Bucket="bucket", Prefix="unfin")["Uploads"]
        assert [(found["Key"], found["UploadId"]) for found in uploads] == [("unfinished", upload_id)]
        s3.abort_multipart_upload(**target, UploadId=upload_id)
        assert "Uploads" not in s3.list_multipart_uploads(Bucket="bucket")
        assert get_code(s3.head_object, **target) == "404"
        assert get_code(s3.list_parts, **target, UploadId=upload_id) == "NoSuchUpload"

    def test_copies_and_tags(self, s3: Any) -> None:
        source = {"Bucket": "bucket", "Key": "big.bin"}
        etag = s3.copy_object(Bucket="bucket", Key="copy", CopySource=source)["CopyObjectResult"]["ETag"]
        assert get(s3, "copy", 9 * GIB, 100, IfMatch=etag) == make_bytes(9 * GIB, 100)
        s3.copy_object(
            Bucket="bucket",
            Key="copy",
            CopySource={**source, "Key": "copy"},
            Metadata={"a": "b"},
            MetadataDirective="REPLACE",
        )
        assert s3.head_object(Bucket="bucket", Key="copy")["Metadata"] == {"a": "b"}
        refused = {"Bucket": "bucket", "Key": "copy", "CopySource": source, "CopySourceIfMatch": '"other"'}
        assert get_code(s3.copy_object, **refused) == "PreconditionFailed"
        tags = [{"Key": "sha256", "Value": "a&b"}]
        s3.put_object_tagging(Bucket="bucket", Key="copy", Tagging={"TagSet": tags})
        assert s3.get_object_tagging(Bucket="bucket", Key="copy")["TagSet"] == tags


class TestListing:
    KEYS = ("a b&c", "d/", "d/1", "d/2", "d/e/3", "d//4", "ä/日本", "z")

    @pytest.mark.parametrize("page_size", [1, 2, 1000])
    def test_pages(self, service: HugeS3, s3: Any, page_size: int) -> None:
        for key in self.KEYS:
            service.add("names", key, 1)

        def list_all(prefix: str, delimiter: str) -> list[str]:
            pages = s3.get_paginator("list_objects_v2").paginate(
                Bucket="names", Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": page_size}
            )
            found = []
            for page in pages:
                names = [entry["Key"] for entry in page.get("Contents", [])]
                names += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
                assert len(names) <= page_size
                found += names
            return sorted(found)

        assert list_all("", "") == sorted(self.KEYS)
        assert list_all("", "/") == sorted(["a b&c", "d/", "z", "ä/"])
        assert list_all("d/", "/") == ["d/", "d//", "d/1", "d/2", "d/e/"]
        assert list_all("none/", "/") == []

    def test_many_names_and_their_deletion(self, service: HugeS3, s3: Any) -> None:
        for index in range(2500):
            service.add("many", f"name-{index:05}", index)
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="many"))
        assert [len(page["Contents"]) for page in pages] == [1000, 1000, 500]
        assert pages[1]["Contents"][7]["Size"] == 1007
        doomed = [{"Key": entry["Key"]} for entry in pages[0]["Contents"]]
        assert len(s3.delete_objects(Bucket="many", Delete={"Objects": doomed})["Deleted"]) == 1000
        assert (
            s3.list_objects_v2(Bucket="many", StartAfter="name-00500", MaxKeys=1)["Contents"][0]["Key"] == "name-01000"
        )

    def test_buckets(self, s3: Any) -> None:
        s3.create_bucket(Bucket="fresh")
        s3.head_bucket(Bucket="fresh")
        assert get_code(s3.create_bucket, Bucket="fresh") == "BucketAlreadyOwnedByYou"
        assert get_code(s3.head_bucket, Bucket="missing") == "404"
        assert get_code(s3.get_bucket_acl, Bucket="fresh") == "NotImplemented"


class TestContent:
    @given(st.data())
    def test_cuts_and_joins_are_those_of_bytes(self, data: st.DataObject) -> None:
        extents = st.one_of(
            st.builds(Extent, st.integers(1, 300), st.integers(0, 2 * PERIOD)),
            st.builds(Extent, st.integers(1, 300)),
            st.binary(min_size=1, max_size=300).map(lambda kept: Extent(len(kept), 0, kept)),
        )
        content, model = Content(), b""
        for extent in data.draw(st.lists(extents, max_size=8)):
            content += Content((extent,))
            model += b"".join(extent.read())
        assert content.size == len(model)
        start = data.draw(st.integers(0, len(model)))
        size = data.draw(st.integers(0, len(model) - start))
        assert b"".join(content.cut(start, size).read()) == model[start : start + size]

    def test_the_pattern_goes_on_over_its_period(self) -> None:
        whole = make_bytes(0, 3 * PERIOD)
        assert make_bytes(PERIOD - 100, 2 * PERIOD) == whole[PERIOD - 100 : 3 * PERIOD - 100]
        assert whole[:1000] != whole[1000:2000]

    def test_what_is_written_is_recognised(self) -> None:
        keeper = Keeper(max_bytes=1000)
        assert keeper.keep(make_bytes(5 * PERIOD + 9, 5000), None) == Extent(5000, 9)
        assert keeper.keep(make_bytes(9, 10), expected_start=9) == Extent(10, 9)
        assert keeper.keep(bytes(5000), None) == Extent(5000)
        assert keeper.keep(b"z" * 1000, None) == Extent(1000, 0, b"z" * 1000)
        assert keeper.keep(b"y" * 10, None) == Extent(10)  # the bound is reached

    def test_neighbours_become_one(self) -> None:
        parts = [make_content(1000, start) for start in range(0, 5000, 1000)]
        joined = sum(parts, Content())
        assert joined == make_content(5000)


def test_alone() -> None:
    command = [sys.executable, "-m", "tests.fakes.huge_s3", "--object", "a=b.bin=5000000000"]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ready, url = process.stdout.readline().split()
        assert ready == "ready"
        client = S3Server("huge", url, "any", "any", "us-east-1", process.pid).make_client()
        assert get(client, "a=b.bin", 4_999_999_990, 10) == make_bytes(4_999_999_990, 10)
        assert get_code(client.get_object, Bucket="bucket", Key="none") == "NoSuchKey"
        process.stdin.close()
        assert process.wait(20) == 0
