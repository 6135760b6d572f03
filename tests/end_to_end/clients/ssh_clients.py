"""SFTP and SCP clients: OpenSSH's sftp and scp, PuTTY's psftp and pscp."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.end_to_end.clients.base import SLOW_RATE, Client, Command

_KBIT = str(SLOW_RATE * 8 // 1000)


def get_ssh_options(key: Path | None) -> list[str]:
    """Options of ssh, sftp and scp: nothing of whoever runs the tests, no questions. key: log in by it, not by a password."""
    options = ["-F", "/dev/null"]
    for option in ("UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR", "IdentitiesOnly=yes"):
        options += ["-o", option]
    return options if key is None else [*options, "-o", "BatchMode=yes", "-o", f"IdentityFile={key}"]


class OpenSSH(Client):
    """OpenSSH's; logs in by a key where the endpoint has one, else by the password."""

    keeps_times = True
    has_trees = True
    options: ClassVar[tuple[str, ...]] = ()

    @property
    def address(self) -> str:
        return f"{self.endpoint.user_name}@{self.endpoint.host}"

    def _make(self, program: str, *arguments: str, text: str = "") -> Command:
        environ = {}
        if self.endpoint.key is None:
            script = self.write_file("ask_password", f"#!/bin/sh\necho '{self.endpoint.password}'\n")
            script.chmod(0o700)
            environ = {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force"}
        words = [program, *get_ssh_options(self.endpoint.key), "-P", str(self.endpoint.sftp_port), *self.options]
        return Command((*words, *arguments), text, environ=environ)


class Sftp(OpenSSH):
    name = "sftp"
    programs = ("sftp",)
    has_resume_put = True
    has_resume_get = True

    def _run(self, *commands: str, options: tuple[str, ...] = ()) -> Command:
        # -b sets BatchMode, which forbids passwords; "-" keeps what comes first.
        batch = ("-o", "BatchMode=no", "-b", "-")
        return self._make("sftp", *options, *batch, self.address, text="\n".join(commands) + "\n")

    def put(self, local: Path, remote: str) -> Command:
        return self._run(f'put "{local}" "{remote}"')

    def get(self, remote: str, local: Path) -> Command:
        return self._run(f'get "{remote}" "{local}"')

    def slow_put(self, local: Path, remote: str) -> Command:
        return self._run(f'put "{local}" "{remote}"', options=("-l", _KBIT))

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._run(f'put -R -p "{local}" "{remote}"')

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._run(f'get -R -p "{remote}" "{local}"')

    def resume_put(self, local: Path, remote: str) -> Command:
        return self._run(f'put -a "{local}" "{remote}"')

    def resume_get(self, remote: str, local: Path) -> Command:
        return self._run(f'get -a "{remote}" "{local}"')


class Scp(OpenSSH):
    """scp over SFTP."""

    name = "scp"
    programs = ("scp",)
    options = ("-s",)

    def put(self, local: Path, remote: str) -> Command:
        return self._make("scp", str(local), f"{self.address}:{remote}")

    def get(self, remote: str, local: Path) -> Command:
        return self._make("scp", f"{self.address}:{remote}", str(local))

    def slow_put(self, local: Path, remote: str) -> Command:
        return self._make("scp", "-l", _KBIT, str(local), f"{self.address}:{remote}")

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._make("scp", "-r", "-p", str(local), f"{self.address}:{remote}")

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._make("scp", "-r", "-p", f"{self.address}:{remote}", str(local))


class LegacyScp(Scp):
    """scp by its own protocol."""

    name = "scp-legacy"
    options = ("-O",)


class Putty(Client):
    """PuTTY's; logs in by the password."""

    has_trees = True
    options: ClassVar[tuple[str, ...]] = ()

    def _make(self, program: str, *arguments: str) -> Command:
        words = [program, "-batch", *self.options, "-P", str(self.endpoint.sftp_port), "-pw", self.endpoint.password]
        return Command((*words, "-hostkey", self.endpoint.host_fingerprint, *arguments))

    @property
    def address(self) -> str:
        return f"{self.endpoint.user_name}@{self.endpoint.host}"


class Psftp(Putty):
    name = "psftp"
    programs = ("psftp",)
    has_resume_put = True
    has_resume_get = True

    def _run(self, command: str) -> Command:
        script = self.write_file(f"psftp-{abs(hash(command))}", f"{command}\n")
        return self._make("psftp", "-b", str(script), self.address)

    def put(self, local: Path, remote: str) -> Command:
        return self._run(f'put "{local}" "{remote}"')

    def get(self, remote: str, local: Path) -> Command:
        return self._run(f'get "{remote}" "{local}"')

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._run(f'put -r "{local}" "{remote}"')

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._run(f'get -r "{remote}" "{local}"')

    def resume_put(self, local: Path, remote: str) -> Command:
        return self._run(f'reput "{local}" "{remote}"')

    def resume_get(self, remote: str, local: Path) -> Command:
        return self._run(f'reget "{remote}" "{local}"')


class Pscp(Putty):
    """pscp over SFTP."""

    name = "pscp"
    programs = ("pscp",)
    keeps_times = True
    options = ("-sftp",)

    def put(self, local: Path, remote: str) -> Command:
        return self._make("pscp", str(local), f"{self.address}:{remote}")

    def get(self, remote: str, local: Path) -> Command:
        return self._make("pscp", f"{self.address}:{remote}", str(local))

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._make("pscp", "-r", "-p", str(local), f"{self.address}:{remote.rpartition('/')[0]}/")

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._make("pscp", "-r", "-p", f"{self.address}:{remote}", str(local.parent))


class LegacyPscp(Pscp):
    """pscp by the SCP protocol."""

    name = "pscp-legacy"
    options = ("-scp",)


SSH_CLIENTS: tuple[type[Client], ...] = (Sftp, Scp, LegacyScp, Psftp, Pscp, LegacyPscp)
