"""rclone, the newest and Debian's: 300 files by `sync` and `bisync`, held against each other by `check --download`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.clients.rclone import Rclone
from tests.end_to_end.conftest import Place
from tests.end_to_end.remote import make_tree, read_local_tree, write_local_tree
from tests.end_to_end.services import FEW, SERVICES

NUM_FILES = 300


@pytest.mark.slow
@pytest.mark.clients(lambda client: issubclass(client, Rclone), on_slow=FEW)
def test_sync_and_check(place: Place, client: Rclone) -> None:
    num_files = NUM_FILES // 5 if SERVICES[place.service].is_slow else NUM_FILES
    local = write_local_tree(place.folder / "tree", make_tree(num_files))
    remote = f"{client.remote}{place.base}/tree"
    client.make("sync", "--create-empty-src-dirs", local, remote).run(place.folder, 120)
    client.make("check", "--download", local, remote).run(place.folder, 120)
    _change(local)
    client.make("sync", "--create-empty-src-dirs", local, remote).run(place.folder, 120)
    client.make("check", "--download", local, remote).run(place.folder, 120)
    client.make("sync", "--create-empty-src-dirs", remote, place.folder / "back").run(place.folder, 120)
    assert read_local_tree(place.folder / "back") == read_local_tree(local)


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.clients(lambda client: issubclass(client, Rclone))
def test_bisync(place: Place, client: Rclone) -> None:
    """Changes of both sides reach the other one."""
    here = write_local_tree(place.folder / "tree", make_tree(NUM_FILES))
    there = f"{client.remote}{place.base}/tree"
    place.remote.sftp.mkdir(f"{place.base}/tree")
    bisync = ("bisync", here, there, "--workdir", place.folder / "bisync")
    client.make(*bisync, "--resync").run(place.folder, 120)
    client.make("check", "--download", here, there).run(place.folder, 120)
    _change(here)
    place.remote.write(f"{place.base}/tree/from there", b"from there")
    place.remote.sftp.remove(f"{place.base}/tree/it's")
    client.make(*bisync).run(place.folder, 120)
    client.make("check", "--download", here, there).run(place.folder, 120)
    assert (here / "from there").read_bytes() == b"from there"
    assert not (here / "it's").exists()
    assert place.remote.read(f"{place.base}/tree/from here") == b"from here"


def _change(folder: Path) -> None:
    (folder / "from here").write_bytes(b"from here")
    (folder / "large").write_bytes(b"small now")
    next((folder / "folder").glob("*.txt*")).unlink()
