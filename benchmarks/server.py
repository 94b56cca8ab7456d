"""A server that costs as little as Python allows: it answers every request with fixed bytes.

Run as a process of its own, it prints its port and serves until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys

SUCCESS = b'{"status": "success", "code": 200}'
TOKEN = b'{"token": "djs4fdn4dJTer489!", "ttl": "900"}'


def answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


ANSWER = answer(SUCCESS)
TOKEN_ANSWER = answer(TOKEN)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are cut out by their Content-Length."""

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a TCP server's transports can write

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = 0
            if (at := head.find(b"content-length:")) >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            assert self.transport is not None
            self.transport.write(TOKEN_ANSWER if b"gettoken" in head[:64] else ANSWER)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
