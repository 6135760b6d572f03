"""TLS: the certificate, made on the first start where none is given, and the contexts of sessions."""

from __future__ import annotations

import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudalpha.exceptions import ManagerError
from cloudalpha.managers.ftp.settings import FTPSettings

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class Certificates:
    """The certificate and key that sessions use; `load` reads them again."""

    def __init__(self, settings: FTPSettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._descriptor = -1
        self.fingerprint = ""

    def load(self) -> None:
        """Read the files, or make them. Raises ManagerError, and what was read before stays in use, when they are no good."""
        certificate = self._settings.tls_certificate
        key = self._settings.tls_key or certificate
        if certificate is None or key is None:
            certificate = key = self._state_dir / "ftp.pem"
            if not certificate.exists():
                _make_self_signed(certificate, self._settings.host)
        try:
            chain = x509.load_pem_x509_certificates(certificate.read_bytes())
            text = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain) + key.read_bytes()
        except ValueError as error:
            raise ManagerError(f"the TLS certificate is not valid PEM: {certificate.name}") from error
        except OSError as error:
            raise ManagerError(f"the TLS certificate cannot be read: {certificate.name}: {error.strerror}") from error
        previous, self._descriptor = self._descriptor, _keep(text)
        try:
            self.make_context()
        except (OSError, ValueError) as error:
            os.close(self._descriptor)
            self._descriptor = previous
            raise ManagerError(
                f"the TLS certificate, its key or client_ca cannot be used: {certificate.name}"
            ) from error
        if previous >= 0:
            os.close(previous)
        self.fingerprint = "SHA256:" + chain[0].fingerprint(hashes.SHA256()).hex(":").upper()

    def make_context(self) -> ssl.SSLContext:
        """A context for one session and its data connections. Not shared, so that a resumed TLS session is proof of the same FTP session."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.load_cert_chain(f"/proc/self/fd/{self._descriptor}", password=_refuse_encrypted)
        context.set_alpn_protocols(["ftp"])
        if self._settings.client_ca is not None:
            context.load_verify_locations(self._settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def close(self) -> None:
        """Forget the key."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _keep(text: bytes) -> int:
    """A file in memory: Python's `ssl` loads keys from files alone, and what was found good must not change before the next `load`."""
    descriptor = os.memfd_create("certificate")
    os.write(descriptor, text)
    return descriptor


def _refuse_encrypted() -> str:
    raise ValueError("the private key is encrypted")


def _make_self_signed(path: Path, host: str) -> None:
    """Write a key and a self-signed certificate, readable by their owner alone, in one step."""
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    machine = socket.gethostname()
    if machine.isascii() and machine != "localhost":
        names.append(x509.DNSName(machine))
    try:
        names.append(x509.IPAddress(ip_address(host)))
    except ValueError:
        if host.isascii() and host != "localhost":
            names.append(x509.DNSName(host))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CloudAlpha FTP")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
