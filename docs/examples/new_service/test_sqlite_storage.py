import pytest
from sqlite_storage.file_system import SQLiteFileSystem

from cloudalpha.testing import FileSystemTests


class TestSQLiteFileSystem(FileSystemTests):
    @pytest.fixture
    def file_system(self, tmp_path):
        with_small_pages = SQLiteFileSystem(tmp_path / "files.db", page_size=3)
        yield with_small_pages
        with_small_pages.close()
