from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from cloudalpha.exceptions import InvalidSettingError, UnknownSettingError
from cloudalpha.settings import Duration, Options, Settings, Size


class ExampleSettings(Settings):
    port: int = Field(2121, ge=0, le=65535)
    idle_timeout: Duration = 300.0
    buffer_size: Size = 1024


class ExampleOptions(Options):
    size: Size = 0
    wait: Duration = 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (5, 5),
        ("5", 5),
        ("0", 0),
        ("1 KB", 1000),
        ("1k", 1000),
        ("1KiB", 1024),
        ("20 GiB", 20 * 1024**3),
        ("1.5 MB", 1_500_000),
        ("2TiB", 2 * 1024**4),
        ("7b", 7),
        (" 3 mib ", 3 * 1024**2),
    ],
)
def test_sizes(text: object, expected: int) -> None:
    assert ExampleOptions.model_validate({"size": text}).size == expected


@pytest.mark.parametrize(
    "text", ["", "much", "5 bananas", "-1", "1 2", "5,5 MB", "0x10", "9" * 400, -1, 1.5, None, [], "١ GiB"]
)
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValidationError):
        ExampleOptions.model_validate({"size": text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (5, 5.0),
        ("5", 5.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("250 ms", 0.25),
        ("1.5s", 1.5),
        ("2d", 172800.0),
        ("1w", 604800.0),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_durations(text: object, expected: float) -> None:
    assert ExampleOptions.model_validate({"wait": text}).wait == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "5 bananas", "-1s", "h5", "5M", "5 5", "1h30", "9" * 400, -1, float("inf"), float("nan"), None, []],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValidationError):
        ExampleOptions.model_validate({"wait": text})


@given(st.text())
def test_any_other_text_is_refused_and_not_an_accident(text: str) -> None:
    for name in ("size", "wait"):
        try:
            ExampleOptions.model_validate({name: text})
        except ValidationError:
            continue


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValidationError):
        ExampleOptions.model_validate({"sise": 1})
    with pytest.raises(ValidationError):
        ExampleSettings(prot=1)  # type: ignore[call-arg]


def test_an_error_does_not_repeat_the_value() -> None:
    with pytest.raises(ValidationError) as caught:
        ExampleSettings(port="correct horse")
    assert "correct" not in str(caught.value)


def test_options_do_not_change() -> None:
    with pytest.raises(ValidationError):
        ExampleOptions().size = 5  # type: ignore[misc]


def test_set_changes_one_setting() -> None:
    settings = ExampleSettings()
    settings.set("port", 2222)
    settings.set("idle_timeout", "5m")
    assert (settings.port, settings.idle_timeout) == (2222, 300.0)


def test_set_of_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownSettingError, match="prot: no such setting; there are: buffer_size, idle_timeout, port"):
        ExampleSettings().set("prot", 1)
    with pytest.raises(UnknownSettingError):
        ExampleSettings().set("model_config", {})


def test_set_of_a_wrong_value_leaves_the_old_one() -> None:
    settings = ExampleSettings()
    with pytest.raises(InvalidSettingError, match="port"):
        settings.set("port", 99999)
    assert settings.port == 2121


def test_the_environment_does_not_reach_settings_past_the_configurator(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "CLOUDALPHA_SETTINGS__PORT", "CLOUDALPHA_PORT"):
        monkeypatch.setenv(name, "1")
    assert ExampleSettings().port == 2121


class SecretOptions(Options):
    passphrase: str = ""
    app_key: str = ""
    quiet: str = Field("", repr=False)
    tls_key: Path = Path("/etc/key.pem")
    public_keys: tuple[str, ...] = ()


class SecretSettings(Settings):
    client_secret: str = ""


def test_secrets_are_not_in_repr() -> None:
    options = SecretOptions(passphrase="correct", app_key="horse", quiet="battery", public_keys=("ssh-ed25519 AAAA",))
    text = repr(options) + str(options) + repr(SecretSettings(client_secret="staple"))
    for secret in ("correct", "horse", "battery", "staple"):
        assert secret not in text
    assert "passphrase='***'" in text
    assert "/etc/key.pem" in text
    assert "AAAA" in text
