"""Listings: the entries of a folder, from the pages of keys that S3 lists, sorted.

Only a page is in memory. A name that is both a file and a folder is noticed on the way: between `x` and `x/` come only keys that begin with `x`,
so the files that may still meet a folder of their name are those whose keys the current one begins with: a handful.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from heapq import merge

from cloudalpha import paths
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.logs import log_event
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.keys import ESCAPED, Keys, to_name, to_twin
from cloudalpha.services.s3.metadata import Known, KnownObjects, make_file_metadata
from cloudalpha.services.s3.objects import ObjectInfo, Page

logger = logging.getLogger("cloudalpha.services.s3")


class Listing:
    """One listing of one folder.

    heads: where the times of files that are not known are asked for; None to take those of the uploads.
    """

    def __init__(self, bucket: Bucket, keys: Keys, known: KnownObjects, path: str, heads: Executor | None) -> None:
        self._bucket = bucket
        self._known = known
        self._path = path
        self._dir_key = keys.get_dir_key(path)
        self._marker = keys.marker
        self._heads = heads
        self._open_files: list[str] = []
        self._num_left_out = 0

    def run(self, raise_no_dir: Callable[[], None]) -> Iterator[FileMetadata]:
        """The entries. raise_no_dir: called when no key is in the folder, not even its marker's."""
        token = None
        is_first = True
        while True:
            page = self._bucket.list_page(self._dir_key, self._path, delimiter="/", token=token)
            if is_first and not (page.objects or page.prefixes):
                raise_no_dir()
            is_first = False
            yield from self._make_entries(page)
            token = page.next_token
            if token is None:
                break
        if self._num_left_out:
            log_event(
                logger, "names_left_out", logging.WARNING,
                path=self._path, number=self._num_left_out, reason="longer than 255 bytes",
            )  # fmt: skip

    def _make_entries(self, page: Page) -> Iterator[FileMetadata]:
        asked = self._ask_for(page.objects, self._heads) if self._heads is not None else {}
        objects = ((info.key, info) for info in page.objects)
        prefixes = ((prefix, None) for prefix in page.prefixes)
        for key, info in merge(objects, prefixes, key=lambda item: item[0]):
            component = key[len(self._dir_key) :]
            if info is None:
                entry = self._make_dir(key, component[:-1])
            elif component and component == self._marker:
                entry = None
            elif component:
                entry = self._make_file(info, component, asked.get(key))
            else:
                entry = self._make_marker_content(info)
            if entry is not None:
                yield entry

    def _make_file(self, info: ObjectInfo, component: str, asked: FileMetadata | None) -> FileMetadata | None:
        self._open_files = [name for name in self._open_files if component.startswith(name)]
        self._open_files.append(component)
        name = self._take_name(to_name(component))
        if name is None:
            return None
        path = paths.join(self._path, name)
        if asked is not None:
            return asked.at(path)
        return _make_listed(path, info, self._known.find(info))

    def _make_dir(self, key: str, component: str) -> FileMetadata | None:
        name = to_name(component)
        if component in self._open_files and name is not None:
            name = to_twin(name)
        name = self._take_name(name)
        if name is None:
            return None
        return FileMetadata(paths.join(self._path, name), True, 0, self._known.get_dir_time(key + self._marker))

    def _make_marker_content(self, info: ObjectInfo) -> FileMetadata | None:
        if info.size == 0:
            return None
        self._open_files.append("")
        return _make_listed(paths.join(self._path, ESCAPED), info, self._known.find(info))

    def _take_name(self, name: str | None) -> str | None:
        self._num_left_out += name is None
        return name

    def _ask_for(self, infos: list[ObjectInfo], heads: Executor) -> dict[str, FileMetadata]:
        """What HEAD tells of the files of a page that are not known, asked in parallel."""
        unknown = [info.key for info in infos if info.key != self._dir_key and self._known.find(info) is None]
        asked = {}
        for info in heads.map(lambda key: self._bucket.head(key, self._path), unknown):
            if info is not None:
                metadata = make_file_metadata(self._path, info)
                self._known.remember(info.key, info, metadata)
                asked[info.key] = metadata
        return asked


def _make_listed(path: str, info: ObjectInfo, known: Known | None) -> FileMetadata:
    modified = info.last_modified
    content_hash = None
    if known is not None:
        modified, content_hash = known.modified or modified, known.content_hash
    return FileMetadata(path, False, info.size, modified, None, None, info.etag, content_hash)
