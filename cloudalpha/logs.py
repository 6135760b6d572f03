"""Structured logs: an event and its fields, one line each, in logfmt or JSON.

    log_event(logger, "transfer", user="alice", path="/a b", bytes=5)      ->      ... transfer user=alice path="/a b" bytes=5

Control characters are escaped, so that what a client sends cannot forge a line; fields whose names tell of secrets are masked;
fields that are None are left out.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import re
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

_PLAIN = re.compile(r"[^\s\"'=\\]+")
_SECRET = re.compile(r"password|passphrase|secret|token|private", re.IGNORECASE)
_MASK = "***"
_LIBRARIES = ("asyncio", "asyncssh", "pyftpdlib", "sqlitedict", "urllib3")
"""Their news of every connection would tell less than ours, and more than should be told."""


def log_event(
    logger: logging.Logger, event: str, level: int = logging.INFO, exc_info: BaseException | None = None, **fields: Any
) -> None:
    """Log one event with its fields; `exc_info` adds the traceback, for the log alone."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"fields": fields}, exc_info=exc_info)


class _StructuredFormatter(logging.Formatter):
    """Takes a record apart into fields; what they are written as is the subclasses' affair."""

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        for name, value in getattr(record, "fields", {}).items():
            if value is None:
                continue
            fields[name if name not in fields else f"{name}_"] = _MASK if _SECRET.search(name) else value
        if record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields


class LogfmtFormatter(_StructuredFormatter):
    """`time=... level=... event=... key="a value"`: for people and for grep."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quote(value)}" for name, value in self._fields(record).items())


class JSONFormatter(_StructuredFormatter):
    """One JSON object a line: for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self._fields(record), default=str, ensure_ascii=True)


def configure_logs(level: str = "info", log_format: str = "logfmt", file: Path | None = None) -> None:
    """Send everything that is logged to a file (mode 0600; reopened when it was moved away), or to stderr.

    level: `debug`, `info`, `warning` or `error`. log_format: `logfmt` or `json`. Replaces what an earlier call set up. Raises OSError.
    """
    handler: logging.Handler = logging.StreamHandler() if file is None else _PrivateFileHandler(file, encoding="utf-8")
    handler.setFormatter(JSONFormatter() if log_format == "json" else LogfmtFormatter())
    root = logging.getLogger()
    for old in [old for old in root.handlers if getattr(old, "of_cloudalpha", False)]:
        root.removeHandler(old)
        old.close()
    handler.of_cloudalpha = True  # type: ignore[attr-defined]  # so that the next call knows it
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _PrivateFileHandler(logging.handlers.WatchedFileHandler):
    """A file that its owner alone may read."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)


def _quote(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    if _PLAIN.fullmatch(text) and text.isprintable():
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in escaped) + '"'


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
