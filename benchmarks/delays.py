"""A proxy that keeps every byte back, as a way of so many milliseconds does.

``python delays.py PORT WAY:JITTER ...`` listens on one port for each way to PORT of this machine, prints the
ports, and ends with its standard input. A way takes WAY milliseconds, and JITTER more on average.
"""

from __future__ import annotations

import asyncio
import functools
import random
import sys

from rate_server import come_first


async def carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: float, jitter: float
) -> None:
    """One direction of a connection; what was sent first arrives first."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                return
            writer.write(data)

    arriving = asyncio.create_task(arrive())
    due = 0.0
    while True:
        try:
            data = await reader.read(65536)
        except ConnectionError:
            data = b""
        due = max(due, loop.time() + way + (random.expovariate(1 / jitter) if jitter else 0.0))
        under_way.put_nowait((due, data))
        if not data:
            break
    await arriving
    writer.close()


async def serve(
    port: int, way: float, jitter: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(carry(reader, back, way, jitter), carry(there, writer, way, jitter))


async def main(port: int, ways: list[tuple[float, float]]) -> None:
    come_first()
    servers = [
        await asyncio.start_server(functools.partial(serve, port, way, jitter), "127.0.0.1", 0)
        for way, jitter in ways
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    ways = [tuple(float(part) / 1000 for part in way.split(":")) for way in sys.argv[2:]]
    asyncio.run(main(int(sys.argv[1]), ways))  # type: ignore[arg-type]  # each is a delay and a jitter
