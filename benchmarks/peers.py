"""The servers that are measured: CloudAlpha and its peers, each over the same tree."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

USER = "bench"
BULK_USER = "bulk"
"""Who transfers: the same password under a cheap hash, so that rows of transfers measure transfers; the log-in has a row of its own."""
PASSWORD = "bench-pass-phrase"
SERVERS = Path(__file__).parent / "servers"


@dataclass
class Peer:
    """One server, running.

    protocol: sftp, ftp or ftps. prefix: where the tree is, as its clients see it.
    lacks: parts of row names that it cannot answer.
    """

    name: str
    protocol: str
    port: int
    pid: int
    prefix: str = ""
    user: str = USER
    bulk_user: str = USER
    lacks: tuple[str, ...] = ()


@dataclass
class Bench:
    """The place of a run: a folder on tmpfs with the tree, keys and certificates."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def key(self) -> Path:
        return self.folder / "user_key"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def prepare(self) -> None:
        """Make keys and a certificate."""
        self.tree.mkdir(parents=True)
        for name in ("user_key", "host_key"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name))
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        part = str(self.folder / "part.pem")
        _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", part, "-out", str(self.certificate))  # fmt: skip
        with self.certificate.open("ab") as file:
            file.write(Path(part).read_bytes())
        self.certificate.chmod(0o600)
        os.chmod(self.folder, 0o755)  # noqa: S103 - proftpd's session process, not root, reads the tree

    def start(self, *command: str, port: int, env: dict[str, str] | None = None) -> int:
        """Start a server and wait until it listens; its process id."""
        log = (self.folder / f"{Path(command[0]).name}-{port}.log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})}, cwd=self.folder)
        self.processes.append(process)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process.pid
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{command[0]} did not start: {Path(log.name).read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Stop every server."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()


@contextlib.contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    """A place for a run, gone afterwards."""
    bench = Bench(folder)
    bench.prepare()
    try:
        yield bench
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)


def start_cloudalpha(bench: Bench) -> list[Peer]:
    """The gateway over the tree: FTP, FTPS and SFTP in one process."""
    from cloudalpha.users.passwords import hash_password

    ftp, sftp = get_free_port(), get_free_port()
    key = (bench.folder / "user_key.pub").read_text().strip()
    config = bench.folder / "cloudalpha.toml"
    config.write_text(
        f"""
state_dir = "{bench.folder}/state"
[managers.ftp]
port = {ftp}
tls = "optional"
[managers.sftp]
port = {sftp}
ciphers = ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
[defence]
trusted_networks = ["127.0.0.0/8"]
max_connections = 5000
max_unauthenticated = 3000
early_drop_start = 3000
[accounts.tree]
service = "local"
root = "{bench.tree}"
fsync = false
[users.{USER}]
password_hash = "{hash_password(PASSWORD)}"
public_keys = ["{key}"]
mounts = {{ "/" = "tree:/" }}
[users.{BULK_USER}]
password_hash = "{hash_cheaply(PASSWORD)}"
public_keys = ["{key}"]
mounts = {{ "/" = "tree:/" }}
"""
    )
    pid = bench.start(get_program("cloudalpha"), "serve", "--config", str(config), port=sftp)
    ports = {"sftp": sftp, "ftp": ftp, "ftps": ftp}
    return [Peer("CloudAlpha", protocol, port, pid, bulk_user=BULK_USER) for protocol, port in ports.items()]


def start_openssh(bench: Bench) -> list[Peer]:
    """OpenSSH's sshd with internal-sftp."""
    port = get_free_port()
    config = bench.folder / "sshd_config"
    Path("/run/sshd").mkdir(exist_ok=True)
    config.write_text(
        f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {bench.folder}/host_key
PidFile {bench.folder}/sshd.pid
AuthorizedKeysFile {bench.folder}/authorized_keys
UsePAM no
PasswordAuthentication no
StrictModes no
PermitRootLogin yes
MaxStartups 3000
MaxSessions 3000
Subsystem sftp internal-sftp
"""
    )
    pid = bench.start("/usr/sbin/sshd", "-f", str(config), "-D", "-e", port=port)
    return [Peer("OpenSSH", "sftp", port, pid, prefix=str(bench.tree), user="root")]


def start_rclone_sftp(bench: Bench) -> list[Peer]:
    """`rclone serve sftp`, default flags."""
    port = get_free_port()
    pid = bench.start(
        get_program("rclone"), "serve", "sftp", str(bench.tree), "--addr", f"127.0.0.1:{port}", "--key",
        str(bench.folder / "host_key"), "--authorized-keys", str(bench.folder / "authorized_keys"), "--user", USER,
        port=port, env={"RCLONE_CONFIG": "/dev/null"},
    )  # fmt: skip
    return [Peer("rclone serve", "sftp", port, pid)]


def start_rclone_ftp(bench: Bench) -> list[Peer]:
    """`rclone serve ftp`, default flags. Plain only: with a certificate it encrypts no data connection (PROT is refused)."""
    port = get_free_port()
    pid = bench.start(
        get_program("rclone"), "serve", "ftp", str(bench.tree), "--addr", f"127.0.0.1:{port}", "--user", USER,
        "--pass", PASSWORD, "--passive-port", "40000-40999", port=port, env={"RCLONE_CONFIG": "/dev/null"},
    )  # fmt: skip
    return [Peer("rclone serve", "ftp", port, pid)]


def start_proftpd(bench: Bench) -> list[Peer]:
    """proftpd with mod_tls."""
    port = get_free_port()
    users = bench.folder / "proftpd.passwd"
    hashed = _run("openssl", "passwd", "-6", PASSWORD).strip()
    users.write_text(f"{USER}:{hashed}:0:0:bench:{bench.tree}:/bin/sh\n")
    users.chmod(0o600)
    config = bench.folder / "proftpd.conf"
    config.write_text(
        f"""
LoadModule mod_tls.c
ServerType standalone
Port {port}
DefaultAddress 127.0.0.1
SocketBindTight on
UseReverseDNS off
User root
Group root
RootLogin on
RequireValidShell off
AuthOrder mod_auth_file.c
AuthUserFile {users}
DefaultRoot {bench.tree}
MaxInstances 3000
AllowOverwrite on
AllowStoreRestart on
PidFile {bench.folder}/proftpd.pid
ScoreboardFile {bench.folder}/proftpd.scores
SystemLog {bench.folder}/proftpd.log
TransferLog none
WtmpLog off
<IfModule mod_tls.c>
TLSEngine on
TLSRequired off
TLSECCertificateFile {bench.certificate}
TLSECCertificateKeyFile {bench.certificate}
TLSOptions NoSessionReuseRequired
</IfModule>
"""
    )
    config.chmod(0o600)
    pid = bench.start("/usr/sbin/proftpd", "-n", "-c", str(config), port=port)
    return [Peer("proftpd", "ftp", port, pid), Peer("proftpd", "ftps", port, pid)]


def start_pyftpdlib(bench: Bench) -> list[Peer]:
    """Stock pyftpdlib; once plain and once with TLS."""
    peers = []
    for protocol in ("ftp", "ftps"):
        port = get_free_port()
        tls = [str(bench.certificate)] if protocol == "ftps" else []
        script = str(SERVERS / "pyftpdlib_server.py")
        pid = bench.start(sys.executable, script, str(port), str(bench.tree), USER, PASSWORD, *tls, port=port)
        peers.append(Peer("pyftpdlib", protocol, port, pid))
    return peers


def start_asyncssh(bench: Bench) -> list[Peer]:
    """Stock asyncssh."""
    return _start_stock_sftp(bench, "asyncssh")


def start_paramiko(bench: Bench) -> list[Peer]:
    """Stock paramiko."""
    return _start_stock_sftp(bench, "paramiko")


STARTERS = {
    "cloudalpha": start_cloudalpha,
    "openssh": start_openssh,
    "rclone-sftp": start_rclone_sftp,
    "asyncssh": start_asyncssh,
    "paramiko": start_paramiko,
    "rclone-ftp": start_rclone_ftp,
    "proftpd": start_proftpd,
    "pyftpdlib": start_pyftpdlib,
}


def _start_stock_sftp(bench: Bench, name: str) -> list[Peer]:
    port = get_free_port()
    host_key, authorized = str(bench.folder / "host_key"), str(bench.folder / "authorized_keys")
    script = str(SERVERS / f"{name}_server.py")
    pid = bench.start(sys.executable, script, str(port), host_key, authorized, str(bench.tree), port=port)
    return [Peer(name, "sftp", port, pid, lacks=("chacha20",) if name == "paramiko" else ())]


def hash_cheaply(password: str) -> str:
    """A hash that costs nothing to check, so that rows of transfers measure transfers."""
    import argon2

    return argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(password)


def get_program(name: str) -> str:
    """A program that came with the tools of this Python."""
    return str(Path(sys.executable).parent / name)


def get_free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
