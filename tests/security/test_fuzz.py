"""Anything at all, sent to the whole gateway over a real folder (threats.md 1, 12, 23, 39). Short in every run, long by `make fuzz`.

Whatever comes: each line and each request has its answer, no answer tells of Python or of the machine, and nothing outside the root changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cloudalpha.managers.ftp.manager  # noqa: F401 - fills the table of commands
from cloudalpha import paths
from cloudalpha.exceptions import InvalidPathFileSystemError
from cloudalpha.managers.ftp.channel import COMMANDS
from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from tests.managers.ftp.helpers import Client
from tests.managers.sftp.raw_client import NO_ATTRS, RawClient, uint32, uint64
from tests.security.conftest import MARK, Target

NUM_EXAMPLES = max(60, settings.default.max_examples // 2 if settings.default else 0)

PYTHON = re.compile(
    rb"Traceback|Exception|\bErrno\b|Error\b|Error:|0x[0-9a-f]{6}|\.py\b|<class|object at|None\b|b'|surrogate|codec|embedded null"
)
"""What only Python says."""

NASTY_NAMES = [
    b"a", b"b", b"d/x", b"/", b"", b".", b"..", b"../..", b"//d//", b"/d/../../../etc/passwd", b"%2e%2e/etc", b"..\\..", b"~root", b"~",
    b"{0.__class__}", b"${HOME}", b"%(password)s", b"<INCLUDE>/etc/passwd</INCLUDE>", b"$(id)", b"`id`", b"-la", b"*", b"?", b"[a-z]",
    b"\xff\xfe", b"\xc0\xaf..\xc0\xaf", "．．/".encode(), "e\u0301".encode(), "\u202egnp.exe".encode(), b"x" * 256, b"y/" * 2500,
    b"CON", b"a ", b"a.", b" ", b"a\0b", b"a\nb", b"\x1b[2J", b"\x7f", b".#cloudalpha", b"\"", b"'", b"|id",
]  # fmt: skip
NAMES = st.sampled_from(NASTY_NAMES) | st.binary(max_size=40) | st.text(max_size=20).map(lambda t: t.encode())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One for all examples; the defence does not mind how many come."""
    folder = tmp_path_factory.mktemp("fuzz") / MARK
    folder.mkdir()
    target = Target(folder, defence={"trusted_networks": ["127.0.0.0/8"]}, ftp={"data_connect_timeout": "50ms"})
    target.start()
    prepare(target)
    yield target
    target.stop()


def prepare(target: Target) -> None:
    """Something to work on, and something that nobody may reach."""
    (target.root / "d").mkdir(exist_ok=True)
    (target.root / "a").write_bytes(b"content")
    for name, aim in (("out", target.folder), ("out file", target.folder / "outside"), ("up", Path(".."))):
        (target.root / name).unlink(missing_ok=True)
        (target.root / name).symlink_to(aim)
    (target.folder / "outside").write_text("untouched")


def check_reply(reply: bytes) -> None:
    assert not PYTHON.search(reply), reply
    assert MARK.encode() not in reply, reply
    assert b"untouched" not in reply
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", reply), reply


def check_outside(target: Target) -> None:
    assert {entry.name for entry in target.folder.iterdir()} == {"root", "state", "outside"}
    assert (target.folder / "outside").read_text() == "untouched"
    assert not (target.root / "d" / "state").exists()


VERBS = sorted(set(COMMANDS) - {"QUIT"})
ARGUMENTS = NAMES | st.integers().map(lambda n: str(n).encode()) | st.sampled_from(
    [b"P", b"C", b"I", b"A", b"E", b"TLS", b"SHA-256", b"|1|127.0.0.1|9|", b"127,0,0,1,0,9", b"ALL", b"20200101000000 a", b"UTF8 ON", b"0-0"]
)  # fmt: skip
LINES = st.tuples(st.sampled_from(VERBS).map(str.encode) | st.binary(max_size=8), ARGUMENTS).map(
    lambda pair: (pair[0] + b" " + pair[1]).replace(b"\n", b"\x0b")
)


@settings(max_examples=NUM_EXAMPLES)
@given(lines=st.lists(LINES, min_size=1, max_size=8))
def test_1_12_39_ftp_lines(target: Target, lines: list[bytes]) -> None:
    client = Client(target.get_port("ftp"))
    client.log_in()
    try:
        for line in lines:
            client.send(line)
            client.send("HELP NOOP")
            while not (reply := client.read_reply()).startswith(b"214 Syntax: NOOP"):
                check_reply(reply)
                if reply.startswith(b"421 ") or not reply:  # QUIT in other letters, TLS begun, too many wrong lines
                    return
                if reply.startswith(b"234 "):
                    return
    finally:
        client.close()
        prepare(target)
        check_outside(target)


