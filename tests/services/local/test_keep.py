"""LocalNewFile.keep: ranges of one version."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudalpha.exceptions import RevisionMismatchFileSystemError
from cloudalpha.file_system import WriteOptions
from cloudalpha.services.local import new_file as module
from cloudalpha.services.local.file_system import LocalFileSystem
from cloudalpha.services.local.tree import Tree


class TestKeep:
    @pytest.fixture(params=["in the kernel", "by reading"])
    def way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if request.param == "by reading":
            monkeypatch.setattr(module, "_copy_in_kernel", lambda *args: 0)

    def test_pieces(self, root: Path, way: None) -> None:
        file_system = LocalFileSystem(Tree(root))
        content = os.urandom(3_000_000)
        file_system.write_all("/file", content)
        with file_system.create_new_file("/file") as new_file:
            new_file.keep(0, 1_500_001)
            new_file.write(b"changed")
            new_file.keep(2_000_000, 1_000_000)
            new_file.keep(5, 0)
            assert new_file.offset == 2_500_008
            new_file.commit()
        assert (root / "file").read_bytes() == content[:1_500_001] + b"changed" + content[2_000_000:]
        file_system.close()

    def test_kernel_that_gives_up_half_way(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file_system = LocalFileSystem(Tree(root))
        file_system.write_all("/file", b"0123456789")
        real = os.copy_file_range
        answers = iter([4, 0])
        monkeypatch.setattr(
            module,
            "_copy_in_kernel",
            lambda source, target, num, start: (n := next(answers)) and real(source, target, n, start),
        )
        with file_system.create_new_file("/file") as new_file:
            new_file.keep(1, 8)
            new_file.commit()
        assert (root / "file").read_bytes() == b"12345678"
        file_system.close()

    @pytest.mark.parametrize("when", ["before the second keep", "before the commit"])
    @pytest.mark.parametrize("change", ["in place", "shorter", "mtime put back", "replaced", "deleted"])
    def test_one_version(self, file_system: LocalFileSystem, root: Path, when: str, change: str) -> None:
        (root / "file").write_bytes(b"0123456789")
        status = (root / "file").stat()
        new_file = file_system.create_new_file("/file")
        new_file.keep(0, 5)
        if change == "replaced":
            (root / "file").rename(root / "aside")
            (root / "file").write_bytes(b"0123456789")
        elif change == "deleted":
            (root / "file").unlink()
        else:
            with open(root / "file", "r+b") as file:
                file.write(b"abc")
                if change == "shorter":
                    file.truncate(3)
            if change == "mtime put back":
                os.utime(root / "file", ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(RevisionMismatchFileSystemError):
            if when == "before the second keep" and change != "mtime put back":
                new_file.keep(5, 5)
            new_file.commit()
        new_file.discard()

    def test_rename_and_time_do_not_count(self, file_system: LocalFileSystem) -> None:
        file_system.write_all("/file", b"0123456789")
        revision = file_system.get_metadata("/file").revision or ""
        new_file = file_system.create_new_file("/file", WriteOptions(expected=revision))
        new_file.keep(0, 5)
        file_system.rename("/file", "/aside")
        file_system.set_modified_datetime("/aside", datetime(2020, 1, 1, tzinfo=UTC))
        file_system.rename("/aside", "/file")
        new_file.keep(5, 5)
        new_file.commit()
        assert file_system.read_all("/file") == b"0123456789"
