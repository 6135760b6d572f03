"""Places: what stands at a path, and whether something may be put there.

Folders are not objects: a folder is there when some key begins with its own (`a/`), the marker's among them. To look for the folder of every new
file would cost a request each, so folders that were seen, and names that were seen to be free of folders, are remembered for some seconds; and in
a folder that this process has just made there are no others than those that it puts there. What this process itself changes is forgotten at once;
what others change meanwhile can only have the effect that a file is stored in a folder that is then there by virtue of it, or beside a folder of
its name, which listings show as such.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from datetime import datetime
from typing import NoReturn

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, NOTHING, Expected
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.keys import Keys, is_marker_content, is_twin, to_component
from cloudalpha.services.s3.metadata import KnownObjects, get_modified
from cloudalpha.services.s3.objects import ObjectInfo

MAX_REMEMBERED = 16_384


class Places:
    """The paths of one account. Safe for threads; its lock is held for moments, never over a request.

    remember_seconds: how long folders, and the absence of folders, are remembered.
    """

    def __init__(self, bucket: Bucket, keys: Keys, known: KnownObjects, remember_seconds: float) -> None:
        self._bucket = bucket
        self._keys = keys
        self._known = known
        self._remember_seconds = remember_seconds
        self._remembered: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._new_dirs: dict[str, float] = {}
        self._lock = threading.Lock()

    # What is there

    def find_file(self, path: str, may_remember: bool = False) -> ObjectInfo | None:
        """The object of a file; None where there is none. may_remember: only one that was there a moment ago, and nobody is asked."""
        key = self._keys.get_key(path)
        if path == paths.ROOT or is_twin(path) or self._keys.is_hidden_marker(path) or not key:
            return None
        info = self._known.find_recent(key) if may_remember else self._bucket.head(key, path)
        is_empty_marker = info is not None and info.size == 0 and is_marker_content(path)
        return None if is_empty_marker else info

    def get_file(self, path: str) -> ObjectInfo:
        """The object of a file. Raises NotFound-, IsADirectory-, NotADirectoryFileSystemError."""
        info = self.find_file(path)
        if info is None:
            self.raise_no_file(path)
        return info

    def find_dir(self, path: str) -> FileMetadata | None:
        """A folder, with the time that its marker keeps; None where there is none."""
        key = self._keys.get_dir_key(path)
        page = self._bucket.list_page(key, path, max_keys=1)
        if not page.objects and path != paths.ROOT:
            return None
        self.remember(path, is_dir=True)
        may_have_marker = bool(page.objects) and (self._keys.marker != "" or page.objects[0].key == key)
        return FileMetadata(path, True, 0, self._find_dir_time(path) if may_have_marker else None)

    def has_dir(self, path: str, may_remember: bool = False) -> bool:
        """Whether a folder is there. may_remember: it is enough that one was there some seconds ago."""
        if path == paths.ROOT:
            return True
        remembered = self._recall(path) if may_remember else None
        if remembered is not None:
            return remembered
        is_dir = bool(self._bucket.list_page(self._keys.get_dir_key(path), path, max_keys=1).objects)
        self.remember(path, is_dir)
        return is_dir

    # Errors

    def raise_no_file(self, path: str) -> NoReturn:
        """Raise what reading a path that is no file calls for."""
        if self.has_dir(path):
            raise IsADirectoryFileSystemError(path)
        self.raise_missing(path)

    def raise_no_dir(self, path: str) -> NoReturn:
        """Raise what listing a path that is no folder calls for."""
        if self.find_file(path) is not None:
            raise NotADirectoryFileSystemError(path)
        self.raise_missing(path)

    def raise_missing(self, path: str) -> NoReturn:
        """Raise NotFound-, or NotADirectoryFileSystemError where a file stands on the way."""
        above = paths.get_parent(path)
        while above != paths.ROOT and not self.has_dir(above, may_remember=True):
            if self.find_file(above) is not None:
                raise NotADirectoryFileSystemError(path)
            above = paths.get_parent(above)
        raise NotFoundFileSystemError(path)

    # Whether something may be put there

    def check_parent(self, path: str) -> None:
        """Raises NotFound-, NotADirectoryFileSystemError unless the folder that a path lies in is there."""
        parent = paths.get_parent(path)
        if not self.has_dir(parent, may_remember=True):
            self.raise_missing(path)

    def check_new_name(self, path: str) -> None:
        """Raises InvalidPathFileSystemError for names that listings show, but that nothing new may have."""
        name = paths.get_name(path)
        self._keys.get_key(path)
        if is_twin(path) or to_component(name) in ("", ".", "..") or self._keys.is_hidden_marker(path):
            raise InvalidPathFileSystemError(path, "this name only stands for what is there already")

    def check_target(self, path: str, expected: Expected = ANYTHING) -> None:
        """Whether a file may be put at a path now: raises what `create_new_file` calls for.

        `expected` is looked up by a request of its own; servers that enforce it need no such look before the commit.
        """
        if self.has_dir(path, may_remember=True):
            raise IsADirectoryFileSystemError(path)
        if expected is not ANYTHING:
            info = self.find_file(path)
            if expected is NOTHING and info is not None:
                raise AlreadyExistsFileSystemError(path)
            if isinstance(expected, str) and (info is None or info.etag != expected):
                raise RevisionMismatchFileSystemError(path)

    # Memory

    def remember(self, path: str, is_dir: bool) -> None:
        """A folder is at the path, or none is."""
        with self._lock:
            self._remember(path, is_dir)

    def remember_new_dir(self, path: str) -> None:
        """This process has made a folder, where there was none; nothing is in it."""
        now = time.monotonic()
        with self._lock:
            self._forget_within(path)
            self._remember(path, is_dir=True)
            for other in [other for other, until in self._new_dirs.items() if until <= now]:
                del self._new_dirs[other]
            self._new_dirs[path] = now + self._remember_seconds

    def forget(self, path: str) -> None:
        """Folders at and beneath the path are made or deleted."""
        with self._lock:
            self._forget_within(path)
            for above in [other for other in self._new_dirs if paths.is_within(path, other)]:
                del self._new_dirs[above]

    def _remember(self, path: str, is_dir: bool) -> None:
        self._remembered[path] = (is_dir, time.monotonic() + self._remember_seconds)
        self._remembered.move_to_end(path)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
            self._new_dirs.clear()  # what was put into them since may just have been lost

    def _forget_within(self, path: str) -> None:
        for remembered in [other for other in self._remembered if paths.is_within(other, path)]:
            del self._remembered[remembered]
        for new_dir in [other for other in self._new_dirs if paths.is_within(other, path)]:
            del self._new_dirs[new_dir]

    def _recall(self, path: str) -> bool | None:
        now = time.monotonic()
        with self._lock:
            is_dir, until = self._remembered.get(path, (None, 0.0))
            if now < until:
                return is_dir
            return False if now < self._new_dirs.get(paths.get_parent(path), 0.0) else None

    def _find_dir_time(self, path: str) -> datetime | None:
        key = self._keys.get_marker_key(path)
        is_kept = key != "" and not self._bucket.card.forgets_metadata
        marker = self._bucket.head(key, path) if is_kept else None
        modified = get_modified(marker) if marker is not None else None
        self._known.remember_dir(key, modified)
        return modified
