"""Ceph's radosgw over one monitor and one storage daemon in memory: the real server, with real authentication."""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.servers.processes import HOST, Processes, find_program, get_free_ports, get_program, is_listening
from tests.servers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
STORE_BYTES = 4 << 30
"""What it holds at most. It lies in memory, but only what is used."""


def find_missing() -> list[str]:
    """Programs that it needs and that are not installed."""
    return [name for name in PROGRAMS if find_program(name) is None]


@contextlib.contextmanager
def run(folder: Path) -> Iterator[S3Server]:
    """A cluster of its own. folder: for its state and logs; its path must be short, for the sockets in it."""
    cluster = _Cluster(folder)
    with Processes(folder) as processes:
        cluster.start_storage(processes)
        pid = cluster.start_gateway(processes)
        yield S3Server("ceph", f"http://{HOST}:{cluster.port}", ACCESS_KEY, SECRET_KEY, "us-east-1", pid)


class _Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keyring = folder / "keyring"
        self.id = str(uuid.uuid4())
        self.monitor_port, self.port = get_free_ports(2)
        for name in ("mon", "osd", "run", "log"):
            (folder / name).mkdir()
        (folder / "ceph.conf").write_text(_make_config(folder, self.id, self.monitor_port, self.port))

    def start_storage(self, processes: Processes) -> None:
        """The monitor, and the daemon that keeps the objects."""
        allow = [word for service in ("mon", "osd", "mgr") for word in ("--cap", service, "allow *")]
        monmap = self.folder / "monmap"
        self.run("ceph-authtool", "-C", self.keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self.run("ceph-authtool", self.keyring, "--gen-key", "-n", "client.admin", *allow)
        address = f"[v2:{HOST}:{self.monitor_port}]"
        self.run("monmaptool", "--create", "--clobber", "--fsid", self.id, "--addv", "a", address, monmap)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", self.keyring)
        self.start(processes, "ceph-mon", "-f", "-i", "a")
        processes.wait_until(lambda: is_listening(self.monitor_port))
        osd_id = str(uuid.uuid4())
        self.run("ceph", "osd", "new", osd_id)
        caps = ["mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"]
        key = self.run("ceph", "auth", "get-or-create", "osd.0", *caps)
        with self.keyring.open("a") as file:
            file.write(key)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id, "--keyring", self.keyring)
        self.start(processes, "ceph-osd", "-f", "-i", "0")

    def start_gateway(self, processes: Processes) -> int:
        """The S3 server with its user; its process id."""
        pid = self.start(processes, "radosgw", "-f", "-n", "client.admin")
        processes.wait_until(lambda: is_listening(self.port), timeout=90)
        keys = ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]
        self.run("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)
        return pid

    def start(self, processes: Processes, name: str, *arguments: str) -> int:
        return processes.start(name, get_program(name), *arguments, environ=self.environ)

    def run(self, name: str, *arguments: str | Path) -> str:
        """Run a tool of the cluster to its end; what it printed."""
        outcome = subprocess.run(
            [get_program(name), *arguments],
            env={**os.environ, **self.environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert outcome.returncode == 0, f"{name} {arguments}: {outcome.stdout}{outcome.stderr}"
        return outcome.stdout

    @property
    def environ(self) -> dict[str, str]:
        return {"CEPH_CONF": str(self.folder / "ceph.conf"), "CEPH_ARGS": f"-c {self.folder / 'ceph.conf'}"}


def _make_config(folder: Path, cluster_id: str, monitor_port: int, port: int) -> str:
    return f"""
[global]
fsid = {cluster_id}
mon host = [v2:{HOST}:{monitor_port}]
public addr = {HOST}
cluster addr = {HOST}
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
keyring = {folder}/keyring
run dir = {folder}/run
log file = {folder}/log/$name.log
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
[mon]
mon data = {folder}/mon
mon cluster log file = {folder}/log/cluster.log
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {STORE_BYTES}
osd class load list = *
osd class default list = *
debug osd = 0
[client]
debug rgw = 0
rgw frontends = beast endpoint={HOST}:{port} tcp_nodelay=1
rgw thread pool size = 64
rgw override bucket index max shards = 1
"""
