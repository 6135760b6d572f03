"""Accounts: connecting, and what the server can do, found out by asking it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import (
    AccessFailedFileSystemError,
    AccountError,
    AuthenticationFailedAccountError,
    PermissionDeniedFileSystemError,
)
from cloudalpha.services.s3.account import S3Account
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.card import Card
from cloudalpha.services.s3.requests import PROBE_FOLDER
from tests.servers.chaos_proxy import ChaosProxy, Fault
from tests.servers.s3_server import S3Server

Make = Callable[..., S3Account]

QUICK = {"attempts": 2, "max_retry_time": "1s", "connect_timeout": "2s", "read_timeout": "2s"}


@pytest.fixture(scope="session")
def s3_server(moto_server: S3Server) -> S3Server:
    return moto_server


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"secret_access_key": "wrong-secret"}, AuthenticationFailedAccountError, "secret_access_key"),
        ({"access_key_id": "AKWRONG"}, AuthenticationFailedAccountError, "access_key_id"),
        ({"bucket": "nobody-has-it"}, AccountError, "create_bucket = true"),
        ({"endpoint_url": "http://127.0.0.1:1"}, AccessFailedFileSystemError, "endpoint_url"),
        ({"access_key_id": None, "secret_access_key": None, "profile": "none"}, AccountError, "profile"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    s3_account: Make, options: dict[str, Any], error_class: type[Exception], words: str
) -> None:
    with pytest.raises(error_class, match=words) as info:
        s3_account(settings=QUICK, **options).file_system  # noqa: B018 - asking for it connects
    assert type(info.value) is error_class
    assert "wrong-secret" not in str(info.value)


def test_no_credentials_anywhere(s3_account: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "missing"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AuthenticationFailedAccountError, match="role of the machine"):
        s3_account(access_key_id=None, secret_access_key=None).file_system  # noqa: B018


def test_create_bucket(s3_account: Make, raw: Any, bucket: str) -> None:
    name = bucket + "-made"
    s3_account(bucket=name, create_bucket=True).file_system.write_all("/a", b"1")
    s3_account("again", bucket=name, create_bucket=True).file_system.read_all("/a")
    raw.delete_object(Bucket=name, Key="a")
    raw.delete_bucket(Bucket=name)


def test_probing_leaves_nothing_behind(s3_account: Make, raw: Any, bucket: str) -> None:
    account = s3_account(prefix="team")
    account.file_system  # noqa: B018
    account.get_card()
    assert "Contents" not in raw.list_objects_v2(Bucket=bucket)
    assert "Uploads" not in raw.list_multipart_uploads(Bucket=bucket)


def test_probed_once_for_a_bucket(s3_account: Make, s3_server: S3Server, bucket: str, chaos: ChaosProxy) -> None:
    url = chaos.endpoint_url
    s3_account(endpoint_url=url).file_system  # noqa: B018
    probed = len(chaos.requests)
    s3_account(endpoint_url=url).file_system  # noqa: B018
    assert probed > 20
    assert len(chaos.requests) - probed == 1
    s3_account(endpoint_url=url, prefix="other").file_system  # noqa: B018
    assert len(chaos.requests) - probed > 20


def test_the_card_for_people(s3_account: Make) -> None:
    card = s3_account().get_card()
    assert set(card) == set(Card().to_json())
    assert card["put_if_none_match"] == "yes"
    assert card["versioning"] == "off"
    assert all(isinstance(value, str) for value in card.values())


def test_a_server_that_takes_conditions_and_ignores_them_is_found_out(
    s3_account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Bucket.put

    def put(self: Bucket, *args: Any, **kwargs: Any) -> Any:
        return inner(self, *args, **{**kwargs, "if_none_match": False, "if_match": None})

    monkeypatch.setattr(Bucket, "put", put)
    card = s3_account().get_card()
    assert (card["put_if_none_match"], card["put_if_match"], card["metadata"]) == ("no", "no", "yes")


def test_credentials_that_may_only_read(s3_account: Make, raw: Any, bucket: str, chaos: ChaosProxy) -> None:
    raw.put_object(Bucket=bucket, Key="a", Body=b"there", Metadata={"mtime": "86400"})
    raw.put_object(Bucket=bucket, Key="folder/", Body=b"")
    chaos.add(Fault("answer", methods=("PUT", "POST", "DELETE"), status=403, code="AccessDenied"))
    file_system = s3_account(endpoint_url=chaos.endpoint_url).file_system
    assert file_system.read_all("/a") == b"there"
    assert sorted(entry.name for entry in file_system.list_dir("/")) == ["a", "folder"]
    modified = file_system.get_metadata("/a").modified_datetime
    assert modified is not None
    assert modified.year == 1970
    assert not file_system.capabilities.atomic_condition
    with pytest.raises(PermissionDeniedFileSystemError):
        file_system.write_all("/b", b"x")
    with pytest.raises(PermissionDeniedFileSystemError):
        file_system.delete("/a")


def test_a_card_of_another_version_is_not_believed() -> None:
    assert Card.from_json(Card(copy=True).to_json()) == Card(copy=True)
    for value in (None, [], {}, {**Card().to_json(), "new": True}, {"copy": True}):
        assert Card.from_json(value) is None


def test_probe_objects_have_a_folder_of_their_own(
    s3_account: Make, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    for name in ("put", "delete", "create_upload", "copy_part"):
        inner = getattr(Bucket, name)

        def note(self: Bucket, key: str, *args: Any, _inner: Any = inner, **kwargs: Any) -> Any:
            seen.add(key)
            return _inner(self, key, *args, **kwargs)

        monkeypatch.setattr(Bucket, name, note)
    s3_account(prefix="team").get_card()
    assert seen
    assert all(key.startswith("team/" + PROBE_FOLDER) for key in seen)


def test_nothing_imports_boto3_before_an_account_connects() -> None:
    code = (
        "import sys; import cloudalpha.services.s3.account as account;"
        "account.S3Account('s3', account.S3Options(bucket='b'), account.S3Settings(), None);"
        "print([name for name in sys.modules if name.partition('.')[0] in ('boto3', 'botocore')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_no_secret_is_kept_in_clear(s3_account: Make, tmp_path: Path, s3_server: S3Server) -> None:
    s3_account().file_system  # noqa: B018
    store = DataStore(tmp_path / "state")
    text = json.dumps(store.items("account:s3"))
    store.close()
    assert s3_server.secret_key not in text
    assert s3_server.access_key not in text
