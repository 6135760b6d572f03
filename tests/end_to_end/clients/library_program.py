"""One operation of one client library: `library_program LIBRARY JSON OPERATION LOCAL REMOTE`, where JSON says where to, and as whom.

held_put sends the first 1.5 MB of a file and then does nothing more, until it is killed.
"""

from __future__ import annotations

import asyncio
import ftplib
import json
import ssl
import stat
import sys
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

HELD_BYTES = 1_500_000
TIMEOUT = 30


def hang() -> NoReturn:
    """Wait to be killed."""
    threading.Event().wait()
    raise AssertionError


class Program(ABC):
    """The operations, each by its name; trees are made of the others."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def put_tree(self, local: Path, remote: str) -> None:
        self.make_dir(remote)
        for path in sorted(local.iterdir()):
            (self.put_tree if path.is_dir() else self.put)(path, f"{remote}/{path.name}")

    def get_tree(self, local: Path, remote: str) -> None:
        local.mkdir()
        for name, is_dir in self.list_dir(remote):
            (self.get_tree if is_dir else self.get)(local / name, f"{remote}/{name}")

    @abstractmethod
    def put(self, local: Path, remote: str) -> None: ...

    @abstractmethod
    def get(self, local: Path, remote: str) -> None: ...

    @abstractmethod
    def held_put(self, local: Path, remote: str) -> None: ...

    @abstractmethod
    def resume_put(self, local: Path, remote: str) -> None: ...

    @abstractmethod
    def resume_get(self, local: Path, remote: str) -> None: ...

    @abstractmethod
    def make_dir(self, remote: str) -> None: ...

    @abstractmethod
    def list_dir(self, remote: str) -> list[tuple[str, bool]]: ...


class FtplibProgram(Program):
    def __init__(self, options: dict[str, Any], tls: bool = False) -> None:
        super().__init__(options)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        kind = ftplib.FTP_TLS(context=context, timeout=TIMEOUT) if tls else ftplib.FTP(timeout=TIMEOUT)  # noqa: S321
        self.ftp = kind
        self.ftp.connect(options["host"], options["ftp_port"])
        self.ftp.login(options["user"], options["password"])
        if isinstance(self.ftp, ftplib.FTP_TLS):
            self.ftp.prot_p()

    def put(self, local: Path, remote: str) -> None:
        with local.open("rb") as file:
            self.ftp.storbinary(f"STOR {remote}", file)

    def get(self, local: Path, remote: str) -> None:
        with local.open("wb") as file:
            self.ftp.retrbinary(f"RETR {remote}", file.write)

    def held_put(self, local: Path, remote: str) -> None:
        self.ftp.voidcmd("TYPE I")
        data = self.ftp.transfercmd(f"STOR {remote}")
        with local.open("rb") as file:
            data.sendall(file.read(HELD_BYTES))
        hang()

    def resume_put(self, local: Path, remote: str) -> None:
        self.ftp.voidcmd("TYPE I")
        size = self.ftp.size(remote)
        with local.open("rb") as file:
            file.seek(size or 0)
            self.ftp.storbinary(f"APPE {remote}", file)

    def resume_get(self, local: Path, remote: str) -> None:
        with local.open("ab") as file:
            self.ftp.retrbinary(f"RETR {remote}", file.write, rest=file.tell())

    def make_dir(self, remote: str) -> None:
        self.ftp.mkd(remote)

    def list_dir(self, remote: str) -> list[tuple[str, bool]]:
        return [
            (name, facts["type"] == "dir") for name, facts in self.ftp.mlsd(remote) if facts["type"] in ("dir", "file")
        ]


class FtplibTLSProgram(FtplibProgram):
    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options, tls=True)


class ParamikoProgram(Program):
    def __init__(self, options: dict[str, Any]) -> None:
        import paramiko

        super().__init__(options)
        self.ssh = paramiko.SSHClient()
        self.ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self.ssh.connect(
            options["host"],
            options["sftp_port"],
            options["user"],
            options["password"],
            timeout=TIMEOUT,
            look_for_keys=False,
            allow_agent=False,
        )
        self.sftp = self.ssh.open_sftp()

    def put(self, local: Path, remote: str) -> None:
        self.sftp.put(str(local), remote)

    def get(self, local: Path, remote: str) -> None:
        self.sftp.get(remote, str(local))

    def held_put(self, local: Path, remote: str) -> None:
        with self.sftp.open(remote, "wb") as target, local.open("rb") as file:
            target.write(file.read(HELD_BYTES))
            hang()

    def resume_put(self, local: Path, remote: str) -> None:
        with self.sftp.open(remote, "ab") as target, local.open("rb") as file:
            file.seek(self.sftp.stat(remote).st_size or 0)
            _copy(file, target)

    def resume_get(self, local: Path, remote: str) -> None:
        with self.sftp.open(remote, "rb") as source, local.open("ab") as file:
            source.seek(file.tell())
            _copy(source, file)

    def make_dir(self, remote: str) -> None:
        self.sftp.mkdir(remote)

    def list_dir(self, remote: str) -> list[tuple[str, bool]]:
        return [(entry.filename, (entry.st_mode or 0) & 0o040000 != 0) for entry in self.sftp.listdir_attr(remote)]


class AsyncSSHProgram(Program):
    def put(self, local: Path, remote: str) -> None:
        self._run(lambda sftp: sftp.put(local, remote))

    def get(self, local: Path, remote: str) -> None:
        self._run(lambda sftp: sftp.get(remote, local))

    def put_tree(self, local: Path, remote: str) -> None:
        self._run(lambda sftp: sftp.put(local, remote, recurse=True, preserve=True))

    def get_tree(self, local: Path, remote: str) -> None:
        self._run(lambda sftp: sftp.get(remote, local, recurse=True, preserve=True))

    def held_put(self, local: Path, remote: str) -> None:
        async def put(sftp: Any) -> None:
            async with sftp.open(remote, "wb") as target:
                await target.write(local.open("rb").read(HELD_BYTES))
                await asyncio.Event().wait()

        self._run(put)

    def resume_put(self, local: Path, remote: str) -> None:
        async def put(sftp: Any) -> None:
            size = await sftp.getsize(remote)
            async with sftp.open(remote, "ab") as target:
                await target.write(local.read_bytes()[size:])  # noqa: ASYNC240

        self._run(put)

    def resume_get(self, local: Path, remote: str) -> None:
        async def get(sftp: Any) -> None:
            async with sftp.open(remote, "rb") as source:
                with local.open("ab") as file:
                    file.write(await source.read(offset=file.tell()))

        self._run(get)

    def make_dir(self, remote: str) -> None:
        self._run(lambda sftp: sftp.mkdir(remote))

    def list_dir(self, remote: str) -> list[tuple[str, bool]]:
        entries: list[tuple[str, bool]] = []

        async def list_entries(sftp: Any) -> None:
            async for entry in sftp.scandir(remote):
                if entry.filename not in (".", ".."):
                    entries.append((entry.filename, stat.S_ISDIR(entry.attrs.permissions)))

        self._run(list_entries)
        return entries

    def _run(self, operation: Any) -> None:
        import asyncssh

        async def run() -> None:
            options = self.options
            log_in = {"username": options["user"], "password": options["password"], "client_keys": None}
            async with (
                asyncssh.connect(
                    options["host"], options["sftp_port"], known_hosts=None, config=None, **log_in
                ) as connection,
                connection.start_sftp_client() as sftp,
            ):
                await operation(sftp)

        asyncio.run(run())


def _copy(source: Any, target: Any) -> None:
    file: BinaryIO = source
    while piece := file.read(65536):
        target.write(piece)


PROGRAMS: dict[str, type[Program]] = {
    "ftplib": FtplibProgram,
    "ftplib-tls": FtplibTLSProgram,
    "paramiko": ParamikoProgram,
    "asyncssh": AsyncSSHProgram,
}


def main() -> None:
    library, options, operation, local, remote = sys.argv[1:]
    program = PROGRAMS[library](json.loads(options))
    getattr(program, operation)(Path(local), remote)


if __name__ == "__main__":
    main()
