"""Run by test_power_cut.py in a mount namespace of its own: uploads to a small disk whose power goes in the middle; reports as JSON.

python power_cut.py IMAGE FOLDER FSYNC(0|1) UNNAMED(0|1) NUM_ACKNOWLEDGED
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

from cloudalpha.exceptions import FileSystemError
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree

SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN; what was not brought to the disk is gone
WITHOUT_LOG = 2
SIZE = 5000


def mount(image: str, folder: Path) -> None:
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)


def upload(file_system: LocalFileSystem, wanted: int, acknowledged: dict[str, int], enough: threading.Event) -> None:
    """Upload version after version of 20 files, each in a folder that is renamed in between, until the disk is gone."""
    version = 0
    try:
        file_system.make_dir("/made")
        file_system.rename("/made", "/folder")
        while True:
            version += 1
            path = f"/folder/{version % 20}"
            file_system.write_all(path, struct.pack("<Q", version) * SIZE)
            acknowledged[path] = version
            if version == wanted:
                enough.set()
    except FileSystemError:
        enough.set()


def main(image: str, folder: Path, fsync: bool, unnamed: bool, wanted: int) -> None:
    mount(image, folder)
    tree = Tree(folder, fsync=fsync)
    tree.has_unnamed = unnamed
    file_system = LocalFileSystem(tree)
    acknowledged: dict[str, int] = {}
    enough = threading.Event()
    thread = threading.Thread(target=upload, args=(file_system, wanted, acknowledged, enough))
    thread.start()
    enough.wait(60)
    fd = os.open(folder, os.O_RDONLY)
    fcntl.ioctl(fd, SHUT_DOWN, struct.pack("I", WITHOUT_LOG))
    os.close(fd)
    thread.join()
    file_system.close()
    subprocess.run(["umount", folder], check=True)
    mount(image, folder)
    file_system = LocalFileSystem(Tree(folder))
    file_system.start_sweep().wait()
    lost, torn = [], []
    for path, version in acknowledged.items():
        content = file_system.read_all(path) if file_system.exists(path) else b""
        found = struct.unpack("<Q", content[:8])[0] if content[:8] else 0
        if content != struct.pack("<Q", found) * SIZE:
            torn.append(path)
        if found < version:
            lost.append(path)
    names = [str(path.relative_to(folder)) for path in folder.rglob(".cloudalpha-*")]
    file_system.close()
    subprocess.run(["umount", folder], check=True)
    print(json.dumps({"acknowledged": len(acknowledged), "lost": lost, "torn": torn, "leftovers": names}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "1", sys.argv[4] == "1", int(sys.argv[5]))
