"""What a client was told is stored is there after a power cut, whole, if `fsync` is set."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.needs("mkfs.ext4", "unshare")]
PROGRAM = Path(__file__).with_name("power_cut.py")


def cut(tmp_path: Path, fsync: bool, unnamed: bool, num_acknowledged: int) -> dict[str, Any]:
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    probe = subprocess.run(["unshare", "-m", "mount", "-o", "loop", image, folder], capture_output=True)
    if probe.returncode:
        pytest.skip("this sandbox mounts nothing")
    arguments = [str(int(fsync)), str(int(unnamed)), str(num_acknowledged)]
    command: list[str | Path] = ["unshare", "-m", sys.executable, PROGRAM, image, folder, *arguments]
    output = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert output.returncode == 0, output.stderr.decode()
    report: dict[str, Any] = json.loads(output.stdout)
    return report


@pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "named"])
@pytest.mark.parametrize("num_acknowledged", [1, 7, 20, 61])
def test_nothing_acknowledged_is_lost(tmp_path: Path, unnamed: bool, num_acknowledged: int) -> None:
    report = cut(tmp_path, True, unnamed, num_acknowledged)
    assert report["acknowledged"] >= min(num_acknowledged, 20)
    assert report["lost"] == report["torn"] == report["leftovers"] == []


def test_the_cut_is_a_cut(tmp_path: Path) -> None:
    """Without fsync the same cut loses files; else the test above would prove nothing."""
    report = cut(tmp_path, False, True, 20)
    assert report["lost"]
