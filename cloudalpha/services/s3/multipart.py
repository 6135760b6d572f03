"""Uploads in parts: the requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from cloudalpha.services.s3.errors import get_code
from cloudalpha.services.s3.objects import Body, Part, Upload, make_receipt, unquote
from cloudalpha.services.s3.requests import Requests, make_condition, rewound

_GONE = frozenset({"404", "NoSuchUpload", "NoSuchKey"})


class Multipart(Requests):
    """The requests of `Bucket` for uploads in parts."""

    def create_upload(
        self,
        key: str,
        path: str,
        metadata: Mapping[str, str],
        headers: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> str:
        """Begin an upload in parts; its id. settings: encryption and storage class, where they are not those of the account.

        Not repeated: where the answer is lost, there may be an upload whose id nobody knows (`Uploads.begin`).
        """
        extra = dict(settings) if settings is not None else self._encryption | self._storage
        checksum = self._copy_checksum()

        def create() -> str:
            answer = self._client.create_multipart_upload(
                Bucket=self.name,
                Key=key,
                Metadata=dict(metadata),
                **(headers or {}),
                **extra,
                **checksum,
                **self._payer,
            )
            return str(answer["UploadId"])

        return self._once(path, create)

    def put_part(self, key: str, path: str, upload_id: str, number: int, body: Body) -> dict[str, str]:
        """Send a part (1 to 10,000); its receipt. Not repeated; the same part may be sent again."""

        def write() -> dict[str, str]:
            answer = self._client.upload_part(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, Body=rewound(body),
                **self._checksum(body), **self._customer_key, **self._payer,
            )  # fmt: skip
            return make_receipt(answer)

        return self._once(path, write)

    def copy_part(
        self,
        key: str,
        path: str,
        upload_id: str,
        number: int,
        source_key: str,
        source_etag: str,
        start: int = 0,
        num_bytes: int | None = None,
    ) -> dict[str, str]:
        """A part that is a range of an object (without num_bytes: all of it); its receipt. Not repeated; the same part may be copied again.

        source_etag: what the source must have (RevisionMismatchFileSystemError).
        """
        extra = {} if num_bytes is None else {"CopySourceRange": f"bytes={start}-{start + num_bytes - 1}"}

        def copy() -> dict[str, str]:
            answer = self._client.upload_part_copy(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number,
                CopySource={"Bucket": self.name, "Key": source_key}, CopySourceIfMatch=f'"{source_etag}"',
                **extra, **self._source_key, **self._customer_key, **self._payer,
            )  # fmt: skip
            return make_receipt(answer["CopyPartResult"])

        return self._once(path, copy)

    def complete_upload(
        self,
        key: str,
        path: str,
        upload_id: str,
        parts: Iterable[tuple[int, Mapping[str, str]]],
        *,
        if_none_match: bool = False,
        if_match: str | None = None,
    ) -> str:
        """Make the parts (numbers and receipts, in order) an object, in one step; its ETag. Conditions as in `put`. Not repeated."""
        entries = [dict(receipt) | {"PartNumber": number} for number, receipt in parts]
        condition = make_condition(if_none_match, if_match)

        def complete() -> str:
            answer = self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": entries},
                **condition, **self._customer_key, **self._payer,
            )  # fmt: skip
            return unquote(answer.get("ETag", ""))

        return self._once(path, complete)

    def abort_upload(self, key: str, path: str, upload_id: str) -> None:
        """Forget an upload and its parts; one that is not there is no error."""

        def abort() -> None:
            try:
                self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id, **self._payer)
            except ClientError as error:
                if get_code(error) not in _GONE:
                    raise

        self._repeat(path, abort)

    def list_uploads(self, prefix: str) -> Iterator[Upload]:
        """The uploads in parts under way for keys that begin with a prefix, whoever began them."""
        markers: dict[str, str] = {}
        while True:
            answer = self._repeat(
                "/",
                partial(self._client.list_multipart_uploads, Bucket=self.name, Prefix=prefix, **markers, **self._payer),
            )
            for entry in answer.get("Uploads", []):
                yield Upload(entry["Key"], entry["UploadId"], entry.get("Initiated"))
            if not answer.get("IsTruncated") or not answer.get("NextKeyMarker"):
                return
            markers = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer.get("NextUploadIdMarker", "")}

    def list_parts(self, key: str, path: str, upload_id: str) -> Iterator[Part]:
        """The parts that an upload has, by their numbers. Raises NotFoundFileSystemError where it is gone."""
        marker: dict[str, int] = {}
        while True:
            answer = self._repeat(
                path,
                partial(
                    self._client.list_parts,
                    Bucket=self.name,
                    Key=key,
                    UploadId=upload_id,
                    **marker,
                    **self._payer,
                ),
            )
            for entry in answer.get("Parts", []):
                yield Part(int(entry["PartNumber"]), int(entry["Size"]), make_receipt(entry))
            if not answer.get("IsTruncated"):
                return
            marker = {"PartNumberMarker": int(answer["NextPartNumberMarker"])}
