"""Opens many SFTP sessions over SSH connections of their own and holds them: idle_sftp.py PORT USER KEY COUNT; ends with its standard input."""

from __future__ import annotations

import asyncio
import sys

import asyncssh


async def main(port: str, user: str, key: str, count: str) -> None:
    limit = asyncio.Semaphore(8)
    sessions = []

    async def open_one() -> None:
        async with limit:
            connection = await asyncssh.connect(
                "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=None, login_timeout=120
            )
            sessions.append((connection, await connection.start_sftp_client()))

    await asyncio.gather(*(open_one() for _ in range(int(count))))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for connection, _ in sessions:
        connection.abort()


asyncio.run(main(*sys.argv[1:]))
