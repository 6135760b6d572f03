from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cloudalpha.managers.ftp.channel import COMMANDS
from cloudalpha.managers.ftp.session import FTPSession
from tests.managers.ftp.helpers import Client, HeldFileSystem


def test_every_command_of_the_table_has_a_method_and_the_reverse() -> None:
    assert {"ftp_" + verb for verb in COMMANDS} <= set(dir(FTPSession))
    wanted = """USER PASS QUIT CWD CDUP PWD TYPE MODE STRU PASV EPSV PORT EPRT LIST NLST MLSD MLST STAT RETR STOR APPE STOU REST ALLO ABOR SIZE
        MDTM MFMT MFF DELE RMD MKD RNFR RNTO FEAT OPTS SYST NOOP HELP SITE HASH XCRC XMD5 XSHA1 XSHA256 AVBL CLNT LANG AUTH PBSZ PROT"""
    assert set(wanted.split()) <= set(COMMANDS)


def test_every_command_has_help(client: Client) -> None:
    for verb in COMMANDS:
        assert client.do(f"HELP {verb.lower()}").startswith(b"214 Syntax: ")
    assert client.code("HELP nothing") == 504
    assert b"RETR" in client.do("HELP")


def test_folders(client: Client, files: HeldFileSystem) -> None:
    assert client.do("PWD") == b'257 "/" is the working directory.\r\n'
    assert client.do('MKD a "b"') == b'257 "/a ""b""" is made.\r\n'
    assert client.code('MKD a "b"') == 550
    assert client.code('CWD a "b"') == 250
    assert client.code("MKD inner") == 257
    assert client.code("CWD ../..") == 250
    assert client.code("CDUP") == 250
    assert client.do("PWD") == b'257 "/" is the working directory.\r\n'
    assert client.code('RMD a "b"') == 550, "only an empty folder is removed"
    assert client.code('RMD a "b"/inner') == 250
    assert client.code('XRMD a "b"') == 250
    assert client.code("CWD missing") == 550
    assert client.code("RMD /") == 550
    files.write_all("/file", b"")
    assert client.code("CWD file") == 550
    assert client.code("RMD file") == 550


