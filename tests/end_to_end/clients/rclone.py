"""rclone: the newest, which comes with the tools, and Debian's; over FTP and SFTP."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import ClassVar

from tests.end_to_end.clients.base import Client, Command

NEWEST = str(Path(sys.executable).parent / "rclone")
DEBIAN = "/usr/bin/rclone"


@cache
def _obscure(program: str, password: str) -> str:
    return subprocess.run([program, "obscure", password], capture_output=True, text=True, check=True).stdout.strip()


class Rclone(Client):
    """rclone; remote: `ftp:` (explicit TLS) or `sftp:`."""

    keeps_times = True
    has_trees = True
    program: ClassVar[str] = NEWEST
    remote: ClassVar[str] = "sftp:"

    def make(self, *arguments: str | Path) -> Command:
        """A call of rclone with these arguments; "ftp:PATH" and "sftp:PATH" are the gateway."""
        end = self.endpoint
        log_in = f"host = {end.host}\nuser = {end.user_name}\npass = {_obscure(self.program, end.password)}\n"
        config = self.write_file(
            f"rclone-{self.name}.conf",
            f"[ftp]\ntype = ftp\n{log_in}port = {end.ftp_port}\nexplicit_tls = true\nno_check_certificate = true\n"
            f"[sftp]\ntype = sftp\n{log_in}port = {end.sftp_port}\nshell_type = none\n",
        )
        options = ("--config", str(config), "--retries", "1", "--low-level-retries", "2", "--contimeout", "20s")
        return Command((self.program, *options, *map(str, arguments)))

    def put(self, local: Path, remote: str) -> Command:
        return self.make("copyto", local, self.remote + remote)

    def get(self, remote: str, local: Path) -> Command:
        return self.make("copyto", self.remote + remote, local)

    def put_tree(self, local: Path, remote: str) -> Command:
        return self.make("sync", "--create-empty-src-dirs", local, self.remote + remote)

    def get_tree(self, remote: str, local: Path) -> Command:
        return self.make("sync", "--create-empty-src-dirs", self.remote + remote, local)

    @classmethod
    def get_missing_programs(cls) -> list[str]:
        return [] if shutil.which(cls.program) else [cls.program]


class RcloneSFTP(Rclone):
    name = "rclone-sftp"


class RcloneFTP(Rclone):
    name = "rclone-ftp"
    remote = "ftp:"


class DebianRcloneSFTP(Rclone):
    name = "rclone-debian-sftp"
    program = DEBIAN


class DebianRcloneFTP(Rclone):
    name = "rclone-debian-ftp"
    program = DEBIAN
    remote = "ftp:"


RCLONE_CLIENTS: tuple[type[Rclone], ...] = (RcloneSFTP, RcloneFTP, DebianRcloneSFTP, DebianRcloneFTP)
