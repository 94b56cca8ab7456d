"""Connections from aiohttp: pooled, fresh when they are written to, never silent for longer than allowed.

aiohttp documents none of the names that this module uses beyond its session, so all of them are in here, and
``tests/unit/transport/test_pool.py`` lists them.
"""

from __future__ import annotations

import asyncio
import functools
import math
import select
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import aiohttp.http
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from publitrac_async.transport.deadline import Watchdog
from publitrac_async.transport.proxy import Proxy

#: What aiohttp and the sockets below it raise.
FAILURES: Final = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, aiohttp.EofStream, OSError)

_READ_BUFFER: Final = 64 * 1024
_MAX_FIELD: Final = 32 * 1024
#: Interim responses (1xx) that one request may get before its response.
_MAX_INTERIM: Final = 100
#: Turns of the event loop in which a readable connection shows what there is to read.
_TURNS: Final = 5
#: Seconds before the end of its announced life at which an idle connection is no longer used; half of a life
#: shorter than twice as much.
_KEEP_ALIVE_MARGIN: Final = 1.0


class Route:
    """A way to one host: directly or through a proxy, in the clear or with TLS."""

    def __init__(self, scheme: str, netloc: str, proxy: Proxy, context: ssl.SSLContext | None) -> None:
        self._origin = yarl.URL(f"{scheme}://{netloc}/", encoded=True)
        self._proxy = proxy
        self._context = context
        self._ready: aiohttp.ClientRequest | None = None

    def request(self) -> aiohttp.ClientRequest:
        """Describe the connection to aiohttp's pool."""
        if self._ready is not None:
            return self._ready
        request = aiohttp.ClientRequest(
            "GET",
            self._origin,
            proxy=None if self._proxy.url is None else yarl.URL(self._proxy.url),
            proxy_headers=self._proxy.headers,
            ssl=True if self._context is None else self._context,
            loop=asyncio.get_running_loop(),
        )
        if self._proxy.url is None:  # aiohttp changes those that go through a proxy.
            self._ready = request
        return request


