"""What the design that baton replaces did, kept to show that the tests of its races can fail."""

import asyncio
import time


def connection(path, limit):
    """H16: `asyncio.timeout` around the whole of a connection, its receive loop included. Seconds until it ended."""

    async def live():
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                while True:
                    writer.write(b"PING\r\n")
                    if await reader.readline() != b"+PONG\r\n":
                        raise ConnectionError("not well")
            finally:
                writer.close()

    began = time.monotonic()
    try:
        asyncio.run(live())
    except TimeoutError:
        pass
    return time.monotonic() - began


def health(host):
    """H17: `GET / -> 200`, which says that a process answers, and nothing of what it works on."""
    host.status()
    return 200
