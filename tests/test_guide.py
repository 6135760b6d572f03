"""What README and DEVELOPER_GUIDE show is what there is: excerpts of the worked examples, and a configuration that is valid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudalpha.users.passwords import hash_password

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
BLOCK = re.compile(r"^```(python|ini|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXCERPTS = [text for _, text in BLOCK.findall((ROOT / "DEVELOPER_GUIDE.md").read_text("utf-8"))]


def test_the_guide_has_excerpts() -> None:
    assert len(EXCERPTS) >= 10
    assert all(text.startswith("# new_") for text in EXCERPTS)


@pytest.mark.parametrize("number", range(len(EXCERPTS)))
def test_each_excerpt_stands_in_its_file(number: int) -> None:
    first_line, code = EXCERPTS[number].split("\n", 1)
    source = (EXAMPLES / first_line.removeprefix("# ")).read_text("utf-8")
    assert code in source, f"{first_line}: the guide shows other code than the example has"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables}
    command = [sys.executable, "-m", "cloudalpha", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def test_the_readme_shows_a_valid_configuration(tmp_path: Path) -> None:
    [example] = [text for kind, text in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) if kind == "toml"]
    config = tmp_path / "cloudalpha.toml"
    config.write_text(example.replace("/var/lib/cloudalpha", str(tmp_path / "state")))
    variables = {"ALICE_PASSWORD_HASH": hash_password("a pass phrase")}
    checked = run("config", "check", "--config", str(config), **variables)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config.write_text(config.read_text().replace("passive_ports", "pasive_ports"))
    assert run("config", "check", "--config", str(config), **variables).returncode == 1


def test_the_readme_shows_python_that_runs(tmp_path: Path) -> None:
    [example] = [text for kind, text in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) if kind == "python"]
    (tmp_path / "a file").write_bytes(b"12345")
    script = example.replace("/srv/files", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "/a file 5\n", done.stderr
