"""Real clients, as people use them."""

from __future__ import annotations

import ftplib
import io
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree
from tests.managers.ftp.conftest import port_of
from tests.managers.ftp.helpers import Client, HeldFileSystem, make_client_context

CONTENT = os.urandom(1_500_000)
MODES = ["plain", "explicit", "implicit"]


def run(*arguments: str | Path, cwd: Path | None = None, text: str | None = None) -> str:
    result = subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, input=text, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def manager(root: Path, serve: Callable[..., FTPManager]) -> FTPManager:
    return serve(LocalFileSystem(Tree(root, False, False, 0o644, 0o755)), implicit_port=0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files and folders with names that are hard to carry."""
    tree = tmp_path / "tree"
    (tree / "a folder" / "deeper").mkdir(parents=True)
    (tree / "empty").mkdir()
    (tree / "a folder" / "ä ö & 'x'.bin").write_bytes(CONTENT)
    (tree / "a folder" / "deeper" / "nothing").write_bytes(b"")
    for number in range(30):
        (tree / f"{number} [1].txt").write_bytes(b"line\n" * number)
    return tree


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def _lftp(manager: FTPManager, mode: str, commands: str) -> str:
    explicit, implicit = (endpoint.port for endpoint in manager.get_endpoints())
    settings = "set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 20; set ssl:verify-certificate no;"
    settings += f"set ftp:ssl-force {'no' if mode == 'plain' else 'yes'}; set ftp:ssl-allow {'no' if mode == 'plain' else 'yes'};"
    url = f"ftps://127.0.0.1:{implicit}" if mode == "implicit" else f"ftp://127.0.0.1:{explicit}"
    return run("lftp", "-c", f"{settings} open -u demo,secret {url}; {commands}")


@pytest.mark.needs("lftp")
@pytest.mark.parametrize("mode", MODES)
def test_lftp_mirrors_both_ways(manager: FTPManager, root: Path, tree: Path, tmp_path: Path, mode: str) -> None:
    _lftp(manager, mode, f"mirror -R '{tree}' copy")
    assert contents(root / "copy") == contents(tree)
    back = tmp_path / "back"
    _lftp(manager, mode, f"mirror --parallel=3 copy '{back}'")
    assert contents(back) == contents(tree)
    sent = int((tree / "0 [1].txt").stat().st_mtime)
    assert int((root / "copy" / "0 [1].txt").stat().st_mtime) == sent
    assert _lftp(manager, mode, f"mirror -R '{tree}' copy") == "", "nothing is left to do"


@pytest.mark.needs("lftp")
@pytest.mark.parametrize("mode", MODES)
def test_lftp_resumes_both_ways(manager: FTPManager, root: Path, tmp_path: Path, mode: str) -> None:
    (tmp_path / "whole").write_bytes(CONTENT)
    (root / "file").write_bytes(CONTENT[:500_000])
    _lftp(manager, mode, f"put -c '{tmp_path}/whole' -o file")
    assert (root / "file").read_bytes() == CONTENT
    (tmp_path / "part").write_bytes(CONTENT[:700_000])
    _lftp(manager, mode, f"get -c file -o '{tmp_path}/part'")
    assert (tmp_path / "part").read_bytes() == CONTENT


@pytest.mark.needs("lftp")
def test_lftp_changes_things(manager: FTPManager, root: Path) -> None:
    (root / "f").write_bytes(b"x")
    _lftp(manager, "explicit", "mkdir -p a/b; mv f a/g; cls -l; rm -r a/b; rm a/g; rmdir a")
    assert contents(root) == {}


@pytest.mark.needs("curl")
@pytest.mark.parametrize("mode", MODES)
def test_curl(manager: FTPManager, root: Path, tmp_path: Path, mode: str) -> None:
    explicit, implicit = (endpoint.port for endpoint in manager.get_endpoints())
    base = f"ftps://127.0.0.1:{implicit}" if mode == "implicit" else f"ftp://127.0.0.1:{explicit}"
    options = ["-sS", "-k", "-u", "demo:secret", *(["--ssl-reqd"] if mode == "explicit" else [])]
    (tmp_path / "local").write_bytes(CONTENT)
    run("curl", *options, "--ftp-create-dirs", "-T", tmp_path / "local", f"{base}/new/folder/file")
    assert (root / "new/folder/file").read_bytes() == CONTENT
    run("curl", *options, "-o", tmp_path / "back", f"{base}/new/folder/file")
    assert (tmp_path / "back").read_bytes() == CONTENT
    assert run("curl", *options, "-r", "10-19", "-o", tmp_path / "range", f"{base}/new/folder/file") == ""
    assert (tmp_path / "range").read_bytes() == CONTENT[10:20]
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    run("curl", *options, "-C", "-", "-o", tmp_path / "part", f"{base}/new/folder/file")
    assert (tmp_path / "part").read_bytes() == CONTENT
    run("curl", *options, "-a", "-T", tmp_path / "range", f"{base}/new/folder/file")
    assert (root / "new/folder/file").read_bytes() == CONTENT + CONTENT[10:20]
    assert run("curl", *options, f"{base}/new/").split()[-1] == "folder"
    assert "Content-Length: 1500010" in run("curl", *options, "-I", f"{base}/new/folder/file")


@pytest.mark.needs("ncftpput", "ncftpget", "ncftpls")
def test_ncftp(manager: FTPManager, root: Path, tree: Path, tmp_path: Path) -> None:
    options = ["-V", "-u", "demo", "-p", "secret", "-P", str(port_of(manager))]
    run("ncftpput", *options, "-R", "127.0.0.1", "/", tree)
    sent = contents(root / "tree")
    assert sent == contents(tree)
    (tmp_path / "back").mkdir()
    run("ncftpget", *options, "-R", "127.0.0.1", tmp_path / "back", "/tree/a folder")
    assert contents(tmp_path / "back" / "a folder") == contents(tree / "a folder")
    assert "empty" in run("ncftpls", "-u", "demo", "-p", "secret", "-P", str(port_of(manager)), "ftp://127.0.0.1/tree/")


@pytest.mark.needs("tnftp")
def test_tnftp(manager: FTPManager, root: Path, tmp_path: Path) -> None:
    (tmp_path / "one.bin").write_bytes(CONTENT)
    (tmp_path / "two.bin").write_bytes(b"2")
    script = f"""user demo secret
binary
mkdir d
cd d
mput *.bin
ls
append two.bin two.bin
rename one.bin three.bin
lcd {tmp_path}/back
mget *.bin
quit
"""
    (tmp_path / "back").mkdir()
    run("tnftp", "-n", "-i", "127.0.0.1", str(port_of(manager)), cwd=tmp_path, text=script)
    assert contents(root) == {"d": None, "d/three.bin": CONTENT, "d/two.bin": b"22"}
    assert (tmp_path / "back" / "three.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("mode", ["plain", "explicit"])
def test_ftplib(manager: FTPManager, root: Path, mode: str) -> None:
    ftp = ftplib.FTP() if mode == "plain" else ftplib.FTP_TLS(context=make_client_context())  # noqa: S321
    ftp.connect("127.0.0.1", port_of(manager), 20)
    ftp.login("demo", "secret")
    if isinstance(ftp, ftplib.FTP_TLS):
        ftp.prot_p()
    ftp.storbinary("STOR f", io.BytesIO(CONTENT))
    received = io.BytesIO()
    ftp.retrbinary("RETR f", received.write, rest=1000)
    assert received.getvalue() == CONTENT[1000:]
    assert [(name, facts["size"]) for name, facts in ftp.mlsd()] == [("f", "1500000")]
    ftp.storlines("STOR text", io.BytesIO(b"one\ntwo\n"))
    lines: list[str] = []
    ftp.retrlines("RETR text", lines.append)
    assert lines == ["one", "two"]
    (root / "f").write_bytes(CONTENT * 30)
    with ftp.transfercmd("RETR f") as data:
        data.recv(10)
        assert ftp.abort().startswith("426")
        assert ftp.getresp().startswith("226")
    assert sorted(ftp.nlst()) == ["f", "text"]
    ftp.quit()


def test_filezillas_sequence(connect: Callable[..., Client], files: HeldFileSystem) -> None:
    client = connect(log_in=False, tls="required")
    client.start_tls(make_client_context())
    assert client.code("USER demo") == 331
    assert client.code("PASS secret") == 230
    assert client.code("SYST") == 215
    assert b" MLST " in client.do("FEAT")
    assert client.code("CLNT FileZilla") == 200
    assert client.code("OPTS UTF8 ON") == 200
    client.protect()
    assert client.code("OPTS MLST type;size;modify;perm;unix.mode;unix.owner;unix.group;") == 200
    assert client.do("PWD") == b'257 "/" is the working directory.\r\n'
    assert client.code("TYPE I") == 200
    assert client.get("MLSD") == b""
    assert client.code("CWD /neu") == 550
    assert client.code("MKD neu") == 257
    assert client.code("CWD /neu") == 250
    assert client.put("STOR größe.bin", CONTENT).startswith(b"226")
    assert client.code("MFMT 20240229123456 größe.bin") == 213
    assert client.get("MLSD") == "Type=file;Size=1500000;Modify=20240229123456; größe.bin\r\n".encode()
    assert isinstance(client.sock, ssl.SSLSocket)
    assert client.code("QUIT") == 221


@pytest.mark.parametrize("binary", ["rclone", "/usr/bin/rclone"])
@pytest.mark.parametrize("mode", MODES)
def test_rclone(manager: FTPManager, root: Path, tree: Path, tmp_path: Path, binary: str, mode: str) -> None:
    explicit, implicit = (endpoint.port for endpoint in manager.get_endpoints())
    command = str(Path(sys.executable).parent / binary)  # an absolute one stays as it is
    if not Path(command).exists():
        pytest.skip(f"not installed: {command}")
    secret = run(command, "obscure", "secret").strip()
    remote = f":ftp,host=127.0.0.1,user=demo,pass={secret},no_check_certificate,port={implicit if mode == 'implicit' else explicit}"
    remote += {"plain": "", "explicit": ",explicit_tls", "implicit": ",tls"}[mode] + ":"
    options = ["--config", tmp_path / "rclone.conf", "--retries", "1", "--create-empty-src-dirs"]
    run(command, "sync", tree, remote + "copy", *options)
    assert contents(root / "copy") == contents(tree)
    run(command, "check", "--download", tree, remote + "copy", *options[:4])
    run(command, "sync", remote + "copy", tmp_path / "back", *options)
    assert contents(tmp_path / "back") == contents(tree)
