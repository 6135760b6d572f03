"""Names survive byte for byte over both protocols, mean nothing but themselves, and forge no log line (threats.md 4, 12, 26, 27)."""

from __future__ import annotations

import os
import re
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.managers.sftp.packets import Kind, OpenFlag, Status, string
from tests.managers.ftp.helpers import Client
from tests.managers.sftp.raw_client import NO_ATTRS, RawClient
from tests.security.conftest import MARK, Target

FORMS = ["Å", "A\u030a", "\u212b", "ﬁ", "fi", "é", "e\u0301", "ẛ̣", "Straße", "STRASSE", "Strasse", "ı", "I", "i"]
RESERVED = [
    "CON",
    "con",
    "NUL.txt",
    "COM1",
    "LPT9",
    "aux",
    "a.",
    "a ",
    " a",
    "a..",
    "a:b",
    'a"b',
    "a|b",
    "a<b>",
    "a?b",
    "a*b",
    "a\\b",
    "desktop.ini",
]
TEMPLATES = ["{0}", "{0.__class__.__mro__}", "{user}", "${HOME}", "$HOME", "%(user)s", "%s%s%s%n", "%username%", "<INCLUDE>",
             "{{7*7}}", "<%= 7*7 %>", "$(id)", "`id`", "; id", "| id", "' OR '1'='1", "'; DROP TABLE x; --",
             "-rf", "--help", "~root", "%2e%2e%2f"]  # fmt: skip