def test_files(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/old", b"12345")
    files.write_all("/there", b"x")
    assert client.do("SIZE old") == b"213 5\r\n"
    assert client.code("RNTO new") == 503
    assert client.code("RNFR missing") == 550
    assert client.code("RNFR old") == 350
    assert client.code("RNTO there") == 250
    assert files.read_all("/there") == b"12345" and not files.exists("/old")
    assert client.code("RNTO again") == 503
    assert client.code("DELE there") == 250
    assert client.code("DELE there") == 550
    assert client.code("SIZE there") == 550
    files.make_dir("/d")
    assert client.code("DELE d") == 550
    assert client.code("SIZE d") == 550


def test_times(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", b"")
    assert client.do("MFMT 20200102030405 f") == b"213 Modify=20200102030405; f\r\n"
    assert client.do("MDTM f") == b"213 20200102030405\r\n"
    assert client.code("MFF modify=20210102030405; f") == 213
    assert files.get_metadata("/f").modified_datetime == datetime(2021, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert client.code("SITE UTIME 202201020304 f") == 200
    assert client.do("MDTM f") == b"213 20220102030400\r\n"
    assert client.code("SITE UTIME f 20230102030405 20230102030406 20230102030407 UTC") == 200
    assert client.do("MDTM f") == b"213 20230102030406\r\n"
    for bad in ("MFMT 2020 f", "MFMT 20201302030405 f", "MFMT 20200102030405", "MFF modify=now; f", "SITE UTIME f"):
        assert client.code(bad) == 501, bad
    assert client.code("MFF UNIX.mode=0644; f") == 504
    assert client.code("MFMT 20200102030405 missing") == 550
    assert client.code("MDTM missing") == 550


def test_hashes(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", b"0123456789")
    sha256 = b"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    assert client.do("HASH f") == b"213 SHA-256 0-9 " + sha256 + b" f\r\n"
    assert client.do("OPTS HASH") == b"200 SHA-256\r\n"
    assert client.do("OPTS HASH md5") == b"200 MD5\r\n"
    assert b"HASH SHA-256;SHA-512;SHA-1;MD5*;CRC32\r\n" in client.do("FEAT")
    assert client.do("HASH f") == b"213 MD5 0-9 781e5e245d69b566979b86e28d23f2c7 f\r\n"
    assert client.code("OPTS HASH rot13") == 504
    assert client.do("XCRC f") == b"250 A684C7C6\r\n"
    assert client.do('XCRC "f"') == b"250 A684C7C6\r\n"
    assert client.do('XMD5 "f" 0 3') == b"250 D2490F048DC3B77A457E3E450AB4EB38\r\n"
    assert client.code('XMD5 "f" 11') == 554
    assert client.do("XSHA1 f") == b"250 87ACEC17CD9DCD20A716CC2CF67417B71C8A7016\r\n"
    assert client.do("XSHA256 f") == b"250 " + sha256.upper() + b"\r\n"
    assert client.code("HASH /") == 550
    assert client.code("HASH missing") == 550


def test_files_beyond_the_bound_are_not_read_for_a_hash(connect: Callable[..., Client], files: HeldFileSystem) -> None:
    files.write_all("/f", b"0123456789")
    client = connect(max_hash_size=9)
    assert client.code("HASH f") == 552
    assert client.code('XCRC "f" 0 9') == 250


def test_small_talk(client: Client) -> None:
    for line, code in {
        "SYST": 215,
        "NOOP": 200,
        "CLNT me": 200,
        "LANG": 200,
        "LANG en-US": 200,
        "LANG fr": 504,
        "OPTS UTF8 ON": 200,
        "opts utf8": 200,
        "OPTS UTF8 OFF": 504,
        "OPTS": 501,
        "OPTS X": 501,
        "TYPE A": 200,
        "TYPE A N": 200,
        "TYPE L 8": 200,
        "TYPE E": 504,
        "MODE S": 200,
        "MODE Z": 504,
        "STRU F": 200,
        "STRU R": 504,
        "STAT": 211,
        "SITE HELP": 214,
        "SITE CHMOD 644 x": 504,
        "SITE EXEC ls": 504,
        "ACCT x": 202,
        "REIN": 500,
        "USER other": 530,
        "PASS again": 503,
        "AVBL": 213,
        "ALLO 5": 200,
        "ALLO x": 501,
        "ALLO -1": 501,
        "REST x": 501,
        "REST -1": 501,
        "REST 99999999999999999999": 501,
        "REST 0": 350,
        "ABOR": 225,
        "NOSUCH": 500,
        "": 500,
        " NOOP": 500,
        "PWD x": 501,
        "CWD": 501,
        "SITE STATE /": 213,
        "SITE STATE /missing": 550,
    }.items():
        assert client.code(line) == code, line  # fmt: skip


def test_features(client: Client) -> None:
    features = client.do("FEAT").decode().split("\r\n")
    assert features[0].startswith("211-") and features[-2] == "211 End."
    for wanted in ("UTF8", "REST STREAM", "SIZE", "MDTM", "MFMT", "AUTH TLS", "PBSZ", "PROT", "EPSV", "TVFS"):
        assert f" {wanted}" in features
    assert " MLST Type*;Size*;Modify*;Create*;X.State*;" in features
    assert client.do("OPTS MLST size;nothing;type") == b"200 MLST OPTS Type;Size;\r\n"
    assert " MLST Type*;Size*;Modify;Create;X.State;" in client.do("FEAT").decode().split("\r\n")


def test_mlst(client: Client, files: HeldFileSystem) -> None:
    files.write_all("/f", b"123")
    client.code("MFMT 20200102030405 f")
    client.code("OPTS MLST type;size;modify")
    assert client.do("MLST f") == b"250-Facts:\r\n Type=file;Size=3;Modify=20200102030405; /f\r\n250 End.\r\n"
    assert client.do("MLST").splitlines()[1].endswith(b" /")
    assert client.code("MLST missing") == 550


def test_stat_lists_over_the_control_connection(client: Client, files: HeldFileSystem) -> None:
    for number in range(3000):
        files.write_all(f"/{number}", b"")
    reply = client.do("STAT /")
    assert reply.count(b"\r\n") == 3002 and reply.startswith(b"213-") and reply.endswith(b"213 End.\r\n")
    assert client.code("NOOP") == 200
    assert client.code("STAT missing") == 550


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe", "ä ö".encode(), "a\u0308".encode(), b"caf\xe9", b"-la", b" lead", b"trail ", b'"', b"%2e%2e", b"\\"],
)
def test_names_are_kept_byte_for_byte(client: Client, files: HeldFileSystem, name: bytes) -> None:
    assert client.put(b"STOR /" + name, b"x").startswith(b"226")
    assert client.get(b"NLST") == name + b"\r\n"
    assert client.get(b"MLSD").rstrip(b"\r\n").endswith(b" " + name)
    assert client.get(b"RETR /" + name) == b"x"
    assert client.code(b"DELE /" + name) == 250
    assert client.code(b"MKD " + name) == 257 and client.code(b"CWD " + name) == 250
    assert client.do("PWD").split(b" is the")[0] == b'257 "/' + name.replace(b'"', b'""') + b'"'


def test_telnet_doubles_the_byte_255(client: Client, files: HeldFileSystem) -> None:
    assert client.code(b"MKD a\xff\xffb") == 257
    assert files.is_dir("/a\udcffb")
    assert client.code(b"\xff\xf4\xff\xf2ABOR") == 225
    assert client.code(b"\xff\xf4\xf2ABOR") == 225
