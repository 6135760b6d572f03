"""Clients that die in the middle of an upload publish nothing (pitfalls H1, H2, H7, H10), whichever they are and however they go."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cloudalpha.testing.waiting import wait_until
from tests.end_to_end.clients import CLIENTS, Client, kill_all
from tests.end_to_end.conftest import Place
from tests.end_to_end.services import FEW
from tests.servers.gateway import get_received_bytes

pytestmark = pytest.mark.needs("ss")

LARGE = 2 << 30
"""Bytes of a local file (a hole that takes no space) that no client has sent before it is killed."""

SEEN = 300_000
"""Bytes that the gateway must have got before."""

OLD = b"old content " * 1000


def kill_client(process: subprocess.Popen[bytes]) -> None:
    """The program alone: a child of it, like ssh, sees its input end and goes in good order."""
    process.kill()
    process.wait()


@contextmanager
def upload_under_way(place: Place, client: Client, path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A client that is in the middle of an upload; killed at the end."""
    local = place.folder / "large"
    with local.open("wb") as file:
        file.truncate(LARGE)
    pid = place.gateway.process.pid
    others = get_received_bytes(pid).keys()
    with client.slow_put(local, path).start(place.folder, place.folder / "output") as process:

        def is_under_way() -> bool:
            output = (place.folder / "output").read_text(errors="replace")
            assert process.poll() is None, output
            return any(size > SEEN for name, size in get_received_bytes(pid).items() if name not in others)

        wait_until(is_under_way, 40, lambda: (place.folder / "output").read_text(errors="replace"))
        yield process


def find_uploads(place: Place, folder: str) -> list[tuple[int, str]]:
    """Bytes and result of the uploads to a folder that are over, from the log."""
    pattern = rf'event=upload .*path="?{re.escape(folder)}/.* bytes=(\d+) .*result=("[^"]*"|\S+)'
    return [(int(num_bytes), result) for num_bytes, result in re.findall(pattern, place.gateway.err)]


def assert_nothing_is_left(place: Place) -> None:
    """Nothing where the files lie that no client may see: temporary files, hidden or unnamed; uploads in parts."""
    pid = place.gateway.process.pid
    wait_until(lambda: not place.storage.find_leftovers(pid), 20, lambda: str(place.storage.find_leftovers(pid)))


@pytest.mark.clients(on_slow=FEW)
@pytest.mark.parametrize("is_overwriting", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("kill", [kill_all, kill_client])
def test_a_killed_client_publishes_nothing(
    place: Place, client: Client, is_overwriting: bool, kill: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    folder = f"{place.base}/folder"
    place.remote.sftp.mkdir(folder)
    if is_overwriting:
        place.remote.write(f"{folder}/file", OLD)
    expected = {"file": OLD} if is_overwriting else {}
    before = len(find_uploads(place, folder))
    with upload_under_way(place, client, f"{folder}/file") as process:
        names = set(place.remote.list_names(folder))
        assert names == set(expected), "nothing is visible under way"
        kill(process)
        uploads = wait_until(lambda: find_uploads(place, folder)[before:], 20, lambda: place.gateway.err)
        assert [result for _, result in uploads] == ["discarded"]
        assert 0 < uploads[0][0] < LARGE
    assert place.remote.read_tree(folder) == expected
    assert_nothing_is_left(place)


@pytest.mark.clients(lambda client: client is CLIENTS["lftp"])
def test_the_gateway_serves_on(place: Place, client: Client) -> None:
    """Ten clients killed one after the other, and the same name is uploaded whole afterwards."""
    for _ in range(10):
        with upload_under_way(place, client, f"{place.base}/file") as process:
            kill_all(process)
    small = place.folder / "small"
    small.write_bytes(OLD)
    client.put(small, f"{place.base}/file").run(place.folder)
    assert place.remote.read_tree(place.base) == {"file": OLD}
    assert_nothing_is_left(place)
