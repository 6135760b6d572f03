"""TemporaryFile: content that has no name, or a hidden one, until it is published under its own.

Where the storage has O_TMPFILE the file has no name: nothing on the machine sees it, and it is gone with the process, however that ends.
Elsewhere, and for the instant in which it replaces another file, its name is `.cloudalpha-<16 hexadecimal digits>.tmp`, in the folder that it
goes into: so it lies on the same device, and in the right group where the folder hands its own down. Whoever uses such a file holds its
flock(2), which ends with the process; a file without it is a leftover, and swept.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import secrets
import stat
import weakref
from collections.abc import Callable
from io import FileIO

from cloudalpha.logs import log_event
from cloudalpha.services.local.beneath import Place
from cloudalpha.services.local.system_calls import rename_no_replace

logger = logging.getLogger("cloudalpha.local")

_NAME = re.compile(r"\.cloudalpha-[0-9a-f]{16}\.tmp")
_MARK = ".cloudalpha-"
_NO_UNNAMED = frozenset(
    {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
)  # the ways of saying "no O_TMPFILE"
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_MAX_TRIES = 100


def is_hidden(path: str) -> bool:
    """Whether a name of the path, or the name itself, is one of ours, which no client sees or uses."""
    return _MARK in path and any(_NAME.fullmatch(name) for name in path.split("/"))


class TemporaryFile:
    """One such file, open for reading and writing. Methods raise OSError.

    file: the file; `close` and `publish` are the only ones to close it.
    """

    def __init__(self, dir_fd: int, mode: int, unnamed: bool = True) -> None:
        """Begin a file for the folder dir_fd, which stays the caller's. unnamed: take O_TMPFILE where the storage has it."""
        self._place: Place | None = None
        self._release: Callable[[], object] | None = None
        self.file = (_create_unnamed(dir_fd, mode) if unnamed else None) or self._create_named(dir_fd, mode)

    def publish(self, target: Place, replace: bool) -> None:
        """Give the file its name, in one step. Raises FileExistsError when something is there and replace is false."""
        if self._place is None:
            if self._link_to(target):
                return
            if not replace:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            self._link_to_hidden(target.dir_fd)
        place = self._place
        assert place is not None  # noqa: S101 - for the type checker
        if replace:
            os.rename(place.name, target.name, src_dir_fd=place.dir_fd, dst_dir_fd=target.dir_fd)
        else:
            rename_no_replace(place.dir_fd, place.name, target.dir_fd, target.name)
        self._place = None

    def close(self) -> None:
        """Free the space, unless it is published. Harmless when repeated; raises nothing."""
        if self._place is not None and not self.file.closed:
            _remove(self._place)
            self._place = None
        self.file.close()
        if self._release is not None:
            self._release()

    def _create_named(self, dir_fd: int, mode: int) -> FileIO:
        for _ in range(_MAX_TRIES):
            name = _new_name()
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=dir_fd)
            file = FileIO(fd, "r+b")
            if _lock(fd) and os.fstat(fd).st_nlink:  # else a sweep came in between
                self._keep_place(dir_fd, name)
                return file
            file.close()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _keep_place(self, dir_fd: int, name: bytes) -> None:
        self._place = Place(os.dup(dir_fd), name)
        self._release = weakref.finalize(self, os.close, self._place.dir_fd)

    def _link_to(self, target: Place) -> bool:
        """Name a file that has none; False when something has that name."""
        try:
            own = f"/proc/self/fd/{self.file.fileno()}"
            os.link(own, target.name, dst_dir_fd=target.dir_fd, follow_symlinks=True)
        except FileExistsError:
            return False
        return True

    def _link_to_hidden(self, dir_fd: int) -> None:
        _lock(self.file.fileno())
        name = _new_name()
        self._keep_place(dir_fd, name)
        assert self._place is not None  # noqa: S101 - for the type checker
        if not self._link_to(self._place):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def remove_leftover(dir_fd: int, name: str) -> bool:
    """Remove a hidden file whose process is gone; whether it was one."""
    place = Place(dir_fd, os.fsencode(name))
    try:
        fd = os.open(place.name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    except OSError as error:
        log_event(logger, "leftover_kept", logging.DEBUG, error=error.strerror)
        return False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not status.st_nlink or not _lock(fd, without=False):
            return False
        return _remove(place)
    finally:
        os.close(fd)


def _remove(place: Place) -> bool:
    try:
        os.unlink(place.name, dir_fd=place.dir_fd)
    except FileNotFoundError:
        return False
    except OSError as error:
        log_event(logger, "leftover_kept", logging.WARNING, name=os.fsdecode(place.name), error=error.strerror)
        return False
    return True


def _create_unnamed(dir_fd: int, mode: int) -> FileIO | None:
    try:
        return FileIO(os.open(".", os.O_RDWR | os.O_TMPFILE, mode, dir_fd=dir_fd), "r+b")
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def _lock(fd: int, without: bool = True) -> bool:
    """Take the flock; False when another has it, `without` where the storage has no such locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return without
        raise
    return True


def _new_name() -> bytes:
    return f"{_MARK}{secrets.token_hex(8)}.tmp".encode()
