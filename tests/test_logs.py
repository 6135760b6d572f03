from __future__ import annotations

import json
import logging
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.logs import JSONFormatter, LogfmtFormatter, configure_logs, log_event

LOGGER = logging.getLogger("cloudalpha.test_logs")


def make_record(event: str = "event", **fields: Any) -> logging.LogRecord:
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "", 0, event, (), None)
    record.fields = fields
    return record


def logfmt(event: str = "event", **fields: Any) -> str:
    return LogfmtFormatter().format(make_record(event, **fields))


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield root
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_logfmt_is_one_line_of_fields() -> None:
    line = logfmt("transfer", user="alice", path="/a b", bytes=5, seconds=0.12345, result="")
    assert line.partition(" ")[0].startswith("time=20")
    assert line.partition(" ")[2] == (
        'level=info logger=cloudalpha.test_logs event=transfer user=alice path="/a b" bytes=5 seconds=0.123 result=""'
    )


@given(st.text())
def test_nothing_that_a_client_sends_forges_a_line_or_a_field(text: str) -> None:
    line = logfmt(user=text, end="yes")
    assert line.isprintable()
    names = [field.partition("=")[0] for field in shlex.split(line.replace("\\u", "\\\\u"))]
    assert names == ["time", "level", "logger", "event", "user", "end"]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", "plain"),
        ("", '""'),
        ('a"b', '"a\\"b"'),
        ("it's", '"it\'s"'),
        ("it's\n", '"it\'s\\n"'),
        ("a\\b", '"a\\\\b"'),
        ("x=y", '"x=y"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("\x7f", '"\\u007f"'),
        ("\udcff", '"\\udcff"'),
        ("\u202e", '"\\u202e"'),
        ("é", "é"),
    ],
)
def test_quoting(text: str, quoted: str) -> None:
    assert logfmt(user=text).endswith(f" user={quoted}")


@pytest.mark.parametrize("formatter", [LogfmtFormatter(), JSONFormatter()])
def test_a_field_without_a_value_is_left_out(formatter: logging.Formatter) -> None:
    assert "reason" not in formatter.format(make_record(reason=None, bytes=0))


def test_json_is_one_object_a_line() -> None:
    record = make_record("transfer", path="/a\nb\udcff", bytes=5, where=Path("/x"))
    text = JSONFormatter().format(record)
    assert "\n" not in text
    fields = json.loads(text)
    assert (fields["event"], fields["path"], fields["bytes"], fields["where"]) == ("transfer", "/a\nb\udcff", 5, "/x")


@pytest.mark.parametrize("formatter", [LogfmtFormatter(), JSONFormatter()])
@pytest.mark.parametrize("name", ["password", "password_hash", "refresh_token", "passphrase", "client_secret"])
def test_secrets_are_masked(formatter: logging.Formatter, name: str) -> None:
    text = formatter.format(make_record(**{name: "correct horse"}))
    assert "correct" not in text
    assert "***" in text


def test_a_field_cannot_replace_what_the_log_says_itself() -> None:
    assert 'logger=cloudalpha.test_logs event=event logger_=mine time_="1 2"' in logfmt(logger="mine", time="1 2")


@pytest.mark.expects_warnings
def test_the_traceback_is_in_the_same_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    error = ValueError("what")
    log_event(LOGGER, "failed", level=logging.ERROR, exc_info=error, user="a")
    line = LogfmtFormatter().format(caplog.records[0])
    assert "ValueError: what" in line
    assert "\n" not in line


def test_what_is_below_the_level_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log_event(LOGGER, "transfer")
    assert caplog.records == []


def test_logs_go_to_a_private_file_that_may_be_moved_away(root_logger: logging.Logger, tmp_path: Path) -> None:
    file = tmp_path / "log"
    configure_logs("info", "json", file)
    log_event(LOGGER, "one")
    file.rename(tmp_path / "log.1")
    log_event(LOGGER, "two")
    assert json.loads((tmp_path / "log.1").read_text())["event"] == "one"
    assert json.loads(file.read_text())["event"] == "two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.expects_warnings
def test_configuring_again_replaces(
    root_logger: logging.Logger, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    configure_logs("info", "json", tmp_path / "log")
    configure_logs("warning", "logfmt")
    log_event(LOGGER, "hidden")
    log_event(LOGGER, "shown", level=logging.WARNING)
    assert (tmp_path / "log").read_text() == ""
    error = capfd.readouterr().err
    assert "event=shown" in error
    assert "hidden" not in error


def test_libraries_tell_no_more_than_warnings(root_logger: logging.Logger, tmp_path: Path) -> None:
    configure_logs("debug", "logfmt", tmp_path / "log")
    logging.getLogger("pyftpdlib").info("-> PASS secret")
    logging.getLogger("asyncssh").info("connection")
    assert (tmp_path / "log").read_text() == ""


def test_a_file_that_cannot_be_written_is_an_error(root_logger: logging.Logger, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        configure_logs(file=tmp_path / "missing" / "log")
