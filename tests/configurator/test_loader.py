from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudalpha.configurator.configuration import Configuration
from cloudalpha.configurator.loader import load_values
from cloudalpha.exceptions import SettingError
from tests.configurator.samples import BucketAccount, StubManager, TracingLayer, make_plug_ins

WHOLE = """
state_dir = "/var/lib/somewhere"
grace_seconds = "5m"
[log]
level = "debug"
[defence]
ban_threshold = 3
[open_files]
read_ahead = "1 MiB"
[managers.stub]
port = 3000
[managers.other]
port = 3001
[services.bucket]
timeout = "1m"
retry = { max_tries = 5 }
[accounts.photos]
service = "bucket"
bucket = "b"
part_size = "1 KiB"
layers = ["outer", "tracing"]
[accounts.photos.tracing]
label = "x"
[accounts.scratch]
service = "memory"
[users.alice]
mounts = { "/" = "photos:/", "/tmp" = "scratch:/" }
allowed_managers = ["stub"]
"""


def read(text: str, environ: Mapping[str, str] | None = None, folder: Path = Path()) -> Configuration:
    return load_values(tomllib.loads(text), "the.toml", folder, environ or {}, make_plug_ins())


def find_mistakes(text: str, environ: Mapping[str, str] | None = None, folder: Path = Path()) -> list[str]:
    with pytest.raises(SettingError) as caught:
        read(text, environ, folder)
    return str(caught.value).splitlines()


def test_a_whole_configuration() -> None:
    configuration = read(WHOLE)
    assert configuration.state_dir == Path("/var/lib/somewhere")
    assert configuration.general.grace_seconds == 300
    assert configuration.log.level == "debug"
    assert configuration.defence.ban_threshold == 3
    assert configuration.open_files.read_ahead == 1024**2
    assert configuration.managers["stub"].manager_class is StubManager
    assert [manager.settings.port for manager in configuration.managers.values()] == [3000, 3001]  # type: ignore[attr-defined]
    photos = configuration.accounts["photos"]
    assert photos.account_class is BucketAccount
    assert photos.options.bucket == "b"  # type: ignore[attr-defined]
    assert [layer.name for layer in photos.layers] == ["outer", "tracing"]
    assert photos.layers[1].layer_class is TracingLayer
    assert photos.layers[1].options.label == "x"  # type: ignore[attr-defined]
    assert configuration.services["bucket"].timeout == 60  # type: ignore[attr-defined]
    assert configuration.services["bucket"].retry.max_tries == 5  # type: ignore[attr-defined]
    assert "memory" in configuration.services
    assert list(configuration.users) == ["alice"]


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [("", {}, 256), ("transfer_memory = '1 GiB'", {}, 1024), ("", {"CLOUDALPHA_TRANSFER_MEMORY": "32 MiB"}, 32)],
)
def test_transfer_memory(text: str, environ: dict[str, str], expected: int) -> None:
    configuration = read(text, environ)
    assert configuration.general.transfer_memory == configuration.describe()["transfer_memory"] == expected << 20
    assert find_mistakes("transfer_memory = 1000")


def test_an_empty_one_is_valid() -> None:
    configuration = read("")
    assert configuration.managers == {}
    assert configuration.state_dir.name == "cloudalpha"


