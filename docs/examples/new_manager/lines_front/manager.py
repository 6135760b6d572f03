"""A manager that speaks JSON: one request a line, one reply a line, the bytes of a file behind the line that announces them."""

import contextlib
import json
import logging
import socket
import socketserver
import threading
from datetime import datetime

from pydantic import Field

from cloudalpha.exceptions import AddressInUseManagerError, CloudAlphaError, FileSystemError, RefusedManagerError
from cloudalpha.logs import log_event
from cloudalpha.manager import Endpoint, Manager
from cloudalpha.settings import Settings
from lines_front.errors import to_reply

CHUNK_SIZE = 64 * 1024
MAX_LINE_BYTES = 16 * 1024
logger = logging.getLogger(__name__)


class LinesSettings(Settings):
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=2323, ge=0, le=65535, description="The port to listen on; 0 takes any.")


class LinesManager(Manager):
    settings_class = LinesSettings

    def start(self):
        try:
            self.server = LinesServer((self.settings.host, self.settings.port), LinesSession)
        except OSError as error:
            raise AddressInUseManagerError(f"port {self.settings.port} is taken; set another `port`") from error
        self.server.gate, self.server.name = self.gate, self.name
        threading.Thread(target=self.server.serve_forever, args=(0.02,), name="lines", daemon=True).start()

    def stop(self, grace_seconds=0.0):
        self.server.shutdown()
        self.server.server_close()
        self.server.wait(grace_seconds)

    def get_endpoints(self):
        return [Endpoint("lines", *self.server.server_address)]

    def count_sessions(self):
        return len(self.server.sessions)


class LinesServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, *arguments):
        self.sessions = set()
        self.is_stopping = False
        self.quiet = threading.Condition()
        super().__init__(*arguments)

    def wait(self, seconds):
        """End the sessions that wait for a request, and the others when theirs is answered or the time is over."""
        self.is_stopping = True
        with self.quiet:
            self.cut([session for session in self.sessions if not session.is_busy])
            self.quiet.wait_for(lambda: not self.sessions, seconds)
            self.cut(self.sessions)
            self.quiet.wait_for(lambda: not self.sessions, 5.0)

    def cut(self, sessions):
        for session in sessions:
            with contextlib.suppress(OSError):
                session.connection.shutdown(socket.SHUT_RDWR)


class LinesSession(socketserver.StreamRequestHandler):
    """One connection, in a thread of its own, where calls may block."""

    view = None
    is_busy = False

    def handle(self):
        server = self.server
        try:
            self.visit = server.gate.enter(server.name, self.client_address[0], encrypted=False)
        except RefusedManagerError as error:
            self.reply(error=str(error))
            return
        with server.quiet:
            server.sessions.add(self)
        try:
            while not server.is_stopping and self.serve_one_request():
                self.is_busy = False
        except OSError:
            pass  # the connection is lost: closing the visit discards what is not committed
        finally:
            self.visit.close()
            with server.quiet:
                server.sessions.discard(self)
                server.quiet.notify_all()

    def serve_one_request(self):
        line = self.rfile.readline(MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            return False
        self.is_busy = True
        try:
            request = json.loads(line)
            action = ACTIONS[request.pop("do")]
            if self.view is None and action is not LinesSession.log_in:
                raise RefusedManagerError("log in first")
            self.reply(**(action(self, **request) or {}))
        except CloudAlphaError as error:
            self.reply(**to_reply(error))
        except (KeyError, TypeError, ValueError):
            self.reply(error="not a request")
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug: the log has it all, the client nothing of it
            log_event(logger, "unexpected_error", logging.ERROR, exc_info=error)
            self.reply(error="failed", message="an error of the server's own")
        return True

    def reply(self, **fields):
        self.wfile.write(json.dumps(fields).encode() + b"\n")

    # Actions: each takes the fields of its request, and returns those of its reply

    def log_in(self, user, password):
        if not self.visit.check_password(user, password) or not self.visit.is_authenticated(user):
            raise RefusedManagerError("log-in failed")
        self.view = self.visit.open_session(user).view

    def list(self, path):
        for entry in self.view.list_dir(path):
            self.reply(entry=self.describe(entry))

    def stat(self, path):
        return self.describe(self.view.get_metadata(path))

    def get(self, path, start=0):
        """The bytes come in blocks, each behind a line with its length; an empty one ends them."""
        file = self.view.open(path, read=True)
        try:
            while data := file.read_at(start, CHUNK_SIZE):
                self.reply(block=len(data))
                self.wfile.write(data)
                start += len(data)
            self.reply(block=0)
            file.finish()
        finally:
            file.discard("the connection was lost")  # harmless after finish

    def put(self, path, start=0, append=False):
        """Blocks as `get` sends them follow the request; only when the empty one has come is the file there."""
        refusal, file = None, None
        try:
            try:
                file = self.view.open(path, write=True, create=True, append=append, truncate=not (start or append))
            except FileSystemError as error:
                refusal = error
            while data := self.read_block():
                if refusal is None:  # after a refusal, what still comes is read, so that the next request is found
                    try:
                        file.write_at(start, data)
                    except FileSystemError as error:
                        refusal = error
                start += len(data)
            if refusal is not None:
                raise refusal
            file.finish()
        finally:
            if file is not None:
                file.discard("the client did not send everything")  # harmless after finish

    def read_block(self):
        line = self.rfile.readline(MAX_LINE_BYTES)
        length = json.loads(line)["block"] if line.endswith(b"\n") else CHUNK_SIZE + 1
        if not 0 <= length <= CHUNK_SIZE:
            raise ConnectionResetError
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionResetError
        return data

    def delete(self, path):
        self.view.delete(path)

    def make_dir(self, path):
        self.view.make_dir(path)

    def delete_dir(self, path):
        self.view.delete_dir(path)

    def rename(self, path, to):
        self.view.rename(path, to)

    def set_time(self, path, time):
        self.view.set_modified_datetime(path, datetime.fromisoformat(time))

    def describe(self, metadata):
        modified = metadata.modified_datetime
        return {
            "name": metadata.name,
            "is_dir": metadata.is_dir,
            "size": metadata.size,
            "modified": modified.isoformat() if modified else None,
        }


ACTIONS = {
    name: getattr(LinesSession, name)
    for name in ("log_in", "list", "stat", "get", "put", "delete", "make_dir", "delete_dir", "rename", "set_time")
}
