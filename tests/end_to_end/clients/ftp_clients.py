"""FTP clients: lftp, curl, ncftp, tnftp. Those that speak SFTP too have their SFTP half here as well."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.end_to_end.clients.base import SLOW_RATE, Client, Command, split_remote
from tests.end_to_end.clients.ssh_clients import get_ssh_options


class Lftp(Client):
    """lftp; mode: `plain`, `explicit`, `implicit` or `sftp`."""

    programs = ("lftp",)
    keeps_times = True
    has_trees = True
    has_resume_put = True
    has_resume_get = True
    mode: ClassVar[str] = "plain"

    def _make(self, commands: str, settings: str = "") -> Command:
        tls = "no" if self.mode == "plain" else "yes"
        lines = [
            "set cmd:fail-exit yes",
            "set net:max-retries 1",
            "set net:timeout 20",
            "set net:reconnect-interval-base 1",
            "set ssl:verify-certificate no",
            f"set ftp:ssl-force {tls}",
            f"set ftp:ssl-allow {tls}",
            f'set sftp:connect-program "ssh -a -x {" ".join(get_ssh_options(None))}"',
            settings,
            f"open -u {self.endpoint.user_name},{self.endpoint.password} {self._get_url()}",
            commands,
        ]
        return Command(("lftp", "-c", "; ".join(line for line in lines if line)))

    def _get_url(self) -> str:
        ports = {"implicit": self.endpoint.implicit_port, "sftp": self.endpoint.sftp_port}
        schemes = {"implicit": "ftps", "sftp": "sftp"}
        return f"{schemes.get(self.mode, 'ftp')}://{self.endpoint.host}:{ports.get(self.mode, self.endpoint.ftp_port)}"

    def put(self, local: Path, remote: str) -> Command:
        return self._make(f"put '{local}' -o '{remote}'")

    def get(self, remote: str, local: Path) -> Command:
        return self._make(f"get '{remote}' -o '{local}'", "set xfer:clobber yes")

    def slow_put(self, local: Path, remote: str) -> Command:
        return self._make(f"put '{local}' -o '{remote}'", f"set net:limit-rate 0:{SLOW_RATE}")

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._make(f"mirror -R '{local}' '{remote}'")

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._make(f"mirror --parallel=3 '{remote}' '{local}'")

    def resume_put(self, local: Path, remote: str) -> Command:
        return self._make(f"put -c '{local}' -o '{remote}'")

    def resume_get(self, remote: str, local: Path) -> Command:
        return self._make(f"get -c '{remote}' -o '{local}'")

    def resume_put_tree(self, local: Path, remote: str) -> Command:
        """What is missing of a tree, of its files too."""
        return self._make(f"mirror -c -R '{local}' '{remote}'")

    def mirror_put(self, local: Path, remote: str) -> Command:
        """Make the remote tree like the local one."""
        return self._make(f"mirror -R --delete '{local}' '{remote}'")

    def mirror_get(self, remote: str, local: Path) -> Command:
        """Make the local tree like the remote one."""
        return self._make(f"mirror --delete '{remote}' '{local}'")

    def resume_get_tree(self, remote: str, local: Path) -> Command:
        """What is missing of a tree, of its files too."""
        return self._make(f"mirror -c '{remote}' '{local}'")


class LftpPlain(Lftp):
    name = "lftp"


class LftpExplicit(Lftp):
    name = "lftp-tls"
    mode = "explicit"


class LftpImplicit(Lftp):
    name = "lftp-implicit"
    mode = "implicit"


class LftpSFTP(Lftp):
    name = "lftp-sftp"
    mode = "sftp"
    programs = ("lftp", "ssh")


class Curl(Client):
    """curl; scheme: `ftp`, `ftps` (implicit) or `sftp`."""

    programs = ("curl",)
    has_resume_put = True
    has_resume_get = True
    scheme: ClassVar[str] = "ftp"
    options: ClassVar[tuple[str, ...]] = ()

    def _make(self, remote: str, *arguments: str | Path) -> Command:
        ports = {"ftp": self.endpoint.ftp_port, "ftps": self.endpoint.implicit_port, "sftp": self.endpoint.sftp_port}
        log_in = f"{self.endpoint.user_name}:{self.endpoint.password}"
        url = f"{self.scheme}://{self.endpoint.host}:{ports[self.scheme]}{self._get_url_path(remote)}"
        return Command(("curl", "-sS", "-k", "-u", log_in, *self.options, *map(str, arguments), url))

    def _get_url_path(self, remote: str) -> str:
        return remote

    def put(self, local: Path, remote: str) -> Command:
        return self._make(remote, "-T", local)

    def get(self, remote: str, local: Path) -> Command:
        return self._make(remote, "-o", local)

    def slow_put(self, local: Path, remote: str) -> Command:
        return self._make(remote, "--limit-rate", str(SLOW_RATE), "-T", local)

    def resume_put(self, local: Path, remote: str) -> Command:
        return self._make(remote, "-C", "-", "-T", local)

    def resume_get(self, remote: str, local: Path) -> Command:
        return self._make(remote, "-C", "-", "-o", local)


class CurlPlain(Curl):
    name = "curl"


class CurlExplicit(Curl):
    name = "curl-tls"
    options = ("--ssl-reqd",)


class CurlImplicit(Curl):
    name = "curl-implicit"
    scheme = "ftps"


class CurlSFTP(Curl):
    name = "curl-sftp"
    scheme = "sftp"


class Ncftp(Client):
    name = "ncftp"
    programs = ("ncftpput", "ncftpget")
    resume_bytes = 50_000  # from 64 KiB on ncftpput 3.2.6 resumes by sending the whole file once more
    has_trees = True
    has_resume_put = True
    has_resume_get = True

    def _make(self, program: str, *arguments: str | Path, source: Path | None = None) -> Command:
        words = [program, "-V", "-u", self.endpoint.user_name, "-p", self.endpoint.password]
        words += ["-P", str(self.endpoint.ftp_port), *map(str, arguments)]
        return Command(tuple(words), source=source)

    def put(self, local: Path, remote: str) -> Command:
        return self._make("ncftpput", "-C", self.endpoint.host, local, remote)

    def get(self, remote: str, local: Path) -> Command:
        return self._make("ncftpget", "-C", self.endpoint.host, remote, local)

    def put_tree(self, local: Path, remote: str) -> Command:
        return self._make("ncftpput", "-R", self.endpoint.host, split_remote(remote)[0], local)

    def get_tree(self, remote: str, local: Path) -> Command:
        return self._make("ncftpget", "-R", self.endpoint.host, local.parent, remote)

    def resume_put(self, local: Path, remote: str) -> Command:
        folder, name = split_remote(remote)
        assert name == local.name, "ncftpput resumes under the same name alone"
        return self._make("ncftpput", "-z", self.endpoint.host, folder, local)

    def resume_get(self, remote: str, local: Path) -> Command:
        assert split_remote(remote)[1] == local.name, "ncftpget resumes under the same name alone"
        return self._make("ncftpget", "-z", self.endpoint.host, local.parent, remote)


class Tnftp(Client):
    name = "tnftp"
    programs = ("tnftp",)
    has_resume_get = True

    def _make(self, *commands: str) -> Command:
        lines = [f"user {self.endpoint.user_name} {self.endpoint.password}", "binary", *commands, "quit"]
        words = ("tnftp", "-n", "-i", self.endpoint.host, str(self.endpoint.ftp_port))
        return Command(words, text="\n".join(lines) + "\n")

    def put(self, local: Path, remote: str) -> Command:
        return self._make(f"put {local} {remote}")

    def get(self, remote: str, local: Path) -> Command:
        return self._make(f"get {remote} {local}")

    def slow_put(self, local: Path, remote: str) -> Command:
        return self._make(f"rate put {SLOW_RATE}", f"put {local} {remote}")

    def resume_get(self, remote: str, local: Path) -> Command:
        return self._make(f"reget {remote} {local}")


FTP_CLIENTS: tuple[type[Client], ...] = (
    LftpPlain,
    LftpExplicit,
    LftpImplicit,
    LftpSFTP,
    CurlPlain,
    CurlExplicit,
    CurlImplicit,
    CurlSFTP,
    Ncftp,
    Tnftp,
)
