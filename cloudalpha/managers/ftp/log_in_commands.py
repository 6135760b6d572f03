"""USER, PASS, QUIT, and TLS: AUTH, PBSZ, PROT (RFC 2228, RFC 4217)."""

from __future__ import annotations

from cloudalpha.exceptions import CloudAlphaError
from cloudalpha.managers.ftp.channel import COMMANDS, Channel, Command
from cloudalpha.managers.ftp.errors import Refusal

COMMANDS.update(
    {
        "USER": Command(True, "USER <name>", False),
        "PASS": Command(None, "PASS <password>", False),
        "ACCT": Command(None, "ACCT <account>", False),
        "QUIT": Command(None, "QUIT", False),
        "AUTH": Command(True, "AUTH TLS", False),
        "PBSZ": Command(True, "PBSZ 0", False),
        "PROT": Command(True, "PROT C|P", False),
    }
)


class LogInCommands(Channel):
    """Who the client is, and what protects the connection."""

    def ftp_USER(self, name: str) -> None:
        self._check_encryption()
        if self.session is not None:
            raise Refusal("530 You are logged in already; connect again to be somebody else.")
        self.username = name
        self.respond("331 Send the password with PASS.")

    def ftp_PASS(self, password: str) -> None:
        self._check_encryption()
        if self.session is not None:
            raise Refusal("503 You are logged in already.")
        if not self.username:
            raise Refusal("503 Send USER first.")
        name, self.username = self.username, ""
        if not (self.visit.check_password(name, password) and self.visit.is_authenticated(name)):
            self._refuse_log_in()
            return
        try:
            session = self.visit.open_session(name)
        except CloudAlphaError:
            self.attempted_logins += 1
            raise
        self.username = name
        self.on_logged_in(session)
        self.respond("230 You are logged in.")

    def ftp_ACCT(self, name: str) -> None:
        self.respond("202 No account is needed.")

    def ftp_QUIT(self, text: str) -> None:
        """RFC 959, section 4.1.1: a transfer is let finish, then the connection is closed."""
        if self.transferring:
            self._quit_pending = True
        else:
            self.end("221 Good-bye.")

    def ftp_AUTH(self, mechanism: str) -> None:
        """RFC 4217, section 4. What the client sent in clear behind AUTH could come from somebody else: it ends the connection."""
        if not self.server.offers_tls:
            raise Refusal("503 TLS is in use already." if self.server.implicit else "502 TLS is not offered.")
        if self.is_encrypted:
            raise Refusal("503 TLS is in use already.")
        if mechanism.upper() not in ("TLS", "TLS-C", "SSL", "TLS-P"):
            raise Refusal("504 Unknown mechanism; use AUTH TLS.")
        if self.session is not None:
            raise Refusal("503 AUTH comes before the log-in.")
        if self.ac_in_buffer:
            self.end("421 Nothing may follow AUTH in clear.")
            return
        context = self.get_context()
        self.username = ""
        self.respond("234 Begin TLS.")
        if self.producer_fifo:
            self.close()
        else:
            self.secure(context)

    def ftp_PBSZ(self, size: str) -> None:
        if not self.is_encrypted:
            raise Refusal("503 PBSZ comes after AUTH TLS.")
        self._pbsz = True
        self.respond("200 PBSZ=0")

    def ftp_PROT(self, level: str) -> None:
        if not self.is_encrypted:
            raise Refusal("503 PROT comes after AUTH TLS.")
        if not self._pbsz and not self.server.implicit:
            raise Refusal("503 Send PBSZ 0 first.")
        if level.upper() == "P":
            self._prot = True
        elif level.upper() == "C":
            if self.server.needs_protection:
                raise Refusal("534 Data connections must be protected here.")
            self._prot = False
        elif level.upper() in ("S", "E"):
            raise Refusal("536 Only PROT C and PROT P exist with TLS.")
        else:
            raise Refusal("504 Unknown protection level; use P.")
        self.respond(f"200 Protection level {level.upper()}.")

    def _check_encryption(self) -> None:
        if self.server.needs_tls and not self.is_encrypted:
            raise Refusal("530 TLS is required: send AUTH TLS first.")

    def _refuse_log_in(self) -> None:
        self.attempted_logins += 1
        if self.server.stopping:
            self.end("421 The server is shutting down.")
        elif self.attempted_logins >= self.settings.max_log_in_attempts:
            self.end("421 Too many wrong log-ins.")
        else:
            self.respond("530 Not logged in: wrong user name or password.")
