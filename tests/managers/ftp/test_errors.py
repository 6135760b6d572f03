from __future__ import annotations

import logging

import pytest

from cloudalpha import exceptions
from cloudalpha.managers.ftp.errors import REPLIES, Refusal, get_reply


def _classes(base: type[Exception]) -> list[type[Exception]]:
    return [base, *(found for child in base.__subclasses__() for found in _classes(child))]


@pytest.mark.parametrize(
    "error_class", [c for c in _classes(exceptions.FileSystemError) if c.__module__ == exceptions.__name__]
)
def test_the_table_names_every_file_system_error(error_class: type[exceptions.FileSystemError]) -> None:
    assert error_class in [row[0] for row in REPLIES]
    reply = get_reply(error_class("/secret/path"))
    assert reply[0] in "45" and reply[3] == " " and "/secret/path" not in reply
    assert get_reply(error_class("/x", temporary=True))[0] in ("4", reply[0])


def test_the_most_specific_row_comes_first() -> None:
    for position, (error_class, *_) in enumerate(REPLIES):
        assert not any(issubclass(error_class, earlier) for earlier, *_ in REPLIES[:position])


def test_messages_are_one_line() -> None:
    assert get_reply(exceptions.FileSystemError("/x", "two\r\nlines")) == "550 Two lines."


@pytest.mark.expects_warnings
def test_what_is_not_for_people_is_told_by_number(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        reply = get_reply(KeyError("/home/somebody/secret"))
    assert reply.startswith("451 Internal error; the log has it as ")
    assert "secret" not in reply
    assert caplog.records[0].fields["id"] in reply  # type: ignore[attr-defined]


@pytest.mark.expects_warnings
def test_account_errors_do_not_tell_their_details(caplog: pytest.LogCaptureFixture) -> None:
    assert "key" not in get_reply(exceptions.AuthenticationFailedAccountError("key AKIA... refused"))
    assert get_reply(exceptions.RefusedManagerError("too many sessions")) == "530 Too many sessions."
    assert get_reply(Refusal("425 No.")) == "425 No."
