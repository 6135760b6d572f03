"""kill -9 of the gateway in mid-upload: nothing is published, and nothing is left behind once it runs again (pitfalls H3, without write-back)."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from cloudalpha.testing.waiting import wait_until
from tests.end_to_end.clients import CLIENTS
from tests.end_to_end.services import SERVICES
from tests.servers.gateway import Gateway, find_leftovers, get_received_bytes

pytestmark = pytest.mark.needs("ss")

UPLOADERS = ("lftp", "curl-implicit", "scp", "scp-legacy", "rclone-ftp", "paramiko")


def test_nothing_is_published_and_nothing_left(tmp_path: Path) -> None:
    """Six uploads at once, new files and old ones."""
    with SERVICES["local"].open(tmp_path) as storage, contextlib.ExitStack() as clients:
        assert storage.root is not None
        large = tmp_path / "large"
        with large.open("wb") as file:
            file.truncate(2 << 30)
        with Gateway(tmp_path / "gateway", storage.account, storage.root) as gateway:
            for name in UPLOADERS:
                (storage.root / f"old-{name}").write_bytes(b"old content")
                for kind in ("old", "new"):
                    _start_upload(gateway, tmp_path, f"{kind}-{name}", clients)
            pid = gateway.process.pid
            enough = len(UPLOADERS) * 2
            wait_until(lambda: sum(size > 200_000 for size in get_received_bytes(pid).values()) >= enough, 60)
            gateway.kill()
        # What no file system without O_TMPFILE, or a crash in the instant of a replacement, would leave.
        leftover = storage.root / ".cloudalpha-0123456789abcdef.tmp"
        leftover.write_bytes(b"half")
        with Gateway(tmp_path / "gateway", storage.account, storage.root) as gateway, gateway.sftp() as sftp:
            assert sorted(sftp.listdir("/")) == sorted(f"old-{name}" for name in UPLOADERS)
            root = storage.root
            wait_until(lambda: not find_leftovers(gateway.process.pid, root), 20)
            assert {path.name: path.read_bytes() for path in root.iterdir()} == {
                f"old-{name}": b"old content" for name in UPLOADERS
            }
            client = CLIENTS["lftp"](gateway.get_endpoint(), tmp_path)
            (tmp_path / "small").write_bytes(b"new content")
            client.put(tmp_path / "small", "/old-lftp").run(tmp_path)
            assert (root / "old-lftp").read_bytes() == b"new content"


def _start_upload(gateway: Gateway, folder: Path, name: str, clients: contextlib.ExitStack) -> None:
    client_class = CLIENTS[name.partition("-")[2]]
    if missing := client_class.get_missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    client = client_class(gateway.get_endpoint(), folder)
    clients.enter_context(client.slow_put(folder / "large", f"/{name}").start(folder, folder / f"output-{name}"))


@pytest.mark.parametrize("name", ["lftp", "curl", "sftp", "scp-legacy", "rclone-sftp"])
def test_a_client_is_told_that_nothing_was_stored(tmp_path: Path, name: str) -> None:
    """A client whose gateway dies ends with an error: it never takes that for success."""
    if missing := CLIENTS[name].get_missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    with SERVICES["memory"].open(tmp_path) as storage, Gateway(tmp_path / "gateway", storage.account) as gateway:
        client = CLIENTS[name](gateway.get_endpoint(), tmp_path)
        with client.slow_put(tmp_path / "large", "/file").start(tmp_path, tmp_path / "output") as process:
            pid = gateway.process.pid
            wait_until(lambda: any(size > 200_000 for size in get_received_bytes(pid).values()), 60)
            gateway.kill()
            assert process.wait(60) != 0, (tmp_path / "output").read_text(errors="replace")
