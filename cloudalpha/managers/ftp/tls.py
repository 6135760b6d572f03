"""TLS: the certificate, made on the first start where none is given, and the contexts of sessions."""

from __future__ import annotations

import hashlib
import os
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from cloudalpha.exceptions import ManagerError
from cloudalpha.managers.ftp.settings import FTPSettings

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
_SESSION_SECONDS = 24 * 3600
_MODE_ENABLE_PARTIAL_WRITE = 1


class Certificates:
    """The certificate and key that sessions use; `load` reads them again."""

    def __init__(self, settings: FTPSettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._pair: tuple[list[x509.Certificate], PrivateKeyTypes] | None = None
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
            text = certificate.read_bytes()
            chain = x509.load_pem_x509_certificates(text)
            private_key = serialization.load_pem_private_key(key.read_bytes(), None)
        except OSError as error:
            raise ManagerError(f"the TLS certificate cannot be read: {certificate.name}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise ManagerError(f"the TLS certificate or its key is not valid PEM: {certificate.name}") from error
        previous, self._pair = self._pair, (chain, private_key)
        try:
            self.make_context()
        except (SSL.Error, TypeError, ValueError) as error:
            self._pair = previous
            raise ManagerError(
                f"the TLS certificate, its key or client_ca cannot be used: {certificate.name}"
            ) from error
        self.fingerprint = "SHA256:" + chain[0].fingerprint(hashes.SHA256()).hex(":").upper()

    def make_context(self) -> SSL.Context:
        """A context for one session and its data connections. Not shared, so that a resumed TLS session is proof of the same FTP session."""
        if self._pair is None:
            raise ManagerError("no TLS certificate is loaded")
        chain, private_key = self._pair
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(_CIPHERS)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.clear_mode(_MODE_ENABLE_PARTIAL_WRITE)  # one call writes a whole chunk, not one record of 16 KiB
        context.use_certificate(chain[0])
        for certificate in chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(private_key)  # type: ignore[arg-type]  # an unsuitable kind is refused there
        context.check_privatekey()
        context.set_alpn_select_callback(_choose_protocol)
        context.set_session_id(hashlib.sha256(b"cloudalpha ftp").digest())
        context.set_timeout(_SESSION_SECONDS)
        if self._settings.tls_session_reuse == "off":
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            context.set_options(SSL.OP_NO_TICKET)
        if self._settings.client_ca is not None:
            context.load_verify_locations(os.fspath(self._settings.client_ca))
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        return context


def is_resumed(connection: SSL.Connection) -> bool:
    """Whether a connection's handshake resumed a session of its context."""
    return bool(SSL._lib.SSL_session_reused(connection._ssl))  # type: ignore[attr-defined]  # pyOpenSSL wraps everything but this


def _choose_protocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """ALPN: `ftp`, or an alert, so that nobody is led here who means another protocol (ALPACA)."""
    if b"ftp" in offered:
        return b"ftp"
    raise SSL.Error("no application protocol in common")


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
