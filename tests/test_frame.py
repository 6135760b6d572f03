"""The frame: set-up scripts, and what continuous integration makes of missing programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CI = ROOT / ".ci"


def run_pytest(folder: Path, source: str, ci: bool) -> subprocess.CompletedProcess[str]:
    """Run a test file under the repository's conftest.py."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nmarkers =\n    root: needs root\n")
    environment = os.environ | {"CI": "true" if ci else "false"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)


MISSING = 'import pytest\n@pytest.mark.needs("sh", "no-such-program")\ndef test_it():\n    pass\n'


def test_a_missing_program_skips_a_test_with_the_reason(tmp_path: Path) -> None:
    outcome = run_pytest(tmp_path, MISSING, ci=False)
    assert outcome.returncode == 0
    assert "1 skipped" in outcome.stdout
    assert "not installed: no-such-program" in outcome.stdout


def test_in_continuous_integration_it_is_a_failure(tmp_path: Path) -> None:
    outcome = run_pytest(tmp_path, MISSING, ci=True)
    assert outcome.returncode == 1
    assert "a missing program is a failure" in outcome.stdout


def test_other_skips_stay_skips(tmp_path: Path) -> None:
    outcome = run_pytest(
        tmp_path, "import pytest\ndef test_it():\n    pytest.skip('the storage has no times')\n", ci=True
    )
    assert outcome.returncode == 0
    assert "1 skipped" in outcome.stdout


def test_tests_do_not_see_the_developers_surroundings(tmp_path: Path) -> None:
    source = (
        "import os, pathlib\n"
        "def test_it():\n"
        "    assert 'CLOUDALPHA_CONFIG' not in os.environ\n"
        "    assert 'pytest' in str(pathlib.Path.home())\n"
    )
    os.environ["CLOUDALPHA_CONFIG"] = "/somewhere"  # the fixture of this test itself takes it away again
    try:
        assert run_pytest(tmp_path, source, ci=False).returncode == 0
    finally:
        del os.environ["CLOUDALPHA_CONFIG"]


def test_programs_that_tests_need_have_their_package() -> None:
    """A program is named in `needs` by whoever runs it, and its Debian package in packages.txt."""
    known = {"sh", "ssh-audit"}  # the latter comes with the tools of setup.cfg
    for line in (ROOT / "tests" / "packages.txt").read_text().splitlines():
        package, _, programs = line.partition("#")
        if package.strip():
            known |= {package.strip(), *programs.split()}
    needed = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for arguments in re.findall(r"mark\.needs\(([^)]*)\)", path.read_text("utf-8")):
            needed |= set(re.findall(r"[\"']([^\"']+)[\"']", arguments))
    assert len(needed) > 5
    assert needed - known == {"no-such-program"}


def test_a_python_that_is_too_old_is_told(tmp_path: Path) -> None:
    old = tmp_path / "python2"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    outcome = subprocess.run(
        [CI / "venv", tmp_path / "venv"],
        env=os.environ | {"PYTHON": str(old)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 1
    assert "CloudAlpha needs Python 3.11, 3.12 or 3.13" in outcome.stderr
    assert not (tmp_path / "venv").exists()


def test_without_debian_the_packages_are_named(tmp_path: Path) -> None:
    for name in ("sh", "sed", "tr"):
        program = shutil.which(name)
        assert program is not None
        (tmp_path / name).symlink_to(program)
    packages = tmp_path / "packages.txt"
    packages.write_text("# ours\nlftp\ncurl  # both\n")
    outcome = subprocess.run(
        [CI / "packages", packages], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 1
    assert "Not a Debian system" in outcome.stderr
    assert "lftp curl" in " ".join(outcome.stderr.split())


def test_continuous_integration_runs_check_and_test() -> None:
    lines = (CI / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make check", "make test"]
    assert "export CI=true" in lines


def test_the_makefile_has_every_target() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"serve", "test", "check", "bench", "docs", "fuzz", "clean"} <= set(targets)
