"""Files up and down, whole, in part, and left in the middle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudalpha.manager import Manager
from cloudalpha.testing.client_view.base import Connect, ManagerTestsBase
from cloudalpha.testing.clients import Client, ClientError
from cloudalpha.testing.contract.base import list_names, make_content
from cloudalpha.testing.contract.concurrency import run_together
from cloudalpha.testing.faulty_layer import FaultyLayer
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.same_bytes import assert_same_bytes

SIZES = [0, 1, 2, 1000, 32767, 32768, 32769, 65536, 300_001, 3 * 1024 * 1024 + 7]


class TransferTests(ManagerTestsBase):
    @pytest.mark.parametrize("size", SIZES)
    def test_upload(self, client: Client, file_system: FaultyLayer, size: int) -> None:
        content = make_content(size)
        client.put("/file", content)
        assert_same_bytes(file_system.read_all("/file"), content)
        assert list_names(file_system, "/") == ["file"]

    @pytest.mark.parametrize("size", SIZES)
    def test_download(self, client: Client, file_system: FaultyLayer, size: int) -> None:
        content = make_content(size)
        file_system.write_all("/file", content)
        assert_same_bytes(client.get("/file"), content)
        assert_same_bytes(client.get("/file"), content)

    @pytest.mark.parametrize("content", [b"", b"new", make_content(500_000, 1)], ids=["empty", "short", "long"])
    def test_upload_replaces(self, client: Client, file_system: FaultyLayer, content: bytes) -> None:
        file_system.write_all("/file", b"old content")
        client.put("/file", content)
        assert_same_bytes(file_system.read_all("/file"), content)
        assert_same_bytes(client.get("/file"), content)

    @pytest.mark.parametrize(
        "old", [None, b"", b"old content", make_content(400_000)], ids=["new", "empty", "short", "long"]
    )
    def test_append(self, client: Client, file_system: FaultyLayer, old: bytes | None) -> None:
        if old is not None:
            file_system.write_all("/log", old)
        client.put("/log", b"line 1\n", append=True)
        client.put("/log", b"line 2\n", append=True)
        assert_same_bytes(file_system.read_all("/log"), (old or b"") + b"line 1\nline 2\n")

    @pytest.mark.parametrize("offset", [0, 1, 999, 250_000, 299_999, 300_000])
    def test_download_goes_on(self, client: Client, file_system: FaultyLayer, offset: int) -> None:
        content = make_content(300_000)
        file_system.write_all("/file", content)
        assert_same_bytes(client.get("/file", offset), content[offset:])

    @pytest.mark.parametrize("offset", [1, 1000, 200_000])
    def test_upload_goes_on(self, client: Client, file_system: FaultyLayer, offset: int) -> None:
        content = make_content(300_000)
        file_system.write_all("/file", content[:offset])
        client.put("/file", content[offset:], offset)
        assert_same_bytes(file_system.read_all("/file"), content)

    def test_nothing_is_seen_before_the_end(self, connect: Connect, file_system: FaultyLayer) -> None:
        writer, reader = connect(), connect()
        file_system.write_all("/old", b"old content")
        for path in ("/new", "/old"):
            writer.begin_put(path, make_content(300_000))
            assert reader.list_names("/") == (["old"] if path == "/new" else ["new", "old"])
            assert reader.get("/old") == b"old content"
            writer.finish_put()
            assert_same_bytes(reader.get(path), make_content(300_000))

    def test_every_way_to_leave(
        self, connect: Connect, manager: Manager, gate: OpenGate, file_system: FaultyLayer
    ) -> None:
        file_system.write_all("/old", b"old content")
        for way in connect().abort_ways:
            for path in ("/new", "/old"):
                for append in (False, True):
                    client = connect()
                    client.begin_put(path, make_content(300_000), append=append)
                    client.abort(way)
                    self.wait_for_end(manager, gate, num_sessions=1)
                    assert file_system.read_all("/old") == b"old content", f"{path} after {way}"
                    assert list_names(file_system, "/") == ["old"], f"{path} after {way}"

    def test_download_left_in_the_middle(
        self, connect: Connect, manager: Manager, gate: OpenGate, file_system: FaultyLayer
    ) -> None:
        content = make_content(8 * 1024 * 1024)
        file_system.write_all("/file", content)
        for way in connect().abort_ways:
            client = connect()
            assert_same_bytes(client.begin_get("/file", 1000), content[:1000])
            client.abort(way)
            self.wait_for_end(manager, gate, num_sessions=1)
        assert_same_bytes(connect().get("/file"), content)

    def test_upload_after_one_that_was_left(self, connect: Connect, file_system: FaultyLayer) -> None:
        client = connect()
        client.begin_put("/file", make_content(100_000))
        client.abort(client.abort_ways[0])
        connect().put("/file", b"the second try")
        assert file_system.read_all("/file") == b"the second try"

    def test_slow_download(self, client: Client, file_system: FaultyLayer) -> None:
        content = make_content(5 * 1024 * 1024)
        file_system.write_all("/file", content)
        assert_same_bytes(client.begin_get("/file", 10), content[:10])
        file_system.write_all("/file", b"somebody else was faster")
        try:
            assert_same_bytes(client.finish_get(), content[10:])
        except ClientError:
            return  # the old version is gone, and the client was told

    def test_sessions_in_parallel(self, connect: Connect, file_system: FaultyLayer) -> None:
        clients = [connect() for _ in range(4)]

        def work(number: int) -> None:
            content = make_content(400_000, number)
            clients[number].put(f"/{number}", content)
            assert_same_bytes(clients[number].get(f"/{number}"), content)

        run_together(work, len(clients))
        assert list_names(file_system, "/") == ["0", "1", "2", "3"]

    def test_writers_of_one_path(self, connect: Connect, file_system: FaultyLayer) -> None:
        first, second = connect(), connect()
        first.begin_put("/file", make_content(300_000, 1))
        second.begin_put("/file", make_content(200_000, 2))
        second.finish_put()
        assert_same_bytes(file_system.read_all("/file"), make_content(200_000, 2))
        first.finish_put()
        assert_same_bytes(file_system.read_all("/file"), make_content(300_000, 1))

    def test_time_of_a_file(self, client: Client, file_system: FaultyLayer) -> None:
        moment = datetime(2012, 3, 4, 5, 6, 7, tzinfo=UTC)
        client.put("/file", b"content")
        if not file_system.capabilities.sets_modified:
            return
        client.set_modified("/file", moment)
        modified = file_system.get_metadata("/file").modified_datetime
        assert modified is not None
        assert abs(modified - moment) <= timedelta(seconds=1)
        assert client.stat("/file").modified == modified.replace(microsecond=0)
        assert [entry.modified for entry in client.list_dir("/")] == [modified.replace(microsecond=0)]
