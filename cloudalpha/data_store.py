"""DataStore: the singleton that keeps small persistent values, (owner, key) -> JSON value: tokens above all."""

from __future__ import annotations


class DataStore:
    """Being written."""
