from __future__ import annotations

import json
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.data_store import FILE_NAME, KEY_FILE_NAME, DataStore, get_default_state_dir, make_private_dir
from cloudalpha.exceptions import DataStoreError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DataStore]:
    store = DataStore.get_instance(tmp_path / "state")
    yield store
    store.close()


def plant(store: DataStore, row_key: str, value: object) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute("REPLACE INTO data (key, value) VALUES (?, ?)", (row_key, value))
    connection.close()


def raw_rows(store: DataStore) -> dict[str, str]:
    connection = sqlite3.connect(store.path)
    rows = dict(connection.execute("SELECT key, value FROM data").fetchall())
    connection.close()
    return rows


def test_values_are_kept_under_owner_and_key(store: DataStore) -> None:
    store.set_value("account:a", "token", {"access": "x", "numbers": [1, 2.5, None, True]})
    store.set_value("account:b", "token", "other")
    assert store.get_value("account:a", "token") == {"access": "x", "numbers": [1, 2.5, None, True]}
    assert store.get_value("account:b", "token") == "other"
    assert store.get_value("account:c", "token") is None
    assert store.get_value("account:c", "token", 7) == 7


def test_a_value_survives_reopening(store: DataStore) -> None:
    store.set_value("a", "plain", 1)
    store.set_value("a", "sealed", "s", secret=True)
    store.close()
    again = DataStore.get_instance(store.state_dir)
    assert again is not store
    assert again.items("a") == [("plain", 1), ("sealed", "s")]
    again.close()


def test_none_false_and_empty_are_values(store: DataStore) -> None:
    for secret in (False, True):
        values: list[object] = [None, False, 0, "", [], {}]
        for value in values:
            store.set_value("o", "k", value, secret=secret)
            assert store.get_value("o", "k", "default") == value


def test_deleting(store: DataStore) -> None:
    store.set_value("o", "k", 1)
    store.delete_value("o", "k")
    store.delete_value("o", "k")
    assert store.get_value("o", "k") is None
    assert store.items("o") == []


def test_items_are_of_one_owner_alone(store: DataStore) -> None:
    for owner in ("a", "aa", "a'", 'a"', "a%", "a_", "a,", "", 'a","b', "é", "\udcff"):
        for key in ("x", "it's", 'qu"ote', ""):
            store.set_value(owner, key, [owner, key])
    for owner in ("a", "aa", "a'", 'a"', "a%", "a_", "a,", "", 'a","b', "é", "\udcff"):
        assert store.items(owner) == sorted((key, [owner, key]) for key in ("x", "it's", 'qu"ote', ""))


@given(owner=st.text(), key=st.text(), value=st.text(), secret=st.booleans())
def test_any_text_is_an_owner_a_key_and_a_value(
    tmp_path_factory: pytest.TempPathFactory, owner: str, key: str, value: str, secret: bool
) -> None:
    store = DataStore.get_instance(tmp_path_factory.getbasetemp() / "any_text")
    store.set_value(owner, key, value, secret=secret)
    assert store.get_value(owner, key) == value
    assert (key, value) in store.items(owner)
    store.delete_value(owner, key)


def test_one_instance_for_each_folder(tmp_path: Path) -> None:
    first = DataStore.get_instance(tmp_path / "one")
    assert DataStore.get_instance(tmp_path / "x" / ".." / "one") is first
    second = DataStore.get_instance(tmp_path / "two")
    assert second is not first
    first.close()
    second.close()
    first.close()
    with pytest.raises(DataStoreError, match="closed"):
        first.get_value("o", "k")


def test_only_the_owner_may_read_what_is_stored(store: DataStore) -> None:
    store.set_value("o", "k", "v", secret=True)
    assert stat.S_IMODE(store.state_dir.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.state_dir.iterdir()}
    assert set(modes) >= {FILE_NAME, KEY_FILE_NAME}
    assert all(mode == 0o600 for mode in modes.values()), modes


def test_a_state_folder_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = DataStore.get_instance(tmp_path)
    store.set_value("o", "k", 1)
    store.close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_folder_of_others_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "somebody's file").write_text("")
    tmp_path.chmod(0o755)
    with pytest.raises(DataStoreError, match="name a folder of its own"):
        DataStore.get_instance(tmp_path).set_value("o", "k", 1)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    tmp_path.chmod(0o700)
    store = DataStore.get_instance(tmp_path)
    store.set_value("o", "k", 1)
    store.close()
    tmp_path.chmod(0o755)
    make_private_dir(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_the_default_folder_is_always_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "cloudalpha" / "demo").mkdir(parents=True, mode=0o755)
    make_private_dir(get_default_state_dir())
    assert stat.S_IMODE((tmp_path / "cloudalpha").stat().st_mode) == 0o700


def test_secrets_are_nowhere_in_clear(store: DataStore) -> None:
    store.set_value("o", "k", "correct horse", secret=True)
    store.set_value("o", "plain", "visible")
    store.close()
    content = b"".join(path.read_bytes() for path in store.state_dir.iterdir())
    assert b"visible" in content
    assert b"correct horse" not in content
    assert "correct" not in repr(store)


