"""The service and the client that the chaos proxy is tried with."""

from __future__ import annotations

import hashlib
import http.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.chaos_proxy import ChaosProxy
from tests.servers.processes import HOST

MIB = 1 << 20
PATTERN = hashlib.sha256(b"pattern").digest() * (2 * MIB // 32)


class Service(ThreadingHTTPServer):
    """GET /N: N bytes of PATTERN, over and over. PUT: tells how many bytes came. seen: what came, in order."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__((HOST, 0), Handler)
        self.seen: list[tuple[str, str, str]] = []
        self.received = 0
        self.sent = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is what the tests are about."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _begin(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers["Host"]))

    def do_HEAD(self) -> None:
        self._begin()
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def do_GET(self) -> None:
        self._begin()
        self.send_response(200)
        left = int(self.path.strip("/"))
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left:
            sent = self.wfile.write(PATTERN[: min(left, MIB)])
            left -= sent
            self.server.sent += sent

    def do_PUT(self) -> None:
        self._begin()
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left and (data := self.rfile.read1(min(left, MIB))):
            digest.update(data)
            left -= len(data)
            self.server.received += len(data)
        if left:
            self.close_connection = True
            return
        answer = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class Client(http.client.HTTPConnection):
    """Asks through the proxy."""

    def __init__(self, proxy: ChaosProxy, timeout: float = 20) -> None:
        super().__init__(HOST, proxy.port, timeout=timeout)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        self.request(method, path, body)
        response = self.getresponse()
        return response.status, response.read()
