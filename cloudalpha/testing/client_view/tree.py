"""Folders, names, and mistakes that a client is told of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudalpha import paths
from cloudalpha.testing.client_view.base import Connect, ManagerTestsBase
from cloudalpha.testing.clients import Client, ClientError
from cloudalpha.testing.contract.base import list_names
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.testing.faulty_layer import FaultyLayer

NAMES = [
    "plain", "a b", "two  spaces", ".hidden", "-rf", "--help", "it's", 'say "hi"', "a;b", "a=b; c=d", "50%", "%41", "#1", "a&b", "(1) [2]", "*", "?",
    "back\\slash", "~", "$HOME", "`id`", "Zoë", "Zoe\u0308", "файл", "文件名", "קובץ", "😀", "n" * 255, "日" * 85, "...", "..name", "a\u00a0b",
    "\u2028", "trailing space ", "d",
]  # fmt: skip

MISTAKES: dict[str, Callable[[Client], object]] = {
    "get-missing": lambda client: client.get("/missing"),
    "get-folder": lambda client: client.get("/folder"),
    "get-below-file": lambda client: client.get("/file/below"),
    "put-into-missing": lambda client: client.put("/missing/file", b"x"),
    "put-onto-folder": lambda client: client.put("/folder", b"x"),
    "put-below-file": lambda client: client.put("/file/below", b"x"),
    "append-into-missing": lambda client: client.put("/missing/file", b"x", append=True),
    "list-missing": lambda client: client.list_dir("/missing"),
    "stat-missing": lambda client: client.stat("/missing"),
    "stat-below-file": lambda client: client.stat("/file/below"),
    "rename-missing": lambda client: client.rename("/missing", "/other"),
    "rename-into-missing": lambda client: client.rename("/file", "/missing/file"),
    "rename-into-itself": lambda client: client.rename("/folder", "/folder/inside/below"),
    "rename-onto-folder": lambda client: client.rename("/file", "/folder"),
    "delete-missing": lambda client: client.delete("/missing"),
    "delete-folder": lambda client: client.delete("/folder"),
    "make-dir-again": lambda client: client.make_dir("/folder"),
    "make-dir-onto-file": lambda client: client.make_dir("/file"),
    "make-dir-into-missing": lambda client: client.make_dir("/missing/folder"),
    "delete-dir-missing": lambda client: client.delete_dir("/missing"),
    "delete-dir-of-file": lambda client: client.delete_dir("/file"),
    "delete-dir-full": lambda client: client.delete_dir("/folder"),
    "delete-dir-root": lambda client: client.delete_dir("/"),
    "name-too-long": lambda client: client.put("/" + "n" * 256, b"x"),
    "path-too-long": lambda client: client.make_dir("/folder" + "/." * 100 + "/" + "x/" * 2500 + "y"),
}


class TreeTests(ManagerTestsBase):
    @pytest.mark.parametrize("name", NAMES)
    def test_names_go_both_ways(self, client: Client, file_system: FaultyLayer, name: str) -> None:
        path = paths.join("/", name)
        client.put(path, b"content")
        assert list_names(file_system, "/") == [name]
        assert client.list_names("/") == [name]
        assert client.get(path) == b"content"
        assert client.stat(path).size == 7
        client.rename(path, "/other")
        client.rename("/other", path)
        client.delete(path)
        client.make_dir(path)
        client.put(paths.join(path, name), b"inside")
        assert client.list_names(path) == [name]
        assert file_system.read_all(paths.join(path, name)) == b"inside"
        client.delete(paths.join(path, name))
        client.delete_dir(path)
        assert list_names(file_system, "/") == []

    def test_listing(self, client: Client, file_system: FaultyLayer) -> None:
        assert client.list_dir("/") == []
        file_system.write_all("/file", b"12345")
        file_system.write_all("/empty", b"")
        file_system.make_dirs("/folder/inside")
        entries = {entry.name: entry for entry in client.list_dir("/")}
        assert sorted(entries) == ["empty", "file", "folder"]
        assert [entries[name].is_dir for name in sorted(entries)] == [False, False, True]
        assert [entries[name].size for name in ("empty", "file")] == [0, 5]
        assert client.list_names("/folder") == ["inside"]
        assert client.list_dir("/folder/inside") == []

    def test_listing_costs_one_listing(self, client: Client, file_system: FaultyLayer, counting: CountingLayer) -> None:
        file_system.make_dir("/folder")
        names = [f"{number:04}" for number in range(1000)]
        for name in names:
            file_system.write_all(f"/folder/{name}", b"x")
        counting.reset()
        assert client.list_names("/folder") == names
        assert counting.calls["list_dir"] == 1
        assert counting.calls["get_metadata"] <= 10, "a stat for each entry"
        assert counting.calls["read"] == counting.calls["get_native_file"] == 0

    def test_stat(self, client: Client, file_system: FaultyLayer) -> None:
        file_system.write_all("/file", b"12345")
        file_system.make_dir("/folder")
        assert client.stat("/file")[:3] == ("file", False, 5)
        assert client.stat("/folder").is_dir
        assert client.stat("/").is_dir

    def test_rename_of_a_folder(self, client: Client, file_system: FaultyLayer) -> None:
        file_system.make_dirs("/a/b")
        file_system.write_all("/a/b/file", b"content")
        client.rename("/a", "/c")
        assert [entry.path for entry in file_system.walk("/")] == ["/c", "/c/b", "/c/b/file"]
        assert client.get("/c/b/file") == b"content"

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_mistake(self, client: Client, file_system: FaultyLayer, mistake: str) -> None:
        file_system.write_all("/file", b"content")
        file_system.make_dirs("/folder/inside")
        with pytest.raises(ClientError):
            MISTAKES[mistake](client)
        assert [entry.path for entry in file_system.walk("/folder")] == ["/folder/inside"]
        assert list_names(file_system, "/") == ["file", "folder"]
        assert client.get("/file") == b"content", "the session is of no use any more"

    @pytest.mark.parametrize(
        "path",
        [
            "/../file",
            "/../../file",
            "//file",
            "/./file",
            "/folder/../file",
            "/folder/../../../file",
            "/folder//..//file",
        ],
    )
    def test_no_way_out_of_the_root(self, client: Client, file_system: FaultyLayer, path: str) -> None:
        file_system.make_dir("/folder")
        client.put(path, b"content")
        assert [entry.path for entry in file_system.walk("/") if not entry.is_dir] == ["/file"]
        assert client.get(path) == b"content"
        with pytest.raises(ClientError):
            client.get("/../../../../../../etc/passwd")

    def test_changes_are_seen_by_other_sessions(self, connect: Connect) -> None:
        first, second = connect(), connect()
        first.make_dir("/folder")
        first.put("/folder/a", b"1")
        assert second.list_names("/folder") == ["a"]
        second.rename("/folder/a", "/folder/b")
        assert first.list_names("/folder") == ["b"]
        first.delete("/folder/b")
        second.delete_dir("/folder")
        assert first.list_dir("/") == []