BUCKET = '[accounts.a]\nservice = "bucket"\nbucket = "b"\n'


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("stat_dir = '/x'", "the.toml: stat_dir: unknown name; did you mean 'state_dir'?"),
        ("[acounts.a]\nservice = 'x'", "the.toml: acounts: unknown name; did you mean 'accounts'?"),
        (
            "grace_seconds = 'soon'",
            "the.toml: grace_seconds: not a duration: 'soon'; write for example '30s', '5m' or '24h'",
        ),
        ("managers = 5", "the.toml: managers: must be a table"),
        ("services = 5\n" + BUCKET, "the.toml: services: must be a table"),
        ("services = 'env:NOT_SET'\n" + BUCKET, "the.toml: services: the environment variable NOT_SET is not set"),
        ("[managers]\nstub = 5", "the.toml: [managers] stub: must be a table"),
        ("log = []", "the.toml: log: must be a table"),
        ("[log]\nlevle = 'x'", "the.toml: [log] levle: unknown name; did you mean 'level'?"),
        ("[log]\nlevel = 'loud'", "the.toml: [log] level: Input should be 'debug', 'info', 'warning' or 'error'"),
        (
            "[defence]\nban_treshold = 5",
            "the.toml: [defence] ban_treshold: unknown name; did you mean 'ban_threshold'?",
        ),
        ("[open_files]\nreadahead = 5", "the.toml: [open_files] readahead: unknown name; did you mean 'read_ahead'?"),
        ("[managers.stubb]", "the.toml: [managers.stubb]: no manager is called 'stubb'; did you mean 'stub'?"),
        ("[managers.stub]\nprot = 1", "the.toml: [managers.stub] prot: unknown name; did you mean 'port'?"),
        (
            "[managers.stub]\nport = 'many'",
            "the.toml: [managers.stub] port: Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            "[managers.stub]\nport = 70000",
            "the.toml: [managers.stub] port: Input should be less than or equal to 65535",
        ),
        (
            "[managers.stub]\n_env_file = 'x'",
            "the.toml: [managers.stub] _env_file: unknown name; there is: fail, host, implicit_port, port",
        ),
        ("[services.buckt]", "the.toml: [services.buckt]: no service is called 'buckt'; did you mean 'bucket'?"),
        (
            "[services.bucket]\napp_kee = 1",
            "the.toml: [services.bucket] app_kee: unknown name; did you mean 'app_key'?",
        ),
        (
            "[services.bucket.retry]\nmax_trys = 1",
            "the.toml: [services.bucket] retry.max_trys: unknown name; did you mean 'max_tries'?",
        ),
        ("[accounts.a]", "the.toml: [accounts.a] service: is missing; there is: bucket, memory"),
        (
            "[accounts.a]\nservice = 5",
            "the.toml: [accounts.a] service: must be the name of a service; there is: bucket, memory",
        ),
        (
            "[accounts.a]\nservice = 'bukcet'",
            "the.toml: [accounts.a] service: no service is called 'bukcet'; did you mean 'bucket'?",
        ),
        ("[accounts.a]\nservice = 'bucket'", "the.toml: [accounts.a] bucket: is missing"),
        (BUCKET + "prefx = 'x'", "the.toml: [accounts.a] prefx: unknown name; did you mean 'prefix'?"),
        (
            BUCKET + "part_size = 'big'",
            "the.toml: [accounts.a] part_size: not a size: 'big'; write for example '20 GiB' or '500 MB'",
        ),
        (
            BUCKET + "layers = 'tracing'",
            'the.toml: [accounts.a] layers: must be a list of names, like ["metadata_cache"]',
        ),
        (
            BUCKET + "layers = ['tracin']",
            "the.toml: [accounts.a] layers: no layer is called 'tracin'; did you mean 'tracing'?",
        ),
        (BUCKET + "layers = ['tracing', 'tracing']", "the.toml: [accounts.a] layers: names a layer twice"),
        (
            BUCKET + "layers = ['tracing']\ntracing = 5",
            "the.toml: [accounts.a] tracing: must be a table: the options of the layer",
        ),
        (
            BUCKET + "layers = ['tracing']\n[accounts.a.tracing]\nlable = 'x'",
            "the.toml: [accounts.a.tracing] lable: unknown name; did you mean 'label'?",
        ),
        (
            BUCKET + "[accounts.a.tracing]\nlabel = 'x'",
            "the.toml: [accounts.a] tracing: has options for a layer that `layers` does not name",
        ),
        (
            '[accounts."../a"]\nservice = "memory"',
            "the.toml: [accounts.../a]: not a name for an account; take 1 to 64 of A-Z a-z 0-9 _ . -",
        ),
        (
            BUCKET + "[users.u]\nmounts = { '/' = 'b:/' }",
            "the.toml: [users.u] mounts./: no account is called 'b'; there is: a",
        ),
        (
            BUCKET + "[accounts.photos]\nservice = 'memory'\n[users.u]\nmounts = { '/' = 'photo:/' }",
            "the.toml: [users.u] mounts./: no account is called 'photo'; did you mean 'photos'?",
        ),
        (
            BUCKET + "[users.u]\nmounts = { '/' = 'a:/' }\nallowed_managers = ['stup']",
            "the.toml: [users.u] allowed_managers: no manager is called 'stup'; did you mean 'stub'?",
        ),
        ("[users.u]", "the.toml: [users.u] mounts: is missing"),
        (
            BUCKET + "[users.u]\nmounts = { '/' = 'a:/' }\nenabeld = true",
            "the.toml: [users.u] enabeld: unknown name; did you mean 'enabled'?",
        ),
        (
            "[managers.stub]\nport = 3000\n[managers.other]\nport = 3000",
            "the.toml: [managers.other] port: port 3000 is taken by `port` of [managers.stub] already",
        ),
        (
            "[managers.stub]\nport = 3000\nhost = '0.0.0.0'\n[managers.other]\nport = 3000",
            "the.toml: [managers.other] port: port 3000 is taken by `port` of [managers.stub] already",
        ),
        (
            "[managers.stub]\nport = 3000\nimplicit_port = 3000",
            "the.toml: [managers.stub] implicit_port: port 3000 is taken by `port` of [managers.stub] already",
        ),
    ],
)
def test_each_mistake_is_one_line_that_names_file_section_key_and_the_nearest_name(text: str, mistake: str) -> None:
    assert find_mistakes(text) == [mistake]


@pytest.mark.parametrize("name", ["a b", "..", "x" * 65, "a/b", "é", "a\\nb"])
def test_user_names(name: str) -> None:
    (mistake,) = find_mistakes(BUCKET + f'[users."{name}"]\nmounts = {{ "/" = "a:/" }}')
    assert "no name for a user" in mistake
    assert mistake.isprintable()


