"""What an account of the memory service takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cloudalpha.settings import Options, Size


class MemoryOptions(Options):
    """The options of `[accounts.NAME]` where the service is `memory`."""

    max_size: Size = Field(
        1024**3, gt=0, description="Bytes of memory that all files together may take, those being uploaded included."
    )
    content_hash: tuple[Literal["md5", "sha1", "sha256", "sha512"], ...] = Field(
        (), description="Algorithms by which each file is hashed when it is committed."
    )
