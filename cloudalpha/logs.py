"""Structured logs: an event and its fields, one line each, in logfmt or JSON.

    log_event(logger, "transfer", user="alice", path="/a b", bytes=5)      ->      ... transfer user=alice path="/a b" bytes=5

Control characters are escaped, so that what a client sends cannot forge a line; fields whose names tell of secrets are masked.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

_PLAIN = re.compile(r"[^\s\"=\\]+")
_SECRET = re.compile(r"password|passphrase|secret|token|private", re.IGNORECASE)
_MASK = "***"


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
            fields[name] = _MASK if _SECRET.search(name) else value
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


def _quote(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    if text.isprintable():
        return text if _PLAIN.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return ascii(text).replace('"', '\\"').replace("'", '"', 1)[:-1] + '"' if text else '""'
