"""Real clients: OpenSSH's sftp and scp, PuTTY's psftp, curl, asyncssh."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from cloudalpha.file_metadata import utc
from cloudalpha.managers.sftp.manager import SFTPManager
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.waiting import wait_until
from tests.managers.sftp.conftest import Serve

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MODIFIED = 1_400_000_000


@pytest.fixture
def manager(serve: Serve) -> SFTPManager:
    return serve()


def get_options(user_key: Path) -> list[str]:
    options = ["-i", str(user_key), "-F", "/dev/null"]
    for option in (
        "IdentitiesOnly=yes",
        "UserKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=no",
        "BatchMode=yes",
        "LogLevel=ERROR",
    ):
        options += ["-o", option]
    return options


@pytest.fixture
def sftp(manager: SFTPManager, user_key: Path, tmp_path: Path) -> Run:
    """Runs commands in OpenSSH's sftp, in tmp_path; fails when one of them does."""

    def run(*commands: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        port = str(manager.get_endpoints()[0].port)
        command = ["sftp", *get_options(user_key), *options, "-P", port, "-b", "-", "demo@127.0.0.1"]
        text = "\n".join(commands) + "\n"
        return subprocess.run(command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=100)

    return run


@pytest.fixture
def scp(manager: SFTPManager, user_key: Path, tmp_path: Path) -> Run:
    """Runs OpenSSH's scp, in tmp_path. "remote:" stands for the server."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        port = str(manager.get_endpoints()[0].port)
        words = [word.replace("remote:", "demo@127.0.0.1:") for word in arguments]
        return subprocess.run(
            ["scp", *get_options(user_key), "-P", port, *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=100,
        )

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree: many sizes, odd names, an empty folder, a known time."""
    root = tmp_path / "tree"
    chooser = random.Random(1)
    for name, size in (
        ("empty", 0),
        ("one", 1),
        ("with space", 1000),
        ("grüße", 32_768),
        ("sub/large", 3_000_000),
        ("sub/sub/x", 7),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chooser.randbytes(size))
        os.utime(path, (MODIFIED, MODIFIED))
    (root / "hollow").mkdir()
    return root


def read_tree(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))
    }


def read_files(files: MemoryFileSystem, root: str) -> dict[str, bytes | None]:
    return {
        entry.path[len(root) + 1 :]: None if entry.is_dir else files.read_all(entry.path) for entry in files.walk(root)
    }


