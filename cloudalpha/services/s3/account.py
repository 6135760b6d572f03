"""An account of the s3 service."""

from __future__ import annotations

from typing import ClassVar

from cloudalpha.account import Account
from cloudalpha.file_system import FileSystem
from cloudalpha.services.s3.settings import S3Options, S3Settings
from cloudalpha.settings import Options, Settings


class S3Account(Account):
    """One bucket, or what lies beneath a prefix of it.

    page_size: entries of a listing asked for at once; S3 gives at most 1,000.
    """

    options_class: ClassVar[type[Options]] = S3Options
    settings_class: ClassVar[type[Settings]] = S3Settings
    page_size: ClassVar[int] = 1000

    def connect(self) -> FileSystem:
        from cloudalpha.services.s3.connecting import connect

        return connect(self.name, self.options, self.settings, self.data_store, self.page_size)

    def get_card(self) -> dict[str, str]:
        """What the server can do, probed anew, with what takes some megabytes. Raises as `connect`."""
        from cloudalpha.services.s3.connecting import open_bucket
        from cloudalpha.services.s3.probe import probe_anew

        bucket = open_bucket(self.name, self.options, self.settings, self.page_size)
        try:
            return probe_anew(bucket, self.options, self.data_store, self.name, is_thorough=True).describe()
        finally:
            bucket.close()
