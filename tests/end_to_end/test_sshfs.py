"""A folder of the gateway mounted by sshfs: what programs do with files on it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudalpha.testing.waiting import wait_until
from tests.end_to_end.clients.ssh_clients import get_ssh_options
from tests.end_to_end.conftest import Place
from tests.end_to_end.remote import make_tree, read_local_tree, write_local_tree

pytestmark = [pytest.mark.root, pytest.mark.needs("sshfs", "ssh")]


@contextlib.contextmanager
def mount(place: Place, name: str) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The test's folder, mounted in the foreground, so that its process is ours to end."""
    endpoint, folder = place.gateway.get_endpoint(), place.folder / name
    folder.mkdir()
    address = f"{endpoint.user_name}@{endpoint.host}:{place.base}"
    command = ["sshfs", "-f", "-p", str(endpoint.sftp_port), *get_ssh_options(endpoint.key)]
    with (place.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([*command, address, folder], stdout=log, stderr=log)
        try:
            wait_until(lambda: folder.is_mount() or process.poll() is not None, 20)
            assert folder.is_mount(), (place.folder / f"{name}.log").read_text()
            yield folder, process
        finally:
            subprocess.run(["fusermount", "-u", folder], check=False, capture_output=True)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                subprocess.run(["fusermount", "-u", "-z", folder], check=False)
                process.kill()
                process.wait()


@pytest.fixture
def mounted(place: Place) -> Iterator[Path]:
    with mount(place, "mounted") as (folder, _):
        yield folder


def wait_for(place: Place, name: str, content: bytes) -> None:
    """Wait until others see a file with this content: FUSE closes a file on the server only after the program's close() has returned."""

    def is_there() -> bool:
        with contextlib.suppress(OSError):  # not there yet, or published while it was read
            return place.remote.read(f"{place.base}/{name}") == content
        return False

    wait_until(is_there, 20)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_tree_both_ways(place: Place, mounted: Path) -> None:
    tree = make_tree()
    local = write_local_tree(place.folder / "tree", tree)
    run("cp", "-r", "--preserve=timestamps", local, mounted / "tree")
    assert read_local_tree(mounted / "tree") == tree
    wait_until(lambda: place.remote.read_tree(f"{place.base}/tree") == tree)
    assert (mounted / "tree" / "large").stat().st_mtime == (local / "large").stat().st_mtime
    run("cp", "-r", mounted / "tree", place.folder / "back")
    assert read_local_tree(place.folder / "back") == tree
    run("rm", "-r", mounted / "tree")
    assert place.remote.list_names(place.base) == []


def test_edited_in_place(place: Place, mounted: Path) -> None:
    file = mounted / "file"
    file.write_bytes(b"0123456789" * 100_000)
    with file.open("r+b") as edited:
        edited.seek(500_000)
        edited.write(b"edited")
        edited.flush()
        edited.seek(499_995)
        assert edited.read(16) == b"56789edited67890"
        assert os.fstat(edited.fileno()).st_size == 1_000_000
    expected = bytearray(b"0123456789" * 100_000)
    expected[500_000:500_006] = b"edited"
    wait_for(place, "file", bytes(expected))
    os.truncate(file, 10)
    wait_for(place, "file", b"0123456789")
    run("sed", "-i", "s/345/three/", file)
    wait_for(place, "file", b"012three6789")


def test_appended(place: Place, mounted: Path) -> None:
    file = mounted / "log"
    for number in range(5):
        with file.open("a") as log:
            log.write(f"line {number}\n")
    run("sh", "-c", f"echo more >> '{file}'")
    wait_for(place, "log", b"line 0\nline 1\nline 2\nline 3\nline 4\nmore\n")


def test_renamed_over(place: Place, mounted: Path) -> None:
    (mounted / "file").write_bytes(b"old")
    (mounted / "file.new").write_bytes(b"new")
    (mounted / "file.new").replace(mounted / "file")
    wait_for(place, "file", b"new")
    assert place.remote.list_names(place.base) == ["file"]
    (mounted / "a").mkdir()
    (mounted / "a" / "inner").write_bytes(b"inner")
    (mounted / "a").rename(mounted / "b")
    wait_for(place, "b/inner", b"inner")
    assert place.remote.list_names(place.base) == ["b", "file"]


def test_a_file_grows_under_the_eyes_of_its_writer(place: Place, mounted: Path) -> None:
    """Law 11: this session sees what it writes; others see nothing before it is closed, or fsynced."""
    with (mounted / "growing").open("wb", buffering=0) as file:
        file.write(b"x" * 300_000)
        assert (mounted / "growing").stat().st_size == 300_000
        assert place.remote.list_names(place.base) == []
        os.fsync(file.fileno())
        assert place.remote.get_size(f"{place.base}/growing") == 300_000
        file.write(b"y" * 10)
    wait_for(place, "growing", b"x" * 300_000 + b"y" * 10)


def test_times_and_space(place: Place, mounted: Path) -> None:
    (mounted / "file").write_bytes(b"x")
    os.utime(mounted / "file", (1_000_000_000, 1_000_000_000))
    wait_for(place, "file", b"x")
    wait_until(lambda: place.remote.get_modified(f"{place.base}/file") == 1_000_000_000)
    space = os.statvfs(mounted)
    assert space.f_blocks * space.f_frsize >= space.f_bavail * space.f_frsize > 0
    if place.gateway.root is not None:
        total = os.statvfs(place.gateway.root)
        assert abs(space.f_blocks * space.f_frsize - total.f_blocks * total.f_frsize) <= space.f_frsize


def test_errors_have_their_names(mounted: Path) -> None:
    (mounted / "folder").mkdir()
    (mounted / "folder" / "file").touch()
    with pytest.raises(FileNotFoundError):
        (mounted / "none").read_bytes()
    with pytest.raises(OSError, match=r"not empty|not permitted"):
        (mounted / "folder").rmdir()
    with pytest.raises(FileExistsError):
        (mounted / "folder").mkdir()
    with pytest.raises(FileExistsError):
        (mounted / "folder" / "file").open("x").close()
    with pytest.raises(IsADirectoryError):
        (mounted / "folder").read_bytes()


@pytest.mark.heavy
@pytest.mark.needs("git")
def test_git(place: Place, mounted: Path) -> None:
    """A clone into it, a commit in it, and a clone out of it."""
    source = place.folder / "source"
    write_local_tree(source, {name: content for name, content in make_tree().items() if content is not None})
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")
    git = (*git, "-c", "safe.directory=*", "-c", "protocol.file.allow=always")
    run(*git, "init", "-q", cwd=source)
    run(*git, "add", ".", cwd=source)
    run(*git, "commit", "-q", "-m", "first", cwd=source)
    run(*git, "clone", "-q", "--no-hardlinks", source, mounted / "clone")
    (mounted / "clone" / "added").write_bytes(b"added")
    run(*git, "add", "added", cwd=mounted / "clone")
    run(*git, "commit", "-q", "-m", "second", cwd=mounted / "clone")
    run(*git, "gc", "-q", cwd=mounted / "clone")
    run(*git, "fsck", "--strict", cwd=mounted / "clone")
    assert run(*git, "status", "--short", cwd=mounted / "clone") == ""
    run(*git, "clone", "-q", "--no-hardlinks", mounted / "clone", place.folder / "again")
    assert (place.folder / "again" / "added").read_bytes() == b"added"
    assert len(run(*git, "log", "--oneline", cwd=place.folder / "again").splitlines()) == 2


def test_an_sqlite_database(place: Place, mounted: Path) -> None:
    """Written by one program, read by another, and by one that knows nothing of the mount."""
    script = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1])\n"
        "db.execute('create table numbers (n integer primary key, square integer, text text)')\n"
        "for start in range(0, 2000, 200):\n"
        "    with db:\n"
        "        db.executemany('insert into numbers values (?, ?, ?)', [(n, n * n, 'x' * 200) for n in range(start, start + 200)])\n"
        "with db:\n"
        "    db.execute('delete from numbers where n % 3 = 0')\n"
        "    db.execute('update numbers set text = square where n % 5 = 0')\n"
        "db.execute('vacuum')\n"
        "db.close()\n"
    )
    run(sys.executable, "-c", script, mounted / "database")
    copy = place.folder / "copy"
    wait_for(place, "database", (mounted / "database").read_bytes())
    copy.write_bytes(place.remote.read(f"{place.base}/database"))
    for path in (mounted / "database", copy):
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)
            numbers = [n for n in range(2000) if n % 3]
            assert [n for (n,) in database.execute("select n from numbers order by n")] == numbers
            changed = database.execute("select text from numbers where n = 1000").fetchone()
            assert changed == ("1000000",)
    assert place.remote.list_names(place.base) == ["database"]


def test_a_killed_mount_publishes_nothing(place: Place) -> None:
    place.remote.write(f"{place.base}/old", b"old content")
    with mount(place, "killed") as (folder, process):
        files = [(folder / name).open("wb", buffering=0) for name in ("old", "new")]
        for file in files:
            file.write(b"half" * 100_000)
        process.kill()
        process.wait()
        for file in files:
            with contextlib.suppress(OSError):
                file.close()
        for name in ("old", "new"):
            wait_until(lambda name=name: f"path={place.base}/{name} bytes=400000 " in place.gateway.err, 20)
    assert place.remote.read_tree(place.base) == {"old": b"old content"}
