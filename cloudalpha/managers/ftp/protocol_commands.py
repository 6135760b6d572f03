"""What the session speaks: TYPE, MODE, STRU, FEAT, OPTS, HELP, SYST, NOOP, STAT, CLNT, LANG, ALLO, REST and SITE's list."""

from __future__ import annotations

from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.errors import Refusal
from cloudalpha.managers.ftp.hash_commands import ALGORITHMS
from cloudalpha.managers.ftp.listing import FACTS

COMMANDS.update(
    {
        "TYPE": Command(True, "TYPE A|I"),
        "MODE": Command(True, "MODE S"),
        "STRU": Command(True, "STRU F"),
        "FEAT": Command(False, "FEAT", False),
        "OPTS": Command(True, "OPTS UTF8|MLST|HASH [<value>]", False),
        "HELP": Command(None, "HELP [<command>]", False),
        "SYST": Command(False, "SYST", False),
        "NOOP": Command(None, "NOOP", False),
        "CLNT": Command(True, "CLNT <name>", False),
        "LANG": Command(None, "LANG [<language>]", False),
        "ALLO": Command(True, "ALLO <bytes>"),
        "REST": Command(True, "REST <offset>"),
    }
)
_MAX_OFFSET = 1 << 63


class ProtocolCommands(Channel):
    """Commands that touch no file."""

    def ftp_TYPE(self, text: str) -> None:
        kind = " ".join(text.upper().split())
        if kind in ("A", "A N", "I", "L 8", "L8"):
            self.ascii_mode = kind[0] == "A"
            self.respond(f"200 Type {'A' if self.ascii_mode else 'I'}.")
        else:
            raise Refusal("504 Only types A and I are supported.")

    def ftp_MODE(self, text: str) -> None:
        if text.upper() != "S":
            raise Refusal("504 Only mode S is supported.")
        self.respond("200 Mode S.")

    def ftp_STRU(self, text: str) -> None:
        if text.upper() != "F":
            raise Refusal("504 Only structure F is supported.")
        self.respond("200 Structure F.")

    def ftp_FEAT(self, text: str) -> None:
        """RFC 2389, section 3."""
        features = ["AVBL", "CLNT", "EPSV", "LANG EN*", "MDTM", "MFF modify;", "MFMT", "REST STREAM"]
        features += ["SITE STATE", "SITE UTIME", "SIZE", "TVFS", "UTF8", "XCRC", "XMD5", "XSHA1", "XSHA256"]
        features.append("HASH " + ";".join(name + "*" * (name == self.hash_algorithm) for name in ALGORITHMS))
        features.append("MLST " + "".join(f"{fact}{'*' * (fact in self.facts)};" for fact in FACTS))
        if self.settings.active_mode:
            features.append("EPRT")
        if self.server.offers_tls:
            features += ["AUTH TLS", "PBSZ", "PROT"]
        self.respond_lines("211-Features:", sorted(features), "211 End.")

    def ftp_OPTS(self, text: str) -> None:
        """RFC 2389, section 4; RFC 3659, section 7.9."""
        name, _, value = text.partition(" ")
        if name.upper() in ("UTF8", "UTF-8"):
            if value.upper() not in ("", "ON", "NLST"):
                raise Refusal("504 Names are always UTF-8.")
            self.respond("200 Names are UTF-8.")
        elif name.upper() == "MLST":
            wanted = value.lower().split(";")
            self.facts = tuple(fact for fact in FACTS if fact.lower() in wanted)
            self.respond("200 MLST OPTS " + "".join(fact + ";" for fact in self.facts))
        elif name.upper() == "HASH":
            if value and value.upper() not in ALGORITHMS:
                raise Refusal("504 Unknown algorithm; FEAT lists them.")
            self.hash_algorithm = value.upper() or self.hash_algorithm
            self.respond(f"200 {self.hash_algorithm}")
        else:
            raise Refusal("501 There are options for UTF8, MLST and HASH.")

    def ftp_HELP(self, text: str) -> None:
        if not text:
            verbs = sorted(COMMANDS)
            lines = [" ".join(verbs[i : i + 10]) for i in range(0, len(verbs), 10)]
            self.respond_lines("214-Commands:", lines, "214 End.")
        elif text.upper() in COMMANDS:
            self.respond(f"214 Syntax: {COMMANDS[text.upper()].syntax}")
        else:
            raise Refusal("504 No such command.")

    def ftp_SYST(self, text: str) -> None:
        self.respond("215 UNIX Type: L8")

    def ftp_NOOP(self, text: str) -> None:
        self.respond("200 Here.")

    def ftp_CLNT(self, text: str) -> None:
        self.respond("200 Pleased to meet you.")

    def ftp_LANG(self, text: str) -> None:
        """RFC 2640, section 4."""
        if text.upper().partition("-")[0] not in ("", "EN"):
            raise Refusal("504 Only English.")
        self.respond("200 English.")

    def ftp_ALLO(self, text: str) -> None:
        """RFC 959, section 4.1.3: how long the next upload will be. One that comes out otherwise is not stored."""
        size = text.split(" ")[0]
        if not (size.isascii() and size.isdecimal() and len(size) < 20):
            raise Refusal("501 Syntax: ALLO <bytes>")
        self.announced_size = int(size)
        self.respond("200 Noted: an upload of another size will be refused.")

    def ftp_REST(self, text: str) -> None:
        """RFC 3659, section 5."""
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < _MAX_OFFSET):
            raise Refusal("501 Syntax: REST <offset>")
        if int(text) and self.ascii_mode:
            raise Refusal("504 Transfers go on in TYPE I only.")
        self.restart_offset = int(text)
        self.respond(f"350 The next transfer begins at {int(text)}.")
