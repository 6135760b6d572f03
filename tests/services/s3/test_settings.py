from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from cloudalpha.services.s3.settings import S3Options, S3Settings

KEYS = {"access_key_id": "AK", "secret_access_key": "hush"}
CUSTOMER_KEY = base64.b64encode(bytes(32)).decode()

WRONG = [
    {"bucket": ""},
    {"prefix": "/a"},
    {"prefix": "x" * 513},
    {"endpoint_url": "s3.example.org"},
    {"endpoint_url": "ftp://s3.example.org"},
    {"endpoint_url": "https://user:hush@s3.example.org"},
    {"endpoint_url": "https://s3.example.org/bucket"},
    {"access_key_id": "AK"},
    {"secret_access_key": "hush"},
    {"session_token": "hush"},
    {"anonymous": True, **KEYS},
    {"anonymous": True, "profile": "work"},
    {"profile": "work", **KEYS},
    {"role_external_id": "id"},
    {"role_endpoint_url": "https://sts.example.org"},
    {"kms_key_id": "key"},
    {"kms_key_id": "key", "server_side_encryption": "AES256"},
    {"customer_key": "hush"},
    {"customer_key": base64.b64encode(b"short").decode()},
    {"customer_key": CUSTOMER_KEY, "server_side_encryption": "AES256"},
    {"customer_key": CUSTOMER_KEY, "endpoint_url": "http://s3.example.org"},
    {"server_side_encryption": "rot13"},
    {"addressing_style": "sideways"},
    {"listing_times": "guessed"},
    {"buket": "b"},
]


@pytest.mark.parametrize("options", WRONG, ids=lambda options: "+".join(options))
def test_refused_without_telling_a_secret(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as info:
        S3Options(**{"bucket": "b", **options})  # type: ignore[arg-type]
    assert "hush" not in str(info.value)


@pytest.mark.parametrize(("given", "prefix"), [("", ""), ("a", "a/"), ("a/", "a/"), ("a/b", "a/b/"), ("é", "é/")])
def test_a_prefix_is_a_folder(given: str, prefix: str) -> None:
    assert S3Options(bucket="b", prefix=given).prefix == prefix


def test_secrets_are_masked() -> None:
    options = S3Options(bucket="b", customer_key=CUSTOMER_KEY, session_token="hush", **KEYS)  # type: ignore[arg-type]
    assert "hush" not in repr(options)
    assert CUSTOMER_KEY not in repr(options)


@pytest.mark.parametrize(
    ("name", "value"),
    [("part_size", "4 MiB"), ("part_size", "1 GiB"), ("parts_in_flight", 0), ("range_size", 1), ("attempts", 0), ("read_timeout", 0)],
)  # fmt: skip
def test_settings_have_bounds(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        S3Settings(**{name: value})
