"""FileSystemTests: the whole contract of `cloudalpha.file_system`, for any service and any layer, by one fixture.

    # tests/test_my_service.py
    import pytest
    from cloudalpha.testing import FileSystemTests

    class TestMyFileSystem(FileSystemTests):
        @pytest.fixture
        def file_system(self):
            with my_server() as address:
                yield MyFileSystem(address)

Each test works in a folder of its own, which it deletes, so that the fixture may as well give the same FileSystem, of a real account, to all
tests. What is demanded follows from `capabilities`, never from the name of the service: a power that is not claimed must be refused as the
interface says. A test that your storage cannot pass for a reason of its own can be overridden; say there why.

Attributes to set on the class: `page_size`, the names that your storage lists at once (1,000 unless told; a test lists two pages and one
name, so say less for a slow storage), `num_examples`, `num_steps` (hypothesis), `num_rounds` (races).
"""

from __future__ import annotations

from cloudalpha.testing.contract.concurrency import ConcurrencyTests
from cloudalpha.testing.contract.conditions import ConditionTests
from cloudalpha.testing.contract.errors import ErrorTests
from cloudalpha.testing.contract.folders import FolderTests
from cloudalpha.testing.contract.keeping import KeepTests
from cloudalpha.testing.contract.listing import ListingTests
from cloudalpha.testing.contract.model import StateMachineTests
from cloudalpha.testing.contract.moving import MoveTests
from cloudalpha.testing.contract.names import NameTests
from cloudalpha.testing.contract.native import LeakTests, NativeFileTests
from cloudalpha.testing.contract.reading import ReadTests
from cloudalpha.testing.contract.times import TimeTests
from cloudalpha.testing.contract.writing import ResumeTests, WriteTests


class FileSystemTests(
    NameTests,
    ListingTests,
    ReadTests,
    WriteTests,
    ResumeTests,
    KeepTests,
    ConditionTests,
    MoveTests,
    FolderTests,
    ErrorTests,
    TimeTests,
    ConcurrencyTests,
    NativeFileTests,
    LeakTests,
    StateMachineTests,
):
    """Subclass it, and give it a fixture `file_system`."""
