import contextlib
import json
import socket
from datetime import datetime

from lines_front.errors import CODES
from lines_front.manager import CHUNK_SIZE, LinesManager, LinesSettings

from cloudalpha.exceptions import FileSystemError
from cloudalpha.testing import ManagerTests
from cloudalpha.testing.clients import Client, ClientError, Entry, reset_connection


class LinesClient(Client):
    def __init__(self, endpoint, user_name, password):
        with self.lost_connection():
            self.socket = socket.create_connection((endpoint.host, endpoint.port), timeout=30)
        self.file = self.socket.makefile("rwb")
        try:
            self.ask(do="log_in", user=user_name, password=password)
        except ClientError:
            self.close()
            raise

    def send(self, data=b"", **fields):
        self.file.write(json.dumps(fields).encode() + b"\n" + data)
        self.file.flush()

    def receive(self):
        line = self.file.readline()
        reply = json.loads(line) if line.endswith(b"\n") else {"error": "the connection is lost"}
        if "error" in reply:
            raise ClientError(reply)
        return reply

    def ask(self, **fields):
        try:
            self.send(**fields)
            return self.receive()
        except OSError as error:
            raise ClientError(str(error)) from error

    def begin_put(self, path, data, offset=0, append=False):
        with self.lost_connection():
            self.send(do="put", path=path, start=offset, append=append)
            for start in range(0, len(data), CHUNK_SIZE):
                block = data[start : start + CHUNK_SIZE]
                self.send(block, block=len(block))

    def finish_put(self):
        with self.lost_connection():
            self.ask(block=0)

    def begin_get(self, path, num_bytes, offset=0):
        with self.lost_connection():
            self.send(do="get", path=path, start=offset)
            block = self.receive_block()
            self.rest = block[num_bytes:]
            self.is_at_end = not block
            return block[:num_bytes]

    def finish_get(self):
        data = self.rest
        with self.lost_connection():
            while not self.is_at_end and (block := self.receive_block()):
                data += block
            self.receive()
        return data

    def receive_block(self):
        return self.file.read(self.receive()["block"])

    def abort(self, way):
        self.file.close()
        reset_connection(self.socket)

    def list_dir(self, path):
        entries = []
        with self.lost_connection():
            self.send(do="list", path=path)
            while "entry" in (reply := self.receive()):
                entries.append(to_entry(reply["entry"]))
        return entries

    def stat(self, path):
        return to_entry(self.ask(do="stat", path=path))

    def rename(self, old_path, new_path):
        self.ask(do="rename", path=old_path, to=new_path)

    def delete(self, path):
        self.ask(do="delete", path=path)

    def make_dir(self, path):
        self.ask(do="make_dir", path=path)

    def delete_dir(self, path):
        self.ask(do="delete_dir", path=path)

    def set_modified(self, path, modified):
        self.ask(do="set_time", path=path, time=modified.isoformat())

    def close(self):
        with contextlib.suppress(OSError):
            self.file.close()
        self.socket.close()

    @contextlib.contextmanager
    def lost_connection(self):
        try:
            yield
        except OSError as error:
            raise ClientError(str(error)) from error


def to_entry(fields):
    modified = fields["modified"]
    return Entry(fields["name"], fields["is_dir"], fields["size"], modified and datetime.fromisoformat(modified))


class TestLinesManager(ManagerTests):
    def make_manager(self, gate, state_dir):
        return LinesManager("lines", LinesSettings(port=0), gate, state_dir)

    def make_client(self, endpoint, user_name, password):
        return LinesClient(endpoint, user_name, password)


def test_every_error_has_a_code():
    def leaves(error):
        return [leaf for sub in error.__subclasses__() for leaf in leaves(sub)] or [error]

    assert set(leaves(FileSystemError)) <= set(CODES)
