"""The files of one bucket, beneath one prefix. How paths and keys belong together: `keys.py`; what a folder is: `places.py`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from cloudalpha import paths
from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import ANYTHING, Expected, FileSystem, NewFile, WriteOptions
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.claims import Claims
from cloudalpha.services.s3.copies import Copier
from cloudalpha.services.s3.keys import Keys, is_marker_content, is_twin
from cloudalpha.services.s3.listing import Listing
from cloudalpha.services.s3.metadata import (
    DIRECTORY_TYPE,
    MTIME,
    KnownObjects,
    format_mtime,
    make_file_metadata,
)
from cloudalpha.services.s3.objects import ObjectInfo
from cloudalpha.services.s3.places import Places
from cloudalpha.services.s3.settings import S3Options, S3Settings
from cloudalpha.services.s3.tree import Renamer, Trees

MAX_FILE_SIZE = 5 * 1024**4