EXTENSIONS = [
    b"posix-rename@openssh.com", b"statvfs@openssh.com", b"fstatvfs@openssh.com", b"hardlink@openssh.com", b"fsync@openssh.com",
    b"lsetstat@openssh.com", b"limits@openssh.com", b"expand-path@openssh.com", b"copy-data", b"home-directory", b"users-groups-by-id@openssh.com",
    b"check-file-name", b"check-file-handle", b"md5-hash", b"space-available", b"vendor-id",
]  # fmt: skip
STRINGS = NAMES.map(string)
NUMBERS = (
    st.integers(0, 2**64 - 1).map(uint64) | st.sampled_from([0, 1, 2**31, 2**32 - 1]).map(uint32) | st.just(NO_ATTRS)
)
BODIES = st.lists(STRINGS | NUMBERS | st.just(string(b"HANDLE")) | st.binary(max_size=12), max_size=5).map(b"".join)
KINDS = st.sampled_from([kind for kind in Kind if kind not in (Kind.INIT, Kind.VERSION)]) | st.integers(0, 255)
REQUESTS = st.tuples(KINDS, BODIES) | st.tuples(
    st.just(int(Kind.EXTENDED)), st.tuples(st.sampled_from(EXTENSIONS).map(string), BODIES).map(b"".join)
)


@pytest.fixture(scope="module")
def sftp_clients(target: Target) -> Iterator[Callable[[], RawClient]]:
    """The same client as long as it is good."""
    clients: list[RawClient] = []

    def get() -> RawClient:
        if not clients or not clients[-1].transport.is_active() or clients[-1].channel.closed:
            clients.append(RawClient(target.get_port("sftp")))
        return clients[-1]

    yield get
    for client in clients:
        client.close()


@settings(max_examples=NUM_EXAMPLES * 2)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=12))
def test_1_12_39_sftp_requests(
    target: Target, sftp_clients: Callable[[], RawClient], requests: list[tuple[int, bytes]]
) -> None:
    client = sftp_clients()
    opened = client.open(b"/a", OpenFlag.READ)
    handle = string(opened.handle) if opened.kind == Kind.HANDLE else string(b"HANDLE")
    handles = [handle]
    try:
        for kind, body in requests:
            reply = client.ask(kind, body.replace(string(b"HANDLE"), handles[-1]))
            if reply.kind == Kind.HANDLE:
                handles.append(string(reply.handle))
            if reply.kind == Kind.STATUS:
                check_reply(reply.text.encode())
            elif reply.kind != Kind.HANDLE:
                assert MARK.encode() not in reply.body and b"untouched" not in reply.body
        assert client.stat(b"/").kind == Kind.ATTRS
    finally:
        for one in handles:
            client.ask(Kind.CLOSE, one)
        prepare(target)
        check_outside(target)


@settings(max_examples=NUM_EXAMPLES)
@given(
    raw=st.binary(min_size=1, max_size=60).filter(lambda raw: not set(raw) & {10, 13, 255})
    | st.sampled_from(NASTY_NAMES[5:30])
)
def test_1_one_path_whatever_the_protocol(
    target: Target, sftp_clients: Callable[[], RawClient], ftp_client: Client, raw: bytes
) -> None:
    """FTP and SFTP mean the same file by the same bytes: the one that `normalize` says; or both refuse them."""
    if raw == b"~":  # to SFTP's REALPATH alone the home, as clients ask for it
        return
    try:
        expected = paths.encode(paths.normalize(raw))
    except InvalidPathFileSystemError:
        expected = None
    answer = sftp_clients().ask(Kind.REALPATH, string(raw))
    assert (answer.names if answer.kind == Kind.NAME else None) == (None if expected is None else [expected])
    if b"\n" in raw or b"\r" in raw:
        return
    ftp_client.code("CWD /")
    made = ftp_client.do(b"MKD " + raw)
    if expected is None:
        assert made[:4] in (b"553 ", b"501 ", b"500 "), made
    elif made.startswith(b"257 "):
        assert made[5 : made.rindex(b'"')].replace(b'""', b'"') == expected
        assert os.path.isdir(os.fsencode(target.root) + expected)
        assert sftp_clients().ask(Kind.RMDIR, string(raw)).status == Status.OK
        assert not os.path.exists(os.fsencode(target.root) + expected)
    prepare(target)


@pytest.fixture(scope="module")
def ftp_client(target: Target) -> Iterator[Client]:
    client = Client(target.get_port("ftp"))
    client.log_in()
    yield client
    client.close()
