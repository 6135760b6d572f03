"""S3RangeSource: reading ranges of one object."""

from __future__ import annotations

from cloudalpha.exceptions import NotFoundFileSystemError
from cloudalpha.file_system import Expected, close_stream
from cloudalpha.services.s3.context import Context
from cloudalpha.toolkit.parallel_reader import RangeResponse, RangeSource


class S3RangeSource(RangeSource):
    """The object of a path. Each range is one request, of the version with the expected ETag."""

    def __init__(self, context: Context, path: str) -> None:
        self._bucket = context.bucket
        self._places = context.places
        self._key = context.keys.get_key(path)
        self._path = path

    def open(self, start_byte: int, num_bytes: int | None, expected: Expected) -> RangeResponse:
        if_match = expected if isinstance(expected, str) else None
        try:
            # a range of no bytes cannot be asked for; one byte tells as much of the object
            wanted = None if num_bytes is None else max(1, num_bytes)
            info, chunks = self._bucket.get(self._key, self._path, start_byte, wanted, if_match)
        except NotFoundFileSystemError:
            self._places.raise_no_file(self._path)
        if num_bytes == 0:
            close_stream(chunks)
            chunks = iter(())
        return RangeResponse(info.size, info.etag or None, chunks)
