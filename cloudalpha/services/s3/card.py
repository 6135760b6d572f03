"""Card: what a server has shown that it can do (`probe.py`). The default promises nothing."""

from __future__ import annotations

import dataclasses
from typing import Any, Self


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """One bucket's powers, as its credentials can use them.

    is_writable: objects could be written and deleted at all; everything below but `versioning` is False where not.
    put_if_none_match, put_if_match: conditions of PutObject: taken when they hold, and refused when not.
    complete_if_none_match, complete_if_match: the same of CompleteMultipartUpload.
    read_if_match: a read of another version than the expected one is refused.
    multipart: uploads in parts work.
    metadata: what is kept beside an object comes back.
    copy, copy_if_match: CopyObject works; refuses a source that has changed.
    part_copy, part_copy_if_match: UploadPartCopy works; refuses a source that has changed.
    delete_many: DeleteObjects works.
    markers: an object `a/` is a folder, and not the same as an object `a`.
    tags: tags can be put on an object that is there already.
    checksum: the algorithm of the checksums that go along with content, and come back; empty where none works.
    versioning: of the bucket: `enabled`, `suspended`, `off` or `unknown`.
    """

    is_writable: bool = False
    put_if_none_match: bool = False
    put_if_match: bool = False
    complete_if_none_match: bool = False
    complete_if_match: bool = False
    read_if_match: bool = False
    multipart: bool = False
    metadata: bool = False
    copy: bool = False
    copy_if_match: bool = False
    part_copy: bool = False
    part_copy_if_match: bool = False
    delete_many: bool = False
    markers: bool = False
    tags: bool = False
    checksum: str = ""
    versioning: str = "unknown"

    @property
    def atomic_condition(self) -> bool:
        """Whether the server itself enforces every condition that `expected` needs."""
        return all((self.put_if_none_match, self.put_if_match, self.complete_if_none_match, self.complete_if_match))

    @property
    def forgets_metadata(self) -> bool:
        """Whether what is kept beside objects gets lost. Of a bucket that cannot be written nobody knows, and what is there is believed."""
        return self.is_writable and not self.metadata

    def to_json(self) -> dict[str, Any]:
        """The card as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """The card of a JSON value; None for one that another version has written."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**value) if isinstance(value, dict) and set(value) == names else None

    def describe(self) -> dict[str, str]:
        """The card for people."""
        return {
            name: value or "none" if isinstance(value, str) else "yes" if value else "no"
            for name, value in self.to_json().items()
        }
