"""Proxy that delays every byte, like a network with latency.

``python delays.py PORT DELAY:JITTER ...`` listens on one port for each DELAY, forwards to PORT of this
machine, prints the ports, and ends with its standard input. Each direction takes DELAY milliseconds, and
JITTER more on average.
"""

from __future__ import annotations

import asyncio
import functools
import random
import sys

from rate_server import set_real_time_priority


async def carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, jitter: float
) -> None:
    """Forward one direction of a connection with a delay, in order."""
    loop = asyncio.get_running_loop()
    in_transit: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await in_transit.get()
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
        due = max(due, loop.time() + delay + (random.expovariate(1 / jitter) if jitter else 0.0))
        in_transit.put_nowait((due, data))
        if not data:
            break
    await arriving
    writer.close()


async def serve(
    port: int, delay: float, jitter: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(
        carry(reader, server_writer, delay, jitter), carry(server_reader, writer, delay, jitter)
    )


async def main(port: int, delays: list[tuple[float, float]]) -> None:
    set_real_time_priority()
    servers = [
        await asyncio.start_server(functools.partial(serve, port, delay, jitter), "127.0.0.1", 0)
        for delay, jitter in delays
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    delays = [tuple(float(part) / 1000 for part in text.split(":")) for text in sys.argv[2:]]
    asyncio.run(main(int(sys.argv[1]), delays))  # type: ignore[arg-type]  # each is a delay and a jitter
