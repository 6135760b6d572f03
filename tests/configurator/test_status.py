from __future__ import annotations

import errno
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.configurator.status import StatusServer, read_statuses


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A folder whose name is too long for a socket's address."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    return folder


@pytest.fixture
def server(state_dir: Path) -> Iterator[StatusServer]:
    server = StatusServer(state_dir, lambda: {"pid": 5, "path": Path("/x")})
    yield server
    server.close()


def test_the_status_is_told(server: StatusServer, state_dir: Path) -> None:
    for _ in range(3):
        assert read_statuses(state_dir) == [{"pid": 5, "path": "/x"}]


def test_only_the_owner_can_ask(server: StatusServer, state_dir: Path) -> None:
    (path,) = state_dir.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_left_after_close(server: StatusServer, state_dir: Path) -> None:
    server.close()
    server.close()
    assert list(state_dir.iterdir()) == []
    assert read_statuses(state_dir) == []


def test_what_a_killed_gateway_left_behind_is_removed(server: StatusServer, state_dir: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    path = state_dir / "status.1.sock"
    folder = state_dir.parent / "s"
    folder.symlink_to(state_dir)
    dead.bind(str(folder / path.name))
    dead.close()
    assert path.exists()
    assert len(read_statuses(state_dir)) == 1
    assert not path.exists()


@pytest.mark.expects_warnings
def test_an_error_in_one_answer_does_not_end_the_others(state_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[dict[str, Any] | Exception] = [ZeroDivisionError("what"), {"pid": 6}]

    def get_status() -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = StatusServer(state_dir, get_status)
    assert read_statuses(state_dir) == []
    assert read_statuses(state_dir) == [{"pid": 6}]
    server.close()
    assert "status_failed" in caplog.messages


@pytest.mark.expects_warnings
def test_a_process_without_descriptors_answers_again_when_it_has_some(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [OSError(errno.EMFILE, "Too many open files")] * 3
    accept = socket.socket.accept

    def refuse(listener: socket.socket) -> tuple[socket.socket, Any]:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", refuse)
    server = StatusServer(state_dir, lambda: {"pid": 7})
    try:
        assert read_statuses(state_dir) == [{"pid": 7}]
    finally:
        server.close()
    assert caplog.messages.count("status_failed") == 3


def test_a_missing_folder_has_no_gateways(tmp_path: Path) -> None:
    assert read_statuses(tmp_path / "missing") == []
