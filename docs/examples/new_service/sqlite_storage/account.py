"""An account is one database file."""

from pathlib import Path

from pydantic import Field

from cloudalpha.account import Account
from cloudalpha.exceptions import AccountError
from cloudalpha.settings import Options, Settings


class SQLiteOptions(Options):
    database: Path = Field(description="The database file; made when it is missing.")


class SQLiteSettings(Settings):
    page_size: int = Field(default=500, ge=1, description="Entries of a listing read at once.")


class SQLiteAccount(Account):
    options_class = SQLiteOptions
    settings_class = SQLiteSettings

    def connect(self):
        import sqlite3

        from sqlite_storage.file_system import SQLiteFileSystem

        try:
            return SQLiteFileSystem(self.options.database, self.settings.page_size)
        except sqlite3.Error as error:
            raise AccountError(f"account {self.name}: the database cannot be opened; check `database`") from error