class Pool:
    """Opens connections and keeps them for the next exchange.

    Args:
        size: connections in use at once; further exchanges wait for one of them to end.
        clock: monotonic seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slots = asyncio.Semaphore(size)
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self.connector: _Connector = _Connector(limit=0)

    async def connect(self, route: Route, *, connect: float | None, read: float | None) -> Exchange:
        """Take a connection from the pool, or open one, for one exchange.

        Args:
            route: where to.
            connect: seconds for name, TCP, proxy and TLS together; ``None`` for no limit.
            read: seconds of silence that the exchange allows; ``None`` for no limit.

        Raises:
            TimeoutError: `connect` is over.
            aiohttp.ClientError: there is no connection.
            OSError: likewise.
        """
        timeout = self._timeouts.get(connect)
        if timeout is None:
            # aiohttp applies this one to the whole opening; each of its others restarts with every address.
            timeout = aiohttp.ClientTimeout(connect=connect, ceil_threshold=math.inf)
            self._timeouts[connect] = timeout
        await self._slots.acquire()
        try:
            while True:
                connection = await self.connector.connect(route.request(), [], timeout)
                protocol = connection.protocol
                assert isinstance(protocol, _Protocol)
                if protocol.best_before > self._clock() and not protocol.should_close:
                    protocol.idle = True
                    return Exchange(connection, protocol, read, self._take_back)
                connection.close()
        except BaseException:
            self._slots.release()
            raise

    async def aclose(self) -> None:
        """Close all connections."""
        await self.connector.close()

    def _take_back(self, connection: Connection, keep_alive: float | None) -> None:
        self._slots.release()
        if keep_alive is None:
            # A mere close would first wait for a peer that does not read to take what is written.
            transport = connection.transport
            connection.close()
            if transport is not None:
                transport.abort()
            return
        protocol = connection.protocol
        assert isinstance(protocol, _Protocol)
        protocol.idle = protocol.used = True
        protocol.best_before = self._clock() + keep_alive
        connection.release()


class Exchange:
    """One request and its response, over a connection of its own until `end`."""

    def __init__(
        self,
        connection: Connection,
        protocol: _Protocol,
        read: float | None,
        take_back: Callable[[Connection, float | None], None],
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        self._take_back = take_back
        self._payload: aiohttp.StreamReader | None = None
        self._keep_alive: float | None = math.inf
        self._unwritten = 0
        self._watchdog = Watchdog(read, self._is_moving, self._fall_silent)
        self._ended = False

    @property
    def reused(self) -> bool:
        """Return True if an earlier exchange went over this connection."""
        return self._protocol.used

    async def is_fresh(self) -> bool:
        """Return True if the service has neither closed the connection nor written to it.

        The event loop may not have had a turn since: the socket itself is asked. Where there is something
        to read, the loop reads it first: messages of TLS are no reason to give a connection up.
        """
        protocol = self._protocol
        for _ in range(_TURNS):
            if not protocol.is_connected() or protocol.should_close:
                return False
            if not _is_readable(protocol.transport):
                return True
            await asyncio.sleep(0)
        return False

    def write(self, data: bytes) -> None:
        """Write the request. From here on, silence is timed."""
        protocol = self._protocol
        transport = protocol.transport
        assert transport is not None
        protocol.idle = False
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            max_field_size=_MAX_FIELD,
        )
        transport.write(data)
        self._unwritten = transport.get_write_buffer_size()
        self._watchdog.start()

    async def read_head(self) -> aiohttp.http.RawResponseMessage:
        """Read the head of the response; interim responses (1xx) are skipped."""
        for _ in range(_MAX_INTERIM):
            message, payload = await self._protocol.read()
            self._watchdog.moved()
            if not 100 <= message.code < 200 or message.code == 101:
                self._payload = payload
                self._keep_alive = _announced_life(message)
                return message
        raise aiohttp.http.HttpProcessingError(message="too many interim responses")

    async def read_chunk(self) -> bytes:
        """Read what there is of the body; empty at its end."""
        assert self._payload is not None
        chunk = await self._payload.readany()
        self._watchdog.moved()
        return chunk

    def end(self) -> None:
        """Give the connection back, or close it unless the response was read to its end."""
        if self._ended:
            return
        self._ended = True
        self._watchdog.stop()
        payload = self._payload
        whole = payload is not None and payload.is_eof() and payload.exception() is None
        self._take_back(self._connection, self._keep_alive if whole else None)

    def _is_moving(self) -> bool:
        """Return True if bytes wait to be read, or were taken since the last time."""
        transport = self._protocol.transport
        if transport is None:
            return False
        before, self._unwritten = self._unwritten, transport.get_write_buffer_size()
        return self._unwritten < before or _is_readable(transport)

    def _fall_silent(self) -> None:
        silence = aiohttp.ServerTimeoutError()
        self._protocol.set_exception(silence)
        if self._payload is not None:
            self._payload.set_exception(silence)


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with protocols of ours."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)
        self._factory: Any = functools.partial(_Protocol, loop=self._loop)


class _Protocol(ResponseHandler):
    """aiohttp's side of one connection.

    Attributes:
        idle: no response is due; what arrives all the same spoils the connection.
        used: an exchange went over it.
        best_before: when the service may close it, by the pool's clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.idle = False
        self.used = False
        self.best_before: float = math.inf

    def data_received(self, data: bytes) -> None:
        if self.idle:
            self.close()
        else:
            super().data_received(data)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  (passes the cause on)
        """Fail the head that is awaited and, unlike aiohttp, a body that can no longer be completed."""
        payload: aiohttp.StreamReader | None = self._payload
        super().set_exception(exc, *cause)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc)


def _is_readable(transport: asyncio.Transport | None) -> bool:
    """Return True if the socket has bytes, or its end, for the event loop to read."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return False
    descriptor: int = sock.fileno()
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):  # Windows, whose select() takes descriptors of any size.
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _announced_life(message: aiohttp.http.RawResponseMessage) -> float:
    """Return the seconds for which the connection may be kept idle by ``Keep-Alive: timeout=``."""
    hint = message.headers.get("Keep-Alive")
    if hint is None:
        return math.inf
    for parameter in hint.split(","):
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "timeout" and value.strip().isdecimal():
            # Longer ones are cut by aiohttp, which keeps idle connections for 15 seconds.
            seconds = float(value.strip()[:9])
            return seconds - min(_KEEP_ALIVE_MARGIN, seconds / 2)
    return math.inf
