"""FileSystemTests can fail: each broken FileSystem is found out."""

from __future__ import annotations

import pytest

from tests.testing.mutants import MUTANTS

pytest_plugins = ["pytester"]

MODULE = """
    import pytest
    from cloudalpha.testing import FileSystemTests
    from tests.testing.mutants import MUTANTS

    class TestMutant(FileSystemTests):
        @pytest.fixture
        def file_system(self):
            return MUTANTS[{name!r}]()
"""


@pytest.mark.parametrize("name", MUTANTS)
def test_is_found_out(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(MODULE.format(name=name))
    outcome = pytester.inline_run("-x", "-q", "-p", "no:cacheprovider", "--timeout=60").countoutcomes()
    assert outcome[2] == 1, f"{name} passes for a sound FileSystem: (passed, skipped, failed) = {outcome}"
