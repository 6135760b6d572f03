"""pyftpdlib's own threaded server over a folder: pyftpdlib_server.py PORT ROOT USER PASSWORD [CERTIFICATE]."""

from __future__ import annotations

import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import ThreadedFTPServer


def main(port: str, root: str, user: str, password: str, certificate: str = "") -> None:
    authorizer = DummyAuthorizer()
    authorizer.add_user(user, password, root, perm="elradfmwMT")
    handler = TLS_FTPHandler if certificate else FTPHandler
    if certificate:
        handler.certfile = certificate
    handler.authorizer = authorizer
    server = ThreadedFTPServer(("127.0.0.1", int(port)), handler)
    server.max_cons = 5000
    server.serve_forever()


main(*sys.argv[1:])
