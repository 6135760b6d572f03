"""OpenStack Swift with its S3 interface, all its servers on this machine: a second opinion on what S3 is.

It runs in a virtual environment of its own (`make .venv-swift/.installed`, which `make test` does), because it needs an old setuptools.
"""

from __future__ import annotations

import contextlib
import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.servers.processes import HOST, Processes, ask, find_program, get_free_ports, get_program, is_listening
from tests.servers.s3_server import S3Server

BIN = Path(__file__).parent.parent.parent / ".venv-swift" / "bin"
REGION = "us-east-1"
STORAGE = ("account", "container", "object")
FILTERS = (
    "catch_errors", "gatekeeper", "healthcheck", "proxy_logging", "cache", "bulk", "listing_formats", "tempurl", "s3api",
    "tempauth", "copy", "slo", "dlo", "versioned_writes", "symlink",
)  # fmt: skip


def find_missing() -> list[str]:
    """Programs that it needs and that are not installed."""
    missing = [] if (BIN / "swift-proxy-server").exists() else ["swift"]
    return missing + [name for name in ("memcached",) if find_program(name) is None]


@contextlib.contextmanager
def run(folder: Path) -> Iterator[S3Server]:
    """A cluster of its own. folder: for what it keeps, its configuration and logs."""
    ports = dict(zip((*STORAGE, "memcached", "proxy"), get_free_ports(5), strict=True))
    for name in ("etc", "srv/d1"):
        (folder / name).mkdir(parents=True)
    _configure(folder, ports)
    with Processes(folder) as processes:
        user = getpass.getuser()
        memcached = [get_program("memcached"), "-u", user, "-l", HOST, "-p", str(ports["memcached"])]
        processes.start("memcached", *memcached)
        for name in STORAGE:
            processes.start(name, BIN / f"swift-{name}-server", folder / "etc" / f"{name}.conf", "-v")
        pid = processes.start("proxy", BIN / "swift-proxy-server", folder / "etc" / "proxy.conf", "-v")
        url = f"http://{HOST}:{ports['proxy']}"
        processes.wait_until(lambda: is_listening(ports["proxy"]) and ask(url, "GET", "/healthcheck") == 200)
        yield S3Server("swift", url, "test:tester", "testing", REGION, pid)


def _configure(folder: Path, ports: dict[str, int]) -> None:
    etc = folder / "etc"
    (etc / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    )
    builder = BIN / "swift-ring-builder"
    for name in STORAGE:
        ring = etc / f"{name}.builder"
        for arguments in (("create", "6", "1", "1"), ("add", f"r1z1-{HOST}:{ports[name]}/d1", "1"), ("rebalance",)):
            subprocess.run([builder, ring, *arguments], check=True, capture_output=True, timeout=60)
        (etc / f"{name}.conf").write_text(
            f"[DEFAULT]\n{_make_defaults(folder, ports[name])}devices = {folder}/srv\nmount_check = false\n"
            f"disable_fallocate = true\n[pipeline:main]\npipeline = {name}-server\n"
            f"[app:{name}-server]\nuse = egg:swift#{name}\n[{name}-updater]\n"
        )
    (etc / "proxy.conf").write_text(_make_proxy_config(folder, ports))


def _make_defaults(folder: Path, port: int) -> str:
    return (
        f"bind_ip = {HOST}\nbind_port = {port}\nworkers = 0\nuser = {getpass.getuser()}\nswift_dir = {folder}/etc\n"
        "log_address = /nonexistent\n"  # no system log: it goes to the standard error
    )


def _make_proxy_config(folder: Path, ports: dict[str, int]) -> str:
    options = {
        "cache": {"use": "egg:swift#memcache", "memcache_servers": f"{HOST}:{ports['memcached']}"},
        "tempauth": {"user_test_tester": "testing .admin"},
        "s3api": {"s3_acl": "false", "location": REGION, "check_bucket_owner": "false"},
        "versioned_writes": {"allow_versioned_writes": "true", "allow_object_versioning": "true"},
    }
    lines = [f"[DEFAULT]\n{_make_defaults(folder, ports['proxy'])}", "[pipeline:main]"]
    lines += [f"pipeline = {' '.join(FILTERS)} proxy_logging proxy-server", "[app:proxy-server]"]
    lines += ["use = egg:swift#proxy", "account_autocreate = true", "allow_account_management = true"]
    for name in FILTERS:
        lines.append(f"[filter:{name}]")
        settings = {"use": f"egg:swift#{name}", **options.get(name, {})}
        lines += [f"{key} = {value}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"
