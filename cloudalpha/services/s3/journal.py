"""The journal of renamed folders, in the DataStore: what a crash leaves half done is found, and finished.

Owner `account:NAME`, key `rename:ID`, value `{"source": KEYS, "target": KEYS, "phase": "copy" | "delete" | "undo", "owner": PROCESS, "storage":
URL}`; KEYS is what the keys of a folder begin with, URL endpoint and bucket, so that an account that is pointed elsewhere does nothing there. A
record is written before the first copy, and removed after the last deletion.
"""

from __future__ import annotations

import dataclasses
import secrets
from typing import Literal

from cloudalpha.data_store import DataStore
from cloudalpha.services.s3.owners import get_owner, is_alive

Phase = Literal["copy", "delete", "undo"]

_PREFIX = "rename:"


@dataclasses.dataclass(frozen=True)
class RenameRecord:
    """One folder on its way.

    source, target: what the keys begin with. phase: `copy`: nothing is deleted yet; `delete`: all is copied; `undo`: the copies are to go again.
    """

    record_id: str
    source: str
    target: str
    phase: Phase
    owner: str


class Journal:
    """The renames of one account. storage: endpoint and bucket. Every method raises DataStoreError."""

    def __init__(self, data_store: DataStore, account: str, storage: str) -> None:
        self._data_store = data_store
        self._owner = f"account:{account}"
        self._storage = storage

    def begin(self, source: str, target: str) -> RenameRecord:
        """Note a rename before anything is copied."""
        return self._write(RenameRecord(secrets.token_hex(8), source, target, "copy", get_owner()))

    def set_phase(self, record: RenameRecord, phase: Phase) -> RenameRecord:
        """Note how far it is."""
        return self._write(dataclasses.replace(record, phase=phase))

    def take_over(self, record: RenameRecord) -> RenameRecord:
        """This process finishes it now."""
        return self._write(dataclasses.replace(record, owner=get_owner()))

    def end(self, record: RenameRecord) -> None:
        """It is finished, or gone back."""
        self._data_store.delete_value(self._owner, _PREFIX + record.record_id)

    def find_left(self) -> list[RenameRecord]:
        """Those whose process is gone."""
        left = []
        for key, value in self._data_store.items(self._owner):
            if key.startswith(_PREFIX) and isinstance(value, dict):
                storage = value.pop("storage")
                record = RenameRecord(key.removeprefix(_PREFIX), **value)
                if storage == self._storage and not is_alive(record.owner):
                    left.append(record)
        return left

    def _write(self, record: RenameRecord) -> RenameRecord:
        value = dataclasses.asdict(record) | {"storage": self._storage}
        del value["record_id"]
        self._data_store.set_value(self._owner, _PREFIX + record.record_id, value)
        return record
