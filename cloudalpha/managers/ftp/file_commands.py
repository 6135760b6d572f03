"""Files: RETR STOR APPE STOU DELE RNFR RNTO."""

from __future__ import annotations

import secrets

from cloudalpha.exceptions import AlreadyExistsFileSystemError
from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.managers.ftp.transfers import Download, Upload
from cloudalpha.open_file import OpenFile

COMMANDS.update(
    {
        "RETR": Command(True, "RETR <file>"),
        "STOR": Command(True, "STOR <file>"),
        "APPE": Command(True, "APPE <file>"),
        "STOU": Command(None, "STOU [<beginning of a name>]"),
        "DELE": Command(True, "DELE <file>"),
        "RNFR": Command(True, "RNFR <path>"),
        "RNTO": Command(True, "RNTO <path>"),
    }
)
_UNIQUE_ATTEMPTS = 5


class FileCommands(Channel):
    """Content, and what becomes of whole files."""

    def ftp_RETR(self, path: str) -> None:
        offset = self._take_offset()
        self.check_data_connection()
        file = self.view.open(path, read=True)
        try:
            size = file.get_metadata().size
            if offset > size:
                raise Refusal(f"554 The file ends at {size}.")
            download = Download(file, offset, size, self.ascii_mode)
        except BaseException:
            file.discard("refused")
            raise
        self.begin_transfer(download, f"150 Here it comes ({size} bytes).")

    def ftp_STOR(self, path: str) -> None:
        """From an offset (REST) on: what the file holds before and behind the new bytes stays."""
        offset = self._take_offset()
        announced = self._take_announced()
        self.check_data_connection()
        file = self.view.open(path, write=True, create=True, truncate=offset == 0, is_sequential=True)
        try:
            if offset and offset > (size := file.get_metadata().size):
                raise Refusal(f"554 The file ends at {size}.")
        except BaseException:
            file.discard("refused")
            raise
        self.begin_transfer(Upload(file, offset, offset, self.ascii_mode, announced))

    def ftp_APPE(self, path: str) -> None:
        self._take_offset()
        announced = self._take_announced()
        self.check_data_connection()
        file = self.view.open(path, write=True, append=True, create=True, is_sequential=True)
        try:
            size = file.get_metadata().size
        except BaseException:
            file.discard("refused")
            raise
        self.begin_transfer(Upload(file, None, size, self.ascii_mode, announced))

    def ftp_STOU(self, text: str) -> None:
        """RFC 1123, section 4.1.2.9: the reply tells the name."""
        self._take_offset()
        announced = self._take_announced()
        self.check_data_connection()
        file = self._open_unique(text or "file")
        name = file.path.rpartition("/")[2]
        self.begin_transfer(Upload(file, 0, 0, self.ascii_mode, announced), f"150 FILE: {name}")

    def ftp_DELE(self, path: str) -> None:
        with self.keeping_alive("250"):
            self.view.delete(path)
        self.respond("250 The file is deleted.")

    def ftp_RNFR(self, path: str) -> None:
        path = self.view.resolve(path)
        self.view.get_metadata(path)
        self.rename_from = path
        self.respond("350 Send the new name with RNTO.")

    def ftp_RNTO(self, path: str) -> None:
        """A file that has the new name already is replaced, as clients that upload under a temporary name expect."""
        if self.rename_from is None:
            raise Refusal("503 Send RNFR first.")
        old_path, self.rename_from = self.rename_from, None
        with self.keeping_alive("250"):
            self.view.rename(old_path, path, overwrite=True)
        self.respond("250 It is renamed.")

    def _take_offset(self) -> int:
        offset, self.restart_offset = self.restart_offset, 0
        return offset

    def _take_announced(self) -> int | None:
        announced, self.announced_size = self.announced_size, None
        return announced

    def _open_unique(self, beginning: str) -> OpenFile:
        for _ in range(_UNIQUE_ATTEMPTS):
            try:
                name = f"{beginning}.{secrets.token_hex(4)}"
                return self.view.open(name, write=True, create=True, exclusive=True, is_sequential=True)
            except AlreadyExistsFileSystemError:
                continue
        raise Refusal("450 No unique name was found.")
