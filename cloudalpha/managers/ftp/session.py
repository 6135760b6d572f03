"""FTPSession: a control connection with all its commands."""

from __future__ import annotations

from cloudalpha.managers.ftp.fact_commands import FactCommands
from cloudalpha.managers.ftp.file_commands import FileCommands
from cloudalpha.managers.ftp.folder_commands import FolderCommands
from cloudalpha.managers.ftp.hash_commands import HashCommands
from cloudalpha.managers.ftp.log_in_commands import LogInCommands
from cloudalpha.managers.ftp.network_commands import NetworkCommands
from cloudalpha.managers.ftp.protocol_commands import ProtocolCommands


class FTPSession(
    LogInCommands, NetworkCommands, FolderCommands, FileCommands, FactCommands, HashCommands, ProtocolCommands
):
    """One client's connection, from its first byte to its end."""
