"""A minute of crashes; `python -m tests.end_to_end.s3_crashes` makes as many as one likes."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from tests.end_to_end.s3_crashes import Crashes, History
from tests.end_to_end.whole_files import make_record
from tests.servers import shared

NUM_UPLOADS = 40


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.expects_warnings  # that a gateway which is killed just then does not tell its sessions
@pytest.mark.needs("lftp", "curl", "sftp", "scp", "psftp")
def test_gateway_clients_and_proxy_are_killed_all_the_time(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """H3: no truncated object, no lost old version, no upload in parts that is left, nothing in the journal."""
    with shared.join_in_run("ceph", tmp_path_factory.getbasetemp()) as server:
        crashes = Crashes(tmp_path, server, NUM_UPLOADS, seed=1)
        crashes.run()
    assert crashes.faults == []
    assert crashes.counts["uploads confirmed"] + crashes.counts["uploads failed"] == NUM_UPLOADS
    assert crashes.counts["uploads confirmed"] > NUM_UPLOADS // 8
    assert all(crashes.counts[f"{victim} killed"] for victim in ("gateway", "client", "proxy"))
    assert crashes.counts["objects checked"] > 3


def test_contents_that_cannot_be_there_are_found() -> None:
    """The checker itself."""
    first, second, third = (make_record(random.Random(seed), 100) for seed in range(3))
    history = History([hashlib.sha256(content).hexdigest() for content in (first, second)])
    assert [history.find_fault(content) for content in (None, first, second)] == [None] * 3
    history.confirmed = 1
    assert history.find_fault(second) is None
    for wrong in (None, first, third, second[:-1], b""):
        assert history.find_fault(wrong), wrong
