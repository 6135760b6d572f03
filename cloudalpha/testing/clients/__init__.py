"""What the tests of a manager need of a client: the interface, and adapters for ftplib and paramiko.

Write an adapter for the protocol of your manager by subclassing `Client`; its errors must all become ClientError:

    class MyClient(Client):
        def __init__(self, endpoint, user_name, password):
            self.errors = (OSError, MyProtocolError)
            with self.translated():
                ...
"""

from __future__ import annotations

from cloudalpha.testing.clients.base import TIMEOUT, Client, ClientError, Entry, reset_connection
from cloudalpha.testing.clients.ftp import ExplicitFTPSClient, FTPClient, ImplicitFTPSClient
from cloudalpha.testing.clients.sftp import SFTPClient

__all__ = [
    "TIMEOUT",
    "Client",
    "ClientError",
    "Entry",
    "ExplicitFTPSClient",
    "FTPClient",
    "ImplicitFTPSClient",
    "SFTPClient",
    "reset_connection",
]
