from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp",
    "argon2",
    "asyncio",
    "asyncssh",
    "azure",
    "bcrypt",
    "boto3",
    "botocore",
    "cryptography",
    "dropbox",
    "google",
    "googleapiclient",
    "httpx",
    "OpenSSL",
    "paramiko",
    "pydantic",
    "pydantic_settings",
    "pyftpdlib",
    "requests",
    "rich",
    "sqlite3",
    "sqlitedict",
    "sqlalchemy",
}
"""Protocol libraries, SDKs of services, and what else costs more than help may."""


def get_modules(*args: str) -> set[str]:
    """The modules that a command has imported."""
    code = (
        "import sys\n"
        "from cloudalpha.cli.app import run\n"
        "assert run(sys.argv[1:]) == 0\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), ("serve", "--help"), ("config", "--help"), ("cp", "--help")]
)
def test_help_imports_no_sdk_and_no_protocol_library(args: tuple[str, ...]) -> None:
    imported = {name.partition(".")[0] for name in get_modules(*args)}
    own = {"pydantic"} if args != ("--help",) else set()  # typer itself reads the options of a command with it
    assert imported & HEAVY <= own


def test_help_imports_neither_services_nor_managers() -> None:
    rooms = ("cloudalpha.services.", "cloudalpha.managers.", "cloudalpha.layers.", "cloudalpha.configurator")
    assert [name for name in get_modules("--help") if name.startswith(rooms)] == []


def test_listing_plug_ins_imports_no_sdk() -> None:
    sdks = {"boto3", "botocore", "dropbox", "googleapiclient", "azure", "paramiko"}
    assert {name.partition(".")[0] for name in get_modules("plugins")} & sdks == set()


def test_help_takes_less_than_0_3_seconds() -> None:
    seconds = []
    for _ in range(7):
        with open(os.devnull, "wb") as nowhere:
            process = subprocess.Popen([sys.executable, "-m", "cloudalpha", "--help"], stdout=nowhere)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(usage.ru_utime + usage.ru_stime)  # of its own: what else the machine does does not count
    assert min(seconds) < 0.3, seconds
