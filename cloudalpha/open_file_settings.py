"""OpenFileSettings: the bounds of one open file."""

from __future__ import annotations

from pydantic import Field

from cloudalpha.settings import Options, Size


class OpenFileSettings(Options):
    """The bounds of one open file. Native files need none of them but `write_buffer`."""

    read_ahead: Size = Field(
        default=4 << 20,
        ge=0,
        description="What a file that is read forward keeps in memory around the place where it is read",
    )
    jump: Size = Field(
        default=256 << 10, ge=0, description="What is asked for at least when reading jumps to another place"
    )
    write_buffer: Size = Field(
        default=1 << 20, ge=1, description="What is taken from a client before it has to wait for the storage"
    )
    write_window: Size = Field(
        default=8 << 20,
        ge=0,
        description="How much may wait for what comes before it: in memory where the spool takes no more",
    )
    max_hole: Size = Field(
        default=4 << 30,
        ge=0,
        description="How far behind its end a file may be written or extended, where the storage has to be sent the zeros between",
    )
