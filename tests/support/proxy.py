"""A proxy for plain HTTP and CONNECT on the loopback, which records its requests."""

from __future__ import annotations

import asyncio
import contextlib

from tests.support.wire import Loopback


class ProxyServer(Loopback):
    """Forwards to 127.0.0.1, whatever the host; `heads` are the requests addressed to the proxy."""

    def __init__(self, *, status: str | None = None) -> None:
        self.heads: list[str] = []
        self.status = status

    def url(self, userinfo: str = "") -> str:
        return f"http://{userinfo}127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._forward(reader, writer)
        writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        if self.status is not None:
            writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        method, target = head.split(" ", 2)[:2]
        address = target if method == "CONNECT" else target.split("/")[2]
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":")[-1]))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            upwards = self._pipe(reader, upstream)
        else:
            upwards = self._requests(head, reader, upstream)
        pipes = [asyncio.ensure_future(upwards), asyncio.ensure_future(self._pipe(upstream_reader, writer))]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in pipes:
                one.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            upstream.transport.abort()

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()

    async def _requests(
        self, head: str, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter
    ) -> None:
        """Forward requests in absolute form, without the header fields for the proxy."""
        while True:
            method, target = head.split(" ", 2)[:2]
            lines = [line for line in head.split("\r\n")[1:] if not line.lower().startswith("proxy-")]
            fields = dict(line.lower().split(": ", 1) for line in lines if line)
            start = f"{method} /{target.split('/', 3)[3]} HTTP/1.1"
            upstream.write("\r\n".join([start, *lines]).encode("latin-1"))
            upstream.write(await reader.readexactly(int(fields.get("content-length", "0"))))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
