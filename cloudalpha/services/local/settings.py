"""What an account of the local service takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from cloudalpha.settings import Options

_MODE = re.compile(r"0?[0-7]{3}")


def parse_mode(value: object) -> int:
    """Permission bits of "0640". A bare number is refused: TOML's 640 is not chmod's."""
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ValueError("not permissions; write for example '0640', in quotes")
    return int(value, 8)


Mode = Annotated[int, BeforeValidator(parse_mode)]
"""Permission bits, written as chmod takes them, in quotes: "0640"."""


class LocalOptions(Options):
    """The options of `[accounts.NAME]` where the service is `local`."""

    root: Path = Field(
        description="The folder whose files these are. `~` is the home of the user that the gateway runs as."
    )
    create_root: bool = Field(False, description="Make the folder, with mode 0700, when it is missing.")
    fsync: bool = Field(
        True,
        description="Have the disk confirm each file, and the folder that names it, before the client is told that it is stored. "
        "Without it a power cut may lose what was stored in the last half minute.",
    )
    follow_links: bool = Field(
        True, description="Follow symbolic links that stay beneath the root. Those that leave it are never followed."
    )
    file_mode: Mode | None = Field(
        None, description="Permissions of new files, for example '0640'; by default those that the umask leaves."
    )
    dir_mode: Mode | None = Field(
        None, description="Permissions of new folders, for example '0750'; by default as the umask says."
    )
