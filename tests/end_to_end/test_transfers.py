"""Every client, both ways: files, replaced files, whole trees, resumed transfers."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.end_to_end.clients import Client
from tests.end_to_end.clients.ftp_clients import Lftp
from tests.end_to_end.conftest import Place
from tests.end_to_end.remote import MODIFIED, make_tree, read_local_tree, write_local_tree
from tests.end_to_end.services import FEW, SAMPLE

CONTENT = random.Random(7).randbytes(3_000_017)


def test_a_file_both_ways(place: Place, client: Client) -> None:
    local = place.folder / "file"
    for content in (CONTENT, CONTENT[1000:50_000], b""):
        local.write_bytes(content)
        client.put(local, f"{place.base}/file").run(place.folder)
        assert place.remote.read(f"{place.base}/file") == content
    place.remote.write(f"{place.base}/file", CONTENT)
    client.get(f"{place.base}/file", place.folder / "back").run(place.folder)
    assert (place.folder / "back").read_bytes() == CONTENT
    assert place.remote.list_names(place.base) == ["file"]


@pytest.mark.clients(lambda client: client.has_trees, on_slow=SAMPLE)
def test_a_tree_both_ways(place: Place, client: Client) -> None:
    tree = make_tree()
    local = write_local_tree(place.folder / "tree", tree)
    client.put_tree(local, f"{place.base}/tree").run(place.folder)
    assert place.remote.read_tree(f"{place.base}/tree") == tree
    (place.folder / "down").mkdir()
    client.get_tree(f"{place.base}/tree", place.folder / "down" / "tree").run(place.folder)
    assert read_local_tree(place.folder / "down" / "tree") == tree
    if client.keeps_times:
        assert place.remote.get_modified(f"{place.base}/tree/large") == MODIFIED
        assert int((place.folder / "down" / "tree" / "large").stat().st_mtime) == MODIFIED


@pytest.mark.clients(lambda client: client.has_resume_put, on_slow=FEW)
def test_an_upload_is_resumed(place: Place, client: Client) -> None:
    content = CONTENT[: client.resume_bytes]
    (place.folder / "file").write_bytes(content)
    place.remote.write(f"{place.base}/file", content[: len(content) * 2 // 5])
    client.resume_put(place.folder / "file", f"{place.base}/file").run(place.folder)
    assert place.remote.read(f"{place.base}/file") == content


@pytest.mark.clients(lambda client: client.has_resume_get, on_slow=FEW)
def test_a_download_is_resumed(place: Place, client: Client) -> None:
    place.remote.write(f"{place.base}/file", CONTENT)
    (place.folder / "file").write_bytes(CONTENT[:1_234_567])
    client.resume_get(f"{place.base}/file", place.folder / "file").run(place.folder)
    assert (place.folder / "file").read_bytes() == CONTENT


@pytest.mark.clients(lambda client: issubclass(client, Lftp), on_slow=FEW)
def test_lftp_resumes_trees(place: Place, client: Lftp) -> None:
    tree = make_tree()
    local = write_local_tree(place.folder / "tree", tree)
    place.remote.write_tree(f"{place.base}/tree", {"large": tree["large"][:700_000]})  # type: ignore[index]
    client.resume_put_tree(local, f"{place.base}/tree").run(place.folder)
    assert place.remote.read_tree(f"{place.base}/tree") == tree
    back = place.folder / "back"
    back.mkdir()
    (back / "large").write_bytes(tree["large"][:1_300_000])  # type: ignore[index]
    client.resume_get_tree(f"{place.base}/tree", back).run(place.folder)
    assert read_local_tree(back) == tree


@pytest.mark.clients(lambda client: issubclass(client, Lftp), on_slow=FEW)
def test_lftp_mirrors_what_is_new_and_deletes_what_is_gone(place: Place, client: Lftp) -> None:
    local = write_local_tree(place.folder / "tree", make_tree())
    client.put_tree(local, f"{place.base}/tree").run(place.folder)
    _change(local)
    client.mirror_put(local, f"{place.base}/tree").run(place.folder)
    assert place.remote.read_tree(f"{place.base}/tree") == read_local_tree(local)
    assert client.mirror_put(local, f"{place.base}/tree").run(place.folder) == "", "nothing is left to do"
    client.get_tree(f"{place.base}/tree", place.folder / "back").run(place.folder)
    place.remote.sftp.remove(f"{place.base}/tree/new")
    client.mirror_get(f"{place.base}/tree", place.folder / "back").run(place.folder)
    assert read_local_tree(place.folder / "back") == place.remote.read_tree(f"{place.base}/tree")


def _change(folder: Path) -> None:
    (folder / "large").write_bytes(b"small now")
    os.utime(folder / "large", (MODIFIED + 60, MODIFIED + 60))
    (folder / "new").write_bytes(b"new")
    os.utime(folder / "new", (MODIFIED, MODIFIED))
    (folder / "with space").unlink()
    (folder / "empty").rmdir()
