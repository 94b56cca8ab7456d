"""Raw HTTP/1.1 servers on the loopback, which record requests and send responses byte by byte."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import socket
import ssl
import struct
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Seen:
    """A request as the server saw it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    arrived: float
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2]))

    @property
    def form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body.decode()))


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def close(self) -> None:
        """FIN."""
        self.writer.close()

    def reset(self) -> None:
        """RST."""
        reset(self.writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


Respond = Callable[[Seen, Peer], Awaitable[bytes | None]]


@dataclass
class RawServer:
    """Calls `respond` with every request; bytes that it returns are written.

    Attributes:
        respond: gets the request and the connection.
        greet: called with each new connection; if it returns false, the connection is ignored.
    """

    respond: Respond
    greet: Callable[[Peer], Awaitable[bool]] | None = None
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list, repr=False)
    connections: int = 0
    received: int = 0
    failures: list[BaseException] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.tls, limit=2**26, backlog=512
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for _ in range(3):  # Let the last connections get their tasks.
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        assert not self.failures, self.failures

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, name: str) -> list[Seen]:
        """The requests whose target mentions `name`."""
        return [seen for seen in self.seen if name in seen.target]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = Peer(reader, writer, self.connections)
        self.connections += 1
        try:
            if self.greet is not None and not await self.greet(peer):
                await asyncio.Event().wait()
            async for seen in self._requests(peer):
                response = await self.respond(seen, peer)
                if response is not None:
                    await peer.write(response)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            pass
        except asyncio.CancelledError:
            pass  # The server is being closed; asyncio's streams would log a cancelled handler.
        except Exception as error:  # noqa: BLE001  (a mistake in a test must not pass for a fault)
            self.failures.append(error)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _requests(self, peer: Peer) -> AsyncIterator[Seen]:
        while True:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            self.received += len(head)
            line, *fields = head.decode("latin-1").split("\r\n")[:-2]
            method, target, _ = line.split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (text.partition(":") for text in fields)
            }
            body = await peer.reader.readexactly(int(headers.get("content-length", "0")))
            self.received += len(body)
            seen = Seen(method, target, headers, body, time.monotonic(), peer.number)
            self.seen.append(seen)
            yield seen


def http(
    body: bytes = b"",
    status: str = "200 OK",
    content_type: str = "application/json",
    headers: str = "",
    *,
    chunked: int = 0,
) -> bytes:
    """Return a response, framed by its length, or in chunks of `chunked` bytes."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}"
    if not chunked:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    pieces = [body[start : start + chunked] for start in range(0, len(body), chunked)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + framed + b"0\r\n\r\n"


@dataclass(frozen=True)
class Cut:
    """Where a proxied connection ends: after a number of bytes to the server, or back from it."""

    direction: str
    after: int
    with_reset: bool = True


class Loopback(abc.ABC):
    """A server on the loopback, whose connections end with it."""

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connected(reader, writer)
        finally:
            self._tasks.discard(task)

    @abc.abstractmethod
    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection to its end."""


class FaultProxy(Loopback):
    """A TCP proxy that cuts its next connections as planned, and lets all others through.

    Attributes:
        plan: what happens to the next connections.
        hold: awaited with each connection, before its first byte is passed on.
        returned: bytes that went back to clients.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.plan: list[Cut] = []
        self.hold: Callable[[], Awaitable[None]] | None = None
        self.returned = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = self.plan.pop(0) if self.plan else None
        if self.hold is not None:
            await self.hold()
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target)
        pipes = [
            asyncio.create_task(self._pipe(reader, upstream, cut, "request")),
            asyncio.create_task(self._pipe(upstream_reader, writer, cut, "response")),
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            # The server has sent the whole response, although it was cut off.
            if cut is not None and cut.with_reset:
                reset(writer)
            else:
                writer.close()
        except asyncio.CancelledError:
            pass
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.wait(pipes)
            upstream.transport.abort()
            writer.transport.abort() if cut is None else None

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut | None, direction: str
    ) -> None:
        left = cut.after if cut is not None and cut.direction == direction else None
        with contextlib.suppress(ConnectionError):
            while left is None or left > 0:
                data = await reader.read(65536 if left is None else left)
                if not data:
                    return
                if left is not None:
                    left -= len(data)
                writer.write(data)
                if direction == "response":
                    self.returned += len(data)
                await writer.drain()
            if direction == "request":
                await asyncio.sleep(0.002)  # The bytes that were sent arrive before the connection ends.
