"""The peers over S3. Each reaches the bucket through the line, and sees nothing else of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks import clients
from benchmarks.peers import BULK_USER, PASSWORD, USER, Peer, get_free_port, get_program, hash_cheaply
from benchmarks.s3.place import BUCKET, S3Bench, Target

BEST_FLAGS = ("--vfs-read-chunk-streams", "16", "--vfs-read-chunk-size", "4M")
MODES = ("off", "writes", "full")


def start_cloudalpha(bench: S3Bench, target: Target) -> list[Peer]:
    """The gateway: FTP and SFTP in one process, with the settings that it has by itself."""
    ftp, sftp = get_free_port(), get_free_port()
    folder = bench.folder / f"cloudalpha-{target.server.name}"
    folder.mkdir()
    key = (bench.folder / "user_key.pub").read_text().strip()
    config = folder / "cloudalpha.toml"
    config.write_text(
        f"""
state_dir = "{folder}/state"
[managers.ftp]
port = {ftp}
[managers.sftp]
port = {sftp}
ciphers = ["aes128-gcm@openssh.com"]
[defence]
trusted_networks = ["127.0.0.0/8"]
[accounts.bucket]
service = "s3"
bucket = "{BUCKET}"
endpoint_url = "{target.line.endpoint_url}"
region = "{target.server.region}"
access_key_id = "{target.server.access_key}"
secret_access_key = "{target.server.secret_key}"
[users.{BULK_USER}]
password_hash = "{hash_cheaply(PASSWORD)}"
public_keys = ["{key}"]
mounts = {{ "/" = "bucket:/" }}
"""
    )
    config.chmod(0o600)
    pid = bench.start(get_program("cloudalpha"), "serve", "--config", str(config), port=sftp)
    ports = {"sftp": sftp, "ftp": ftp}
    peers = [
        Peer("CloudAlpha", protocol, port, pid, user=BULK_USER, bulk_user=BULK_USER) for protocol, port in ports.items()
    ]
    clients.connect_ftp(peers[1], BULK_USER).close()  # waits until the bucket is probed, as it is once in its life
    return peers


def start_rclone(bench: S3Bench, target: Target, protocol: str, mode: str | None) -> Peer:
    """`rclone serve`; mode: of its cache, with its best flags; None: with default flags."""
    port = get_free_port()
    flags = ["--vfs-cache-mode", mode, *BEST_FLAGS, "--cache-dir", str(bench.folder / f"cache-{port}")] if mode else []
    log_in = {
        "sftp": ["--key", str(bench.folder / "host_key"), "--authorized-keys", str(bench.folder / "authorized_keys")],
        "ftp": ["--pass", PASSWORD, "--passive-port", "40000-40999"],
    }
    pid = bench.start(
        get_program("rclone"), "serve", protocol, f"bench:{BUCKET}", "--addr", f"127.0.0.1:{port}", "--user", USER,
        *log_in[protocol], *flags, port=port, env=make_rclone_environ(target),
    )  # fmt: skip
    return Peer(f"rclone serve, {mode}, best flags" if mode else "rclone serve", protocol, port, pid)


def make_rclone_environ(target: Target) -> dict[str, str]:
    """Variables that make the bucket known to rclone as `bench:`."""
    options = {
        "TYPE": "s3",
        "PROVIDER": "Ceph",
        "ENDPOINT": target.line.endpoint_url,
        "REGION": target.server.region,
        "LIST_VERSION": "2",
        "ACCESS_KEY_ID": target.server.access_key,
        "SECRET_ACCESS_KEY": target.server.secret_key,
    }
    return {"RCLONE_CONFIG": "/dev/null"} | {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in options.items()}


def forget(peer: Peer) -> None:
    """Let a peer forget the folders that it knows: the objects change behind its back."""
    if peer.name.startswith("rclone serve"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(peer.pid, signal.SIGHUP)


def start_yardstick(peer: Peer, bench: S3Bench, target: Target, *arguments: Any) -> tuple[list[str], dict[str, str]]:
    """The command and environment of a yardstick, which does the same without a gateway: s3transfer, rclone copy."""
    if peer.name == "rclone copy":
        verb, key, path = arguments
        places = [f"bench:{BUCKET}/{key}", str(path)]
        command = [get_program("rclone"), "copyto", *(places if verb == "get" else reversed(places))]
        return command, make_rclone_environ(target)
    server = [target.line.endpoint_url, target.server.access_key, target.server.secret_key, target.server.region]
    script = str(Path(__file__).with_name("yardstick.py"))
    return [sys.executable, script, *server, BUCKET, *map(str, arguments)], {}


YARDSTICKS = [
    Peer(name, protocol, 0, os.getpid()) for name in ("s3transfer", "rclone copy") for protocol in ("sftp", "ftp")
]


def start_peers(bench: S3Bench, target: Target, wanted: set[str]) -> list[Peer]:
    """All whose names are wanted, for one target."""
    peers = start_cloudalpha(bench, target)
    for protocol in ("sftp", "ftp"):
        for mode in (None, *MODES):
            name = f"rclone-{protocol}" + (f"-{mode}" if mode else "")
            if name in wanted:
                peers.append(start_rclone(bench, target, protocol, mode))
    return peers + [peer for peer in YARDSTICKS if peer.name.replace(" ", "-") in wanted]
