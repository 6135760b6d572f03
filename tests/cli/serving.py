"""`cloudalpha serve` as a process of its own."""

from __future__ import annotations

import contextlib
import ftplib
import io
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cloudalpha.testing.waiting import wait_until

PASSWORD = "correct-horse-battery"
ANY_PORTS = ("--ftp-port", "0", "--sftp-port", "0")


class Serving:
    """The command, started in `folder`, where its state goes too; leaving the `with` block kills it if it still runs.

    args: what follows `serve`. environ: variables beside those of the tests. wait: until it says `ready`.
    """

    def __init__(
        self, folder: Path, *args: str | Path, environ: dict[str, str] | None = None, wait: bool = True
    ) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.lines: list[str] = []
        self._wait = wait
        environment = {**os.environ, "XDG_STATE_HOME": str(self.state_dir), "CLOUDALPHA_DEMO_PASSWORD": PASSWORD}
        self._stderr = open(folder / "stderr", "a+", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cloudalpha", "serve", *map(str, args)],
            cwd=folder,
            env=environment | (environ or {}),
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def out(self) -> str:
        return "\n".join(self.lines)

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text()

    def get_port(self, scheme: str) -> int:
        """The port that it says it listens on."""
        match = re.search(rf"\b{scheme}://127\.0\.0\.1:(\d+)", self.out)
        assert match, self.out
        return int(match[1])

    def ftp(self, user: str = "demo", password: str = PASSWORD) -> ftplib.FTP:
        """A client that is logged in."""
        client = ftplib.FTP(timeout=20)  # noqa: S321 - FTP is what is tested
        client.connect("127.0.0.1", self.get_port("ftp"))
        try:
            client.login(user, password)
        except BaseException:
            client.close()
            raise
        return client

    @contextlib.contextmanager
    def sftp(self, user: str = "demo", password: str = PASSWORD):  # type: ignore[no-untyped-def]
        """A client that is logged in."""
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            port = self.get_port("sftp")
            client.connect("127.0.0.1", port, user, password, timeout=20, look_for_keys=False, allow_agent=False)
            yield client.open_sftp()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 40) -> int:
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.err, timeout=20, message=lambda: self.err)

    def __enter__(self) -> Self:
        if self._wait:
            try:
                wait_until(self._is_ready, timeout=40, message=lambda: self.out + self.err)
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None or "ready" in self.lines, self.out + self.err
        return "ready" in self.lines

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


def write_config(folder: Path, password_hash: str, text: str = "", users: tuple[str, ...] = ("alice",)) -> Path:
    """A file with both managers, one account and some users; `text` goes to the top."""
    (folder / "files").mkdir(exist_ok=True)
    config = folder / "config.toml"
    config.write_text(
        f'{text}\n[accounts.files]\nservice = "local"\nroot = "{folder}/files"\n'
        + ("[managers.ftp]\nport = 0\n" if "[managers.ftp]" not in text else "")
        + ("[managers.sftp]\nport = 0\n" if "[managers.sftp]" not in text else "")
        + "".join(
            f'[users.{user}]\npassword_hash = "{password_hash}"\nmounts = {{ "/" = "files:/" }}\n' for user in users
        )
    )
    return config


def use_both(serving: Serving, user: str = "demo") -> None:
    """A file up by each protocol, and down by the other."""
    ftp = serving.ftp(user)
    ftp.storbinary("STOR by-ftp", io.BytesIO(b"from ftp"))
    with serving.sftp(user) as sftp:
        with sftp.open("by-ftp") as file:
            assert file.read() == b"from ftp"
        with sftp.open("by-sftp", "w") as file:
            file.write(b"from sftp")
    content = io.BytesIO()
    ftp.retrbinary("RETR by-sftp", content.write)
    assert content.getvalue() == b"from sftp"
    ftp.quit()


def hold_upload(serving: Serving, name: str = "held", user: str = "demo") -> tuple[ftplib.FTP, socket.socket]:
    """An upload that has begun and does not go on."""
    ftp = serving.ftp(user)
    ftp.voidcmd("TYPE I")
    data = ftp.transfercmd(f"STOR {name}")
    data.sendall(b"first half ")
    return ftp, data


def make_certificate(folder: Path) -> bytes:
    """A self-signed certificate in cert.pem and key.pem; returns it in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    certificate = builder.not_valid_after(datetime(2100, 1, 1, tzinfo=UTC)).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "key.pem").chmod(0o600)
    return certificate.public_bytes(Encoding.DER)


def log_in_by_tls(serving: Serving) -> tuple[ftplib.FTP_TLS, bytes]:
    """A client that is logged in, and the certificate that it was shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = ftplib.FTP_TLS(context=context, timeout=20)  # noqa: S321 - FTP is what is tested
    client.connect("127.0.0.1", serving.get_port("ftp"))
    client.login("alice", PASSWORD)
    assert isinstance(client.sock, ssl.SSLSocket)
    return client, client.sock.getpeercert(True) or b""


def is_refused(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        try:
            client.connect(("127.0.0.1", port))
            return client.recv(100) == b""
        except OSError:
            return True
