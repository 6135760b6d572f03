"""A spool that tells how many files it was asked for."""

from __future__ import annotations

from cloudalpha.spool import Spool, SpoolFile


class CountingSpool(Spool):
    """Keeps its files where the system keeps temporary ones."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(None, max_bytes)
        self.num_files = 0

    def create_file(self) -> SpoolFile | None:
        self.num_files += 1
        return super().create_file()
