"""Tree: one folder of this machine, and what all users of its files share."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cloudalpha.exceptions import IsADirectoryFileSystemError, PermissionDeniedFileSystemError
from cloudalpha.services.local.beneath import Place, Root
from cloudalpha.services.local.errors import NOT_A_FILE
from cloudalpha.services.local.revisions import Revisions

_NUM_LOCKS = 64


class Tree:
    """Opens files and folders beneath one folder, and guards their names. Safe for threads; methods raise OSError.

    fsync: whether contents, and the folders that name them, are on the disk before a call returns.
    file_mode, dir_mode: permissions of what is made; None leaves them to the umask.
    has_unnamed: whether a file may be written before it has a name.
    """

    def __init__(
        self,
        folder: Path,
        fsync: bool = True,
        follow_links: bool = True,
        file_mode: int | None = None,
        dir_mode: int | None = None,
    ) -> None:
        self.root = Root(folder, follow_links)
        self.revisions = Revisions()
        self.fsync = fsync
        self.file_mode = file_mode
        self.dir_mode = dir_mode
        self.has_unnamed = os.path.isdir("/proc/self/fd")  # a file without a name gets one through there
        self._locks = [threading.Lock() for _ in range(_NUM_LOCKS)]

    def open_file(self, path: str) -> tuple[int, os.stat_result]:
        """A readable descriptor of a regular file, and its status. Raises IsADirectory-, PermissionDeniedFileSystemError for anything else.

        Never waits for the other end of a pipe.
        """
        fd = self.root.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return fd, status
        os.close(fd)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryFileSystemError(path)
        raise PermissionDeniedFileSystemError(path, NOT_A_FILE)

    def get_stat(self, path: str) -> os.stat_result:
        """The status of what is at the path. Of a symbolic link that is not followed or leads nowhere: that of the link itself."""
        try:
            fd = self.root.open(path, os.O_PATH)
        except OSError:
            with self.root.find(path, follow=False) as place:
                status = place.get_stat()
            if status is None or not stat.S_ISLNK(status.st_mode):
                raise
            return status
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    @contextmanager
    def lock(self, *places: Place) -> Iterator[None]:
        """Keep all other threads from changing what these names stand for. Held for a few system calls, never while data moves."""
        keys = {self._get_lock_number(place) for place in places}
        with ExitStack() as stack:
            for number in sorted(keys):  # one order for all, so that two renames never wait for each other
                stack.enter_context(self._locks[number])
            yield

    def sync_dir(self, dir_fd: int) -> None:
        """Bring the names of a folder to the disk, if that is asked for."""
        if not self.fsync:
            return
        try:
            readable_fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
        except PermissionError:  # a folder that may be written but not read cannot be synced by itself
            os.sync()
            return
        try:
            os.fsync(readable_fd)
        finally:
            os.close(readable_fd)

    def _get_lock_number(self, place: Place) -> int:
        status = os.fstat(place.dir_fd)
        return hash((status.st_dev, status.st_ino, place.name)) % _NUM_LOCKS
