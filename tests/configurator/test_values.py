from __future__ import annotations

from pathlib import Path

import pytest

from cloudalpha.configurator.loader import load
from cloudalpha.exceptions import SettingError
from tests.configurator.test_loader import BUCKET, WHOLE, find_mistakes, read


class TestEnvironment:
    def test_it_overrides_the_file(self) -> None:
        environ = {
            "CLOUDALPHA_MANAGERS__STUB__PORT": "4000",
            "CLOUDALPHA_STATE_DIR": "/elsewhere",
            "CLOUDALPHA_LOG__FORMAT": "json",
            "CLOUDALPHA_ACCOUNTS__PHOTOS__TRACING__LABEL": "y",
            "CLOUDALPHA_ACCOUNTS__PHOTOS__LAYERS": '["tracing"]',
            "CLOUDALPHA_USERS__ALICE__MOUNTS": '{ "/" = "scratch:/" }',
            "CLOUDALPHA_USERS__ALICE__ENABLED": "false",
        }
        configuration = read(WHOLE, environ)
        assert configuration.managers["stub"].settings.port == 4000  # type: ignore[attr-defined]
        assert configuration.state_dir == Path("/elsewhere")
        assert configuration.log.format == "json"
        (layer,) = configuration.accounts["photos"].layers
        assert layer.options.label == "y"  # type: ignore[attr-defined]
        assert configuration.users["alice"].mounts == {"/": "scratch:/"}
        assert configuration.users["alice"].enabled is False

    def test_it_can_add_a_section(self) -> None:
        environ = {"CLOUDALPHA_ACCOUNTS__NEW__SERVICE": "memory", "CLOUDALPHA_MANAGERS__STUB__PORT": "1"}
        configuration = read("", environ)
        assert list(configuration.accounts) == ["new"]
        assert list(configuration.managers) == ["stub"]

    def test_letter_case_is_that_of_the_file(self) -> None:
        text = '[accounts.Photos]\nservice = "memory"\n'
        assert list(read(text, {"CLOUDALPHA_ACCOUNTS__PHOTOS__MAX_SIZE": "5 MiB"}).accounts) == ["Photos"]

    @pytest.mark.parametrize(
        ("variable", "mistake"),
        [
            (
                "CLOUDALPHA_MANAGERS__STUB__PROT",
                "environment CLOUDALPHA_MANAGERS__STUB__PROT: [managers.stub] prot: unknown name; did you mean 'port'?",
            ),
            (
                "CLOUDALPHA_MANAGERS__STUB__PORT",
                "environment CLOUDALPHA_MANAGERS__STUB__PORT: [managers.stub] port: Input should be a valid integer, "
                "unable to parse string as an integer",
            ),
            (
                "CLOUDALPHA_MANAGER__STUB__PORT",
                "environment CLOUDALPHA_MANAGER__STUB__PORT: names no setting; did you mean 'managers'?",
            ),
            (
                "CLOUDALPHA_STATEDIR",
                "environment CLOUDALPHA_STATEDIR: names no setting; did you mean 'state_dir'?",
            ),
            (
                "CLOUDALPHA_MANAGERS__STUB__PORT__X",
                "environment CLOUDALPHA_MANAGERS__STUB__PORT__X: [managers.stub.port] is not a table",
            ),
            (
                "CLOUDALPHA_ACCOUNTS__PHOTOS__TRACING__LABLE",
                "environment CLOUDALPHA_ACCOUNTS__PHOTOS__TRACING__LABLE: [accounts.photos.tracing] lable: unknown name; did you mean 'label'?",
            ),
        ],
    )
    def test_a_mistake_names_the_variable(self, variable: str, mistake: str) -> None:
        assert find_mistakes(WHOLE, {variable: "x"}) == [mistake]

    @pytest.mark.parametrize(
        "variable", ["CLOUDALPHA_CONFIG", "CLOUDALPHA_DEMO_PASSWORD", "CLOUDALPHA_BANANA", "OTHER__X"]
    )
    def test_other_variables_are_none_of_ours(self, variable: str) -> None:
        assert read(WHOLE, {variable: "x"}).users


class TestReferences:
    TEXT = BUCKET + "passphrase = '{}'\n"

    def test_env(self) -> None:
        configuration = read(self.TEXT.format("env:KEY"), {"KEY": "from the environment"})
        assert configuration.accounts["a"].options.passphrase == "from the environment"  # type: ignore[attr-defined]

    def test_file_relative_to_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("from the file\n")
        configuration = read(self.TEXT.format("file:key"), folder=tmp_path)
        assert configuration.accounts["a"].options.passphrase == "from the file"  # type: ignore[attr-defined]

    def test_in_lists_and_tables_and_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / "mount").write_text("a:/")
        text = BUCKET + "layers = ['env:LAYER']\n[users.u]\nmounts = { '/' = 'file:mount' }"
        configuration = read(text, {"LAYER": "tracing", "CLOUDALPHA_ACCOUNTS__A__PREFIX": "env:LAYER"}, tmp_path)
        assert configuration.accounts["a"].layers[0].name == "tracing"
        assert configuration.accounts["a"].options.prefix == "tracing"  # type: ignore[attr-defined]
        assert configuration.users["u"].mounts == {"/": "a:/"}

    @pytest.mark.parametrize(
        ("reference", "problem"),
        [
            ("env:MISSING", "the environment variable MISSING is not set"),
            ("file:missing", "the file missing cannot be read: No such file or directory"),
            ("file:.", "the file . cannot be read: Is a directory"),
            ("file:large", "the file large cannot be read: it is larger than 65536 bytes"),
            ("file:binary", "the file binary cannot be read: "),
        ],
    )
    def test_what_cannot_be_had_is_one_mistake(self, tmp_path: Path, reference: str, problem: str) -> None:
        (tmp_path / "large").write_bytes(b"x" * 65537)
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        for key in ("passphrase", "bucket"):
            text = f'[accounts.a]\nservice = "bucket"\nbucket = "b"\n{key} = "{reference}"\n'
            if key == "bucket":
                text = text.replace('bucket = "b"\n', "")
            (mistake,) = find_mistakes(text, folder=tmp_path)
            assert mistake.startswith(f"the.toml: [accounts.a] {key}: {problem}")


class TestFiles:
    def test_a_file_is_found_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        (tmp_path / "home/.config/cloudalpha").mkdir(parents=True)
        (tmp_path / "home/.config/cloudalpha/cloudalpha.toml").write_text("grace_seconds = 1")
        assert load().general.grace_seconds == 1
        (tmp_path / "cloudalpha.toml").write_text("grace_seconds = 2")
        assert load().general.grace_seconds == 2
        (tmp_path / "named.toml").write_text("grace_seconds = 3")
        monkeypatch.setenv("CLOUDALPHA_CONFIG", "named.toml")
        assert load().general.grace_seconds == 3
        (tmp_path / "given.toml").write_text("grace_seconds = 4")
        assert load(Path("given.toml")).general.grace_seconds == 4

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"[managers", "is not TOML"),
            (b"a = 1\na = 2", "is not TOML"),
            (b"\xff", "is not UTF-8"),
            (b"x = " + b"[" * 100_000, "is not TOML"),
        ],
    )
    def test_a_file_that_is_no_toml(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "cloudalpha.toml"
        path.write_bytes(content)
        with pytest.raises(SettingError, match=message) as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="No such file"):
            load(tmp_path / "missing.toml")
        with pytest.raises(SettingError, match="Is a directory"):
            load(tmp_path)

    def test_no_file_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SettingError, match="cloudalpha init"):
            load()
