"""Root: nothing outside the folder is ever opened."""

from __future__ import annotations

import errno
import itertools
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudalpha.exceptions import FileSystemError
from cloudalpha.services.local.beneath import MAX_LINKS, Root
from cloudalpha.services.local.file_system import LocalFileSystem

SECRET = b"outside"


@pytest.fixture
def outside(root: Path) -> Path:
    """A folder beside the root, with a file `file`."""
    folder = root.parent / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(SECRET)
    return folder


@pytest.fixture
def opened(root: Path, any_kernel: None) -> Iterator[Root]:
    opened = Root(root)
    yield opened
    opened.close()


def read(root: Root, path: str) -> bytes:
    fd = root.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def get_errno(call: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as caught:
        call()
    return caught.value.errno


def test_both_ways_are_tried(root: Path, request: pytest.FixtureRequest) -> None:
    """The kernel that the tests run on has openat2, so that `old kernel` is another way than `new kernel`."""
    new = Root(root)
    request.getfixturevalue("old_kernel")
    old = Root(root)
    assert new._open == new._open_by_openat2
    assert old._open == old._open_by_walk
    new.close()
    old.close()


@pytest.mark.parametrize("target", ["file", "./file", "sub/../file", "sub/up/file", "link", "sub//deeper/../../file"])
def test_link_that_stays_is_followed(root: Path, opened: Root, target: str) -> None:
    (root / "file").write_bytes(b"inside")
    (root / "sub" / "deeper").mkdir(parents=True)
    (root / "sub" / "up").symlink_to("..")
    (root / "link").symlink_to("sub/up/file")
    (root / "way").symlink_to(target)
    assert read(opened, "/way") == b"inside"
    assert read(opened, "/sub/up/way") == b"inside"
    with opened.find("/way", follow=True) as place:
        assert (place.name, os.fstat(place.dir_fd).st_ino) == (b"file", root.stat().st_ino)
    with opened.find("/way", follow=False) as place:
        assert place.name == b"way"
        status = place.get_stat()
        assert status is not None
        assert stat.S_ISLNK(status.st_mode)


@pytest.mark.parametrize("target", ["{outside}", "../outside", "sub/../../outside", "sub/up/../outside", "{root}"])
def test_link_that_leaves_is_refused(root: Path, outside: Path, opened: Root, target: str) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "up").symlink_to("..")
    (root / "file").write_bytes(b"inside")
    (root / "way").symlink_to(target.format(outside=outside, root=root))
    assert get_errno(lambda: opened.open("/way", os.O_RDONLY)) == errno.EXDEV
    assert get_errno(lambda: opened.open("/way/file", os.O_RDONLY)) == errno.EXDEV
    assert get_errno(lambda: opened.find("/way/file", follow=False)) == errno.EXDEV
    assert get_errno(lambda: opened.find("/way", follow=True)) in (errno.EXDEV, errno.EISDIR)
    (root / "file way").symlink_to(target.format(outside=outside, root=root) + "/file")
    assert get_errno(lambda: opened.find("/file way", follow=True)) == errno.EXDEV


def test_dots_do_not_leave(opened: Root, outside: Path) -> None:
    assert get_errno(lambda: opened.open("/../outside/file", os.O_RDONLY)) == errno.EXDEV
    assert get_errno(lambda: opened.find("/../outside/file", follow=False)) == errno.EXDEV
    assert get_errno(lambda: opened.find("/..", follow=False)) == errno.EISDIR


@pytest.mark.parametrize("path", ["file", "", "/file\0/../../outside"])
def test_what_is_no_path_is_refused(root: Path, opened: Root, path: str) -> None:
    (root / "file").touch()
    assert get_errno(lambda: opened.open(path, os.O_RDONLY)) == errno.EINVAL
    assert get_errno(lambda: opened.find(path, follow=True)) == errno.EINVAL


def test_circle_of_links_ends(root: Path, opened: Root) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    assert get_errno(lambda: opened.open("/a", os.O_RDONLY)) == errno.ELOOP
    assert get_errno(lambda: opened.find("/a", follow=True)) == errno.ELOOP


def test_long_chain_of_links(root: Path, opened: Root) -> None:
    (root / "0").write_bytes(b"inside")
    for number in range(MAX_LINKS + 1):
        (root / str(number + 1)).symlink_to(str(number))
    assert read(opened, f"/{MAX_LINKS}") == b"inside"
    assert get_errno(lambda: opened.open(f"/{MAX_LINKS + 1}", os.O_RDONLY)) == errno.ELOOP


def test_links_may_be_refused_altogether(root: Path, any_kernel: None) -> None:
    (root / "file").write_bytes(b"inside")
    (root / "link").symlink_to("file")
    (root / "dir link").symlink_to(".")
    opened = Root(root, follow_links=False)
    assert read(opened, "/file") == b"inside"
    for path in ("/link", "/dir link/file"):
        assert get_errno(lambda path=path: opened.open(path, os.O_RDONLY)) == errno.ELOOP  # type: ignore[misc]
        assert get_errno(lambda path=path: opened.find(path, follow=True)) == errno.ELOOP  # type: ignore[misc]
    opened.close()


def test_closed_root_opens_nothing(opened: Root) -> None:
    opened.close()
    opened.close()
    assert get_errno(lambda: opened.open("/", os.O_RDONLY)) == errno.EBADF


