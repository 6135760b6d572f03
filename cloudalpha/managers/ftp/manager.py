"""FTPManager: FTP and FTPS."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import ClassVar

from cloudalpha.logs import log_event
from cloudalpha.manager import Endpoint, Gate, Manager
from cloudalpha.managers.ftp.errors import logger
from cloudalpha.managers.ftp.server import FTPServer
from cloudalpha.managers.ftp.settings import FTPSettings, is_loopback
from cloudalpha.managers.ftp.tls import Certificates


class FTPManager(Manager):
    """Serves FTP on one port, and FTPS from the first byte on a second one where `implicit_port` says so."""

    settings_class: ClassVar[type[FTPSettings]] = FTPSettings

    def __init__(self, name: str, settings: FTPSettings, gate: Gate, state_dir: Path) -> None:
        super().__init__(name, settings, gate, state_dir)
        self.settings: FTPSettings = settings
        self._servers: list[FTPServer] = []
        self._certificates: Certificates | None = None

    def start(self) -> None:
        if self._servers:
            return
        settings = self.settings
        tls = settings.get_tls()
        if tls in ("off", "optional") and not is_loopback(settings.host):
            log_event(logger, "passwords may travel in clear", logging.WARNING, host=settings.host, tls=tls)
        certificates = None
        if tls != "off" or settings.implicit_port is not None:
            certificates = Certificates(settings, self.state_dir)
            certificates.load()
        ports = [(settings.port, tls == "implicit")]
        if settings.implicit_port is not None:
            ports.append((settings.implicit_port, True))
        servers: list[FTPServer] = []
        try:
            for port, implicit in ports:
                offered = certificates if implicit or tls != "off" else None
                servers.append(FTPServer(self.name, settings, self.gate, offered, port, implicit))
        except BaseException:
            for server in servers:
                server.close_listener()
            if certificates is not None:
                certificates.close()
            raise
        for server in servers:
            server.start()
        self._servers, self._certificates = servers, certificates

    def stop(self, grace_seconds: float = 0.0) -> None:
        deadline = time.monotonic() + grace_seconds
        servers, self._servers = self._servers, []
        for server in servers:
            server.close_listener()
        for server in servers:
            server.stop(deadline)
        if self._certificates is not None:
            self._certificates.close()
            self._certificates = None

    def get_endpoints(self) -> list[Endpoint]:
        fingerprint = self._certificates.fingerprint if self._certificates else None
        return [
            Endpoint("ftps" if server.implicit else "ftp", self.settings.host, server.get_port(), fingerprint)
            for server in self._servers
        ]

    def count_sessions(self) -> int:
        return sum(server.count_sessions() for server in self._servers)

    def reload(self) -> None:
        """Raises ManagerError, and the certificate in use stays, when the new one is no good."""
        if self._certificates is not None:
            self._certificates.load()
