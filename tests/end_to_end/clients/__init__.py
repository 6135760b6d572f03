"""The real clients, all told what to do in one way. A client is added by a subclass of `Client` in one of the tuples below."""

from __future__ import annotations

from tests.end_to_end.clients.base import Client, Command, FailedCommandError, kill_all
from tests.end_to_end.clients.ftp_clients import FTP_CLIENTS
from tests.end_to_end.clients.libraries import LIBRARY_CLIENTS
from tests.end_to_end.clients.rclone import RCLONE_CLIENTS
from tests.end_to_end.clients.ssh_clients import SSH_CLIENTS

CLIENTS: dict[str, type[Client]] = {
    client.name: client for client in (*FTP_CLIENTS, *SSH_CLIENTS, *LIBRARY_CLIENTS, *RCLONE_CLIENTS)
}

__all__ = ["CLIENTS", "Client", "Command", "FailedCommandError", "kill_all"]
