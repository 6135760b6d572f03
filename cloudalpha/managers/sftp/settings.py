"""What [managers.sftp] takes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from cloudalpha.managers.sftp.algorithms import KEY_EXCHANGES, MACS, get_ciphers
from cloudalpha.settings import Duration, Settings, Size


class SFTPSettings(Settings):
    """The settings of the SFTP and SCP manager."""

    model_config = SettingsConfigDict(env_prefix="CLOUDALPHA_MANAGERS__SFTP__")

    host: str = Field("127.0.0.1", description="Address to listen on; an empty text means every address")
    port: int = Field(2222, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    host_keys: list[Path] = Field(
        [], description="Files with private host keys; none means one that is made on the first start and kept"
    )
    rsa_host_key: bool = Field(
        False, description="Have an RSA host key (rsa-sha2) too, for clients that know no Ed25519"
    )
    ciphers: list[str] = Field(
        default_factory=get_ciphers,
        description="Ciphers offered; the default follows the processor: AES-GCM where it computes AES itself",
    )
    key_exchanges: list[str] = Field(list(KEY_EXCHANGES), description="Key exchange methods offered, best first")
    macs: list[str] = Field(list(MACS), description="Message authentication codes offered, best first")
    legacy_algorithms: bool = Field(
        False, description="Offer old, weaker algorithms behind the others, for clients that cannot do better; logged"
    )
    banner: str = Field("", description="Text that clients show before the log-in")
    scp: bool = Field(True, description="Take the SCP protocol (scp -O) beside SFTP")
    max_handles: int = Field(100, ge=4, le=65536, description="Open files and folders of one session at most")
    max_channels: int = Field(8, ge=1, le=1000, description="Sessions over one connection at most")
    max_log_in_tries: int = Field(12, ge=1, le=100, description="Refused log-ins after which a connection is closed")
    max_scp_transfers: int = Field(64, ge=1, le=10_000, description="SCP commands that run at once at most")
    threads: int = Field(128, ge=4, le=4096, description="Threads for calls to storages at most")
    threads_per_session: int = Field(4, ge=1, le=256, description="How many of them one session may hold at once")
    log_in_threads: int = Field(32, ge=1, le=1024, description="Threads for log-ins at most")
    idle_timeout: Duration = Field(
        900.0, ge=0, description="Close a connection after so long without a request; 0 means never"
    )
    window: Size = Field(
        2 * 1024 * 1024, ge=65536, le=64 * 1024 * 1024, description="Bytes that a client may send ahead in one session"
    )
    max_hash_size: Size = Field(
        256 * 1024 * 1024, ge=0, description="The most that is read to answer a client's question for a hash"
    )