def test_all_mistakes_in_one_run() -> None:
    mistakes = find_mistakes(
        "stat_dir = 1\n[managers.stub]\nprot = 1\nport = 'x'\n[accounts.a]\nservice = 'nope'\n[accounts.b]\nservice = 'memory'\nx = 1\n"
        "[users.u]\nmounts = { '/' = 'c:/' }\n[users.v]\nmounts = 5\n"
    )
    assert len(mistakes) == 7, mistakes
    assert all(mistake.startswith("the.toml: ") for mistake in mistakes)


def test_a_mistake_in_an_account_is_no_second_one_where_it_is_mounted() -> None:
    assert len(find_mistakes("[accounts.a]\nservice = 'nope'\n[users.u]\nmounts = { '/' = 'a:/' }")) == 1


@pytest.mark.parametrize(
    "managers",
    [
        "[managers.stub]\nport = 0\n[managers.other]\nport = 0",
        "[managers.stub]\nport = 3000\n[managers.other]\nport = 3000\nhost = '127.0.0.2'",
    ],
)
def test_ports_that_are_not_taken_twice(managers: str) -> None:
    assert len(read(managers).managers) == 2


def test_a_mistake_does_not_repeat_a_secret() -> None:
    text = (
        BUCKET
        + "passphrase = 'env:SECRET'\npart_size = 'env:SECRET'\n[users.u]\nmounts = {'/' = 'a:/'}\npassword_hash = 'env:SECRET'"
    )
    mistakes = find_mistakes(text, {"SECRET": "correct horse"})
    assert any("password_hash" in mistake for mistake in mistakes)
    assert not any("horse" in mistake for mistake in mistakes if "part_size" not in mistake)


def test_described_values_are_effective_and_secrets_are_masked() -> None:
    text = (
        WHOLE.replace('timeout = "1m"', 'timeout = "1m"\napp_key = "correct"')
        .replace('bucket = "b"', 'bucket = "env:BUCKET"\npassphrase = "horse"')
        .replace('label = "x"', 'label = "x"\nkey = "battery"')
    )
    described = read(text, {"BUCKET": "staple"}).describe()
    assert described["accounts"]["photos"]["bucket"] == "***"
    assert described["accounts"]["photos"]["passphrase"] == "***"
    assert described["accounts"]["photos"]["part_size"] == 1024
    assert described["accounts"]["photos"]["tracing"] == {"label": "x", "key": "***"}
    assert described["managers"]["stub"]["port"] == 3000
    assert described["log"]["format"] == "logfmt"
    assert described["users"]["alice"]["mounts"] == {"/": "photos:/", "/tmp": "scratch:/"}
    for secret in ("correct", "horse", "battery", "staple"):
        assert secret not in str(described)
        assert secret not in repr(read(text, {"BUCKET": "staple"})).replace("bucket='staple'", "")


NAMES = st.sampled_from(
    [
        "managers",
        "services",
        "accounts",
        "users",
        "log",
        "defence",
        "open_files",
        "state_dir",
        "stub",
        "bucket",
        "service",
        "layers",
        "tracing",
        "mounts",
        "port",
        "host",
        "a",
        "alice",
        "permissions",
        "password_hash",
        "/",
        "home",
        "expires",
        "retry",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "bucket",
            "memory",
            "tracing",
            "a:/",
            "b",
            "env:NOPE",
            "file:/nope",
            "all",
            "",
            "\x00",
            "1h",
            "5 GiB",
            "::1",
            "$argon2id$",
        ]
    ),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
)


def make_tables(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists and tables of what `inner` draws. A lambda's use of its argument, which hypothesis looks for in the source, it misses at times."""
    return st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)


TABLES = st.recursive(VALUES, make_tables, max_leaves=12)


@given(st.dictionaries(NAMES, TABLES, max_size=5))
@example({"managers": {"stub": {"host": "\x00"}}, "users": {"alice": {"mounts": {"": ""}}}})
@example({"accounts": {"": {"service": ["bucket"], "layers": [["tracing"]]}}})
def test_whatever_the_file_says_there_is_a_configuration_or_a_list_of_mistakes(data: dict[str, Any]) -> None:
    try:
        configuration = load_values(data, "the.toml", environ={}, plug_ins=make_plug_ins())
    except SettingError as error:
        assert all(line.startswith("the.toml: ") and line.isprintable() for line in str(error).split("\n"))
    else:
        json.dumps(configuration.describe())


@given(
    st.dictionaries(st.text("ABCMNGERS_", max_size=20).map("CLOUDALPHA_{}".format), st.text(max_size=10), max_size=4)
)
def test_whatever_the_environment_says_too(environ: dict[str, str]) -> None:
    try:
        read(WHOLE, environ)
    except SettingError as error:
        assert all(line.startswith("environment CLOUDALPHA_") for line in str(error).split("\n"))
