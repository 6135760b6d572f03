"""What clients do over S3 where a moment must be caught, or one change made."""

from __future__ import annotations

import contextlib
import io
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko

from benchmarks import clients
from benchmarks.peers import PASSWORD, Peer
from benchmarks.s3.place import MIB, S3Bench


@contextlib.contextmanager
def open_sftp(bench: S3Bench, peer: Peer) -> Iterator[paramiko.SFTPClient]:
    """A session that is logged in."""
    with paramiko.SSHClient() as ssh:
        ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        ssh.connect(
            "127.0.0.1",
            peer.port,
            peer.user,
            key_filename=str(bench.key),
            timeout=60,
            allow_agent=False,
            look_for_keys=False,
        )
        yield ssh.open_sftp()


def read_piece(bench: S3Bench, peer: Peer, name: str, start_byte: int, num_bytes: int) -> float:
    """Read a piece of a file and leave; seconds from the moment it is open until the piece is here."""
    if peer.protocol == "sftp":
        with open_sftp(bench, peer) as sftp, sftp.open(f"{peer.prefix}/{name}") as file:
            start = time.perf_counter()
            file.seek(start_byte)
            got = len(file.read(num_bytes))
            seconds = time.perf_counter() - start
    else:
        client = clients.connect_ftp(peer, peer.bulk_user)
        client.voidcmd("TYPE I")
        connection = client.transfercmd(f"RETR /{name}", rest=start_byte or None)
        start = time.perf_counter()
        got = len(connection.recv(num_bytes))
        while got < num_bytes and (data := connection.recv(num_bytes - got)):
            got += len(data)
        seconds = time.perf_counter() - start
        connection.close()
        client.close()
    if got != num_bytes:
        raise RuntimeError(f"{peer.name}: {got} of {num_bytes} bytes")
    return seconds


def edit(bench: S3Bench, peer: Peer, name: str, size: int) -> tuple[float, int]:
    """Change one byte in the middle; (seconds from open to close, size afterwards)."""
    with open_sftp(bench, peer) as sftp:
        start = time.perf_counter()
        with sftp.open(f"{peer.prefix}/{name}", "r+") as file:
            file.seek(size // 2 + 12345)
            file.write(b"!")
        return time.perf_counter() - start, size


def append(bench: S3Bench, peer: Peer, name: str, size: int) -> tuple[float, int]:
    """Append a MiB."""
    content = bytes(MIB)
    if peer.protocol == "sftp":
        with open_sftp(bench, peer) as sftp:
            start = time.perf_counter()
            with sftp.open(f"{peer.prefix}/{name}", "a") as file:
                file.set_pipelined(True)
                file.write(content)
            return time.perf_counter() - start, size + MIB
    client = clients.connect_ftp(peer, peer.bulk_user)
    start = time.perf_counter()
    client.storbinary(f"APPE /{name}", io.BytesIO(content))
    seconds = time.perf_counter() - start
    client.quit()
    return seconds, size + MIB


def rename(bench: S3Bench, peer: Peer, old: str, new: str) -> float:
    """Rename a folder; seconds."""
    with open_sftp(bench, peer) as sftp:
        channel = sftp.get_channel()
        assert channel is not None
        channel.settimeout(600)
        start = time.perf_counter()
        sftp.rename(f"{peer.prefix}/{old}", f"{peer.prefix}/{new}")
        return time.perf_counter() - start


def start_mirror(bench: S3Bench, peer: Peer, source: Path, name: str) -> subprocess.Popen[str]:
    """One lftp that puts a folder, 8 files at a time."""
    if peer.protocol == "ftp":
        login = f"set ftp:ssl-allow false; open -u {peer.bulk_user},{PASSWORD} ftp://127.0.0.1:{peer.port}; "
    else:
        ssh = " ".join(["ssh -a -x", *clients.ssh_options(bench, peer)])
        login = f"set sftp:connect-program '{ssh}'; open -u {peer.user},none sftp://127.0.0.1:{peer.port}; "
    script = f"set net:max-retries 1; set cmd:fail-exit true; {login}mirror -R -P 8 {source} {peer.prefix}/{name}"
    return subprocess.Popen(["lftp", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def start_long(bench: S3Bench, peer: Peer, verb: str, name: str, target: str, slow: str) -> subprocess.Popen[str]:
    """A transfer of 4 GiB; slow: who is, the client or what is behind the peer."""
    if slow == "client":
        return clients.start_slow(bench, peer, verb, name, target)
    if verb == "get":
        return clients.start_get(bench, peer, name)
    return clients.start_put(bench, peer, bench.tree / name, target)


def kill(processes: list[subprocess.Popen[str]]) -> None:
    """Break off transfers."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
