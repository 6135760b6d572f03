"""Symbolic links out of the root, over both protocols, standing still and swapped while clients come by (threats.md 3)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from tests.managers.sftp.raw_client import NO_ATTRS, RawClient, uint32, uint64
from tests.security.conftest import Target

NUM_TRIES = 400


@pytest.fixture
def outside(target: Target) -> Path:
    """What nobody may reach: beside the root, and led to by links of all kinds."""
    outside = target.folder / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    for name, aim in (
        ("absolute", str(outside)),
        ("relative", "../outside"),
        ("twice", "absolute"),
        ("file", str(outside / "file")),
        ("through", "folder/../../outside"),
        ("proc", "/proc/self/root/etc"),
        ("cwd", "/proc/self/cwd"),
    ):
        (target.root / name).symlink_to(aim)
    (target.root / "folder").mkdir()
    return outside


LEADS = [
    "absolute/file",
    "relative/file",
    "twice/file",
    "file",
    "through/file",
    "proc/hostname",
    "absolute",
    "relative",
    "proc",
    "cwd",
]


def is_untouched(outside: Path) -> bool:
    return [path.name for path in outside.iterdir()] == ["file"] and (outside / "file").read_text() == "untouched"


def test_3_links_lead_nobody_out_by_ftp(target: Target, outside: Path) -> None:
    client = target.ftp()
    (target.root / "mine").write_text("mine")
    for path in LEADS:
        for line in (
            "RETR {}",
            "STOR {}",
            "APPE {}",
            "SIZE {}",
            "HASH {}",
            "MDTM {}",
            "MFMT 20200101000000 {}",
            "MLSD {}",
            "LIST {}",
        ):
            client.send("EPSV")
            client.read_reply()
            reply = client.do(line.format(path))
            if line in ("MLSD {}", "LIST {}") and reply.startswith(b"150"):
                reply = client.read_reply()
            if line in ("SIZE {}", "MDTM {}", "LIST {}"):  # the link itself, as something empty
                assert b"untouched" not in reply
            else:
                assert reply[:3] in (b"550", b"553", b"425", b"501", b"450"), (line, path, reply)
        for line in (f"MKD {path}/new", f"CWD {path}", f"DELE {path}/file", f"RMD {path}/file"):
            assert client.code(line) in (550, 553), (line, path)
        assert client.code("RNFR mine") == 350
        assert client.code(f"RNTO {path}/new") in (550, 553)
    assert is_untouched(outside)
    assert client.code("NOOP") == 200


def test_3_links_lead_nobody_out_by_sftp(target: Target, outside: Path) -> None:
    client = target.sftp()
    (target.root / "mine").write_text("mine")
    for path in map(str.encode, LEADS):
        for flags in (OpenFlag.READ, OpenFlag.WRITE, OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.TRUNCATE):
            assert client.open(path, flags).kind == Kind.STATUS, (path, flags)
        refused = [
            client.ask(Kind.OPENDIR, string(path)),
            client.ask(Kind.SETSTAT, string(path) + uint32(1) + uint64(0)),
            client.ask(Kind.SETSTAT, string(path) + uint32(8) + uint32(1) + uint32(1)),
            client.ask(Kind.MKDIR, string(path + b"/new") + NO_ATTRS),
            client.ask(Kind.RENAME, string(b"mine") + string(path + b"/new")),
            client.ask_extended(b"posix-rename@openssh.com", string(b"mine") + string(path + b"/new")),
            client.ask(Kind.REMOVE, string(path + b"/file")),
            client.ask(Kind.SYMLINK, string(b"/etc/passwd") + string(path + b"/link")),
        ]
        assert all(reply.kind == Kind.STATUS and reply.status != Status.OK for reply in refused), path
        told = client.ask(Kind.READLINK, string(path))
        assert str(target.folder).encode() not in told.body and b"/proc" not in told.body
    assert is_untouched(outside)
    assert client.list_names(b"/folder") == []


def test_3_a_link_itself_can_be_removed(target: Target, outside: Path) -> None:
    sftp, ftp = target.sftp(), target.ftp()
    assert sftp.ask(Kind.REMOVE, string(b"/file")).status == Status.OK
    assert ftp.code("DELE /relative") == 250
    assert not (target.root / "file").is_symlink()
    assert not (target.root / "relative").is_symlink()
    assert is_untouched(outside)


@pytest.fixture
def swapper(target: Target, outside: Path) -> Iterator[threading.Event]:
    """`/swapped` is a folder of ours one moment, and a link to the outside the next."""
    ended = threading.Event()
    folder, link, name = target.root / "real", target.root / "link", target.root / "swapped"
    folder.mkdir()
    (folder / "file").write_text("ours")
    link.symlink_to(outside)

    def swap() -> None:
        while not ended.is_set():
            for which in (folder, link):
                which.rename(name)
                name.rename(which)

    thread = threading.Thread(target=swap)
    thread.start()
    yield ended
    ended.set()
    thread.join()


def test_3_a_link_that_is_swapped_in(target: Target, outside: Path, swapper: threading.Event) -> None:
    sftp: RawClient = target.sftp()
    ftp = target.ftp()
    num_read = 0
    for number in range(NUM_TRIES):
        opened = sftp.open(b"/swapped/file", OpenFlag.READ)
        if opened.kind == Kind.HANDLE:
            reply = sftp.read(opened.handle, 0, 100)
            if reply.kind == Kind.DATA:
                assert reply.data == b"ours"
                num_read += 1
            sftp.close_handle(opened.handle)
        made = sftp.open(b"/swapped/new%d" % number, OpenFlag.WRITE | OpenFlag.CREATE)
        if made.kind == Kind.HANDLE:
            sftp.write(made.handle, 0, b"x")
            sftp.close_handle(made.handle)
        ftp.do(f"MKD /swapped/folder{number}")
        assert b"untouched" not in ftp.do("DELE /swapped/file-of-others")
    swapper.set()
    assert num_read
    assert is_untouched(outside)
