"""The journal of uploads in parts, and what is made of it after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.exceptions import AccessFailedFileSystemError
from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.services.s3.uploads import Uploads
from tests.servers.s3_server import S3Server
from tests.services.s3.connecting import connect

OWNER = "account:s3"
GONE = "another boot:1:1"


@pytest.fixture(scope="session")
def s3_server(moto_server: S3Server) -> S3Server:
    return moto_server


@pytest.fixture
def files(s3_account: Callable[..., Any], s3_server: S3Server) -> S3FileSystem:
    return connect(s3_account(), s3_server)


@pytest.fixture
def uploads(files: S3FileSystem) -> Uploads:
    return files._uploads


@pytest.fixture
def begin(raw: Any, bucket: str) -> Callable[[str], str]:
    def begin(key: str) -> str:
        upload_id: str = raw.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        return upload_id

    return begin


def list_uploads(raw: Any, bucket: str) -> set[str]:
    return {upload["UploadId"] for upload in raw.list_multipart_uploads(Bucket=bucket).get("Uploads", [])}


def set_entry(files: S3FileSystem, upload_id: str, **changes: str) -> None:
    data_store = files._context.data_store
    entry = data_store.get_value(OWNER, f"upload:{upload_id}")
    data_store.set_value(OWNER, f"upload:{upload_id}", entry | changes)


def test_only_uploads_of_processes_that_are_gone_are_aborted(
    files: S3FileSystem, uploads: Uploads, begin: Callable[[str], str], raw: Any, bucket: str
) -> None:
    left, given_up, mine, foreign, elsewhere = (begin(key) for key in "abcde")
    for key, upload_id in zip("abce", (left, given_up, mine, elsewhere), strict=True):
        uploads.add(key, upload_id)
    set_entry(files, left, process=GONE)
    uploads.give_up("b", given_up)
    set_entry(files, elsewhere, process=GONE, storage="https://elsewhere.example other")
    assert uploads.abort_leftovers(threading.Event()) == 2
    assert list_uploads(raw, bucket) == {mine, foreign, elsewhere}
    keys = {key for key, _ in files._context.data_store.items(OWNER) if key.startswith("upload:")}
    assert keys == {f"upload:{mine}", f"upload:{elsewhere}"}
    assert uploads.abort_leftovers(threading.Event()) == 0


def test_an_upload_that_is_gone_already_is_struck_out(files: S3FileSystem, uploads: Uploads) -> None:
    uploads.add("key", "never-begun")
    set_entry(files, "never-begun", process=GONE)
    assert uploads.abort_leftovers(threading.Event()) == 1
    assert uploads._find_leftovers() == []


def test_one_that_cannot_be_aborted_keeps_no_other(
    files: S3FileSystem, uploads: Uploads, begin: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(begin("key") for _ in range(3))
    for upload_id in ids:
        uploads.add("key", upload_id)
        set_entry(files, upload_id, process=GONE)
    abort = files._bucket.abort_upload

    def fail_first(key: str, path: str, upload_id: str) -> None:
        if upload_id == ids[0]:
            raise AccessFailedFileSystemError(path, "not this one")
        abort(key, path, upload_id)

    with monkeypatch.context() as patch:
        patch.setattr(files._bucket, "abort_upload", fail_first)
        assert uploads.abort_leftovers(threading.Event()) == 2
    assert uploads.abort_leftovers(threading.Event()) == 1


def test_a_sweep_that_is_stopped_leaves_the_rest(
    files: S3FileSystem, uploads: Uploads, begin: Callable[[str], str]
) -> None:
    upload_id = begin("key")
    uploads.add("key", upload_id)
    set_entry(files, upload_id, process=GONE)
    stopped = threading.Event()
    stopped.set()
    assert uploads.abort_leftovers(stopped) == 0
    assert [name for name, _ in uploads._find_leftovers()] == [f"upload:{upload_id}"]


def test_a_state_that_cannot_be_written_is_an_error_and_leaves_no_upload(
    files: S3FileSystem, raw: Any, bucket: str
) -> None:
    files._leftovers.wait()
    files._context.data_store.close()
    with files.create_new_file("/file") as new_file, pytest.raises(AccessFailedFileSystemError, match="state"):
        new_file.write(bytes(9 << 20))
    assert list_uploads(raw, bucket) == set()


def test_an_upload_that_is_refused_leaves_nothing_in_the_journal(files: S3FileSystem, uploads: Uploads) -> None:
    def refuse() -> str:
        raise AccessFailedFileSystemError("/key", "no")

    with pytest.raises(AccessFailedFileSystemError, match="no"):
        uploads.begin("key", "/key", refuse)
    assert not [key for key, _ in files._context.data_store.items(OWNER) if key.startswith(("begin:", "upload:"))]


PROGRAM = """
import sys
from pathlib import Path
from cloudalpha.data_store import DataStore
from cloudalpha.services.s3.account import S3Account

options = S3Account.options_class.model_validate_json(sys.argv[1])
account = S3Account("s3", options, S3Account.settings_class(), DataStore(Path(sys.argv[2])))
new_file = account.file_system.create_new_file("/file")
new_file.write(bytes(20 << 20))
print("written", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_aborted_at_the_next_start(
    s3_account: Callable[..., Any], s3_server: S3Server, raw: Any, bucket: str, tmp_path: Path
) -> None:
    account = s3_account()
    connect(account, s3_server)
    foreign = raw.create_multipart_upload(Bucket=bucket, Key="foreign")["UploadId"]
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, account.options.model_dump_json(), str(tmp_path / "state")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    with program:
        assert program.stdout is not None and program.stdout.readline() == b"written\n"
        assert len(list_uploads(raw, bucket)) == 2
        beside = connect(s3_account(), s3_server)  # while it runs, nobody touches it
        beside._leftovers.wait()
        assert len(list_uploads(raw, bucket)) == 2
        program.send_signal(signal.SIGKILL)
        program.wait()
    connect(account := s3_account(), s3_server)._leftovers.wait()
    assert list_uploads(raw, bucket) == {foreign}
    assert not [key for key, _ in account.data_store.items(OWNER) if key.startswith("upload:")]
