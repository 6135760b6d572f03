from __future__ import annotations

import pytest
from pydantic import ValidationError

from cloudalpha.managers.ftp.settings import FTPSettings


def test_tls_is_required_where_others_can_listen() -> None:
    assert FTPSettings().get_tls() == "optional"
    assert FTPSettings(host="::1").get_tls() == "optional"
    assert FTPSettings(host="localhost").get_tls() == "optional"
    assert FTPSettings(host="0.0.0.0").get_tls() == "required"  # noqa: S104
    assert FTPSettings(host="::").get_tls() == "required"
    assert FTPSettings(host="files.example.org").get_tls() == "required"
    assert FTPSettings(host="files.example.org", tls="off").get_tls() == "off"


@pytest.mark.parametrize("value", ["", "a-b", "5", "30100-30000", "30000-70000", "80-90", "-1"])
def test_bad_passive_ports_are_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        FTPSettings(passive_ports=value)


def test_passive_ports() -> None:
    assert FTPSettings().get_passive_ports() == range(30000, 30101)
    assert not FTPSettings(passive_ports="0").get_passive_ports()


def test_the_public_address_may_differ_by_network() -> None:
    settings = FTPSettings(public_address="203.0.113.5", public_addresses={"10.0.0.0/8": "10.0.0.5"})
    assert settings.get_public_address("198.51.100.1", "172.17.0.2") == "203.0.113.5"
    assert settings.get_public_address("10.1.2.3", "172.17.0.2") == "10.0.0.5"
    assert FTPSettings().get_public_address("10.1.2.3", "172.17.0.2") == "172.17.0.2"


@pytest.mark.parametrize(
    "values",
    [
        {"public_address": "here"},
        {"public_addresses": {"net": "1.2.3.4"}},
        {"tls": "maybe"},
        {"tls_key": "key.pem"},
        {"idle_timeout": 0},
        {"max_line": "1 MiB"},
        {"hash_algorithm": "sha256"},
        {"no_such": 1},
    ],
)
def test_bad_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FTPSettings(**values)  # type: ignore[arg-type]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in FTPSettings.model_fields.values())
