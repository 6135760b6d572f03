"""The clients that load the servers: OpenSSH and curl and lftp for transfers, and two small ones of our own where a moment must be caught."""

from __future__ import annotations

import contextlib
import ftplib
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peers import PASSWORD, Bench, Peer

AES = "aes128-gcm@openssh.com"
CHACHA = "chacha20-poly1305@openssh.com"


def ssh_options(bench: Bench, peer: Peer, cipher: str = AES) -> list[str]:
    """What every OpenSSH client here is given."""
    options = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "BatchMode": "yes",
    }
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    return ["-F", "/dev/null", "-i", str(bench.key), "-c", cipher, *flags]


def start_sftp(bench: Bench, peer: Peer, batch: str, cipher: str = AES, *extra: str) -> subprocess.Popen[str]:
    """OpenSSH's sftp with a batch of commands."""
    command = [
        "sftp",
        *extra,
        "-b",
        "-",
        *ssh_options(bench, peer, cipher),
        "-P",
        str(peer.port),
        f"{peer.user}@127.0.0.1",
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(batch)
    process.stdin.close()
    return process


def start_curl(peer: Peer, *arguments: str) -> subprocess.Popen[str]:
    """curl, over FTP or explicit FTPS."""
    tls = ["--ssl-reqd", "-k"] if peer.protocol == "ftps" else []
    times = ["-w", "%{time_pretransfer} %{time_total}"]
    command = ["curl", "-sS", "-u", f"{peer.bulk_user}:{PASSWORD}", "--disable-epsv", *times, *tls, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_lftp(peer: Peer, script: str) -> subprocess.Popen[str]:
    """lftp with a script."""
    tls = "true" if peer.protocol == "ftps" else "false"
    settings = (
        f"set ftp:ssl-force {tls}; set ftp:ssl-allow {tls}; set ssl:verify-certificate no; set net:max-retries 1; "
    )
    login = f"open -u {peer.bulk_user},{PASSWORD} ftp://127.0.0.1:{peer.port}; "
    command = ["lftp", "-c", settings + "set ftp:ssl-protect-data true; set cmd:fail-exit true; " + login + script]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait for a client; an error of its is an error of the run."""
    assert process.stderr is not None
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if process.returncode:
        raise RuntimeError(f"{process.args}: {process.stderr.read()[-1000:]}")
    process.stderr.close()


def get_transfer_seconds(peer: Peer, process: subprocess.Popen[str], wall: float) -> float:
    """How long a finished client took: curl's log-in is left out, which a row of its own measures; the others tell no more than the clock."""
    if peer.protocol == "sftp" or process.stdout is None:
        return wall
    start, end = process.stdout.read().split()
    process.stdout.close()
    return float(end) - float(start)


def finish_all(processes: list[subprocess.Popen[str]]) -> None:
    """Wait for clients that run side by side; after an error none goes on."""
    try:
        for process in processes:
            finish(process)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def start_get(bench: Bench, peer: Peer, name: str, cipher: str = AES) -> subprocess.Popen[str]:
    """One file down, thrown away."""
    if peer.protocol == "sftp":
        return start_sftp(bench, peer, f"get {peer.prefix}/{name} /dev/null\n", cipher)
    return start_curl(peer, "-o", "/dev/null", f"ftp://127.0.0.1:{peer.port}/{name}")


def start_put(bench: Bench, peer: Peer, source: Path, name: str, cipher: str = AES) -> subprocess.Popen[str]:
    """One file up."""
    if peer.protocol == "sftp":
        return start_sftp(bench, peer, f"put {source} {peer.prefix}/{name}\n", cipher)
    return start_curl(peer, "-T", str(source), f"ftp://127.0.0.1:{peer.port}/{name}")


def start_slow(bench: Bench, peer: Peer, direction: str, name: str, target: str) -> subprocess.Popen[str]:
    """A transfer that the client holds to 5 MB/s."""
    source = bench.tree / name
    if peer.protocol == "sftp":
        command = (
            f"get {peer.prefix}/{name} /dev/null" if direction == "get" else f"put {source} {peer.prefix}/{target}"
        )
        return start_sftp(bench, peer, command + "\n", AES, "-l", "40000")
    url = f"ftp://127.0.0.1:{peer.port}"
    arguments = ["-o", "/dev/null", f"{url}/{name}"] if direction == "get" else ["-T", str(source), f"{url}/{target}"]
    return start_curl(peer, "--limit-rate", "5M", *arguments)


def start_get_tree(bench: Bench, peer: Peer, name: str, target: Path) -> subprocess.Popen[str]:
    """A folder down."""
    if peer.protocol == "sftp":
        return start_sftp(bench, peer, f"get {peer.prefix}/{name} {target}\n", AES, "-r")
    return start_lftp(peer, f"mirror /{name} {target}")


def start_put_tree(bench: Bench, peer: Peer, source: Path, name: str) -> subprocess.Popen[str]:
    """A folder up."""
    if peer.protocol == "sftp":
        return start_sftp(bench, peer, f"put {source} {peer.prefix}/{name}\n", AES, "-r")
    return start_lftp(peer, f"mirror -R {source} /{name}")


def list_sftp(bench: Bench, peer: Peer, name: str) -> tuple[int, float, float]:
    """List a folder as OpenSSH's client does, one READDIR after the other: (names, seconds to the first, seconds in all).

    draft-ietf-secsh-filexfer-02, sections 4 and 6.7, over a pipe to `ssh -s`.
    """
    command = ["ssh", *ssh_options(bench, peer), "-p", str(peer.port), f"{peer.user}@127.0.0.1", "-s", "sftp"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1 << 20)
    assert process.stdin is not None and process.stdout is not None
    reader, writer = process.stdout, process.stdin

    def send(kind: int, body: bytes) -> None:
        writer.write(struct.pack(">IB", len(body) + 1, kind) + body)
        writer.flush()

    def receive() -> tuple[int, bytes]:
        length, kind = struct.unpack(">IB", reader.read(5))
        return kind, reader.read(length - 1)

    try:
        send(1, struct.pack(">I", 3))
        receive()
        path = f"{peer.prefix}/{name}".encode()
        start = time.perf_counter()
        send(11, struct.pack(">II", 1, len(path)) + path)
        kind, body = receive()
        if kind != 102:
            raise RuntimeError(f"{peer.name}: OPENDIR answered {kind} {body!r}")
        handle = body[4:]
        names, first = 0, 0.0
        while True:
            send(12, struct.pack(">I", 2) + handle)
            kind, body = receive()
            if kind != 104:
                break
            first = first or time.perf_counter() - start
            names += int.from_bytes(body[4:8], "big")
        return names, first, time.perf_counter() - start
    finally:
        writer.close()
        reader.close()
        process.wait(10)


def list_with_openssh(bench: Bench, peer: Peer, name: str) -> float:
    """`ls -1` of OpenSSH's own client, as a user waits for it, log-in included: seconds."""
    start = time.perf_counter()
    finish(start_sftp(bench, peer, f"ls -1 {peer.prefix}/{name}\n"))
    return time.perf_counter() - start


def connect_ftp(peer: Peer, user: str) -> ftplib.FTP:
    """ftplib, logged in; with TLS on both connections for ftps."""
    if peer.protocol == "ftps":
        context = ssl._create_unverified_context()  # noqa: S323 - the server's certificate was made for this run
        client: ftplib.FTP = ftplib.FTP_TLS(context=context)  # noqa: S321 - the protocol under test
    else:
        client = ftplib.FTP()  # noqa: S321 - the protocol under test
    client.connect("127.0.0.1", peer.port, timeout=60)
    client.login(user, PASSWORD)
    if isinstance(client, ftplib.FTP_TLS):
        client.prot_p()
    return client


def list_ftp(peer: Peer, name: str) -> tuple[int, float, float]:
    """MLSD (LIST where the server has none): (names, seconds to the first byte, seconds in all)."""
    client = connect_ftp(peer, peer.bulk_user)
    try:
        command = "MLSD" if "MLST" in client.sendcmd("FEAT") else "LIST"
        client.voidcmd("TYPE I")
        start = time.perf_counter()
        connection = client.transfercmd(f"{command} /{name}")
        names, first = 0, 0.0
        while data := connection.recv(1 << 18):
            first = first or time.perf_counter() - start
            names += data.count(b"\n")
        connection.close()
        client.voidresp()
        return names, first, time.perf_counter() - start
    finally:
        client.close()


def connect_once(bench: Bench, peer: Peer) -> None:
    """Connect, log in, ask where we are, and leave."""
    if peer.protocol == "sftp":
        finish(start_sftp(bench, peer, "pwd\n"))
        return
    client = connect_ftp(peer, peer.user)
    client.pwd()
    client.quit()


class IdleSessions:
    """Many sessions at once, logged in and silent."""

    def __init__(self, bench: Bench, peer: Peer) -> None:
        self.bench = bench
        self.peer = peer
        self.ftp: list[ftplib.FTP] = []
        self.ssh: subprocess.Popen[str] | None = None

    def open(self, count: int) -> None:
        """Open so many; returns when all are logged in."""
        if self.peer.protocol != "sftp":
            self.ftp = [connect_ftp(self.peer, self.peer.bulk_user) for _ in range(count)]
            return
        script = str(Path(__file__).with_name("idle_sftp.py"))
        arguments = [str(self.peer.port), self.peer.user, str(self.bench.key), str(count)]
        self.ssh = subprocess.Popen(
            [sys.executable, script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.ssh.stdout is not None
        if self.ssh.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{self.peer.name}: {count} sessions did not open")

    def close(self) -> None:
        """Close them all."""
        for client in self.ftp:
            with contextlib.suppress(OSError):
                client.close()
        if self.ssh is not None:
            assert self.ssh.stdin is not None and self.ssh.stdout is not None
            self.ssh.stdin.close()
            self.ssh.wait(60)
            self.ssh.stdout.close()
