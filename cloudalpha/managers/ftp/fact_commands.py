"""Facts of files: SIZE MDTM MFMT MFF AVBL, and SITE CHMOD, UTIME, STATE, HELP."""

from __future__ import annotations

import re
from datetime import datetime

from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.managers.ftp.listing import format_time, parse_time

COMMANDS.update(
    {
        "SIZE": Command(True, "SIZE <file>"),
        "MDTM": Command(True, "MDTM <path>"),
        "MFMT": Command(True, "MFMT <YYYYMMDDHHMMSS> <path>"),
        "MFF": Command(True, "MFF Modify=<YYYYMMDDHHMMSS>; <path>"),
        "AVBL": Command(None, "AVBL [<folder>]"),
        "SITE": Command(True, "SITE CHMOD|UTIME|STATE|HELP ..."),
    }
)
_UTIME_FIRST = re.compile(r"([0-9]{12}(?:[0-9]{2})?) (.+)")
_UTIME_LAST = re.compile(r"(.+?) [0-9]{14} ([0-9]{14}) [0-9]{14} UTC", re.IGNORECASE)


class FactCommands(Channel):
    """Sizes, times and states."""

    def ftp_SIZE(self, path: str) -> None:
        """RFC 3659, section 4."""
        if self.ascii_mode:
            raise Refusal("550 SIZE is told in TYPE I only.")
        self.respond(f"213 {self.view.get_size(self.view.resolve(path))}")

    def ftp_MDTM(self, path: str) -> None:
        modified = self.view.get_metadata(path).modified_datetime
        if modified is None:
            raise Refusal("550 The time of the last change is not known.")
        self.respond(f"213 {format_time(modified)}")

    def ftp_MFMT(self, text: str) -> None:
        """draft-somers-ftp-mfxx, section 3."""
        time, _, path = text.partition(" ")
        self._set_modified(path, parse_time(time))
        self.respond(f"213 Modify={time}; {path}")

    def ftp_MFF(self, text: str) -> None:
        """draft-somers-ftp-mfxx, section 5. Nothing is changed when one of the facts cannot be."""
        facts, _, path = text.partition(" ")
        modified: datetime | None = None
        for fact in filter(None, facts.split(";")):
            name, _, value = fact.partition("=")
            if name.lower() != "modify":
                raise Refusal("504 Only the fact Modify can be changed.")
            modified = parse_time(value)
        self._set_modified(path, modified)
        self.respond(f"213 {facts} {path}")

    def ftp_AVBL(self, path: str) -> None:
        space = self.view.get_space()
        if space is None or space.free is None:
            raise Refusal("550 The free space is not known.")
        self.respond(f"213 {space.free}")

    def ftp_SITE(self, text: str) -> None:
        verb, _, rest = text.partition(" ")
        if verb.upper() == "CHMOD":
            raise Refusal("504 There are no modes here: the gateway's configuration says who may do what.")
        if verb.upper() == "UTIME":
            self._site_utime(rest)
        elif verb.upper() == "STATE" and rest:
            self.respond(f"213 State={self.view.get_metadata(rest).state or 'clean'}")
        elif verb.upper() == "HELP":
            self.respond_lines("214-SITE commands:", ["CHMOD (refused)", "HELP", "STATE <path>", "UTIME"], "214 End.")
        else:
            raise Refusal("504 No such SITE command; SITE HELP lists them.")

    def _site_utime(self, text: str) -> None:
        """Both ways of writing it: `YYYYMMDDhhmm[ss] path`, and `path ATIME MTIME CTIME UTC`."""
        if match := _UTIME_LAST.fullmatch(text):
            path, time = match[1], match[2]
        elif match := _UTIME_FIRST.fullmatch(text):
            time, path = match[1].ljust(14, "0"), match[2]
        else:
            raise Refusal("501 Syntax: SITE UTIME YYYYMMDDhhmm[ss] <path>")
        self._set_modified(path, parse_time(time))
        self.respond("200 The time is set.")

    def _set_modified(self, path: str, modified: datetime | None) -> None:
        if modified is None or not path:
            raise Refusal("501 A time is YYYYMMDDHHMMSS, in UTC, and a path follows.")
        self.view.set_modified_datetime(path, modified)
