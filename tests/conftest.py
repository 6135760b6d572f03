"""What holds for every test: nothing of the developer's own configuration is read, and no test is skipped unseen.

`@pytest.mark.needs("lftp", "curl")` names the programs that a test runs (each also listed, as its Debian package, in packages.txt). Where one
is missing, the test is skipped with the reason; in continuous integration (CI=true) it fails.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

IN_CI = os.environ.get("CI", "").lower() == "true"

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz", parent=settings.get_profile("default"), max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20000"))
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_PROGRAM_MISSING = re.compile(r"\bnot installed\b|\bis missing\b|\bare missing\b|\bcould not import\b", re.IGNORECASE)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*programs): programs that the test runs; skipped where one is missing, failed in CI"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = [name for marker in item.iter_markers("needs") for name in marker.args if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs to be root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and isinstance(report.longrepr, tuple) and _PROGRAM_MISSING.search(report.longrepr[2]):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]} (in continuous integration a missing program is a failure)"
    return report


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No configuration, state or history of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("CLOUDALPHA_"):
            monkeypatch.delenv(name)
    home = _get_home(tmp_path_factory)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def _get_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return home
