"""Linux system calls that Python does not offer: openat2, and renameat2 with RENAME_NOREPLACE."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

_OPENAT2 = 437  # the same number on every architecture that Python is built for but alpha
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RENAME_NOREPLACE = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(_OpenHow),
    ctypes.c_size_t,
)
_renameat2 = getattr(_libc, "renameat2", None)
if _renameat2 is not None:
    _renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def open_beneath(dir_fd: int, path: bytes, flags: int, follow_links: bool) -> int:
    """Open a path that must not leave the folder dir_fd; no file is created. Raises OSError as openat2(2): EXDEV for a path that leaves."""
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS | (0 if follow_links else _RESOLVE_NO_SYMLINKS)
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    fd: int = _libc.syscall(_OPENAT2, dir_fd, path, ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd


def rename_no_replace(old_dir_fd: int, old_name: bytes, new_dir_fd: int, new_name: bytes) -> None:
    """Rename, unless something has the new name: then FileExistsError. In one step where the file system can."""
    if _renameat2 is not None:
        if _renameat2(old_dir_fd, old_name, new_dir_fd, new_name, _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        # EINVAL: this file system does not take the flag, or a folder would go into itself, which the plain call finds again.
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code))
    _rename_no_replace_in_steps(old_dir_fd, old_name, new_dir_fd, new_name)


def _rename_no_replace_in_steps(old_dir_fd: int, old_name: bytes, new_dir_fd: int, new_name: bytes) -> None:
    """A file never replaces anything here either, thanks to link(2); a folder could replace an empty one made in the same instant."""
    if not stat.S_ISDIR(os.lstat(old_name, dir_fd=old_dir_fd).st_mode):
        try:
            os.link(old_name, new_name, src_dir_fd=old_dir_fd, dst_dir_fd=new_dir_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
        else:
            os.unlink(old_name, dir_fd=old_dir_fd)
            return
    try:
        os.lstat(new_name, dir_fd=new_dir_fd)
    except FileNotFoundError:
        os.rename(old_name, new_name, src_dir_fd=old_dir_fd, dst_dir_fd=new_dir_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
