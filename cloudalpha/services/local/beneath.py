"""Root: opens what lies beneath one folder, and nothing else, whatever symbolic links there are and whoever swaps them meanwhile.

Where the kernel has openat2(2) (Linux 5.6), RESOLVE_BENEATH does it; elsewhere, or where a sandbox forbids that call, a walk opens one name
after the other with O_NOFOLLOW. Both follow links that stay beneath the root, and refuse with EXDEV one that leaves it. An absolute link always
counts as leaving: it starts at the machine's root, whatever it leads to in the end.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from cloudalpha import paths
from cloudalpha.services.local import system_calls

MAX_LINKS = 40
"""Symbolic links followed on one path, as in the kernel."""

_MAX_RETRIES = 1000
_FOLDER = os.O_PATH | os.O_DIRECTORY


class Place:
    """One name in an open folder, for the `*at` system calls; a context manager that closes the folder.

    dir_fd: the folder (O_PATH). name: the entry, which is there or not.
    """

    def __init__(self, dir_fd: int, name: bytes) -> None:
        self.dir_fd = dir_fd
        self.name = name

    def get_stat(self) -> os.stat_result | None:
        """What is there, itself even if it is a symbolic link; None for nothing."""
        try:
            return os.lstat(self.name, dir_fd=self.dir_fd)
        except FileNotFoundError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.dir_fd)


class Root:
    """The folder that nothing gets out of. Safe for threads. All methods raise OSError.

    folder: the folder on this machine.
    follow_links: whether links that stay beneath it are followed; if not, each is refused with ELOOP.
    """

    def __init__(self, folder: Path, follow_links: bool = True) -> None:
        self.follow_links = follow_links
        self.fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._close = weakref.finalize(self, os.close, self.fd)
        self._open = self._open_by_openat2 if self._has_openat2() else self._open_by_walk

    def close(self) -> None:
        """Release the folder; whatever is asked afterwards raises EBADF."""
        self.fd = -1
        self._close()

    def open(self, path: str, flags: int) -> int:
        """The descriptor of what is at a normalized path; flags as those of open(2), without O_CREAT."""
        return self._open(_relative(path), flags)

    def find(self, path: str, follow: bool) -> Place:
        """The folder and the name of a normalized path.

        follow: a symbolic link at the path itself is followed, so that its target is what a write replaces.
        Raises IsADirectoryError for the root, and for a link that leads to a name-less folder such as "..".
        """
        relative = _relative(path)
        for _ in range(MAX_LINKS):
            dir_name, _, name = relative.rpartition(b"/")
            if name in (b"", b".", b".."):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            dir_fd = self._open(dir_name or b".", _FOLDER)
            target = _read_link(dir_fd, name) if follow else None
            if target is None:
                return Place(dir_fd, name)
            os.close(dir_fd)
            self._check_link(target)
            relative = dir_name + b"/" + target if dir_name else target
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def _has_openat2(self) -> bool:
        try:
            os.close(system_calls.open_beneath(self.fd, b".", _FOLDER, True))
        except OSError:  # ENOSYS of an old kernel; EPERM of a sandbox that does not know the call
            return False
        return True

    def _open_by_openat2(self, relative: bytes, flags: int) -> int:
        for _ in range(_MAX_RETRIES):
            try:
                return system_calls.open_beneath(self.fd, relative, flags, self.follow_links)
            except (
                BlockingIOError
            ):  # EAGAIN: a ".." of a link met a rename elsewhere, and the kernel could not vouch for it
                continue
            except InterruptedError:
                continue
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _open_by_walk(self, relative: bytes, flags: int) -> int:
        names = _split(relative, is_end=True)
        links = 0
        while True:
            outcome = self._walk(names, flags)
            if isinstance(outcome, int):
                return outcome
            index, target = outcome
            if target is None:  # "..": the names before it are real folders, so that dropping one is its parent
                names = names[: index - 1] + names[index + 1 :]
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            names[index : index + 1] = _split(target, is_end=index == len(names) - 1)

    def _walk(self, names: list[bytes], flags: int) -> int | tuple[int, bytes | None]:
        """Open the last of the names; or the index of a name that is a link, with its target, or of a "..", with None."""
        fd = os.open(".", _FOLDER, dir_fd=self.fd)
        try:
            for index, name in enumerate(names):
                if name == b".":
                    continue
                if name == b"..":
                    if index == 0:
                        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                    return index, None
                entry_fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=fd)
                try:
                    mode = os.fstat(entry_fd).st_mode
                    if stat.S_ISLNK(mode):
                        target = os.readlink(b"", dir_fd=entry_fd)
                        self._check_link(target)
                        return index, target
                    if not stat.S_ISDIR(mode):
                        if index < len(names) - 1:
                            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=fd)
                    fd, entry_fd = entry_fd, fd
                finally:
                    os.close(entry_fd)
            return os.open(".", flags, dir_fd=fd)
        finally:
            os.close(fd)

    def _check_link(self, target: bytes) -> None:
        if not self.follow_links:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith(b"/"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def _split(path: bytes, is_end: bool) -> list[bytes]:
    """The names of a path. is_end: nothing follows it, so that a slash or a dot at its end, which asks for a folder, is kept as a dot."""
    parts = path.split(b"/")
    names = [name for name in parts if name not in (b"", b".")]
    return [*names, b"."] if is_end and parts[-1] in (b"", b".") else names


def _relative(path: str) -> bytes:
    """The path from the root on, in bytes. A NUL would end it early in C, so that it is refused once more here."""
    if not path.startswith("/") or "\0" in path:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return paths.encode(path[1:]) or b"."


def _read_link(dir_fd: int, name: bytes) -> bytes | None:
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # not a link
            return None
        os.close(dir_fd)
        raise
