"""Several accounts in one tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudalpha.capabilities import Capabilities
from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AlreadyExistsFileSystemError,
    DirectoryNotEmptyFileSystemError,
    FileSystemError,
    InvalidPathFileSystemError,
    IsADirectoryFileSystemError,
    NotFoundFileSystemError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.file_metadata import FileMetadata, Space
from cloudalpha.file_system import FileSystem, WriteOptions
from cloudalpha.layer import Layer
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.counting_layer import CountingLayer
from cloudalpha.users.mounts import MountedFileSystem, get_weakest
from cloudalpha.users.subtree import Subtree


def mount(**accounts: tuple[str, FileSystem, str]) -> MountedFileSystem:
    return MountedFileSystem({point: Subtree(files, folder, point) for point, files, folder in accounts.values()})


def list_names(files: FileSystem, path: str) -> list[str]:
    return sorted(entry.name for entry in files.list_dir(path))


@pytest.fixture
def main() -> MemoryFileSystem:
    files = MemoryFileSystem()
    files.make_dirs("/docs/old")
    files.write_all("/docs/letter", b"Dear")
    return files


@pytest.fixture
def other() -> MemoryFileSystem:
    files = MemoryFileSystem()
    files.make_dirs("/shared/box")
    files.write_all("/shared/plan", b"Plan")
    return files


@pytest.fixture
def tree(main: MemoryFileSystem, other: MemoryFileSystem) -> MountedFileSystem:
    """The folder /docs is there in the main account, /far is not."""
    third = MemoryFileSystem()
    third.write_all("/leaf", b"Leaf")
    return mount(
        main=("/", main, "/"),
        team=("/docs/team", other, "/shared"),
        far=("/far/away", third, "/"),
        nested=("/far/away/nested", MemoryFileSystem(), "/"),
    )


def test_mount_points_appear_whether_the_parent_has_them_or_not(tree: MountedFileSystem) -> None:
    assert list_names(tree, "/") == ["docs", "far"]
    assert list_names(tree, "/docs") == ["letter", "old", "team"]
    assert list_names(tree, "/far") == ["away"]
    assert list_names(tree, "/far/away") == ["leaf", "nested"]
    assert list_names(tree, "/far/away/nested") == []
    assert list_names(tree, "/docs/team") == ["box", "plan"]
    assert all(tree.is_dir(path) for path in ("/", "/docs", "/docs/team", "/far", "/far/away", "/far/away/nested"))


def test_entries_name_the_paths_of_the_tree(tree: MountedFileSystem) -> None:
    assert sorted(entry.path for entry in tree.walk("/")) == [
        "/docs",
        "/docs/letter",
        "/docs/old",
        "/docs/team",
        "/docs/team/box",
        "/docs/team/plan",
        "/far",
        "/far/away",
        "/far/away/leaf",
        "/far/away/nested",
    ]
    for entry in tree.walk("/"):
        assert tree.get_metadata(entry.path).is_dir == entry.is_dir


def test_mount_hides_what_the_parent_has_there(main: MemoryFileSystem) -> None:
    main.write_all("/docs/team", b"a file in the way")
    main.make_dirs("/below/deep")
    main.write_all("/below/deep/hidden", b"")
    tree = mount(
        main=("/", main, "/"),
        team=("/docs/team", MemoryFileSystem(), "/"),
        deep=("/below/deep", MemoryFileSystem(), "/"),
        way=("/docs/letter/x", MemoryFileSystem(), "/"),
    )
    assert [entry.is_dir for entry in tree.list_dir("/docs") if entry.name in ("team", "letter")] == [True, True]
    assert list_names(tree, "/docs") == ["letter", "old", "team"]
    assert tree.is_dir("/docs/letter") and list_names(tree, "/docs/letter") == ["x"]
    assert list_names(tree, "/below") == ["deep"] and list_names(tree, "/below/deep") == []
    with pytest.raises(IsADirectoryFileSystemError):
        tree.read_all("/docs/letter")


def test_reading_and_writing_go_where_the_path_lies(tree: MountedFileSystem, other: MemoryFileSystem) -> None:
    metadata = tree.write_all("/docs/team/new", b"New")
    assert metadata.path == "/docs/team/new" and other.read_all("/shared/new") == b"New"
    with tree.create_new_file("/docs/team/new") as new_file:
        assert new_file.path == "/docs/team/new"
        new_file.keep(0, 3)
        new_file.write(b"er")
        assert new_file.commit().path == "/docs/team/new"
    assert tree.read_all("/docs/team/new") == b"Newer"
    tree.delete("/docs/team/new")
    assert not other.exists("/shared/new")


@pytest.mark.parametrize("path", ["/docs/team", "/far", "/far/away", "/far/away/nested", "/docs", "/"])
def test_what_holds_the_tree_together_stays(tree: MountedFileSystem, path: str) -> None:
    before = [entry.path for entry in tree.walk("/")]
    for refused in (
        lambda: tree.rename(path, "/elsewhere"),
        lambda: tree.delete_dir(path),
        lambda: tree.delete(path),
        lambda: tree.make_dir(path),
        lambda: tree.create_new_file(path),
        lambda: tree.rename("/docs/old", path),
        lambda: tree.rename("/docs/letter", path, overwrite=True),
        lambda: tree.copy("/docs/letter", path, overwrite=True),
    ):
        with pytest.raises(FileSystemError):
            refused()
    assert [entry.path for entry in tree.walk("/")] == before


def test_reasons(tree: MountedFileSystem) -> None:
    with pytest.raises(PermissionDeniedFileSystemError, match="is a mount point"):
        tree.rename("/docs/team", "/x")
    with pytest.raises(PermissionDeniedFileSystemError, match="a mount point lies beneath"):
        tree.rename("/docs", "/x")
    with pytest.raises(DirectoryNotEmptyFileSystemError, match="a mount point lies beneath"):
        tree.delete_dir("/far")
    with pytest.raises(PermissionDeniedFileSystemError, match="is a mount point"):
        tree.delete_dir("/docs/team")
    with pytest.raises(AlreadyExistsFileSystemError):
        tree.make_dir("/far")
    for make in (tree.make_dir, tree.create_new_file):
        with pytest.raises(PermissionDeniedFileSystemError, match="only leads to mount points"):
            make("/far/new")


def test_nothing_can_be_made_where_there_is_no_account() -> None:
    tree = mount(far=("/far/away", MemoryFileSystem(), "/"))
    assert list_names(tree, "/") == ["far"]
    for path in ("/new", "/far/new"):
        for make in (tree.make_dir, tree.create_new_file, lambda path: tree.copy("/far/away", path)):
            with pytest.raises(PermissionDeniedFileSystemError, match="only leads to mount points"):
                make(path)
    for path in ("/missing", "/missing/deep", "/far/missing"):
        with pytest.raises(NotFoundFileSystemError):
            tree.get_metadata(path)
        with pytest.raises(NotFoundFileSystemError):
            list(tree.list_dir(path))
    with pytest.raises(NotFoundFileSystemError):
        tree.make_dir("/missing/deep")
    with pytest.raises(PermissionDeniedFileSystemError):
        tree.set_modified_datetime("/far", tree.get_metadata("/far/away").modified_datetime or _moment())


def _moment():  # type: ignore[no-untyped-def]
    from datetime import UTC, datetime

    return datetime(2020, 1, 1, tzinfo=UTC)


def test_rename_and_copy_across_accounts(
    tree: MountedFileSystem, main: MemoryFileSystem, other: MemoryFileSystem
) -> None:
    tree.make_dirs("/docs/old/deep")
    tree.write_all("/docs/old/deep/a", b"A")
    tree.rename("/docs/old", "/docs/team/old")
    assert other.read_all("/shared/old/deep/a") == b"A" and not main.exists("/docs/old")
    tree.copy("/docs/team/plan", "/docs/plan")
    assert main.read_all("/docs/plan") == other.read_all("/shared/plan") == b"Plan"
    with pytest.raises(AlreadyExistsFileSystemError):
        tree.rename("/docs/letter", "/docs/team/plan")
    tree.rename("/docs/letter", "/docs/team/plan", overwrite=True)
    assert other.read_all("/shared/plan") == b"Dear" and not main.exists("/docs/letter")


def test_copy_of_a_folder_takes_what_is_mounted_in_it_along(tree: MountedFileSystem, main: MemoryFileSystem) -> None:
    tree.copy("/docs", "/copy")
    assert main.read_all("/copy/team/plan") == b"Plan" and main.read_all("/copy/letter") == b"Dear"
    with pytest.raises(InvalidPathFileSystemError):
        tree.copy("/docs", "/docs/team/copy")


class Recorder(Layer):
    """Notes which moves the account itself is asked for."""

    def __init__(self, inner: FileSystem) -> None:
        super().__init__(inner)
        self.moves: list[tuple[str, str]] = []

    def rename(self, old_path: str, new_path: str, overwrite: bool = False) -> None:
        self.moves.append((old_path, new_path))
        self.inner.rename(old_path, new_path, overwrite)

    def copy(self, path: str, copy_path: str, overwrite: bool = False) -> None:
        self.moves.append((path, copy_path))
        self.inner.copy(path, copy_path, overwrite)

    def delete_tree(self, path: str) -> None:
        self.moves.append((path, ""))
        self.inner.delete_tree(path)


def test_two_mounts_of_one_account_let_the_account_move(main: MemoryFileSystem) -> None:
    account = Recorder(main)
    tree = mount(a=("/", account, "/"), b=("/b", account, "/docs/old"))
    tree.rename("/docs/letter", "/b/letter")
    tree.copy("/b/letter", "/copy")
    assert account.moves == [("/docs/letter", "/docs/old/letter"), ("/docs/old/letter", "/copy")]
    assert main.read_all("/docs/old/letter") == b"Dear"
    with pytest.raises(NotFoundFileSystemError) as caught:
        tree.rename("/b/missing", "/there")
    assert caught.value.path == "/b/missing"


def test_delete_tree_is_the_accounts_own(main: MemoryFileSystem, other: MemoryFileSystem) -> None:
    account = Recorder(other)
    tree = mount(main=("/", main, "/"), team=("/docs/team", account, "/shared"))
    tree.delete_tree("/docs/team/box")
    assert account.moves == [("/shared/box", "")]
    assert list_names(other, "/shared") == ["plan"]
    with pytest.raises(NotFoundFileSystemError) as caught:
        tree.delete_tree("/docs/team/missing")
    assert caught.value.path == "/docs/team/missing"


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/team"])
def test_delete_tree_never_reaches_into_a_mount(tree: MountedFileSystem, path: str) -> None:
    before = [entry.path for entry in tree.walk("/")]
    with pytest.raises(PermissionDeniedFileSystemError):
        tree.delete_tree(path)
    assert [entry.path for entry in tree.walk("/")] == before


def test_delete_tree_keeps_the_root_of_a_mount(main: MemoryFileSystem) -> None:
    with pytest.raises(PermissionDeniedFileSystemError):
        Subtree(main, "/docs", "/").delete_tree("/")
    assert list_names(main, "/docs") == ["letter", "old"]


def test_one_file_under_two_names_is_never_lost(main: MemoryFileSystem) -> None:
    tree = mount(a=("/", main, "/"), b=("/alias", main, "/docs"))
    tree.rename("/docs/letter", "/alias/letter", overwrite=True)
    tree.copy("/alias/letter", "/docs/letter", overwrite=True)
    assert main.read_all("/docs/letter") == b"Dear"
    with pytest.raises(InvalidPathFileSystemError):
        tree.rename("/docs/old", "/alias/old/deeper")


def test_errors_name_the_paths_of_the_tree(tree: MountedFileSystem) -> None:
    for call in (
        lambda path: tree.get_metadata(path),
        lambda path: list(tree.list_dir(path)),
        lambda path: list(tree.read(path)),
        lambda path: tree.delete(path),
        lambda path: tree.delete_dir(path),
        lambda path: tree.rename(path, "/docs/team/new"),
        lambda path: tree.set_modified_datetime(path, _moment()),
    ):
        with pytest.raises(NotFoundFileSystemError) as caught:
            call("/docs/team/missing")
        assert caught.value.path == "/docs/team/missing"
        assert "shared" not in str(caught.value)
        assert caught.value.__cause__ is not None


class Outage(MemoryFileSystem):
    """Fails in the middle of a listing, of a read and of a commit, and tells of paths that only it knows."""

    def list_dir(self, path: str) -> Iterator[FileMetadata]:
        yield FileMetadata("/shared/one", False)
        raise AccessFailedFileSystemError("/shared/x", "gone", True, 3.0)

    def read(self, *args: object, **kwargs: object) -> Iterator[bytes]:  # type: ignore[override]
        yield b"one"
        raise AccessFailedFileSystemError("bucket/elsewhere", "gone")


def test_errors_in_the_middle_of_a_stream() -> None:
    tree = mount(out=("/out", Outage(), "/shared"))
    entries = tree.list_dir("/out")
    assert next(entries).path == "/out/one"
    with pytest.raises(AccessFailedFileSystemError) as caught:
        next(entries)
    assert (caught.value.path, caught.value.temporary, caught.value.retry_after) == ("/out/x", True, 3.0)
    with pytest.raises(AccessFailedFileSystemError) as caught:
        list(tree.read("/out/file"))
    assert caught.value.path == "/out/file"


def test_outage_of_one_account_is_no_outage_of_the_tree(main: MemoryFileSystem) -> None:
    class Down(MemoryFileSystem):
        def get_metadata(self, path: str) -> FileMetadata:
            raise AccessFailedFileSystemError(path)

        def list_dir(self, path: str) -> Iterator[FileMetadata]:
            raise AccessFailedFileSystemError(path)

    tree = mount(main=("/", main, "/"), down=("/down", Down(), "/"))
    assert list_names(tree, "/") == ["docs", "down"] and tree.is_dir("/down")
    for call in (tree.exists, lambda path: list(tree.list_dir(path))):
        with pytest.raises(AccessFailedFileSystemError):
            call("/down/x")


def test_listing_is_one_listing(main: MemoryFileSystem) -> None:
    counting = CountingLayer(main)
    tree = mount(main=("/", counting, "/"), team=("/docs/team", CountingLayer(MemoryFileSystem()), "/"))
    list(tree.list_dir("/docs"))
    assert counting.calls == {"list_dir": 1}


def test_capabilities_are_the_weakest() -> None:
    strong = Capabilities(True, True, True, True, True, True, True, 1024, None, ("sha256", "md5"), 8, 100)
    weak = Capabilities(max_name_bytes=255, max_file_size=10, content_hash=("md5",), parallel_ranges=2, part_size=5)
    both = get_weakest([strong, weak])
    assert both == Capabilities(
        case_sensitive=True,
        max_name_bytes=255,
        max_file_size=10,
        content_hash=("md5",),
        parallel_ranges=2,
        part_size=100,
    )
    assert get_weakest([strong]) == strong
    with_borders = get_weakest([strong, strong], has_borders=True)
    assert not with_borders.atomic_rename and not with_borders.server_side_copy and with_borders.atomic_condition
    assert not get_weakest([strong, Capabilities(case_sensitive=False)]).case_sensitive


def test_space_is_that_of_the_root() -> None:
    class Sized(MemoryFileSystem):
        def get_space(self) -> Space:
            return Space(10, 5)

    sized = Sized()
    assert mount(a=("/", sized, "/"), b=("/b", MemoryFileSystem(), "/")).get_space() == Space(10, 5)
    assert mount(a=("/a", sized, "/"), b=("/b", sized, "/")).get_space() == Space(10, 5)
    assert mount(a=("/a", sized, "/"), b=("/b", MemoryFileSystem(), "/")).get_space() is None


def test_closing_the_tree_leaves_the_accounts_open() -> None:
    class Closing(MemoryFileSystem):
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    files = Closing()
    mount(a=("/", files, "/sub"), b=("/b", files, "/")).close()
    Subtree(files).close()
    assert not files.is_closed


def test_subtree_is_cut_at_its_folder(other: MemoryFileSystem) -> None:
    other.write_all("/outside", b"")
    other.write_all("/shared2", b"")
    sub = Subtree(other, "/shared")
    assert list_names(sub, "/") == ["box", "plan"]
    assert not sub.exists("/outside") and sub.get_metadata("/").path == "/"
    with pytest.raises(PermissionDeniedFileSystemError):
        sub.delete_dir("/")
    with pytest.raises(PermissionDeniedFileSystemError):
        sub.rename("/", "/x")
    sub.write_all("/x", b"1", WriteOptions(size=1))
    assert other.read_all("/shared/x") == b"1"


def test_native_files_pass(tmp_path: object) -> None:
    descriptor = object()

    class Native(MemoryFileSystem):
        def get_native_file(self, path: str) -> object:  # type: ignore[override]
            assert path == "/shared/x"
            return descriptor

    assert mount(a=("/team", Native(), "/shared")).get_native_file("/team/x") is descriptor


def test_folder_that_is_mounted_is_gone(main: MemoryFileSystem, other: MemoryFileSystem) -> None:
    tree = mount(team=("/team", main, "/docs"), inner=("/team/inner", other, "/"))
    main.delete_tree("/docs")
    with pytest.raises(NotFoundFileSystemError):
        list(tree.list_dir("/team"))


def test_path_that_only_the_account_knows_is_not_shown() -> None:
    tree = mount(out=("/out", Outage(), "/"))
    with pytest.raises(AccessFailedFileSystemError) as caught:
        list(tree.read("/out/file"))
    assert caught.value.path == "/out/file"
