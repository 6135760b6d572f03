"""Remote: what is published in a gateway, seen by a session that takes no part; and trees of files to compare it with."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import paramiko

Tree = dict[str, bytes | None]
"""Contents by path; None for folders."""

MODIFIED = 1_500_000_000


class Remote:
    """Files of a gateway, by their absolute paths."""

    def __init__(self, sftp: paramiko.SFTPClient) -> None:
        self.sftp = sftp

    def read(self, path: str) -> bytes:
        with self.sftp.open(path, "rb") as file:
            return file.read()

    def write(self, path: str, content: bytes) -> None:
        with self.sftp.open(path, "wb") as file:
            file.write(content)
        assert self.get_size(path) == len(content)

    def get_size(self, path: str) -> int:
        return self.sftp.stat(path).st_size or 0

    def get_modified(self, path: str) -> int:
        return int(self.sftp.stat(path).st_mtime or 0)

    def list_names(self, path: str) -> list[str]:
        return sorted(self.sftp.listdir(path))

    def read_tree(self, path: str) -> Tree:
        tree: Tree = {}
        for entry in self.sftp.listdir_attr(path):
            inner = f"{path}/{entry.filename}"
            if stat.S_ISDIR(entry.st_mode or 0):
                tree[entry.filename] = None
                tree |= {f"{entry.filename}/{name}": content for name, content in self.read_tree(inner).items()}
            else:
                tree[entry.filename] = self.read(inner)
        return tree

    def write_tree(self, path: str, tree: Tree) -> None:
        """Make a folder and what is in it."""
        self.sftp.mkdir(path)
        for name, content in sorted(tree.items()):
            if content is None:
                self.sftp.mkdir(f"{path}/{name}")
            else:
                self.write(f"{path}/{name}", content)

    def delete_tree(self, path: str) -> None:
        for entry in self.sftp.listdir_attr(path):
            inner = f"{path}/{entry.filename}"
            if stat.S_ISDIR(entry.st_mode or 0):
                self.delete_tree(inner)
            else:
                self.sftp.remove(inner)
        self.sftp.rmdir(path)


def read_local_tree(folder: Path) -> Tree:
    """As `Remote.read_tree`, of a folder on this machine."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def write_local_tree(folder: Path, tree: Tree) -> Path:
    """Make a folder and what is in it; the files are from MODIFIED."""
    folder.mkdir()
    for name, content in sorted(tree.items()):
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (MODIFIED, MODIFIED))
    return folder


def make_tree(num_files: int = 12, seed: int = 1) -> Tree:
    """Files of mixed sizes, some in folders, with names that are hard to carry; one folder is empty."""
    chooser = random.Random(seed)
    odd = [
        "with space",
        "grüße",
        "日本語.txt",
        "it's",
        "semi;colon & more",
        "-dash",
        "#hash%41+",
        "a,b=c",
        "UPPER",
        "~tilde",
        ".hidden",
    ]
    tree: Tree = {"empty": None, "folder": None, "folder/a deeper one": None}
    for number in range(num_files):
        name = f"{odd[number % len(odd)]}{number if number >= len(odd) else ''}"
        folder = ("", "folder/", "folder/a deeper one/")[number % 3]
        size = (0, 1, 1000, 32_768, 100_001)[number % 5] if number % 50 != 49 else 3_000_000
        tree[folder + name] = chooser.randbytes(size)
    tree["large"] = chooser.randbytes(2_500_000)
    return tree
