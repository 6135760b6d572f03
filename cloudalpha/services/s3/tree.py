"""Folders as a whole: copied, renamed and deleted on the storage's side, many objects at once.

S3 has no rename. A folder is renamed by copying each object, and then deleting each one whose copy is there, seen in listings of both sides; never
one without. An object that changed after it was copied is copied again before it goes. Each step can be repeated, so whatever interrupts it,
`Renamer.finish` goes on from the journal's record: it copies what is not copied, and deletes what is.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import TypeVar

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    FileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.progress import report
from cloudalpha.services.s3.bucket import MAX_BATCH, Bucket
from cloudalpha.services.s3.copies import Copier
from cloudalpha.services.s3.journal import Journal, RenameRecord
from cloudalpha.services.s3.objects import ObjectInfo

T = TypeVar("T")
S = TypeVar("S")

Pair = tuple[ObjectInfo, ObjectInfo | None]

CERTAIN_AGE = timedelta(seconds=2)
"""A copy that is so much newer than its source is of what the source is now: clocks of S3 tell seconds."""


class Trees:
    """What concerns all objects whose keys begin alike. Keys of folders end in a slash.

    parallel: objects at once. Threads live as long as one operation.
    """

    def __init__(self, bucket: Bucket, copier: Copier, parallel: int) -> None:
        self._bucket = bucket
        self._copier = copier
        self._parallel = parallel
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End what is under way, after the objects in hand."""
        self._stopped.set()

    def copy(self, source: str, target: str, path: str) -> None:
        """Copy everything whose key begins with `source` that is not at `target` yet. Raises the first error; what is copied stays."""
        total = sum(1 for _ in self._bucket.list_all(source, path))
        pending = ((info, twin) for info, twin in self._pair(source, target, path) if not _is_copied(info, twin))
        copies = self._run(
            lambda pair: self._copy_one(pair[0], target + pair[0].key[len(source) :], path), pending, path
        )
        for done, _ in enumerate(copies, 1):
            report(done, total)

    def delete_copied(self, source: str, target: str, path: str) -> None:
        """Delete everything at `source` whose copy is at `target`; what is not copied, or has changed since, is copied first."""

        def get_deletable() -> Iterator[str]:
            for info, twin in self._pair(source, target, path):
                if _is_copied(info, twin) or self._copy_again(info, target + info.key[len(source) :], path):
                    yield info.key

        self._delete_keys(get_deletable(), source, path)

    def delete_copies(self, source: str, target: str, path: str) -> None:
        """Delete at `target` what is a copy of something that is still at `source`."""
        copies = (twin.key for info, twin in self._pair(source, target, path) if twin and _is_copied(info, twin))
        self._delete_keys(copies, target, path)

    def delete(self, dir_key: str, path: str) -> None:
        """Delete everything whose key begins with `dir_key`; the folder's marker last."""
        self._delete_keys((info.key for info in self._bucket.list_all(dir_key, path)), dir_key, path)

    # Inside

    def _pair(self, source: str, target: str, path: str) -> Iterator[Pair]:
        """Each object at `source`, with what is at its place at `target`; two listings side by side, a page of each in memory."""
        twins = self._bucket.list_all(target, path)
        twin = next(twins, None)
        for info in self._bucket.list_all(source, path):
            self._check_stopped(path)
            wanted = target + info.key[len(source) :]
            while twin is not None and twin.key < wanted:
                twin = next(twins, None)
            yield info, twin if twin is not None and twin.key == wanted else None

    def _copy_one(self, listed: ObjectInfo, key: str, path: str) -> ObjectInfo | None:
        """Copy an object as it is now; None where it is gone. One that changes just then is copied anew."""
        for _ in range(self._bucket.retry.attempts):
            info = self._bucket.head(listed.key, path)
            if info is None:
                return None
            try:
                self._copier.copy(info, key, path)
            except RevisionMismatchFileSystemError:
                continue
            return info
        raise RevisionMismatchFileSystemError(path, "a file in the folder changes faster than it can be copied")

    def _copy_again(self, listed: ObjectInfo, key: str, path: str) -> bool:
        """Copy an object whose copy is missing or in doubt; whether it may be deleted then."""
        copied = self._copy_one(listed, key, path)
        now = self._bucket.head(listed.key, path)
        if copied is None or now is None:
            return False
        if now.etag != copied.etag:
            raise RevisionMismatchFileSystemError(path, "a file in the folder changes while it is moved")
        return True

    def _delete_keys(self, keys: Iterable[str], last: str, path: str) -> None:
        """Delete keys by batches as they come; `last` behind all others."""
        batch: list[str] = []
        has_last = False
        num_deleted = 0
        for key in keys:
            if key == last:
                has_last = True
                continue
            batch.append(key)
            if len(batch) == MAX_BATCH:
                self._delete_batch(batch, path)
                num_deleted += len(batch)
                report(num_deleted)
                batch = []
        self._delete_batch(batch, path)
        if has_last:
            self._bucket.delete(last, path)

    def _delete_batch(self, batch: list[str], path: str) -> None:
        together = [key for key in batch if _fits_into_xml(key)] if self._bucket.card.delete_many else []
        if together:
            try:
                self._bucket.delete_many(together, path)
            except UnsupportedOperationFileSystemError:
                together = []
        done = set(together)
        single = [key for key in batch if key not in done]
        for _ in self._run(lambda key: self._bucket.delete(key, path), single, path):
            pass

    def _run(self, call: Callable[[S], T], items: Iterable[S], path: str) -> Iterator[T]:
        """The results of a call for each item, in order, some at once. After an error nothing new is begun, and what runs is waited for."""
        running: deque[Future[T]] = deque()
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="s3 tree") as executor:
            try:
                for item in items:
                    self._check_stopped(path)
                    running.append(executor.submit(call, item))
                    if len(running) >= 2 * self._parallel:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                for future in running:
                    future.cancel()
                wait(running)

    def _check_stopped(self, path: str) -> None:
        if self._stopped.is_set():
            raise AccessFailedFileSystemError(path, "the account is being closed")


