"""Options that only a server can show: whom the client trusts, and which role it takes on."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudalpha.exceptions import AccessFailedFileSystemError
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.client import make_client
from cloudalpha.services.s3.settings import S3Options, S3Settings
from cloudalpha.toolkit.retry import Retry

ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>role-token</SessionToken>
<Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


class Server(ThreadingHTTPServer):
    """Answers HEAD as S3, and AssumeRole as STS. lifetime: of the role's credentials."""

    lifetime = timedelta(hours=1)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.authorizations: list[str] = []
        self.roles: list[dict[str, list[str]]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def seen(self) -> Server:
        return cast(Server, self.server)

    def do_HEAD(self) -> None:
        self.seen.authorizations.append(self.headers["Authorization"])
        self._answer(b"", {"ETag": '"e"'})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen.roles.append(parse_qs(body))
        expiration = (datetime.now(UTC) + self.seen.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._answer(ROLE.format(key=f"AKROLE{len(self.seen.roles)}", expiration=expiration).encode(), {})

    def _answer(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Nothing: the tests look at what was noted."""


def run(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from run(Server())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of nobody, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2100, 1, 1, tzinfo=UTC)
    )
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = builder.add_extension(alternative, False).sign(key, hashes.SHA256())
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[Server]:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield from run(server)


def get_url(server: Server, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_address[1]}"


def make_bucket(**options: Any) -> Bucket:
    made = S3Options(bucket="bucket", access_key_id="AKBASE", secret_access_key="hush", **options)
    return Bucket(make_client(made, S3Settings(connect_timeout="5s", read_timeout="5s")), made, Retry(attempts=1))


def test_own_certificate(tls_server: Server, certificate: Path) -> None:
    with closing(make_bucket(endpoint_url=get_url(tls_server, "https"), ca_file=certificate)) as bucket:
        assert bucket.head("k", "/k") is not None


def test_a_certificate_of_nobody_is_refused(tls_server: Server) -> None:
    url = get_url(tls_server, "https")
    with (
        closing(make_bucket(endpoint_url=url)) as bucket,
        pytest.raises(AccessFailedFileSystemError, match="ca_file") as info,
    ):
        bucket.head("k", "/k")
    assert not info.value.temporary


@pytest.mark.parametrize(
    ("lifetime", "num_asked"), [(timedelta(hours=1), 1), (timedelta(minutes=5), 3)], ids=["kept", "renewed"]
)
def test_role(server: Server, lifetime: timedelta, num_asked: int) -> None:
    server.lifetime = lifetime
    url = get_url(server)
    options = {
        "endpoint_url": url, "role_endpoint_url": url, "role_arn": "arn:aws:iam::123456789012:role/r", "role_external_id": "ours",
    }  # fmt: skip
    with closing(make_bucket(**options)) as bucket:
        assert server.roles == [], "asked before it was needed"
        for _ in range(3):
            bucket.head("k", "/k")
    assert len(server.roles) == num_asked
    assert server.roles[0]["RoleArn"] == ["arn:aws:iam::123456789012:role/r"]
    assert server.roles[0]["ExternalId"] == ["ours"]
    keys = [f"AKROLE{min(number, num_asked)}" for number in (1, 2, 3)]
    assert [key in given for key, given in zip(keys, server.authorizations, strict=True)] == [True] * 3