@pytest.mark.needs("sftp")
@pytest.mark.parametrize("options", [(), ("-B", "1000", "-R", "3"), ("-B", "200000", "-R", "200")])
def test_sftp_tree_up_and_down(
    sftp: Run, files: MemoryFileSystem, tree: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = sftp("put -R -p tree", "get -R -p tree back", "ls -l tree", options=options)
    assert done.returncode == 0, done.stderr
    assert read_files(files, "/tree") == read_tree(tree)
    assert read_tree(tmp_path / "back") == read_tree(tree)
    assert (tmp_path / "back" / "one").stat().st_mtime == MODIFIED
    assert files.get_metadata("/tree/one").modified_datetime == utc(MODIFIED)


@pytest.mark.needs("sftp")
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "aes256-ctr", "chacha20-poly1305@openssh.com"])
def test_new_keys_in_mid_transfer(
    serve: Serve, files: MemoryFileSystem, user_key: Path, tmp_path: Path, cipher: str
) -> None:
    """A key exchange every megabyte, whichever the cipher: all bytes arrive, both ways."""
    content = random.Random(5).randbytes(12_000_000)
    (tmp_path / "file").write_bytes(content)
    port = str(serve(ciphers=[cipher]).get_endpoints()[0].port)
    command = ["sftp", *get_options(user_key), "-o", "RekeyLimit=1M", "-P", port, "-b", "-", "demo@127.0.0.1"]
    done = subprocess.run(
        command, input="put file\nget file back\n", capture_output=True, text=True, cwd=tmp_path, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert files.read_all("/file") == content
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.needs("sftp")
def test_sftp_resume(sftp: Run, files: MemoryFileSystem, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(2_000_000)
    (tmp_path / "file").write_bytes(content)
    files.write_all("/file", content[:700_001])
    assert sftp("put -a file").returncode == 0
    assert files.read_all("/file") == content
    (tmp_path / "down").write_bytes(content[:123_457])
    assert sftp("get -a file down").returncode == 0
    assert (tmp_path / "down").read_bytes() == content


@pytest.mark.needs("sftp")
def test_sftp_commands(sftp: Run, files: MemoryFileSystem, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    done = sftp(
        "pwd",
        "mkdir d",
        "cd d",
        "put file",
        "rename file other",
        "cp other third",
        "chmod 600 other",
        "ls -la",
        "df -h",
    )
    assert done.returncode == 0, done.stderr
    assert "Remote working directory: /\n" in done.stdout
    assert files.read_all("/d/other") == files.read_all("/d/third") == b"content"
    assert sftp("rm d/other", "rm d/third", "rmdir d").returncode == 0
    assert not files.exists("/d")
    assert sftp("put -f file").returncode == 0
    for refused in ("get none", "rm none", "rmdir none", "mkdir none/none", "ln -s file link", "cd none", "rename a b"):
        assert sftp(refused).returncode != 0, refused
    assert [entry.name for entry in files.list_dir("/")] == ["file"]


@pytest.mark.needs("scp")
@pytest.mark.parametrize("mode", ["-O", "-s"])
def test_scp_tree_up_and_down(scp: Run, files: MemoryFileSystem, tree: Path, tmp_path: Path, mode: str) -> None:
    done = scp(mode, "-r", "-p", "tree", "remote:/up")
    assert done.returncode == 0, done.stderr
    assert read_files(files, "/up") == read_tree(tree)
    done = scp(mode, "-r", "-p", "tree", "remote:/up")  # now into it
    assert done.returncode == 0, done.stderr
    assert read_files(files, "/up/tree") == read_tree(tree)
    done = scp(mode, "-r", "-p", "remote:/up/tree", "back")
    assert done.returncode == 0, done.stderr
    assert read_tree(tmp_path / "back") == read_tree(tree)
    assert (tmp_path / "back" / "one").stat().st_mtime == MODIFIED
    assert files.get_metadata("/up/one").modified_datetime == utc(MODIFIED)


@pytest.mark.needs("scp")
@pytest.mark.parametrize("mode", ["-O", "-s"])
def test_scp_single_files(scp: Run, files: MemoryFileSystem, tmp_path: Path, mode: str) -> None:
    (tmp_path / "a.txt").write_bytes(b"a" * 100_000)
    (tmp_path / "b.txt").write_bytes(b"b")
    files.make_dir("/folder")
    assert scp(mode, "a.txt", "b.txt", "remote:/folder").returncode == 0
    assert scp(mode, "a.txt", "remote:/folder/c").returncode == 0
    assert files.read_all("/folder/c") == files.read_all("/folder/a.txt") == b"a" * 100_000
    (tmp_path / "down").mkdir()
    assert scp(mode, "remote:/folder/*.txt", "down").returncode == 0
    assert read_tree(tmp_path / "down") == {"a.txt": b"a" * 100_000, "b.txt": b"b"}
    for refused in (
        (mode, "remote:/none", "x"),
        (mode, "remote:/folder", "x"),
        (mode, "a.txt", "remote:/none/none"),
    ):
        assert scp(*refused).returncode != 0, refused
    assert not files.exists("/none")


@pytest.mark.needs("scp")
def test_scp_keeps_going_after_an_error(scp: Run, files: MemoryFileSystem, tree: Path) -> None:
    files.make_dir("/up")
    files.make_dir("/up/tree")
    files.make_dir("/up/tree/one")  # where a file is to go
    done = scp("-O", "-r", "tree", "remote:/up")
    assert done.returncode != 0
    assert "directory" in done.stderr
    expected = read_tree(tree)
    expected["one"] = None
    assert read_files(files, "/up/tree") == expected


@pytest.mark.needs("scp")
def test_killed_scp_publishes_nothing(
    manager: SFTPManager, user_key: Path, files: MemoryFileSystem, gate: OpenGate, tmp_path: Path
) -> None:
    files.write_all("/file", b"old content")
    (tmp_path / "file").write_bytes(bytes(50_000_000))
    command = ["scp", "-O", "-l", "8000", *get_options(user_key), "-P", str(manager.get_endpoints()[0].port)]
    with subprocess.Popen(
        [*command, "file", "demo@127.0.0.1:/file"], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: gate.visits and gate.visits[0].sessions)
            view = gate.visits[0].sessions[0].view
            wait_until(lambda: [file for file in view.get_open_files() if file.get_metadata().size > 0], 30)
        finally:
            process.kill()
    wait_until(lambda: gate.visits[0].closed)
    assert files.read_all("/file") == b"old content"
    assert [entry.name for entry in files.list_dir("/")] == ["file"]


@pytest.mark.needs("scp")
@pytest.mark.parametrize("mode", ["-O", "-s"])
def test_scp_large_file(scp: Run, files: MemoryFileSystem, tmp_path: Path, mode: str) -> None:
    """Many buffers' worth. OpenSSH's scp truncates what it has sent where the answers to its writes come out of order."""
    content = random.Random(6).randbytes(20_000_000)
    (tmp_path / "file").write_bytes(content)
    for _ in range(3):
        assert scp(mode, "file", "remote:/file").returncode == 0
        assert files.get_size("/file") == len(content)
        assert files.read_all("/file") == content
        files.delete("/file")


@pytest.mark.needs("psftp")
def test_psftp(manager: SFTPManager, files: MemoryFileSystem, tmp_path: Path) -> None:
    content = random.Random(3).randbytes(1_000_000)
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "commands").write_text(
        "mkdir d\ncd d\nput file\nls\nreput file\nmv file other\nget other back\nrm other\n"
    )
    endpoint = manager.get_endpoints()[0]
    assert endpoint.fingerprint is not None
    command = ["psftp", "-batch", "-P", str(endpoint.port), "-pw", "secret", "-hostkey", endpoint.fingerprint]
    done = subprocess.run(
        [*command, "-b", "commands", "demo@127.0.0.1"], capture_output=True, text=True, cwd=tmp_path, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "back").read_bytes() == content
    assert [entry.path for entry in files.walk("/")] == ["/d"]


@pytest.mark.needs("curl")
def test_curl(manager: SFTPManager, files: MemoryFileSystem, tmp_path: Path, user_key: Path) -> None:
    content = random.Random(4).randbytes(500_000)
    (tmp_path / "file").write_bytes(content)
    url = f"sftp://127.0.0.1:{manager.get_endpoints()[0].port}"
    command = ["curl", "-sS", "-k", "-u", "demo:secret"]
    up = [*command, "-T", "file", f"{url}/d/file", "--ftp-create-dirs"]
    done = subprocess.run(up, capture_output=True, text=True, cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr
    assert files.read_all("/d/file") == content
    down = subprocess.run([*command, f"{url}/d/file"], capture_output=True, timeout=100)
    assert down.stdout == content
    listed = subprocess.run([*command, f"{url}/d/"], capture_output=True, text=True, timeout=100)
    assert "file" in listed.stdout
    scp = subprocess.run(
        [*command, f"scp://127.0.0.1:{url.rpartition(':')[2]}/d/file"], capture_output=True, timeout=100
    )
    assert scp.stdout == content


def test_asyncssh(manager: SFTPManager, files: MemoryFileSystem, tree: Path, tmp_path: Path, user_key: Path) -> None:
    async def use() -> None:
        async with asyncssh.connect(
            "127.0.0.1",
            manager.get_endpoints()[0].port,
            username="demo",
            client_keys=[user_key],
            known_hosts=None,
            config=None,
        ) as connection:
            async with connection.start_sftp_client() as sftp:
                await sftp.put(tree, "up", recurse=True, preserve=True)
                await sftp.get("up", tmp_path / "back", recurse=True, preserve=True)
                assert (await sftp.statvfs("/")).bsize > 0
                assert await sftp.realpath("up/../up/sub") == "/up/sub"
                assert await sftp.glob("up/o*") == ["up/one"]
                await sftp.rmtree("up")
            await asyncssh.scp(tree, (connection, "/scp"), recurse=True)
            await asyncssh.scp((connection, "/scp"), tmp_path / "again", recurse=True)

    asyncio.run(use())
    assert read_tree(tmp_path / "back") == read_tree(tmp_path / "again") == read_tree(tree)
    assert read_files(files, "/scp") == read_tree(tree)
    assert not files.exists("/up")
