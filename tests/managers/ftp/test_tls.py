from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudalpha.exceptions import ManagerError
from cloudalpha.managers.ftp.manager import FTPManager
from cloudalpha.managers.ftp.settings import FTPSettings
from cloudalpha.managers.ftp.tls import Certificates
from cloudalpha.testing.gate import OpenGate
from cloudalpha.testing.waiting import wait_until
from tests.managers.ftp.conftest import port_of
from tests.managers.ftp.helpers import Client, HeldFileSystem, finish, make_client_context, read_all

CONTENT = os.urandom(2_000_000)


def _make(tmp_path: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own making, and its key."""
    folder = tmp_path / name
    certificates = Certificates(FTPSettings(), folder)
    certificates.load()
    return folder / "ftp.pem", folder / "ftp.pem"


def _log_in(client: Client) -> None:
    assert client.code("USER demo") == 331
    assert client.code("PASS secret") == 230
    assert client.code("TYPE I") == 200


def _log_in_with_tls(client: Client, context: ssl.SSLContext | None = None) -> Client:
    client.start_tls(context or make_client_context())
    _log_in(client)
    client.protect()
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_explicit_tls(connect: Callable[..., Client], files: HeldFileSystem, version: ssl.TLSVersion) -> None:
    context = make_client_context()
    context.minimum_version = context.maximum_version = version
    client = _log_in_with_tls(connect(log_in=False), context)
    assert client.put("STOR f", CONTENT).startswith(b"226")
    assert files.read_all("/f") == CONTENT
    assert client.get("RETR f") == CONTENT
    assert client.get("NLST") == b"f\r\n"
    assert client.code("PROT C") == 200
    client.protected = False
    assert client.get("RETR f") == CONTENT
    assert client.code("QUIT") == 221


def test_implicit_tls(serve: Callable[..., FTPManager], files: HeldFileSystem) -> None:
    manager = serve(implicit_port=0)
    explicit, implicit = manager.get_endpoints()
    assert (explicit.scheme, implicit.scheme) == ("ftp", "ftps")
    client = Client(implicit.port, make_client_context())
    client.log_in()
    client.protected = True
    assert client.put("STOR f", CONTENT).startswith(b"226")
    assert client.get("RETR f") == CONTENT
    assert client.code("PROT C") == 534
    assert client.code("AUTH TLS") == 503
    client.close()
    only = serve(tls="implicit")
    assert [endpoint.scheme for endpoint in only.get_endpoints()] == ["ftps"]
    plain = socket.create_connection(("127.0.0.1", port_of(only)), 20)
    plain.sendall(b"USER demo\r\n")
    with contextlib.suppress(ConnectionError):
        assert b"220" not in read_all(plain), "who speaks in clear gets at most an alert"
    plain.close()


def test_required_tls(connect: Callable[..., Client], files: HeldFileSystem) -> None:
    client = connect(log_in=False, tls="required")
    assert client.read_reply().startswith(b"220")
    assert client.do("USER demo").startswith(b"530 TLS is required")
    assert client.do("PASS secret").startswith(b"530 TLS is required")
    assert client.code("AUTH TLS") == 234
    client.context = make_client_context()
    client.secure()
    assert client.code("PASS secret") == 503, "what was said in clear is forgotten"
    _log_in(client)
    client.get_passive_port()
    for line in ("LIST", "RETR f", "STOR f"):
        assert client.code(line) == 521
    assert client.code("PROT P") == 503
    client.protect()
    assert client.code("PROT C") == 534
    assert client.put("STOR f", CONTENT).startswith(b"226")


def test_tls_off(connect: Callable[..., Client]) -> None:
    client = connect(tls="off")
    assert client.code("AUTH TLS") == 502
    assert client.code("PROT P") == 503 and client.code("PBSZ 0") == 503
    assert b"AUTH" not in client.do("FEAT")


def test_auth_comes_before_the_log_in_and_once(client: Client, connect: Callable[..., Client]) -> None:
    assert client.code("AUTH TLS") == 503
    other = connect(log_in=False)
    other.read_reply()
    assert other.code("AUTH KERBEROS") == 504
    assert other.code("AUTH TLS") == 234
    other.context = make_client_context()
    other.secure()
    assert other.code("AUTH TLS") == 503


@pytest.mark.parametrize("behind", [b"FEAT\r\n", b"USER demo\r\n", b"x"])
def test_nothing_is_taken_from_before_the_handshake(connect: Callable[..., Client], behind: bytes) -> None:
    """STARTTLS injection, CVE-2011-1575."""
    client = connect(log_in=False)
    client.read_reply()
    client.sock.sendall(b"AUTH TLS\r\n" + behind)
    assert client.read_reply().startswith(b"421 ")
    assert client.read_reply() == b""


def test_a_certificate_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    managers = [
        FTPManager("ftp", FTPSettings(port=0), OpenGate(HeldFileSystem()), tmp_path / "state") for _ in range(2)
    ]
    fingerprints = []
    for manager in managers:
        manager.start()
        fingerprints.append(manager.get_endpoints()[0].fingerprint)
        manager.stop()
    assert fingerprints[0] == fingerprints[1]
    file = tmp_path / "state" / "ftp.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    der = ssl.PEM_cert_to_DER_cert(file.read_text()[file.read_text().index("-----BEGIN CERT") :])
    assert fingerprints[0] == "SHA256:" + hashlib.sha256(der).digest().hex(":").upper()


def test_certificates_are_reloaded_and_sessions_go_on(
    tmp_path: Path, serve: Callable[..., FTPManager], connect: Callable[..., Client]
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(_make(tmp_path, "one")[0].read_bytes())
    manager = serve(tls_certificate=certificate)
    before = _log_in_with_tls(connect(manager, log_in=False))
    first = manager.get_endpoints()[0].fingerprint
    certificate.write_text("rubbish")
    with pytest.raises(ManagerError):
        manager.reload()
    assert manager.get_endpoints()[0].fingerprint == first
    certificate.write_bytes(_make(tmp_path, "two")[0].read_bytes())
    manager.reload()
    second = manager.get_endpoints()[0].fingerprint
    after = _log_in_with_tls(connect(manager, log_in=False))
    assert isinstance(after.sock, ssl.SSLSocket)
    shown = after.sock.getpeercert(binary_form=True)
    assert shown is not None and second == "SHA256:" + hashlib.sha256(shown).digest().hex(":").upper() != first
    assert before.put("STOR f", b"x").startswith(b"226")


@pytest.mark.parametrize("broken", ["missing", "rubbish", "another key", "client_ca"])
def test_a_broken_certificate_stops_the_start_with_a_reason(tmp_path: Path, broken: str) -> None:
    certificate, _ = _make(tmp_path, "one")
    values: dict[str, object] = {"tls_certificate": certificate, "tls_key": certificate}
    if broken == "missing":
        values["tls_certificate"] = tmp_path / "missing.pem"
    elif broken == "rubbish":
        certificate.write_text("rubbish")
    elif broken == "another key":
        values["tls_key"] = _make(tmp_path, "two")[0]
    else:
        values["client_ca"] = tmp_path / "missing.pem"
    manager = FTPManager("ftp", FTPSettings(port=0, **values), OpenGate(HeldFileSystem()), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ManagerError) as caught:
        manager.start()
    assert str(tmp_path) not in str(caught.value)
    assert manager.get_endpoints() == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_data_connections_must_resume_where_asked(connect: Callable[..., Client], version: ssl.TLSVersion) -> None:
    context = make_client_context()
    context.minimum_version = context.maximum_version = version
    client = _log_in_with_tls(connect(log_in=False, tls_session_reuse="required"), context)
    for number in range(5):
        assert client.put(f"STOR {number}", b"x").startswith(b"226"), "resumed, again and again"
    data = client.open_data()
    assert client.code("STOR f") == 150
    fresh = context.wrap_socket(data, server_hostname="localhost")
    assert client.read_reply().startswith(b"522 ")
    fresh.close()
    other = _log_in_with_tls(connect(log_in=False, tls_session_reuse="required"), context)
    assert isinstance(client.sock, ssl.SSLSocket)
    stolen = client.sock.session
    data = other.open_data()
    assert other.code("STOR f") == 150
    foreign = context.wrap_socket(data, server_hostname="localhost", session=stolen)
    assert other.read_reply().startswith(b"522 "), "another session's ticket is no proof"
    foreign.close()


def test_another_sessions_ticket_on_the_same_server(
    serve: Callable[..., FTPManager], connect: Callable[..., Client]
) -> None:
    manager = serve(tls_session_reuse="required")
    context = make_client_context()
    one = _log_in_with_tls(connect(manager, log_in=False), context)
    two = _log_in_with_tls(connect(manager, log_in=False), context)
    assert one.put("STOR f", b"x").startswith(b"226")
    assert isinstance(one.sock, ssl.SSLSocket)
    data = two.open_data()
    assert two.code("STOR g") == 150
    foreign = context.wrap_socket(data, server_hostname="localhost", session=one.sock.session)
    assert two.read_reply().startswith(b"522 ")
    foreign.close()


def test_session_reuse_off(connect: Callable[..., Client]) -> None:
    client = _log_in_with_tls(connect(log_in=False, tls_session_reuse="off"))
    data = client.begin("STOR f")
    assert isinstance(data, ssl.SSLSocket) and not data.session_reused
    finish(data)
    assert client.read_reply().startswith(b"226")


def test_client_certificates(tmp_path: Path, connect: Callable[..., Client]) -> None:
    certificate, key = _make(tmp_path, "client")
    client = connect(log_in=False, client_ca=certificate)
    context = make_client_context()
    context.load_cert_chain(certificate, key)
    _log_in_with_tls(client, context)
    assert client.put("STOR f", b"x").startswith(b"226")
    without = connect(log_in=False, client_ca=certificate)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        without.start_tls(make_client_context())
        without.do("NOOP") or without.sock.recv(1)
        raise ConnectionError("closed")


def test_a_data_connection_without_tls_after_prot_p(connect: Callable[..., Client], files: HeldFileSystem) -> None:
    client = _log_in_with_tls(connect(log_in=False))
    data = client.open_data()
    assert client.code("STOR f") == 150
    data.sendall(b"this is no TLS" * 100)
    assert client.read_reply().startswith(b"522 ")
    data.close()
    assert not files.exists("/f")
    assert client.code("NOOP") == 200


def test_alpn(serve: Callable[..., FTPManager]) -> None:
    """ALPACA, CVE-2021-3618."""
    port = serve(implicit_port=0).get_endpoints()[1].port
    context = make_client_context()
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(port, context)
    context.set_alpn_protocols(["http/1.1", "ftp"])
    client = Client(port, context)
    assert isinstance(client.sock, ssl.SSLSocket)
    assert client.sock.selected_alpn_protocol() == "ftp"
    client.close()


@pytest.mark.needs("sslscan")
def test_sslscan_finds_forward_secret_aead_suites_only(serve: Callable[..., FTPManager]) -> None:
    port = serve(implicit_port=0).get_endpoints()[1].port
    result = subprocess.run(
        ["sslscan", "--no-colour", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=60, check=True
    )
    suites = re.findall(r"^(?:Accepted|Preferred) +(\S+) +\d+ bits +(\S+)", result.stdout, re.MULTILINE)
    assert suites, result.stdout
    for version, suite in suites:
        assert version in ("TLSv1.2", "TLSv1.3")
        assert "GCM" in suite or "CHACHA20" in suite
        assert version == "TLSv1.3" or suite.startswith(("ECDHE", "DHE"))
    assert not re.search(r"(SSLv[23]|TLSv1\.[01]) +enabled", result.stdout)
    assert "Session renegotiation not supported" in result.stdout


def test_a_data_connection_sends_nothing_that_a_writer_would_not_read(connect: Callable[..., Client]) -> None:
    """Tickets of TLS 1.3 that a client leaves unread turn its close into a reset, which cuts off the end of the upload (rclone)."""
    client = _log_in_with_tls(connect(log_in=False))
    data = client.begin("STOR f")
    data.sendall(b"12345")
    wait_until(lambda: b" 5 bytes" in client.do("STAT"))
    with socket.socket(fileno=os.dup(data.fileno())) as raw, pytest.raises(BlockingIOError):
        raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    finish(data)
    assert client.read_reply().startswith(b"226")


def test_a_hello_in_pieces(serve: Callable[..., FTPManager], gate: OpenGate) -> None:
    port = serve(implicit_port=0).get_endpoints()[1].port
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = make_client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    hello = outgoing.read()
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(hello)):
            sock.sendall(hello[position : position + 1])
        assert sock.recv(1) == b"\x16", "the server's hello"
    for part in (hello[:3], hello[:100]):
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                assert read_all(sock) == b""
    wait_until(lambda: all(visit.closed for visit in gate.visits), message="nobody waits for the rest of a hello")


@pytest.mark.expects_warnings
def test_leaving_clear_text_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = FTPSettings(host="0.0.0.0", port=0, tls="optional")  # noqa: S104
    manager = FTPManager("ftp", settings, OpenGate(HeldFileSystem()), tmp_path)
    manager.start()
    manager.stop()
    assert [record.message for record in caplog.records] == ["passwords may travel in clear"]
