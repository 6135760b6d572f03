"""asyncssh's own SFTPServer over a folder: asyncssh_server.py PORT HOST_KEY AUTHORIZED_KEYS ROOT."""

from __future__ import annotations

import asyncio
import sys

import asyncssh


async def main(port: str, host_key: str, authorized_keys: str, root: str) -> None:
    def make_server(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=root.encode())

    await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        sftp_factory=make_server,
    )
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
