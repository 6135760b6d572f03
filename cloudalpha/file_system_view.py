"""FileSystemView: what one session sees."""

from __future__ import annotations

from cloudalpha.layer import Layer


class FileSystemView(Layer):
    """Being written."""
