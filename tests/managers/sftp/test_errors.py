from __future__ import annotations

import logging

import pytest

from cloudalpha import exceptions
from cloudalpha.managers.sftp.errors import TABLE, get_status
from cloudalpha.managers.sftp.packets import BadMessageError, Status, StatusError


def get_all_classes() -> set[type[exceptions.CloudAlphaError]]:
    return {
        item
        for item in vars(exceptions).values()
        if isinstance(item, type) and issubclass(item, exceptions.CloudAlphaError)
    }


def test_the_table_names_every_class() -> None:
    assert set(TABLE) == get_all_classes()


@pytest.mark.expects_warnings
@pytest.mark.parametrize("error_class", sorted(get_all_classes(), key=lambda item: item.__name__))
def test_texts_are_for_clients(error_class: type[exceptions.CloudAlphaError]) -> None:
    path = "/secret/path"
    error = error_class(path) if issubclass(error_class, exceptions.FileSystemError) else error_class("token abc")
    status, text = get_status(error)
    assert status not in (Status.OK, Status.EOF)
    assert text
    assert "secret" not in text
    assert "token" not in text


def test_a_subclass_counts_as_its_base() -> None:
    class OddError(exceptions.NotFoundFileSystemError):
        pass

    assert get_status(OddError("/x", "gone for good")) == (Status.NO_SUCH_FILE, "gone for good")


@pytest.mark.expects_warnings
def test_what_nobody_foresaw_is_logged_with_an_id(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, text = get_status(ValueError("embedded null byte in /etc/shadow"))
    assert status == Status.FAILURE
    assert "null" not in text
    (record,) = caplog.records
    assert record.fields["id"] in text  # type: ignore[attr-defined]
    assert record.exc_info is not None


def test_own_errors() -> None:
    assert get_status(StatusError(Status.EOF, "")) == (Status.EOF, "")
    assert get_status(BadMessageError("too short")) == (Status.BAD_MESSAGE, "too short")
