"""CloudAlpha: work by FTP and SFTP on files that live in cloud services. As a library:

import cloudalpha
with cloudalpha.connect("s3", bucket="photos", layers=["metadata_cache"]) as files:
    for entry in files.list_dir("/"):
        print(entry.path, entry.size)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from cloudalpha.configurator.connect import Connection

__all__ = ["connect"]


def connect(
    service: str,
    *,
    layers: Sequence[str] = (),
    state_dir: str | PathLike[str] | None = None,
    account_name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Connection:
    """The files of one storage, by the names that the configuration file has; closing what it returns closes the storage.

    service: as in `[accounts.NAME]`. options: the other keys of that section, those of a layer as a dict under the layer's name.
    layers: outermost first. settings: as in `[services.NAME]`. state_dir: for tokens and what layers keep; the user's state folder without it.
    account_name: whose tokens to use, where an account has been authorized by the command line.

    Values are taken as they are: neither `env:` nor `file:` is followed, and no environment variable overrides them.
    Raises SettingError (a line for each mistake), AccountError, and AccessFailedFileSystemError for an outage.
    """
    # Imported here, so that `import cloudalpha` stays cheap.
    from pathlib import Path

    from cloudalpha.configurator.connect import connect as connect_service

    folder = Path(state_dir) if state_dir is not None else None
    return connect_service(service, layers, folder, account_name, settings, options)