def test_a_sealed_value_moved_elsewhere_does_not_open(store: DataStore) -> None:
    store.set_value("alice", "token", "hers", secret=True)
    sealed = raw_rows(store)[json.dumps(["alice", "token"])]
    plant(store, json.dumps(["mallory", "token"]), sealed)
    plant(store, json.dumps(["alice", "other"]), sealed)
    with pytest.raises(DataStoreError, match="does not open"):
        store.get_value("mallory", "token")
    with pytest.raises(DataStoreError, match="does not open"):
        store.get_value("alice", "other")
    assert store.get_value("alice", "token") == "hers"


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_planted_pickle_is_an_error_and_is_never_run(store: DataStore, tmp_path: Path, as_text: bool) -> None:
    store.set_value("o", "k", "v")
    bomb = pickle.dumps(Bomb(tmp_path / "trace"), protocol=0)
    plant(store, json.dumps(["o", "k"]), bomb.decode() if as_text else bomb)
    with pytest.raises(DataStoreError, match="damaged"):
        store.get_value("o", "k")
    with pytest.raises(DataStoreError, match="damaged"):
        store.items("o")
    assert not (tmp_path / "trace").exists()
    store.set_value("o", "k", "mended")
    assert store.get_value("o", "k") == "mended"


@pytest.mark.parametrize(
    "row", ['{"value"', "[]", "{}", "null", "1", '{"value": 1, "sealed": ""}', '{"x": 1}', "", None]
)
def test_a_torn_row_is_an_error_and_the_others_are_well(store: DataStore, row: object) -> None:
    store.set_value("o", "fine", 1)
    plant(store, json.dumps(["o", "k"]), row)
    with pytest.raises(DataStoreError, match="damaged"):
        store.get_value("o", "k")
    assert store.get_value("o", "fine") == 1
    store.delete_value("o", "k")
    assert store.items("o") == [("fine", 1)]


@pytest.mark.parametrize("sealed", ["", "AAAA", "not base64!", 5, None, "A" * 64])
def test_a_torn_sealed_value_is_an_error(store: DataStore, sealed: object) -> None:
    store.set_value("o", "k", "v", secret=True)
    plant(store, json.dumps(["o", "k"]), json.dumps({"sealed": sealed}))
    with pytest.raises(DataStoreError, match="does not open"):
        store.get_value("o", "k")


def test_a_wrong_missing_short_or_open_key_is_a_clear_error(store: DataStore) -> None:
    store.set_value("o", "k", "v", secret=True)
    path = store.state_dir / KEY_FILE_NAME
    key = path.read_bytes()
    path.write_bytes(bytes(32))
    with pytest.raises(DataStoreError, match="another one"):
        store.get_value("o", "k")
    path.write_bytes(key[:31])
    with pytest.raises(DataStoreError, match="31 bytes"):
        store.get_value("o", "k")
    path.write_bytes(key)
    path.chmod(0o640)
    with pytest.raises(DataStoreError, match="chmod 600"):
        store.get_value("o", "k")
    path.unlink()
    with pytest.raises(DataStoreError, match="missing"):
        store.get_value("o", "k")


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_what_is_not_json_is_refused(store: DataStore, value: object) -> None:
    with pytest.raises(DataStoreError, match="not JSON"):
        store.set_value("o", "k", value)


def test_a_value_has_a_bound(store: DataStore) -> None:
    with pytest.raises(DataStoreError, match="larger"):
        store.set_value("o", "k", "x" * 1024 * 1024)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(DataStoreError, match="cannot be used"):
        DataStore.get_instance(tmp_path).get_value("o", "k")


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(DataStoreError, match="folder"):
        DataStore.get_instance(tmp_path / "state").get_value("o", "k")


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    DataStore.get_instance(tmp_path / "state").close()
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_vanishes_is_an_error_and_not_a_missing_value(store: DataStore) -> None:
    store.set_value("o", "k", 1)
    with sqlite3.connect(store.path) as connection:
        connection.execute("DROP TABLE data")
    connection.close()
    with pytest.raises(DataStoreError, match="cannot be used"):
        store.get_value("o", "k")
    with pytest.raises(DataStoreError, match="cannot be used"):
        store.set_value("o", "k", 2)


def test_many_threads(store: DataStore) -> None:
    def work(number: int) -> None:
        for step in range(20):
            store.set_value(f"owner {number}", f"key {step}", [number, step], secret=step % 2 == 0)
            assert store.get_value(f"owner {number}", f"key {step}") == [number, step]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert all(len(store.items(f"owner {number}")) == 20 for number in range(8))


_WRITER = """
import sys
from pathlib import Path
from cloudalpha.data_store import DataStore
store = DataStore.get_instance(Path(sys.argv[1]))
for step in range(25):
    store.set_value("shared", sys.argv[2] + ":" + str(step), step, secret=step % 5 == 0)
    assert store.get_value("shared", sys.argv[2] + ":" + str(step)) == step
store.close()
"""


def test_many_processes_that_all_start_with_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    processes = [subprocess.Popen([sys.executable, "-c", _WRITER, folder, str(number)]) for number in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0, 0]
    store = DataStore.get_instance(folder)
    assert len(store.items("shared")) == 100
    store.close()
    assert [path for path in folder.iterdir() if path.name.startswith(f".{KEY_FILE_NAME}")] == []


def test_a_change_of_another_process_is_seen(store: DataStore) -> None:
    store.set_value("shared", "0:0", "old")
    subprocess.run([sys.executable, "-c", _WRITER, store.state_dir, "0"], check=True, timeout=60)
    assert store.get_value("shared", "0:0") == 0


def test_a_forked_child_is_refused_instead_of_hanging(store: DataStore) -> None:
    store._pid -= 1  # as a child of a fork sees it
    with pytest.raises(DataStoreError, match="another process"):
        store.get_value("o", "k")
    store._pid += 1


def test_default_state_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert get_default_state_dir() == tmp_path / ".local/state/cloudalpha"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert get_default_state_dir() == Path("/state/cloudalpha")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")
    assert get_default_state_dir() == Path("/var/lib/a")