class Renamer:
    """Renames folders, each noted in the journal until it is finished."""

    def __init__(self, trees: Trees, journal: Journal) -> None:
        self._trees = trees
        self._journal = journal

    def rename(self, source: str, target: str, path: str) -> None:
        """Move everything whose key begins with `source`. When it raises before the first deletion, the copies are deleted again; where even that
        fails, or the account is closed, it is done when the account connects next."""
        record = self._journal.begin(source, target)
        try:
            self._trees.copy(source, target, path)
        except FileSystemError:
            record = self._journal.set_phase(record, "undo")
            with contextlib.suppress(FileSystemError):  # what it fails with is what the copies failed with
                self.finish(record, path)
            raise
        self.finish(self._journal.set_phase(record, "delete"), path)

    def finish(self, record: RenameRecord, path: str) -> None:
        """Do what remains of a rename."""
        if record.phase == "undo":
            self._trees.delete_copies(record.source, record.target, path)
        else:
            if record.phase == "copy":
                self._trees.copy(record.source, record.target, path)
                record = self._journal.set_phase(record, "delete")
            self._trees.delete_copied(record.source, record.target, path)
        self._journal.end(record)


def _is_copied(info: ObjectInfo, twin: ObjectInfo | None) -> bool:
    """Whether a listed object is certainly a copy of another: of the same content, or of the same length and made after the last change."""
    if twin is None or twin.size != info.size:
        return False
    if twin.etag == info.etag != "":
        return True
    return (
        twin.last_modified is not None
        and info.last_modified is not None
        and twin.last_modified - info.last_modified > CERTAIN_AGE
    )


def _fits_into_xml(key: str) -> bool:
    """Whether DeleteObjects can name a key: its body is XML 1.0, which has no control characters."""
    return all(c >= " " and c not in "\x7f\ufffe\uffff" for c in key)
