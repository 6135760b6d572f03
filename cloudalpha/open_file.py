"""OpenFile: reading and writing one file at any offset."""

from __future__ import annotations


class OpenFile:
    """Being written."""
