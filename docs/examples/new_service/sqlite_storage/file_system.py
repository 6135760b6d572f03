"""The files of one SQLite database: a row a file or folder."""

import secrets
import sqlite3
import threading
import time
from datetime import UTC, datetime

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, utc
from cloudalpha.file_system import ANYTHING, NOTHING, FileSystem, NewFile, WriteOptions
from sqlite_storage.errors import translated_errors

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, parent BLOB NOT NULL, is_dir INTEGER NOT NULL, content BLOB NOT NULL, modified REAL NOT NULL,
    revision TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS files_by_parent ON files (parent, path);
"""
ONE = "SELECT path, is_dir, length(content), modified, revision FROM files WHERE path = ?"
PAGE = """
SELECT path, is_dir, length(content), modified, revision FROM files WHERE parent = ? AND path > ? ORDER BY path LIMIT ?"""
SLICE = "SELECT substr(content, ?, ?) FROM files WHERE path = ? AND revision = ?"
PUT = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)"


class SQLiteFileSystem(FileSystem):
    capabilities = Capabilities(atomic_condition=True, sets_modified=True)

    def __init__(self, database, page_size=500):
        self.page_size = page_size
        self.lock = threading.RLock()  # held for one statement or one transaction, never while a client is waited for
        self.connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self.connection.executescript(SCHEMA)

    # Required

    def get_metadata(self, path):
        if path == paths.ROOT:
            return FileMetadata(path, is_dir=True)
        return self._metadata(path, self._row(path))

    def list_dir(self, path):
        self._check_dir(path)
        last = b""
        while True:
            page = self._query(PAGE, path, _key(path), last, self.page_size)
            for row in page:
                yield self._metadata(paths.decode(row[0]), row)
            if len(page) < self.page_size:
                return
            last = page[-1][0]

    def read(self, path, start_byte=0, num_bytes=None, expected=ANYTHING):
        row = self._row(path)
        if row[1]:
            raise IsADirectoryFileSystemError(path)
        if expected not in (ANYTHING, row[4]):
            raise RevisionMismatchFileSystemError(path)
        end = row[2] if num_bytes is None else min(row[2], start_byte + num_bytes)
        while start_byte < end:
            length = min(end - start_byte, 256 * 1024)
            chunk = self._query(SLICE, path, start_byte + 1, length, _key(path), row[4])
            if not chunk:
                raise RevisionMismatchFileSystemError(path)
            yield chunk[0][0]
            start_byte += length

    def create_new_file(self, path, options=WriteOptions()):
        if options.resume is not None:
            raise UnsupportedOperationFileSystemError(path, "an upload cannot be resumed here")
        self._check_target(path, options.expected)
        return SQLiteNewFile(self, path, options)

    def delete(self, path):
        if self._row(path)[1]:
            raise IsADirectoryFileSystemError(path)
        self._query("DELETE FROM files WHERE path = ?", path, _key(path))

    def make_dir(self, path):
        with self.lock:
            if path == paths.ROOT or self._find_row(path):
                raise AlreadyExistsFileSystemError(path)
            self._check_place(path)
            self._put(path, True, b"", time.time())

    def delete_dir(self, path):
        if path == paths.ROOT:
            raise PermissionDeniedFileSystemError(path)
        with self.lock:
            self._check_dir(path)
            if self._query("SELECT 1 FROM files WHERE parent = ? LIMIT 1", path, _key(path)):
                raise DirectoryNotEmptyFileSystemError(path)
            self._query("DELETE FROM files WHERE path = ?", path, _key(path))

    # Optional

    def set_modified_datetime(self, path, modified_datetime):
        self._row(path)
        self._query("UPDATE files SET modified = ? WHERE path = ?", path, modified_datetime.timestamp(), _key(path))

    def close(self):
        with self.lock:
            self.connection.close()

    # Private

    def _query(self, statement, path, *values):
        with self.lock, translated_errors(path):
            return self.connection.execute(statement, values).fetchall()

    def _find_row(self, path):
        rows = self._query(ONE, path, _key(path))
        return rows[0] if rows else None

    def _row(self, path):
        if path == paths.ROOT:
            return (b"/", 1, 0, 0.0, "")
        row = self._find_row(path)
        if row is None:
            self._check_dir(paths.get_parent(path))
            raise NotFoundFileSystemError(path)
        return row

    def _check_dir(self, path):
        if not self._row(path)[1]:
            raise NotADirectoryFileSystemError(path)

    def _check_place(self, path):
        """Whether something of that name may stand in its folder."""
        if len(paths.encode(paths.get_name(path))) > self.capabilities.max_name_bytes:
            raise InvalidPathFileSystemError(path, "the name is too long")
        self._check_dir(paths.get_parent(path))

    def _check_target(self, path, expected):
        """Whether a file may be published at the path now."""
        if path == paths.ROOT:
            raise IsADirectoryFileSystemError(path)
        self._check_place(path)
        row = self._find_row(path)
        if row and row[1]:
            raise IsADirectoryFileSystemError(path)
        if expected is NOTHING and row:
            raise AlreadyExistsFileSystemError(path)
        if isinstance(expected, str) and (row is None or row[4] != expected):
            raise RevisionMismatchFileSystemError(path)

    def _put(self, path, is_dir, content, modified):
        parent, revision = paths.get_parent(path), secrets.token_hex(8)
        self._query(PUT, path, _key(path), _key(parent), is_dir, content, modified, revision)

    def _metadata(self, path, row):
        _, is_dir, size, modified, revision = row
        return FileMetadata(path, bool(is_dir), size, utc(modified), revision=revision)


class SQLiteNewFile(NewFile):
    def __init__(self, file_system, path, options):
        self.file_system, self.path, self.options = file_system, path, options
        self.content = bytearray()
        self.kept_revision = None
        self.is_open = True

    def write(self, data):
        self.content += data
        self.offset = len(self.content)

    def keep(self, start_byte, num_bytes):
        source = self.file_system.get_metadata(self.path)
        if self.kept_revision not in (None, source.revision):
            raise RevisionMismatchFileSystemError(self.path)
        self.kept_revision = source.revision
        if start_byte + num_bytes > source.size or self.options.expected not in (ANYTHING, source.revision):
            raise RevisionMismatchFileSystemError(self.path)
        for chunk in self.file_system.read(self.path, start_byte, num_bytes, source.revision):
            self.write(chunk)

    def commit(self):
        if not self.is_open:
            raise ValueError("committed or discarded already")
        if self.options.size not in (None, len(self.content)):
            raise RevisionMismatchFileSystemError(self.path, "not of the announced size")
        with self.file_system.lock:
            self.file_system._check_target(self.path, self.kept_revision or self.options.expected)
            modified = self.options.modified_datetime or datetime.now(UTC)
            self.file_system._put(self.path, False, bytes(self.content), modified.timestamp())
            self.is_open = False
            return self.file_system.get_metadata(self.path)

    def discard(self):
        self.is_open = False
        self.content = bytearray()


def _key(path):
    return paths.encode(path)
