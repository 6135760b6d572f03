"""The files of one bucket, beneath one prefix. How paths and keys belong together: `keys.py`; what a folder is: `places.py`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.services.s3.card import Card
from cloudalpha.services.s3.claims import Claims
from cloudalpha.services.s3.context import Context
from cloudalpha.services.s3.copies import MAX_SINGLE_COPY, Copier
from cloudalpha.services.s3.download import S3RangeSource
from cloudalpha.services.s3.journal import Journal
from cloudalpha.services.s3.keys import is_marker_content, is_twin
from cloudalpha.services.s3.leftovers import Leftovers
from cloudalpha.services.s3.listing import Listing
from cloudalpha.services.s3.metadata import DIRECTORY_TYPE, MTIME, format_mtime, get_modified, make_file_metadata
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.settings import S3Options, S3Settings
from cloudalpha.services.s3.tree import Renamer, Trees
from cloudalpha.services.s3.upload import S3PartStore
from cloudalpha.services.s3.uploads import Uploads
from cloudalpha.toolkit.parallel_reader import ParallelReader
from cloudalpha.toolkit.part_upload import PartedFile

MAX_FILE_SIZE = 5 * 1024**4


class S3FileSystem(FileSystem):
    """One account's objects as files. Threads share it, and one boto3 client."""

    def __init__(self, context: Context, options: S3Options) -> None:
        self._context = context
        self._bucket, self._keys = context.bucket, context.keys
        self._places, self._known = context.places, context.known
        self._settings = context.settings
        self._listing_times = options.listing_times
        self._claims = Claims()
        self._uploads = Uploads(context, options.endpoint_url)
        self._copier = Copier(context.bucket, context.known, context.executor, self._uploads)
        self._trees = Trees(context.bucket, self._copier, context.settings.tree_parallel)
        journal = Journal(context.data_store, context.account, f"{options.endpoint_url or ''} {options.bucket}")
        self._renamer = Renamer(self._trees, journal)
        self._heads = ThreadPoolExecutor(context.settings.tree_parallel, thread_name_prefix="s3 times")
        self.capabilities = _make_capabilities(context.bucket.card, context.settings)
        self._leftovers = Leftovers(self._renamer, journal, self._uploads)

    def get_metadata(self, path: str) -> FileMetadata:
        info = self._places.find_file(path)
        if info is not None:
            return self._make_metadata(path, info)
        folder = self._places.find_dir(path)
        if folder is None:
            self._places.raise_missing(path)
        return folder

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        heads = self._heads if self._listing_times == "stored" else None
        listing = Listing(self._bucket, self._keys, self._known, path, heads)
        return listing.run(lambda: None if path == paths.ROOT else self._places.raise_no_dir(path))

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        if path == paths.ROOT or is_twin(path) or not self._keys.get_key(path):
            self._places.raise_no_file(path)
        source = S3RangeSource(self._context, path)
        return ParallelReader(
            path, source, start_byte, num_bytes, expected,
            executor=self._context.executor,
            range_size=self._settings.range_size,
            ranges_in_flight=self._settings.ranges_in_flight,
            retry=self._bucket.retry,
        )  # fmt: skip

    def create_new_file(self, path: str, options: WriteOptions = WriteOptions()) -> NewFile:
        if path == paths.ROOT:
            raise IsADirectoryFileSystemError(path)
        if options.resume is not None:
            raise UnsupportedOperationFileSystemError(path, "there is no upload to resume")
        self._places.check_parent(path)
        self._places.check_target(path, options.expected)
        self._places.check_new_name(path)
        store = S3PartStore(self._context, self._uploads, path, options)
        return PartedFile(
            path, store, options,
            executor=self._context.executor,
            part_size=self._settings.part_size,
            parts_in_flight=self._settings.parts_in_flight,
            retry=self._bucket.retry,
        )  # fmt: skip

    def delete(self, path: str) -> None:
        self._delete_file(self._places.get_file(path), path)

    def make_dir(self, path: str) -> None:
        if path == paths.ROOT:
            raise AlreadyExistsFileSystemError(path)
        with self._claims.claim(path):
            self._places.check_parent(path)
            if self._places.has_dir(path) or self._places.find_file(path) is not None:
                raise AlreadyExistsFileSystemError(path)
            self._places.check_new_name(path)
            self._put_marker(path, datetime.now(UTC))
            self._places.remember_new_dir(path)

    def delete_dir(self, path: str) -> None:
        if path == paths.ROOT:
            raise PermissionDeniedFileSystemError(path, "the root cannot be deleted")
        marker = self._keys.get_marker_key(path)
        found = self._bucket.list_page(self._keys.get_dir_key(path), path, max_keys=2).objects
        if not found:
            self._places.raise_no_dir(path)
        if [info.key for info in found] != [marker] or found[0].size:
            raise DirectoryNotEmptyFileSystemError(path)
        self._bucket.delete(marker, path)
        self._forget_dir(path)

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        if old_path == paths.ROOT:
            raise PermissionDeniedFileSystemError(old_path, "the root cannot be renamed")
        if not self._bucket.card.copy:
            super().rename(old_path, new_path, overwrite)
        elif (source := self._find_source(old_path)) is None:
            if self._check_transfer(old_path, new_path, is_dir=True):
                self._rename_dir(old_path, new_path)
        elif self._check_transfer(old_path, new_path, is_dir=False, overwrite=overwrite):
            self._copier.copy(source, self._keys.get_key(new_path), new_path)
            now = self._bucket.head(source.key, old_path)
            if now is not None and now.etag != source.etag:
                raise RevisionMismatchFileSystemError(old_path, "changed while it was moved; it is at both places now")
            self._delete_file(source, old_path)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        if not self._bucket.card.copy:
            super().copy(path, copy_path, overwrite)
        elif (source := self._find_source(path)) is None:
            if self._check_transfer(path, copy_path, is_dir=True):
                self._copy_dir(path, copy_path)
        elif self._check_transfer(path, copy_path, is_dir=False, overwrite=overwrite):
            self._copier.copy(source, self._keys.get_key(copy_path), copy_path)

    def set_modified_datetime(self, path: str, modified_datetime: datetime) -> None:
        if self._try_set_time(path, modified_datetime):
            return
        info = self._places.find_file(path)
        if info is None and not self._places.has_dir(path):
            self._places.raise_missing(path)
        if not self._bucket.card.metadata or (info is None and not self._keys.get_marker_key(path)):
            raise UnsupportedOperationFileSystemError(path, "the storage keeps no time of this")
        if info is None:
            info = self._bucket.head(self._keys.get_marker_key(path), path)
        if info is None:
            self._put_marker(path, modified_datetime)
        else:
            self._copier.copy(info, info.key, path, modified_datetime)

    def delete_tree(self, path: str) -> None:
        if path == paths.ROOT:
            raise PermissionDeniedFileSystemError(path, "the root cannot be deleted")
        if self._places.find_file(path) is not None:
            self.delete(path)
            return
        if not self._places.has_dir(path):
            self._places.raise_missing(path)
        try:
            self._trees.delete(self._keys.get_dir_key(path), path)
        finally:
            self._forget_dir(path)

    def close(self) -> None:
        self._trees.stop()
        self._leftovers.stop()
        self._bucket.close()
        self._heads.shutdown()
        self._context.executor.shutdown()

    # Inside

    def _make_metadata(self, path: str, info: ObjectInfo) -> FileMetadata:
        if self._bucket.card.forgets_metadata:  # what comes back now may be gone when the server starts again
            info = info._replace(metadata={})
        metadata = make_file_metadata(path, info, self._uploads.find_hashes(info, path))
        self._known.remember(info.key, info, metadata)
        return metadata

    def _try_set_time(self, path: str, modified: datetime) -> bool:
        """Set the time of a file that was written a moment ago without looking at it first; False when it is another one by now, or it is not
        sure that the storage would have refused then."""
        card = self._bucket.card
        info = self._places.find_file(path, may_remember=True) if card.metadata and card.copy_if_match else None
        if info is None or get_modified(info) == modified or info.size > MAX_SINGLE_COPY:
            return False
        try:
            self._copier.copy(info, info.key, path, modified)
        except (NotFoundFileSystemError, RevisionMismatchFileSystemError):
            self._known.forget(info.key)
            return False
        return True

    def _find_source(self, path: str) -> ObjectInfo | None:
        """What is to be moved or copied: the object of a file; None for a folder. Raises NotFound-, NotADirectoryFileSystemError."""
        source = self._places.find_file(path)
        if source is None and not self._places.has_dir(path):
            self._places.raise_missing(path)
        return source

    def _check_transfer(self, path: str, new_path: str, is_dir: bool, overwrite: bool = False) -> bool:
        """The rules of `rename` and `copy` for what is there; False when there is nothing to do."""
        if path == new_path:
            return False
        if is_dir and paths.is_within(new_path, path):
            raise InvalidPathFileSystemError(new_path, "a folder cannot be moved or copied into itself")
        if self._places.find_file(new_path) is not None:
            if is_dir or not overwrite:
                raise AlreadyExistsFileSystemError(new_path)
        elif self._places.has_dir(new_path):
            raise (AlreadyExistsFileSystemError if is_dir else IsADirectoryFileSystemError)(new_path)
        self._places.check_parent(new_path)
        self._places.check_new_name(new_path)
        return True

    def _delete_file(self, info: ObjectInfo, path: str) -> None:
        if is_marker_content(path):  # the folder is to stay
            self._bucket.put(info.key, path, b"", metadata=info.metadata or {}, content_type=DIRECTORY_TYPE)
        else:
            self._bucket.delete(info.key, path)
        self._known.forget(info.key)

    def _copy_dir(self, path: str, copy_path: str) -> None:
        try:
            self._trees.copy(self._keys.get_dir_key(path), self._keys.get_dir_key(copy_path), path)
        finally:
            self._places.forget(copy_path)

    def _rename_dir(self, path: str, new_path: str) -> None:
        try:
            self._renamer.rename(self._keys.get_dir_key(path), self._keys.get_dir_key(new_path), path)
        finally:
            self._forget_dir(path)
            self._places.forget(new_path)

    def _put_marker(self, path: str, modified: datetime) -> None:
        key = self._keys.get_marker_key(path)
        metadata = {MTIME: format_mtime(modified)} if self._bucket.card.metadata else {}
        if_none_match = self._bucket.card.put_if_none_match
        try:
            self._bucket.put(
                key, path, b"", metadata=metadata, content_type=DIRECTORY_TYPE, if_none_match=if_none_match
            )
        except RevisionMismatchFileSystemError as error:
            raise AlreadyExistsFileSystemError(path) from error
        self._places.remember(path, is_dir=True)
        self._known.remember_dir(key, modified if self._bucket.card.metadata else None)

    def _forget_dir(self, path: str) -> None:
        self._places.forget(path)
        self._known.forget(self._keys.get_marker_key(path))


def _make_capabilities(card: Card, settings: S3Settings) -> Capabilities:
    return Capabilities(
        atomic_condition=card.atomic_condition,
        server_side_keep=card.part_copy,
        server_side_copy=card.copy,
        sets_modified=card.metadata,
        max_file_size=MAX_FILE_SIZE,
        content_hash=("md5", "sha256"),
        parallel_ranges=settings.ranges_in_flight,
        part_size=settings.part_size,
    )