INVALID = [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\xc0\x80", b"\xf8\x88\x80\x80\x80", b"a\xffb\xfe", b"\xe2\x28\xa1"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("names") / MARK
    folder.mkdir()
    target = Target(folder)
    target.start()
    yield target
    target.stop()


@pytest.fixture(scope="module")
def ftp(target: Target) -> Client:
    return target.ftp()


@pytest.fixture(scope="module")
def sftp(target: Target) -> RawClient:
    return target.sftp()


def telnet(name: bytes) -> bytes:
    """RFC 959 lets commands travel as Telnet strings, where the byte 255 is doubled."""
    return name.replace(b"\xff", b"\xff\xff")


def list_by_ftp(client: Client, command: bytes = b"MLSD /") -> list[bytes]:
    return [line.split(b"; ", 1)[1] for line in client.get(command).split(b"\r\n") if b"type=file" in line.lower()]


def put_by_sftp(client: RawClient, path: bytes, content: bytes) -> None:
    handle = client.open(path, OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.TRUNCATE).handle
    assert client.write(handle, 0, content).status == Status.OK
    assert client.close_handle(handle).status == Status.OK


def get_by_sftp(client: RawClient, path: bytes) -> bytes:
    handle = client.open(path, OpenFlag.READ).handle
    content = client.read(handle, 0, 1000).data
    assert client.close_handle(handle).status == Status.OK
    return content


def check_round_trip(target: Target, ftp: Client, sftp: RawClient, names: list[bytes]) -> None:
    """Made by one protocol, found and read by the other; and on the disk the same bytes."""
    try:
        for number, name in enumerate(names):
            content = b"content of %d" % number
            if number % 2:
                put_by_sftp(sftp, b"/" + name, content)
            else:
                assert ftp.put(b"STOR /" + telnet(name), content).startswith(b"226")
        assert sorted(os.listdir(os.fsencode(target.root))) == sorted(names)
        assert sorted(list_by_ftp(ftp)) == sorted(names)
        assert sorted(sftp.list_names(b"/")) == sorted(names)
        for number, name in enumerate(names):
            assert get_by_sftp(sftp, b"/" + name) == b"content of %d" % number
            assert ftp.get(b"RETR /" + telnet(name)) == b"content of %d" % number
    finally:
        for name in os.listdir(os.fsencode(target.root)):
            os.unlink(os.fsencode(target.root) + b"/" + name)


@pytest.mark.parametrize(
    "names",
    [
        [name.encode() for name in FORMS],
        [name.encode() for name in RESERVED],
        [name.encode() for name in TEMPLATES],
        INVALID,
    ],
    ids=["unicode forms", "reserved elsewhere", "templates", "not UTF-8"],
)
def test_26_names_that_others_fold_escape_or_expand(
    target: Target, ftp: Client, sftp: RawClient, names: list[bytes]
) -> None:
    """threats.md 4 too: nothing is expanded, neither in paths nor in replies."""
    check_round_trip(target, ftp, sftp, names)


def _is_name(name: bytes) -> bool:
    return (
        name not in (b".", b"..") and not name.startswith(b".cloudalpha-") and not re.search(rb"[\x00-\x1f/\x7f]", name)
    )


NAMES = st.binary(min_size=1, max_size=255) | st.text(min_size=1, max_size=60).map(
    lambda t: t.encode("utf-8", "replace")[:255]
)


@given(st.lists(NAMES.filter(_is_name), min_size=1, max_size=4, unique=True))
def test_26_any_names_at_all(target: Target, ftp: Client, sftp: RawClient, names: list[bytes]) -> None:
    check_round_trip(target, ftp, sftp, names)


def test_26_forms_of_one_name_are_names_of_their_own(target: Target, ftp: Client, sftp: RawClient) -> None:
    """Each overwrites itself alone, and renames follow."""
    composed, decomposed = (unicodedata.normalize(form, "Zoë").encode() for form in ("NFC", "NFD"))
    put_by_sftp(sftp, b"/" + composed, b"composed")
    assert ftp.put(b"STOR /" + decomposed, b"decomposed").startswith(b"226")
    put_by_sftp(sftp, b"/" + composed, b"new")
    assert ftp.get(b"RETR /" + decomposed) == b"decomposed"
    assert ftp.code(b"RNFR /" + decomposed) == 350
    assert ftp.code(b"RNTO /" + b"other") == 250
    assert get_by_sftp(sftp, b"/" + composed) == b"new"
    assert sorted(sftp.list_names(b"/")) == sorted([composed, b"other"])
    for name in (composed, b"other"):
        assert sftp.ask(Kind.REMOVE, string(b"/" + name)).status == Status.OK


@pytest.mark.needs("rclone")
@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "checks"), [("ftp", []), ("sftp", ["--check-control", "--check-length"])])
def test_26_what_rclone_says_of_names(target: Target, protocol: str, checks: list[str], tmp_path: Path) -> None:
    """`rclone test info` tries both forms of Unicode; every character at each place of a name; lengths."""
    password = subprocess.run(
        ["rclone", "obscure", "secret"], capture_output=True, text=True, check=True
    ).stdout.strip()
    remote = (
        f":{protocol},host=127.0.0.1,user=demo,pass={password},port={target.get_port(protocol)},encoding=Slash:info"
    )
    done = subprocess.run(
        [
            "rclone",
            "--config",
            str(tmp_path / "none"),
            "--low-level-retries",
            "1",
            "test",
            "info",
            "--check-normalization",
            *checks,
            remote,
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    if protocol == "sftp":
        escaped = re.search(r"stringNeedsEscaping = \[\]rune\{\s*(.*?),?\s*\}\n", report, re.DOTALL)
        assert escaped, report
        assert all(character == "'/'" or character.startswith("'\\") for character in escaped[1].split(", ")), escaped[
            1
        ]
        assert "maxFileLength = 255 // for 1 byte" in report
    assert "canWriteUnnormalized = true" in report
    assert "canReadUnnormalized   = true" in report
    assert "canReadRenormalized   = false" in report
    subprocess.run(["rm", "-rf", str(target.root / "info")], check=True)


HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "a\x9b31mb",
    "\u202e gnp.exe",
    "\u2028 level=error event=forged",
    'x" event=forged',
    "x\\",
    "a=b c=d",
    "\x7f",
]


def test_27_a_log_line_is_a_line(target: Target, log_lines: list[str]) -> None:
    """User names, passwords, file names and commands that would forge lines, fields or a terminal's doings."""
    ftp, sftp = target.ftp(), target.sftp()
    for text in HOSTILE:
        name = text.encode()
        other = target.ftp(log_in=False)
        other.read_reply()
        for line in (b"USER " + name, b"PASS " + name, name, b"CLNT " + name):
            other.send(line)
        other.close()
        ftp.send(b"HELP NOOP")
        if not re.search(r"[\x00-\x1f\x7f]", text):
            assert ftp.read_reply().startswith(b"214")
            assert ftp.put(b"STOR /" + name, b"x").startswith(b"226")
            put_by_sftp(sftp, b"/" + name, b"y")
            assert ftp.get(b"RETR /" + name) == b"y"
            assert ftp.code(b"DELE /" + name) == 250
        else:
            assert ftp.read_reply().startswith(b"214")
            assert ftp.code(b"STOR /" + name) == 501
            assert sftp.ask(Kind.MKDIR, string(b"/" + name) + NO_ATTRS).status == Status.FAILURE
    assert any("event=upload" in line for line in log_lines)
    for line in log_lines:
        assert line.isprintable(), ascii(line)
        assert not re.search(r"(?<!\\)\" event=forged| c=d$", re.sub(r"\"(\\.|[^\"\\])*\"", "Q", line)), line
        assert len(re.findall(r"(?:^| )event=", re.sub(r"\"(\\.|[^\"\\])*\"", "Q", line))) == 1, line
    text = "\n".join(log_lines)
    assert "secret" not in text


def test_27_replies_repeat_nothing_raw(target: Target) -> None:
    check: Callable[[bytes], bool] = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n").search  # type: ignore[assignment]
    client = target.ftp()
    for verb in (
        "SITE",
        "HELP",
        "OPTS",
        "STRU",
        "MODE",
        "TYPE",
        "ALLO",
        "REST",
        "CWD",
        "XYZZY",
        "STAT",
        "MLST",
        "SIZE",
        "FEAT",
        "NOOP",
        "HASH",
        "PORT",
    ):
        for raw in (b"\x1b[2J", b"a\rb", b"a\x00", b"\x9b", b"%s", b"{0}"):
            reply = client.do(verb.encode() + b" " + raw)
            assert reply and not check(reply), reply
    assert client.code("NOOP") == 200
