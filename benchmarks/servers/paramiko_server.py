"""paramiko's SFTPServer over a folder, a thread a connection: paramiko_server.py PORT HOST_KEY AUTHORIZED_KEYS ROOT."""

from __future__ import annotations

import os
import socket
import sys
import threading

import paramiko


class Handle(paramiko.SFTPHandle):
    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class Files(paramiko.SFTPServerInterface):
    root = ""

    def _real(self, path: str) -> str:
        return self.root + self.canonicalize(path)

    def list_folder(self, path):
        entries = []
        for entry in os.scandir(self._real(path)):
            attributes = paramiko.SFTPAttributes.from_stat(entry.stat())
            attributes.filename = entry.name
            entries.append(attributes)
        return entries

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._real(path)))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path, flags, attributes):
        try:
            descriptor = os.open(self._real(path), flags, 0o644)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        mode = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "rb+"}[flags & os.O_ACCMODE]
        handle = Handle(flags)
        handle.readfile = handle.writefile = os.fdopen(descriptor, mode)
        return handle

    def remove(self, path):
        try:
            os.remove(self._real(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return paramiko.SFTP_OK

    def mkdir(self, path, attributes):
        try:
            os.mkdir(self._real(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return paramiko.SFTP_OK


class Server(paramiko.ServerInterface):
    keys: frozenset[str] = frozenset()

    def check_channel_request(self, kind, channel_id):
        return paramiko.OPEN_SUCCEEDED

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in self.keys else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "publickey"


def serve(connection: socket.socket, host_key: paramiko.PKey) -> None:
    transport = paramiko.Transport(connection)
    transport.add_server_key(host_key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
    transport.start_server(server=Server())
    transport.join()


def main(port: str, host_key: str, authorized_keys: str, root: str) -> None:
    Files.root = root
    with open(authorized_keys) as file:
        Server.keys = frozenset(line.split()[1] for line in file)
    key = paramiko.Ed25519Key(filename=host_key)
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1000)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, key), daemon=True).start()


main(*sys.argv[1:])
