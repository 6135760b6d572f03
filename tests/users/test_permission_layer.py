"""Each verb at each path, against a model that is written the other way round: from what is allowed, not from what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudalpha import paths
from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    IsADirectoryFileSystemError,
    PermissionDeniedFileSystemError,
    RevisionMismatchFileSystemError,
)
from cloudalpha.file_system import ANYTHING, NOTHING, FileSystem, WriteOptions
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.users.permission_layer import PermissionLayer
from cloudalpha.users.permissions import VERBS, Permissions

SINGLE_VERBS = [verb for verb in VERBS if verb != "all"]
MOMENT = datetime(2020, 2, 2, tzinfo=UTC)
FILES = ("/a/file", "/a/b/file", "/c/file")
DIRS = ("/a", "/a/b", "/c", "/c/empty")
MISSING = ("/a/new", "/a/b/new", "/c/new")
EVERYTHING = ("/", *DIRS, *FILES, *MISSING)

Rules = dict[str, frozenset[str]]


def make_files() -> MemoryFileSystem:
    files = MemoryFileSystem()
    for path in DIRS:
        files.make_dirs(path)
    for path in FILES:
        files.write_all(path, b"old " + path.encode())
    return files


def take_snapshot(files: FileSystem) -> dict[str, bytes | None]:
    return {entry.path: None if entry.is_dir else files.read_all(entry.path) for entry in files.walk("/")}


def write_layer(rules: Rules) -> tuple[MemoryFileSystem, PermissionLayer]:
    files = make_files()
    return files, PermissionLayer(files, Permissions.parse({path: " ".join(verbs) for path, verbs in rules.items()}))


# The model


def get_verbs(rules: Rules, path: str) -> frozenset[str]:
    covering = [rule for rule in rules if paths.is_within(path, rule)]
    return rules[max(covering, key=len)] if covering else frozenset()


def get_all_verbs(rules: Rules, path: str) -> list[frozenset[str]]:
    return [get_verbs(rules, path), *(verbs for rule, verbs in rules.items() if paths.is_within(rule, path))]


def is_allowed_to_write(rules: Rules, files: FileSystem, path: str, overwrite: bool) -> bool:
    needed = "overwrite" if overwrite and files.is_file(path) else "upload"
    return all(needed in verbs for verbs in get_all_verbs(rules, path))


def is_allowed_to_rename(rules: Rules, files: FileSystem, path: str, new_path: str, overwrite: bool) -> bool:
    gains = any("download" in verbs for verbs in get_all_verbs(rules, new_path)) and not all(
        "download" in verbs for verbs in get_all_verbs(rules, path)
    )
    may_take = all("rename" in verbs for verbs in get_all_verbs(rules, path))
    return may_take and not gains and is_allowed_to_write(rules, files, new_path, overwrite)


def is_allowed_to_copy(rules: Rules, files: FileSystem, path: str, new_path: str, overwrite: bool) -> bool:
    needed = {"download", "list"} if files.is_dir(path) else {"download"}
    may_make = not files.is_dir(path) or all("make_dir" in verbs for verbs in get_all_verbs(rules, new_path))
    may_take = all(needed <= verbs for verbs in get_all_verbs(rules, path))
    return may_take and may_make and is_allowed_to_write(rules, files, new_path, overwrite)


def is_allowed_to_see(rules: Rules, path: str) -> bool:
    return any(get_all_verbs(rules, path))


SIMPLE_CALLS: dict[str, tuple[str, Callable[[FileSystem, str], object]]] = {
    "list_dir": ("list", lambda files, path: list(files.list_dir(path))),
    "read": ("download", lambda files, path: list(files.read(path))),
    "get_native_file": ("download", lambda files, path: files.get_native_file(path)),
    "delete": ("delete", lambda files, path: files.delete(path)),
    "make_dir": ("make_dir", lambda files, path: files.make_dir(path)),
    "delete_dir": ("delete_dir", lambda files, path: files.delete_dir(path)),
    "set_times": ("set_times", lambda files, path: files.set_modified_datetime(path, MOMENT)),
}


def run(call: Callable[[], object]) -> type[FileSystemError] | None:
    try:
        call()
    except FileSystemError as error:
        return type(error)
    return None


def check(rules: Rules, is_allowed: bool, call: Callable[[FileSystem], object]) -> None:
    """What is allowed goes as it goes without a layer; what is not is refused, and changes nothing."""
    files, layer = write_layer(rules)
    before = take_snapshot(files)
    outcome = run(lambda: call(layer))
    if is_allowed:
        bare = make_files()
        assert outcome == run(lambda: call(bare))
        assert take_snapshot(files) == take_snapshot(bare)
    else:
        assert outcome is PermissionDeniedFileSystemError
        assert take_snapshot(files) == before


rule_sets = st.dictionaries(
    st.sampled_from(["/", *DIRS, *FILES, "/a/new"]), st.frozensets(st.sampled_from(SINGLE_VERBS)), max_size=5
)
rich_rule_sets = st.dictionaries(
    st.sampled_from(["/", *DIRS, *FILES, "/a/new"]),
    st.frozensets(st.sampled_from(SINGLE_VERBS)).map(lambda verbs: frozenset(SINGLE_VERBS) - verbs),
    min_size=1,
    max_size=4,
)


@given(rules=rich_rule_sets, path=st.sampled_from(EVERYTHING[1:]))
@example(rules={"/": frozenset(SINGLE_VERBS)}, path="/a")
@example(rules={"/": frozenset(SINGLE_VERBS), "/a/b/file": frozenset()}, path="/a")
@example(rules={"/": frozenset(["delete"])}, path="/a/file")
def test_delete_tree_takes_what_may_be_deleted_and_nothing_else(rules: Rules, path: str) -> None:
    files, layer = write_layer(rules)
    before = take_snapshot(files)
    beneath = {each for each in before if paths.is_within(each, path)}
    is_allowed = bool(beneath) and all(
        ("delete" in get_verbs(rules, each))
        if before[each] is not None
        else {"list", "delete_dir"} <= get_verbs(rules, each)
        for each in beneath
    )
    if is_allowed:
        layer.delete_tree(path)
        assert set(take_snapshot(files)) == set(before) - beneath
        return
    with pytest.raises(FileSystemError):
        layer.delete_tree(path)
    for gone in set(before) - set(take_snapshot(files)):
        assert gone in beneath
        assert ("delete" if before[gone] is not None else "delete_dir") in get_verbs(rules, gone)


def test_delete_tree_is_the_storages_own_where_the_rights_are_the_same_everywhere() -> None:
    files = CountingLayer(make_files())
    PermissionLayer(files, Permissions.parse({"/": "list", "/a": "list delete delete_dir"})).delete_tree("/a")
    assert files.calls == {"delete_tree": 1}


@pytest.mark.parametrize("name", SIMPLE_CALLS)
@pytest.mark.parametrize("verb", SINGLE_VERBS)
def test_each_verb_alone_allows_its_own_calls_only(name: str, verb: str) -> None:
    needed, call = SIMPLE_CALLS[name]
    for path in EVERYTHING:
        check({"/": frozenset([verb])}, verb == needed, lambda files, path=path: call(files, path))
        check({"/": frozenset(SINGLE_VERBS) - {verb}}, verb != needed, lambda files, path=path: call(files, path))


@given(rules=rule_sets, name=st.sampled_from(sorted(SIMPLE_CALLS)), path=st.sampled_from(EVERYTHING))
def test_matrix_of_simple_calls(rules: Rules, name: str, path: str) -> None:
    verb, call = SIMPLE_CALLS[name]
    check(rules, verb in get_verbs(rules, path), lambda files: call(files, path))


@given(rules=rule_sets, path=st.sampled_from(EVERYTHING))
def test_metadata_of_what_can_be_walked_to(rules: Rules, path: str) -> None:
    check(rules, is_allowed_to_see(rules, path), lambda files: files.get_metadata(path))


@given(
    rules=rule_sets | rich_rule_sets,
    path=st.sampled_from([*FILES, *MISSING]),
    expected=st.sampled_from([ANYTHING, NOTHING]),
)
def test_matrix_of_new_files(rules: Rules, path: str, expected: object) -> None:
    exists = path in FILES
    verbs = get_verbs(rules, path)
    needed = "upload" if expected is NOTHING or not exists else "overwrite"
    options = WriteOptions(expected=expected)  # type: ignore[arg-type]
    check(rules, needed in verbs, lambda files: files.write_all(path, b"new", options))


@given(
    rules=rule_sets | rich_rule_sets,
    path=st.sampled_from(EVERYTHING[1:]),
    new_path=st.sampled_from(EVERYTHING[1:]),
    overwrite=st.booleans(),
    is_copy=st.booleans(),
)
@example(
    rules={"/": frozenset(SINGLE_VERBS) - {"download", "list", "upload"}},
    path="/a",
    new_path="/a",
    overwrite=True,
    is_copy=False,
)
def test_matrix_of_moves(rules: Rules, path: str, new_path: str, overwrite: bool, is_copy: bool) -> None:
    bare = make_files()
    is_allowed = (is_allowed_to_copy if is_copy else is_allowed_to_rename)(rules, bare, path, new_path, overwrite)

    def call(files: FileSystem) -> None:
        (files.copy if is_copy else files.rename)(path, new_path, overwrite)

    files, layer = write_layer(rules)
    before = take_snapshot(files)
    outcome, bare_outcome = run(lambda: call(layer)), run(lambda: call(bare))
    if not is_allowed:
        assert outcome is not None  # refused; or a mistake that is one for everybody
        assert outcome in (PermissionDeniedFileSystemError, bare_outcome)
        assert take_snapshot(files) == before
    elif outcome is PermissionDeniedFileSystemError:
        assert (
            bare_outcome is AlreadyExistsFileSystemError or new_path in DIRS
        )  # whoever may not overwrite is told that first
        assert take_snapshot(files) == before
    else:
        assert outcome == bare_outcome
        assert take_snapshot(files) == take_snapshot(bare)


# Appending


def append(files: FileSystem, path: str, data: bytes) -> None:
    size = files.get_size(path)
    with files.create_new_file(path) as new_file:
        new_file.keep(0, size)
        new_file.write(data)
        new_file.commit()


@pytest.mark.parametrize("verb", SINGLE_VERBS)
def test_append_needs_append_or_overwrite(verb: str) -> None:
    check(
        {"/": frozenset([verb])}, verb in ("append", "overwrite"), lambda files: append(files, "/a/file", b" and more")
    )


def test_who_may_only_append_may_keep_in_pieces() -> None:
    files, layer = write_layer({"/": frozenset(["append"])})
    with layer.create_new_file("/a/file") as new_file:
        new_file.keep(0, 4)
        new_file.keep(4, 7)
        new_file.write(b"!")
        new_file.keep(0, 3)
        new_file.commit()
    assert files.read_all("/a/file") == b"old /a/file!old"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"new"],
        [(0, 4), b"new"],
        [(1, 10), b"new"],
        [(4, 7), (0, 4)],
        [(0, 4), (5, 6)],
        [(0, 12)],
        [(0, 10)],
        [],
    ],
)
def test_who_may_only_append_changes_nothing_that_was_there(pieces: list[bytes | tuple[int, int]]) -> None:
    files, layer = write_layer({"/": frozenset(["append"])})
    with pytest.raises(PermissionDeniedFileSystemError), layer.create_new_file("/a/file") as new_file:
        for piece in pieces:
            if isinstance(piece, bytes):
                new_file.write(piece)
            else:
                new_file.keep(*piece)
        new_file.commit()
    assert files.read_all("/a/file") == b"old /a/file"


def test_who_may_only_append_gets_no_descriptor_and_no_resume() -> None:
    _, layer = write_layer({"/": frozenset(["append"])})
    with layer.create_new_file("/a/file") as new_file:
        assert new_file.get_native_file() is None
    with pytest.raises(PermissionDeniedFileSystemError):
        layer.create_new_file("/a/file", WriteOptions(resume="token"))


def test_append_does_not_overtake_another_writer() -> None:
    files, layer = write_layer({"/": frozenset(["append"])})
    with pytest.raises(RevisionMismatchFileSystemError), layer.create_new_file("/a/file") as new_file:
        files.write_all("/a/file", b"somebody else wrote a longer text")
        new_file.keep(0, 11)
        new_file.write(b"!")
        new_file.commit()


# What comes meanwhile


@pytest.mark.parametrize("verbs", [["upload"], ["upload", "append"], ["upload", "list", "download"]])
def test_who_may_not_overwrite_does_not_at_commit_either(verbs: list[str]) -> None:
    files, layer = write_layer({"/": frozenset(verbs)})
    with layer.create_new_file("/a/new") as new_file:
        new_file.write(b"late")
        files.write_all("/a/new", b"first")
        with pytest.raises(PermissionDeniedFileSystemError):
            new_file.commit()
    assert files.read_all("/a/new") == b"first"


def test_revision_of_a_file_that_is_gone() -> None:
    _, layer = write_layer({"/": frozenset(["upload", "append"])})
    with pytest.raises(RevisionMismatchFileSystemError):
        layer.create_new_file("/a/new", WriteOptions(expected="1"))


def test_file_onto_a_folder() -> None:
    _, layer = write_layer({"/": frozenset(["upload"])})
    with pytest.raises(IsADirectoryFileSystemError):
        layer.create_new_file("/a")


# Paths


def test_longest_path_wins_and_replaces() -> None:
    _, layer = write_layer({"/": frozenset(SINGLE_VERBS), "/a": frozenset(["list"]), "/a/b": frozenset(["download"])})
    assert layer.read_all("/c/file") and layer.read_all("/a/b/file")
    for path in ("/a/file",):
        with pytest.raises(PermissionDeniedFileSystemError):
            layer.read_all(path)
    with pytest.raises(PermissionDeniedFileSystemError):
        list(layer.list_dir("/a/b"))


def test_name_that_begins_like_a_rule_is_not_beneath_it() -> None:
    layer = PermissionLayer(make_files(), Permissions.parse({"/": "", "/a": "all"}))
    with pytest.raises(PermissionDeniedFileSystemError):
        layer.make_dir("/ab")


def test_moving_a_folder_does_not_leave_the_rules_beneath_it_behind() -> None:
    all_verbs = frozenset(SINGLE_VERBS)
    for rules, path, new_path in itertools.product(
        [{"/": all_verbs, "/a/b": frozenset(["list"])}], ["/a"], ["/elsewhere", "/c/below"]
    ):
        check(rules, False, lambda files, path=path, new_path=new_path: files.rename(path, new_path))
        check(rules, False, lambda files, path=path, new_path=new_path: files.copy(path, new_path))
    into = {"/": all_verbs, "/d/file": frozenset(["download"])}
    check(into, False, lambda files: files.rename("/c", "/d"))


def test_refusal_names_the_verb_and_no_more() -> None:
    _, layer = write_layer({"/": frozenset(["list"])})
    with pytest.raises(PermissionDeniedFileSystemError) as caught:
        layer.delete("/a/file")
    assert str(caught.value) == "/a/file: you lack the permission: delete"


def test_close_leaves_the_account_open() -> None:
    closed = []

    class Files(MemoryFileSystem):
        def close(self) -> None:
            closed.append(self)

    PermissionLayer(Files(), Permissions.parse({})).close()
    assert not closed
