"""A storage that fails or is slow: the client is told the truth, and others do not suffer."""

from __future__ import annotations

import threading

import pytest

from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    InsufficientSpaceFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.testing.client_view.base import Connect, ManagerTestsBase
from cloudalpha.testing.clients import Client, ClientError
from cloudalpha.testing.contract.base import list_names, make_content
from cloudalpha.testing.faulty_layer import Fault, FaultyLayer
from cloudalpha.testing.slow_layer import SlowLayer
from cloudalpha.testing.waiting import wait_until

ERRORS = [AccessFailedFileSystemError, InsufficientSpaceFileSystemError, PermissionDeniedFileSystemError]


class FaultTests(ManagerTestsBase):
    @pytest.mark.parametrize("error", ERRORS)
    @pytest.mark.parametrize("old", [None, b"old content"], ids=["new", "overwrite"])
    def test_commit_fails(
        self, client: Client, file_system: FaultyLayer, error: type[AccessFailedFileSystemError], old: bytes | None
    ) -> None:
        if old is not None:
            file_system.write_all("/file", old)
        file_system.plan(Fault("NewFile.commit", error=error))
        with pytest.raises(ClientError):
            client.put("/file", make_content(100_000))
        assert file_system.raised
        assert list_names(file_system, "/") == ([] if old is None else ["file"])
        assert old is None or file_system.read_all("/file") == old
        client.put("/file", b"next try")
        assert file_system.read_all("/file") == b"next try"

    @pytest.mark.parametrize("after", [0, 100_000, 3_000_000])
    def test_upload_breaks(self, client: Client, file_system: FaultyLayer, after: int) -> None:
        file_system.write_all("/file", b"old content")
        file_system.plan(Fault("NewFile.write", after=after, error=InsufficientSpaceFileSystemError))
        with pytest.raises(ClientError):
            client.put("/file", make_content(4 * 1024 * 1024))
        assert file_system.raised
        assert file_system.read_all("/file") == b"old content"
        assert client.get("/file") == b"old content"

    @pytest.mark.parametrize("after", [0, 100_000, 3_000_000])
    def test_download_breaks(self, client: Client, file_system: FaultyLayer, after: int) -> None:
        file_system.write_all("/file", make_content(4 * 1024 * 1024))
        file_system.write_all("/other", b"other")
        file_system.plan(Fault("read", path="/file", after=after, times=None))
        with pytest.raises(ClientError):
            client.get("/file")
        assert file_system.raised
        assert client.get("/other") == b"other"

    @pytest.mark.parametrize("after", [None, 0, 2])
    def test_listing_breaks(self, client: Client, file_system: FaultyLayer, after: int | None) -> None:
        for number in range(5):
            file_system.write_all(f"/{number}", b"x")
        file_system.plan(Fault("list_dir", after=after))
        with pytest.raises(ClientError):
            client.list_dir("/")
        assert file_system.raised
        assert len(client.list_dir("/")) == 5

    @pytest.mark.parametrize("error", ERRORS)
    @pytest.mark.parametrize("call", ["delete", "make_dir", "delete_dir", "rename"])
    def test_call_fails(
        self, client: Client, file_system: FaultyLayer, call: str, error: type[AccessFailedFileSystemError]
    ) -> None:
        file_system.write_all("/file", b"x")
        file_system.make_dir("/folder")
        file_system.plan(Fault(call, error=error))
        with pytest.raises(ClientError):
            self._call(client, call)
        assert file_system.raised
        assert list_names(file_system, "/") == ["file", "folder"]
        self._call(client, call)
        assert list_names(file_system, "/") != ["file", "folder"]

    def test_outage_is_not_a_missing_file(self, client: Client, file_system: FaultyLayer) -> None:
        file_system.write_all("/file", b"x")
        with pytest.raises(ClientError) as missing:
            client.stat("/missing")
        file_system.plan(Fault("get_metadata", path="/file", times=None))
        with pytest.raises(ClientError) as outage:
            client.stat("/file")
        assert str(outage.value) != str(missing.value).replace("missing", "file")

    @pytest.mark.expects_warnings
    @pytest.mark.parametrize("call", ["delete", "make_dir", "rename"])
    def test_bug_tells_the_client_nothing_of_the_inside(
        self, client: Client, file_system: FaultyLayer, call: str
    ) -> None:
        file_system.write_all("/file", b"x")
        file_system.plan(Fault(call, error=lambda path: RuntimeError("inside: /srv/secret")))
        with pytest.raises(ClientError) as info:
            self._call(client, call)
        assert file_system.raised
        assert "secret" not in str(info.value)
        assert "RuntimeError" not in str(info.value)
        self._call(client, call)

    def test_one_session_waits_and_others_go_on(
        self, connect: Connect, file_system: FaultyLayer, slow: SlowLayer
    ) -> None:
        file_system.write_all("/file", b"content")
        waiting, others = connect(), [connect() for _ in range(2)]
        slow.calls = frozenset({"list_dir"})
        listed: list[str] = []
        thread = threading.Thread(target=lambda: listed.extend(waiting.list_names("/")))
        thread.start()
        wait_until(lambda: slow.waiting == 1)
        for client in others:
            assert client.get("/file") == b"content"
            client.put("/other", b"x")
            assert client.stat("/other").size == 1
        assert listed == []
        slow.release()
        thread.join(30)
        assert listed[0] == "file"

    def _call(self, client: Client, call: str) -> None:
        if call == "rename":
            client.rename("/file", "/renamed")
        elif call == "delete":
            client.delete("/file")
        elif call == "make_dir":
            client.make_dir("/made")
        else:
            client.delete_dir("/folder")
