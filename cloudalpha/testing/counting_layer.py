"""CountingLayer: how many requests something costs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from cloudalpha.file_metadata import FileMetadata
from cloudalpha.file_system import FileSystem, NewFile
from cloudalpha.testing.intercepting_layer import InterceptedNewFile, InterceptingLayer

T = TypeVar("T")


class CountingLayer(InterceptingLayer):
    """Counts the calls of each method, and what went through.

    calls: method name -> calls. entries: of listings. bytes_read, bytes_written, bytes_kept: through `read`, `NewFile.write`, `NewFile.keep`.

        files = CountingLayer(my_file_system)
        list(files.list_dir("/a"))
        assert files.calls == {"list_dir": 1}

    Safe for threads.
    """

    def __init__(self, inner: FileSystem) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin from zero."""
        with self._lock:
            self.calls: Counter[str] = Counter()
            self.entries = self.bytes_read = self.bytes_written = self.bytes_kept = 0

    def intercept(self, call: str, path: str, action: Callable[[], T]) -> T:
        with self._lock:
            self.calls[call] += 1
        return action()

    def watch_entry(self, path: str, entry: FileMetadata) -> None:
        with self._lock:
            self.entries += 1

    def watch_chunk(self, path: str, chunk: bytes) -> None:
        with self._lock:
            self.bytes_read += len(chunk)

    def watch_writing(self, written: int, kept: int) -> None:
        """Bytes that a NewFile has taken."""
        with self._lock:
            self.bytes_written += written
            self.bytes_kept += kept

    def wrap_new_file(self, new_file: NewFile) -> NewFile:
        return CountingNewFile(new_file, self)


class CountingNewFile(InterceptedNewFile):
    """A NewFile whose calls and bytes are counted in its CountingLayer."""

    layer: CountingLayer

    def write(self, data: bytes) -> None:
        super().write(data)
        self.layer.watch_writing(memoryview(data).nbytes, 0)

    def keep(self, start_byte: int, num_bytes: int) -> None:
        super().keep(start_byte, num_bytes)
        self.layer.watch_writing(0, num_bytes)