names = st.sampled_from(["a", "b", "c"])
targets = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=4).map("/".join)
entries = st.lists(st.tuples(names, names, targets | st.sampled_from(["FILE", "DIR"])), max_size=8)


@pytest.mark.parametrize("target", ["file/", "file/.", "sub/to file/", "sub/to file/."])
def test_a_link_that_asks_for_a_folder_leads_to_no_file(opened: Root, root: Path, target: str) -> None:
    (root / "file").write_bytes(b"inside")
    (root / "sub").mkdir()
    (root / "sub" / "to file").symlink_to("../file")
    (root / "way").symlink_to(target)
    assert get_errno(lambda: opened.open("/way", os.O_RDONLY)) == errno.ENOTDIR


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=entries, path=st.lists(names, min_size=1, max_size=4).map("/".join))
def test_both_ways_open_the_same(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str, str]], path: str
) -> None:
    """Whatever links there are, the walk comes to the file that the kernel comes to, or to the same error."""
    folder = tmp_path_factory.mktemp("tree").resolve()
    for dir_name, name, kind in entries:
        with suppress(OSError, RuntimeError):
            (folder / dir_name).mkdir(exist_ok=True)
            is_inside = (folder / dir_name).resolve().is_relative_to(folder)  # nothing is made where a link leads out
            for entry in (folder / dir_name / name, folder / name) if is_inside else (folder / name,):
                if kind == "FILE":
                    entry.touch(exist_ok=False)
                elif kind == "DIR":
                    entry.mkdir()
                else:
                    entry.symlink_to(kind)
    root = Root(folder)
    outcomes = []
    for way in (root._open_by_openat2, root._open_by_walk):
        try:
            fd = way(path.encode(), os.O_PATH)
        except OSError as error:
            outcomes.append((errno.errorcode[error.errno or 0], 0))
        else:
            outcomes.append(("opened", os.fstat(fd).st_ino))
            os.close(fd)
    root.close()
    assert outcomes[0] == outcomes[1]


class Swapper:
    """A thread that makes `root/way` in turn a folder of the root and a link out of it."""

    def __init__(self, root: Path, target: Path) -> None:
        self.way, self.folder, self.link = root / "way", root / "folder", root / "link"
        self.way.mkdir()
        (self.way / "file").write_bytes(b"inside")
        self.link.symlink_to(target)

    @contextmanager
    def running(self) -> Iterator[None]:
        stopped = threading.Event()

        def swap() -> None:
            chance = random.Random(0)
            while not stopped.is_set():
                os.rename(self.way, self.folder)
                os.rename(self.link, self.way)
                for _ in range(chance.randrange(30)):  # each state lasts for a while, or hardly at all
                    os.lstat(self.way)
                os.rename(self.way, self.link)
                os.rename(self.folder, self.way)
                for _ in range(chance.randrange(30)):
                    os.lstat(self.way)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()


@pytest.mark.parametrize("num_opens", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_swapped_folder_never_leads_out(root: Path, outside: Path, opened: Root, num_opens: int) -> None:
    contents = {b"inside": 0, b"": 0}
    with Swapper(root, outside).running():
        for number in itertools.count():
            if number >= num_opens and (all(contents.values()) or number >= 20 * num_opens):
                break
            try:
                content = read(opened, "/way/file")
            except OSError as error:
                assert error.errno in (errno.EXDEV, errno.ENOENT, errno.ELOOP)
                content = b""
            contents[content] += 1  # a KeyError is an escape
    assert contents[b"inside"], "the folder was never seen"
    assert contents[b""], "it was never swapped"


def test_file_swapped_in_the_last_instant(
    root: Path, outside: Path, old_kernel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a name and its opening, where the kernel does not do both in one step."""
    (root / "file").write_bytes(b"inside")
    opened = Root(root)
    real = os.open

    def swap(path: object, flags: int, *args: int, **options: int) -> int:
        if path == b"file" and not flags & os.O_PATH:
            (root / "file").unlink()
            (root / "file").symlink_to(outside / "file")
        return real(path, flags, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", swap)
    assert get_errno(lambda: opened.open("/file", os.O_RDONLY)) == errno.ELOOP
    opened.close()


@pytest.mark.parametrize("num_rounds", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_no_change_reaches_what_is_outside(
    root: Path, outside: Path, file_system: LocalFileSystem, num_rounds: int
) -> None:
    file_system._tree.fsync = False
    (outside / "empty").mkdir()
    before = sorted(outside.iterdir()), outside.stat().st_mtime_ns
    changes: list[Callable[[], object]] = [
        lambda: file_system.write_all("/way/new", b"content"),
        lambda: file_system.write_all("/way/file", b"inside"),
        lambda: file_system.rename("/way/file", "/way/other"),
        lambda: file_system.delete("/way/other"),
        lambda: file_system.make_dir("/way/sub"),
        lambda: file_system.delete_dir("/way/sub"),
        lambda: file_system.delete_dir("/way/empty"),
        lambda: list(file_system.list_dir("/way")),
    ]
    outcomes = [0, 0]
    with Swapper(root, outside).running():
        for number in itertools.count():
            if number >= num_rounds and (all(outcomes) or number >= 20 * num_rounds):
                break
            try:
                changes[number % len(changes)]()
            except FileSystemError:
                outcomes[0] += 1
            else:
                outcomes[1] += 1
    assert all(outcomes), "either nothing was refused or nothing done"
    assert (outside / "file").read_bytes() == SECRET
    assert (sorted(outside.iterdir()), outside.stat().st_mtime_ns) == before
