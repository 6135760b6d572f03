"""Half a minute of the soak; `python -m tests.end_to_end.soak` runs it for as long as one likes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.end_to_end.soak import Soak
from tests.end_to_end.whole_files import find_fault, make_record


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.timeout(240)
def test_clients_that_are_killed_all_the_time(tmp_path: Path) -> None:
    soak = Soak(tmp_path, 25, seed=1)
    soak.run()
    assert soak.faults == []
    assert soak.counts["done"] > 20
    assert soak.counts["killed"] > 3
    assert soak.counts["uploads discarded"] > 3
    assert soak.counts["looked at"] > 20


def test_files_that_are_not_whole_are_found() -> None:
    """The checker itself."""
    data = make_record(random.Random(1), 1000) + make_record(random.Random(2), 10)
    assert find_fault(data) is None
    assert all(find_fault(data[:length]) for length in (0, 1, 43, 500, 1050, len(data) - 1))
    assert find_fault(data[:100] + b"x" + data[101:])
