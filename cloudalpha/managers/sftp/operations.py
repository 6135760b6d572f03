"""The requests of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 6): from a request's bytes to the job that answers it.

Each method takes a request's fields on the event loop and returns `Work`: a job that may block and the lane that it must keep to, or, where
nothing can block, the reply itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cloudalpha import paths
from cloudalpha.file_metadata import utc
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.managers.sftp.handles import DirHandle, FileHandle, Handles, Job, Lane
from cloudalpha.managers.sftp.listing import Listing, encode_attrs, encode_name
from cloudalpha.managers.sftp.packets import (
    MAX_DATA_BYTES,
    Attrs,
    Kind,
    OpenFlag,
    Reader,
    Status,
    StatusError,
    make_data,
    make_packet,
    make_status,
    string,
)

MAX_OFFSET = 2**63 - 1


class Work(NamedTuple):
    """What a request asks for. lane: None for what may happen at any time. num_bytes, then: see Request."""

    lane: Lane | None
    job: Job
    num_bytes: int = 0
    then: Callable[[], None] | None = None


Method = Callable[[Reader], "Work | Job"]


def make_ok(request_id: int) -> bytes:
    """The reply to what has succeeded and returns nothing."""
    return make_status(request_id, Status.OK)


class Operations:
    """The requests of one session.

    view: what the session sees. handles: its open handles. owner: the name that long names show.
    """

    def __init__(self, view: FileSystemView, handles: Handles, owner: str) -> None:
        self.view = view
        self.handles = handles
        self.home = view.working_dir
        self._owner = owner
        self._changes = Lane()
        self.methods: dict[int, Method] = {
            Kind.OPEN: self._open,
            Kind.CLOSE: self._close,
            Kind.READ: self._read,
            Kind.WRITE: self._write,
            Kind.LSTAT: self._stat,
            Kind.FSTAT: self._fstat,
            Kind.SETSTAT: self.set_attrs,
            Kind.FSETSTAT: self._fsetstat,
            Kind.OPENDIR: self._opendir,
            Kind.READDIR: self._readdir,
            Kind.REMOVE: self._remove,
            Kind.MKDIR: self._mkdir,
            Kind.RMDIR: self._rmdir,
            Kind.REALPATH: self._realpath,
            Kind.STAT: self._stat,
            Kind.RENAME: self._rename,
            Kind.READLINK: self._readlink,
            Kind.SYMLINK: self._symlink,
        }

    # Lanes: changes of paths happen in the order of their requests, and what only looks waits for the changes before it

    def look(self, job: Job) -> Work:
        """Work that changes nothing."""
        return Work(self._changes if self._changes.is_busy else None, job)

    def change(self, action: Callable[[], object]) -> Work:
        """Work that changes what paths hold; answered by OK."""

        def job(request_id: int) -> bytes:
            action()
            return make_ok(request_id)

        return Work(self._changes, job)

    def get_path(self, reader: Reader) -> str:
        """A request's path; an empty one is the working directory (section 6.2)."""
        return self.view.resolve(reader.get_string() or b".")

    # Files

    def _open(self, reader: Reader) -> Work:
        path = self.get_path(reader)
        flags = OpenFlag(reader.get_uint32() & 0x3F)
        reader.get_attrs()
        is_writable = bool(flags & (OpenFlag.WRITE | OpenFlag.APPEND))
        is_readable = bool(flags & OpenFlag.READ)
        is_append = bool(flags & OpenFlag.APPEND)
        if not is_writable and not is_readable:
            raise StatusError(Status.FAILURE, "a file is opened for reading, for writing or for both")
        self.handles.reserve()

        def job(request_id: int) -> bytes:
            try:
                file = self.view.open(
                    path,
                    read=is_readable,
                    write=is_writable,
                    append=is_append,
                    create=is_writable and bool(flags & OpenFlag.CREATE),
                    exclusive=bool(flags & OpenFlag.EXCLUSIVE),
                    truncate=is_writable and bool(flags & OpenFlag.TRUNCATE),
                )
            except BaseException:
                self.handles.release()
                raise
            name = self.handles.add(FileHandle(file, is_readable, is_writable, is_append))
            return make_packet(Kind.HANDLE, request_id, string(name))

        return Work(self._changes, job) if is_writable else self.look(job)

    def _close(self, reader: Reader) -> Work:
        handle = self.handles.pop(reader.get_string())

        def job(request_id: int) -> bytes:
            try:
                if isinstance(handle, FileHandle):
                    handle.file.finish()
                else:
                    handle.listing.close()
            finally:
                self.handles.release()
            return make_ok(request_id)

        return Work(handle.lane, job)

    def _read(self, reader: Reader) -> Work:
        handle = self.handles.get_file(reader.get_string())
        offset, num_bytes = reader.get_uint64(), min(reader.get_uint32(), MAX_DATA_BYTES)
        check_readable(handle)

        def job(request_id: int) -> bytes:
            return make_read_reply(request_id, handle.file.read_at(offset, num_bytes))

        if offset > MAX_OFFSET:
            return Work(handle.lane, lambda request_id: make_status(request_id, Status.EOF))
        return Work(handle.lane, job, num_bytes)

    def _write(self, reader: Reader) -> Work:
        handle = self.handles.get_file(reader.get_string())
        offset, data = reader.get_uint64(), reader.get_string()
        check_writable(handle)
        if offset > MAX_OFFSET - len(data):
            raise StatusError(Status.FAILURE, "the offset is too large")

        def job(request_id: int) -> bytes:
            handle.file.write_at(offset, data)
            return make_ok(request_id)

        return Work(handle.lane, job, len(data))

    def _fstat(self, reader: Reader) -> Work:
        handle = self.handles.get_file(reader.get_string())

        def job(request_id: int) -> bytes:
            return make_packet(Kind.ATTRS, request_id, encode_attrs(handle.file.get_metadata()))

        return Work(handle.lane, job)

    def _fsetstat(self, reader: Reader) -> Work:
        handle = self.handles.get_file(reader.get_string())
        attrs = reader.get_attrs()

        def job(request_id: int) -> bytes:
            self._apply(handle.file.path, handle, attrs)
            return make_ok(request_id)

        return Work(handle.lane, job)

    # Paths

    def _stat(self, reader: Reader) -> Work:
        path = self.get_path(reader)

        def job(request_id: int) -> bytes:
            return make_packet(Kind.ATTRS, request_id, encode_attrs(self.view.get_metadata(path)))

        return self.look(job)

    def set_attrs(self, reader: Reader) -> Work:
        """SETSTAT, and lsetstat@openssh.com, which differ for symbolic links alone. Owners and permissions are taken and forgotten."""
        path = self.get_path(reader)
        attrs = reader.get_attrs()
        return self.change(lambda: self._apply(path, None, attrs))

    def _apply(self, path: str, handle: FileHandle | None, attrs: Attrs) -> None:
        if attrs.size is not None:
            self._truncate(path, handle, attrs.size)
        if attrs.modified is not None:
            modified = utc(attrs.modified)
            if handle is not None and handle.is_writable:
                handle.file.set_modified_datetime(modified)
            else:
                self.view.set_modified_datetime(path, modified)
        if attrs.size is None and attrs.modified is None and handle is None:
            self.view.get_metadata(path)  # what is not there cannot have its permissions changed

    def _truncate(self, path: str, handle: FileHandle | None, size: int) -> None:
        if size > MAX_OFFSET:
            raise StatusError(Status.FAILURE, "the size is too large")
        handle = handle or self.handles.get_writer(
            path
        )  # a file that this session is writing is truncated where it grows
        if handle is not None:
            check_writable(handle)
            handle.file.truncate(size)
            return
        file = self.view.open(path, write=True)
        try:
            file.truncate(size)
            file.finish()
        except BaseException:
            file.discard("truncation failed")
            raise

    def _remove(self, reader: Reader) -> Work:
        path = self.get_path(reader)
        return self.change(lambda: self.view.delete(path))

    def _mkdir(self, reader: Reader) -> Work:
        path = self.get_path(reader)
        reader.get_attrs()
        return self.change(lambda: self.view.make_dir(path))

    def _rmdir(self, reader: Reader) -> Work:
        path = self.get_path(reader)
        return self.change(lambda: self.view.delete_dir(path))

    def _rename(self, reader: Reader) -> Work:
        old_path, new_path = self.get_path(reader), self.get_path(reader)
        return self.change(lambda: self.view.rename(old_path, new_path))

    def _realpath(self, reader: Reader) -> Job:
        raw = reader.get_string() or b"."
        path = self.home if raw == b"~" else self.view.resolve(raw)
        body = encode_name(paths.encode(path))
        return lambda request_id: make_packet(Kind.NAME, request_id, body)

    def _readlink(self, reader: Reader) -> Work:
        path = self.get_path(reader)

        def job(request_id: int) -> bytes:
            self.view.get_metadata(path)
            return make_status(request_id, Status.FAILURE, "not a symbolic link")

        return self.look(job)

    def _symlink(self, reader: Reader) -> Job:
        reader.get_string()
        reader.get_string()
        raise StatusError(Status.OP_UNSUPPORTED, "storages behind this gateway have no symbolic links")

    # Folders

    def _opendir(self, reader: Reader) -> Work:
        path = self.get_path(reader)
        self.handles.reserve()

        def job(request_id: int) -> bytes:
            try:
                metadata = self.view.get_metadata(path)
                if not metadata.is_dir:
                    raise StatusError(Status.NO_SUCH_FILE, "not a directory")
                entries = self.view.list_dir(path)
            except BaseException:
                self.handles.release()
                raise
            name = self.handles.add(DirHandle(path, Listing(entries, self._owner)))
            return make_packet(Kind.HANDLE, request_id, string(name))

        return self.look(job)

    def _readdir(self, reader: Reader) -> Work:
        handle = self.handles.get_dir(reader.get_string())

        def job(request_id: int) -> bytes:
            return handle.listing.read_batch(request_id) or make_status(request_id, Status.EOF)

        return Work(handle.lane, job, then=handle.listing.read_ahead)


def check_readable(handle: FileHandle) -> None:
    """Refuse to read what was opened for writing alone."""
    if not handle.is_readable:
        raise StatusError(Status.PERMISSION_DENIED, "not opened for reading")


def check_writable(handle: FileHandle) -> None:
    """Refuse to change what was opened for reading alone."""
    if not handle.is_writable:
        raise StatusError(Status.PERMISSION_DENIED, "not opened for writing")


def make_read_reply(request_id: int, data: bytes) -> bytes:
    """The reply to READ: no bytes mean the end of the file."""
    return make_data(request_id, data) if data else make_status(request_id, Status.EOF)
