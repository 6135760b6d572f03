"""Times: aware, UTC, and kept where the storage says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cloudalpha.exceptions import UnsupportedOperationFileSystemError
from cloudalpha.file_system import FileSystem, WriteOptions
from cloudalpha.testing.contract.base import ContractTests, raises

MOMENTS = [
    pytest.param(datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC), id="past"),
    pytest.param(datetime(1980, 1, 1, tzinfo=UTC), id="1980"),
    pytest.param(datetime(2000, 2, 29, 23, 59, 59, tzinfo=UTC), id="leap-day"),
    pytest.param(datetime(2037, 12, 31, 12, tzinfo=UTC), id="2037"),
    pytest.param(datetime(2020, 6, 7, 8, 9, 10, 999_000, tzinfo=UTC), id="fraction"),
    pytest.param(datetime(2020, 6, 7, 8, 9, 10, tzinfo=timezone(timedelta(hours=9, minutes=30))), id="another-zone"),
]


class TimeTests(ContractTests):
    def test_times_are_utc(self, file_system: FileSystem, folder: str) -> None:
        file_system.write_all(folder + "/file", b"x")
        file_system.make_dir(folder + "/sub")
        for metadata in (file_system.get_metadata("/"), *file_system.list_dir(folder)):
            for moment in (metadata.modified_datetime, metadata.created_datetime, metadata.accessed_datetime):
                assert moment is None or moment.utcoffset() == timedelta(0)

    def test_new_file_is_of_now(self, file_system: FileSystem, folder: str) -> None:
        modified = file_system.write_all(folder + "/file", b"x").modified_datetime
        assert modified is None or abs(modified - datetime.now(UTC)) < timedelta(hours=1)

    @pytest.mark.parametrize("moment", MOMENTS)
    def test_set_modified_datetime(self, file_system: FileSystem, folder: str, moment: datetime) -> None:
        path = folder + "/file"
        file_system.write_all(path, b"content")
        if not file_system.capabilities.sets_modified:
            with raises(UnsupportedOperationFileSystemError, path):
                file_system.set_modified_datetime(path, moment)
            return
        for _ in range(2):  # the second time, there is nothing to change
            file_system.set_modified_datetime(path, moment)
            self._check(file_system, folder, moment)
        assert file_system.read_all(path) == b"content"

    @pytest.mark.parametrize("moment", MOMENTS)
    def test_written_with_a_time(self, file_system: FileSystem, folder: str, moment: datetime) -> None:
        file_system.write_all(folder + "/file", b"content", WriteOptions(modified_datetime=moment))
        if file_system.capabilities.sets_modified:
            self._check(file_system, folder, moment)
        assert file_system.read_all(folder + "/file") == b"content"

    def test_new_content_has_a_new_time(self, file_system: FileSystem, folder: str) -> None:
        moment = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
        file_system.write_all(folder + "/file", b"content", WriteOptions(modified_datetime=moment))
        modified = file_system.write_all(folder + "/file", b"new").modified_datetime
        assert modified is None or modified.year > 2001

    def test_folder_takes_a_time_or_refuses(self, file_system: FileSystem, folder: str) -> None:
        moment = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
        try:
            file_system.set_modified_datetime(folder, moment)
        except UnsupportedOperationFileSystemError:
            return
        file_system.set_modified_datetime(folder, moment)
        modified = file_system.get_metadata(folder).modified_datetime
        assert modified is not None
        assert abs(modified - moment) <= timedelta(seconds=1)

    def _check(self, file_system: FileSystem, folder: str, moment: datetime) -> None:
        for metadata in (file_system.get_metadata(folder + "/file"), *file_system.list_dir(folder)):
            assert metadata.modified_datetime is not None
            assert abs(metadata.modified_datetime - moment) <= timedelta(seconds=1)
