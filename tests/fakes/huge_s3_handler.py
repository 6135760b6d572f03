"""The requests of the huge S3: what each means, and how it is answered."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from email.utils import formatdate
from html import unescape
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.fakes.huge_content import Content
from tests.fakes.huge_store import RefusedError, S3Object, Upload, is_match

if TYPE_CHECKING:
    from tests.fakes.huge_s3 import HugeS3

CHUNK = 256 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HugeS3
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    # method, whether of an object, a parameter that must be there -> name; the first that fits
    OPERATIONS: ClassVar[list[tuple[str, bool, str, str]]] = [
        ("GET", False, "uploads", "ListMultipartUploads"),
        ("GET", False, "list-type", "ListObjectsV2"),
        ("HEAD", False, "", "HeadBucket"),
        ("PUT", False, "", "CreateBucket"),
        ("POST", False, "delete", "DeleteObjects"),
        ("GET", True, "uploadId", "ListParts"),
        ("GET", True, "tagging", "GetObjectTagging"),
        ("GET", True, "", "GetObject"),
        ("HEAD", True, "", "HeadObject"),
        ("PUT", True, "partNumber", "UploadPart"),
        ("PUT", True, "tagging", "PutObjectTagging"),
        ("PUT", True, "", "PutObject"),
        ("POST", True, "uploads", "CreateMultipartUpload"),
        ("POST", True, "uploadId", "CompleteMultipartUpload"),
        ("DELETE", True, "uploadId", "AbortMultipartUpload"),
        ("DELETE", True, "", "DeleteObject"),
    ]

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = parts.path[1:].partition("/")
        self.bucket, self.key = unquote(bucket), unquote(key)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.left = int(self.headers["Content-Length"] or 0)
        operation = self._get_operation()
        self.server.count(operation)
        try:
            if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                raise RefusedError(501, "NotImplemented", "aws-chunked")
            getattr(self, f"_{re.sub('(?<!^)(?=[A-Z])', '_', operation).lower()}", self._refuse)()
        except RefusedError as error:
            self._drop_body()
            body = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
            self._answer(error.status, body)
        finally:
            self.wfile.flush()
            self.server.count_end()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what came is counted."""

    def handle_expect_100(self) -> bool:
        """Always; what is refused is refused when the body is here."""
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def _get_operation(self) -> str:
        for method, is_object, parameter, name in self.OPERATIONS:
            if method == self.command and is_object == bool(self.key) and (not parameter or parameter in self.query):
                copies = name in ("PutObject", "UploadPart") and "x-amz-copy-source" in self.headers
                return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}[name] if copies else name
        return "Unknown"

    def _refuse(self) -> None:
        raise RefusedError(501, "NotImplemented", f"{self.command} {self.path}")

    # buckets and listings

    def _head_bucket(self) -> None:
        self.server.store.get_bucket(self.bucket)
        self._answer(200)

    def _create_bucket(self) -> None:
        self._drop_body()
        with self.server.store.lock:
            if self.bucket in self.server.store.buckets:
                raise RefusedError(409, "BucketAlreadyOwnedByYou")
            self.server.store.buckets[self.bucket] = {}
        self._answer(200)

    def _list_objects_v2(self) -> None:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        token = self.query.get("continuation-token", "")
        after = base64.b64decode(token).decode() if token else self.query.get("start-after", "")
        count = min(1000, int(self.query.get("max-keys", 1000)))
        entries, has_more = self.server.store.list(self.bucket, prefix, delimiter, after, count)
        lines = [f"<Name>{self.bucket}</Name><KeyCount>{len(entries)}</KeyCount><MaxKeys>{count}</MaxKeys>"]
        lines.append(f"<Prefix>{self._write_key(prefix)}</Prefix><IsTruncated>{str(has_more).lower()}</IsTruncated>")
        if "encoding-type" in self.query:
            lines.append("<EncodingType>url</EncodingType>")
        if has_more:
            next_token = base64.b64encode(entries[-1][0].encode()).decode()
            lines.append(f"<NextContinuationToken>{next_token}</NextContinuationToken>")
        for name, found in entries:
            if found is None:
                lines.append(f"<CommonPrefixes><Prefix>{self._write_key(name)}</Prefix></CommonPrefixes>")
            else:
                lines.append(
                    f"<Contents><Key>{self._write_key(name)}</Key><LastModified>{_format_time(found.modified)}</LastModified>"
                    f'<ETag>"{found.etag}"</ETag><Size>{found.content.size}</Size><StorageClass>STANDARD</StorageClass></Contents>'
                )
        self._answer(200, f"<ListBucketResult>{''.join(lines)}</ListBucketResult>")

    def _write_key(self, key: str) -> str:
        return quote(key) if "encoding-type" in self.query else escape(key)

    def _delete_objects(self) -> None:
        keys = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", self._read_body().decode(), re.DOTALL)]
        for key in keys:
            self.server.store.delete(self.bucket, key)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>")

    # objects

    def _head_object(self) -> None:
        found = self._get_found()
        self._answer_object(found, 200, found.content)

    def _get_object(self) -> None:
        found = self._get_found()
        size = found.content.size
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not match or not any(match.groups()):
            self._answer_object(found, 200, found.content)
            return
        first, last = match.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start >= end:
            raise RefusedError(416, "InvalidRange")
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        self._answer_object(found, 206, found.content.cut(start, end - start), headers)

    def _get_found(self) -> S3Object:
        found = self.server.store.get(self.bucket, self.key)
        if not is_match(self.headers.get("If-Match", "*"), found.etag):
            raise RefusedError(412, "PreconditionFailed")
        if "If-None-Match" in self.headers and is_match(self.headers["If-None-Match"], found.etag):
            raise RefusedError(304, "NotModified")
        return found

    def _put_object(self) -> None:
        new = self._receive()
        new.headers = self._get_kept_headers()
        self.server.store.put(self.bucket, self.key, new, *self._get_conditions())
        self._answer(200, headers={"ETag": f'"{new.etag}"'})

    def _copy_object(self) -> None:
        self._drop_body()
        source = self._get_source()
        replaces = self.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        headers = self._get_kept_headers() if replaces else source.headers
        new = S3Object(source.content, source.etag, headers, tags=source.tags)
        self.server.store.put(self.bucket, self.key, new, *self._get_conditions())
        self._answer(200, self._write_copy(new, "CopyObjectResult"))

    def _delete_object(self) -> None:
        self.server.store.delete(self.bucket, self.key)
        self._answer(204)

    def _get_object_tagging(self) -> None:
        tags = self.server.store.get(self.bucket, self.key).tags or "<TagSet></TagSet>"
        self._answer(200, f"<Tagging>{tags}</Tagging>")

    def _put_object_tagging(self) -> None:
        found = re.search(r"<TagSet.*</TagSet>", self._read_body().decode(), re.DOTALL)
        self.server.store.get(self.bucket, self.key).tags = found[0] if found else ""
        self._answer(200)

    # multipart uploads

    def _create_multipart_upload(self) -> None:
        self._drop_body()
        upload_id = self.server.store.begin_upload(Upload(self.bucket, self.key, self._get_kept_headers()))
        names = f"<Bucket>{self.bucket}</Bucket><Key>{escape(self.key)}</Key><UploadId>{upload_id}</UploadId>"
        self._answer(200, f"<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>")

    def _upload_part(self) -> None:
        upload = self.server.store.get_upload(self.query["uploadId"])
        part = self._receive()
        upload.parts[int(self.query["partNumber"])] = part
        self._answer(200, headers={"ETag": f'"{part.etag}"'})

    def _upload_part_copy(self) -> None:
        self._drop_body()
        upload = self.server.store.get_upload(self.query["uploadId"])
        source = self._get_source()
        content = source.content
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("x-amz-copy-source-range", "")):
            start, end = int(match[1]), int(match[2]) + 1
            if not start < end <= content.size:
                raise RefusedError(400, "InvalidArgument", "the range lies outside of the source")
            content = content.cut(start, end - start)
        etag = hashlib.md5(repr(content).encode(), usedforsecurity=False).hexdigest()
        part = upload.parts[int(self.query["partNumber"])] = S3Object(content, etag)
        self._answer(200, self._write_copy(part, "CopyPartResult"))

    def _complete_multipart_upload(self) -> None:
        parts = []
        for part in re.findall(r"<Part>(.*?)</Part>", self._read_body().decode(), re.DOTALL):
            number, etag = re.search(r"<PartNumber>(\d+)<", part), re.search(r"<ETag>(.*?)<", part)
            if number is None or etag is None:
                raise RefusedError(400, "MalformedXML")
            parts.append((int(number[1]), unescape(etag[1]).strip('"')))
        whole = self.server.store.complete(self.query["uploadId"], parts, *self._get_conditions())
        names = f'<Bucket>{self.bucket}</Bucket><Key>{escape(self.key)}</Key><ETag>"{whole.etag}"</ETag>'
        self._answer(200, f"<CompleteMultipartUploadResult>{names}</CompleteMultipartUploadResult>")

    def _abort_multipart_upload(self) -> None:
        with self.server.store.lock:
            self.server.store.get_upload(self.query["uploadId"])
            del self.server.store.uploads[self.query["uploadId"]]
        self._answer(204)

    def _list_parts(self) -> None:
        upload = self.server.store.get_upload(self.query["uploadId"])
        after = int(self.query.get("part-number-marker", 0))
        numbers = sorted(number for number in upload.parts if number > after)
        page = numbers[: min(1000, int(self.query.get("max-parts", 1000)))]
        lines = [f"<IsTruncated>{str(len(page) < len(numbers)).lower()}</IsTruncated>"]
        lines.append(f"<NextPartNumberMarker>{page[-1] if page else 0}</NextPartNumberMarker>")
        for number in page:
            part = upload.parts[number]
            lines.append(
                f'<Part><PartNumber>{number}</PartNumber><ETag>"{part.etag}"</ETag><Size>{part.content.size}</Size></Part>'
            )
        self._answer(200, f"<ListPartsResult>{''.join(lines)}</ListPartsResult>")

    def _list_multipart_uploads(self) -> None:
        prefix = self.query.get("prefix", "")
        lines = ["<IsTruncated>false</IsTruncated>"]
        with self.server.store.lock:
            for upload_id, upload in sorted(self.server.store.uploads.items(), key=lambda item: item[1].key):
                if upload.bucket == self.bucket and upload.key.startswith(prefix):
                    started = _format_time(upload.started)
                    lines.append(f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{upload_id}</UploadId>")
                    lines.append(f"<Initiated>{started}</Initiated></Upload>")
        self._answer(200, f"<ListMultipartUploadsResult>{''.join(lines)}</ListMultipartUploadsResult>")

    # what they are made of

    def _get_conditions(self) -> tuple[str, str]:
        return self.headers.get("If-Match", ""), self.headers.get("If-None-Match", "")

    def _get_kept_headers(self) -> dict[str, str]:
        kept = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}
        return kept | {"Content-Type": self.headers.get("Content-Type", "binary/octet-stream")}

    def _get_source(self) -> S3Object:
        bucket, _, key = unquote(self.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        source = self.server.store.get(bucket, key)
        if not is_match(self.headers.get("x-amz-copy-source-if-match", "*"), source.etag):
            raise RefusedError(412, "PreconditionFailed")
        return source

    def _write_copy(self, new: S3Object, name: str) -> str:
        return f'<{name}><LastModified>{_format_time(new.modified)}</LastModified><ETag>"{new.etag}"</ETag></{name}>'

    def _receive(self) -> S3Object:
        """The body, as an object."""
        digest = hashlib.md5(usedforsecurity=False)
        content, expected = Content(), None
        while self.left:
            data = self.rfile.read(min(self.left, CHUNK))
            if not data:
                raise ConnectionAbortedError
            self.left -= len(data)
            digest.update(data)
            self.server.count_bytes(len(data), 0)
            extent = self.server.store.keeper.keep(data, expected)
            if extent.data is None and extent.start is not None:
                expected = extent.start
            expected = None if expected is None else expected + len(data)
            content += Content((extent,))
        given = self.headers.get("Content-MD5")
        if given and base64.b64decode(given) != digest.digest():
            raise RefusedError(400, "BadDigest")
        return S3Object(content, digest.hexdigest())

    def _read_body(self) -> bytes:
        data = self.rfile.read(self.left)
        self.left = 0
        return data

    def _drop_body(self) -> None:
        while self.left and (data := self.rfile.read(min(self.left, CHUNK))):
            self.left -= len(data)

    def _answer(self, status: int, body: str = "", headers: dict[str, str] | None = None) -> None:
        data = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode() if body else b""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(data)

    def _answer_object(
        self, found: S3Object, status: int, content: Content, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        given = {
            **found.headers,
            "ETag": f'"{found.etag}"',
            "Last-Modified": formatdate(found.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Length": str(content.size),
        }
        for name, value in {**given, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.flush()
        for view in content.read():
            for start in range(0, len(view), CHUNK):
                piece = view[start : start + CHUNK]
                self.connection.sendall(piece)
                self.server.count_bytes(0, len(piece))


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
