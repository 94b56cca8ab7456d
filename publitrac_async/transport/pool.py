"""Connections from aiohttp: pooled, checked before use, with a read timeout.

aiohttp documents only its session. This module alone uses its undocumented names;
``tests/unit/transport/test_pool.py`` lists them.
"""

from __future__ import annotations

import asyncio
import functools
import math
import select
import ssl
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import aiohttp.http
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from publitrac_async.transport.deadline import Alarms, Watchdog
from publitrac_async.transport.proxy import Proxy

#: Errors of aiohttp and of sockets.
FAILURES: Final = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, aiohttp.EofStream, OSError)

_READ_BUFFER: Final = 64 * 1024
_MAX_FIELD: Final = 32 * 1024
#: Limit on the interim responses (1xx) to one request.
_MAX_INTERIM: Final = 100
#: Limit on the bytes around a body (heads, sizes of chunks, trailers), added to the size of the body. Without
#: it a service could send them forever, and the read timeout would never expire.
_MAX_FRAMING: Final = 1024 * 1024
#: Turns of the event loop in which a readable connection may deliver its data.
_TURNS: Final = 5
#: Seconds before its announced expiry from which an idle connection is not reused; at most half its lifetime.
_KEEP_ALIVE_MARGIN: Final = 1.0


class Route:
    """Route to one host: direct or through a proxy, plain or with TLS."""

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
        if self._proxy.url is None:
            # Made for each call it takes 2.4 µs of 65. aiohttp changes requests that go through a proxy.
            self._ready = request
        return request


class Pool:
    """Opens connections and keeps them for reuse.

    Args:
        size: connections in use at once; further exchanges wait for a free one.
        clock: monotonic seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slots = asyncio.Semaphore(size)
        self.connector: _Connector = _Connector(limit=0)

    async def connect(self, route: Route, *, connect: float | None, read: float | None) -> Exchange:
        """Take a connection from the pool or open one, for one exchange.

        Args:
            route: route of the connection.
            connect: seconds for name lookup, TCP, proxy and TLS together; ``None`` for no limit.
            read: seconds allowed without data; ``None`` for no limit.

        Raises:
            TimeoutError: `connect` expired.
            aiohttp.ClientError: the connection failed.
            OSError: likewise.
        """
        # This aiohttp timeout limits the whole opening; the others restart with every address.
        timeout = aiohttp.ClientTimeout(connect=connect, ceil_threshold=math.inf)
        await self._slots.acquire()
        try:
            while True:
                connection = await self.connector.connect(route.request(), [], timeout)
                protocol = connection.protocol
                assert isinstance(protocol, _Protocol)
                if protocol.best_before > self._clock():
                    protocol.idle = True
                    return Exchange(self, connection, protocol, read)
                connection.close()
        except BaseException:
            self._slots.release()
            raise

    def take_back(self, connection: Connection, protocol: _Protocol, keep_alive: float | None) -> None:
        """Keep a connection for reuse for `keep_alive` seconds, or close it if ``None``."""
        self._slots.release()
        if keep_alive is not None and protocol.idle:
            connection.release()  # Nothing was written: its expiry is unchanged.
        elif keep_alive is None:
            # A plain close would wait until the peer has read the bytes written.
            transport = connection.transport
            connection.close()
            if transport is not None:
                transport.abort()
        else:
            protocol.idle = protocol.used = True
            protocol.best_before = self._clock() + keep_alive
            connection.release()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.connector.close()


class Exchange:
    """One request and its response, with exclusive use of a connection until `end`.

    Iterate over it for the parts of the body, after `read_head`.
    """

    def __init__(self, pool: Pool, connection: Connection, protocol: _Protocol, read: float | None) -> None:
        self._pool = pool
        self._connection: Connection | None = connection
        self._protocol = protocol
        self._read = read
        #: True for a request so large that a service may refuse it without reading all of it.
        self._large = False
        self._payload: aiohttp.StreamReader | None = None
        self._keep_alive: float | None = math.inf

    @property
    def reused(self) -> bool:
        """True if an earlier exchange used this connection."""
        return self._protocol.used

    async def is_fresh(self) -> bool:
        """Return True if the service has neither closed the connection nor written to it.

        The event loop may not have read the socket yet, so this method polls it. If there is data, the loop
        gets some turns to read it: unexpected data closes the connection, TLS messages alone do not.
        """
        protocol = self._protocol
        for _ in range(_TURNS):
            if not protocol.is_connected():
                break
            if not protocol.is_readable():
                return True
            await asyncio.sleep(0)
        self._keep_alive = None
        return False

    def write(self, data: bytes) -> None:
        """Write the request, and start the read timeout."""
        protocol = self._protocol
        transport = protocol.transport
        assert transport is not None
        self._large = len(data) > _READ_BUFFER
        protocol.idle = False
        protocol.received = protocol.read_bytes = 0
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            max_field_size=_MAX_FIELD,
        )
        transport.write(data)
        protocol.watch(self._read)

    async def read_head(self) -> aiohttp.http.RawResponseMessage:
        """Read the head of the response. Skip interim responses (1xx), which do not extend the timeout."""
        for _ in range(_MAX_INTERIM):
            message, payload = await self._protocol.read()
            if not 100 <= message.code < 200 or message.code == 101:
                self._protocol.watchdog.moved()
                self._payload = payload
                transport = self._protocol.transport
                if transport is None or transport.get_write_buffer_size():
                    # Part of the request is unwritten: the service could take it for the next request.
                    self._keep_alive = None
                elif message.code == HTTPStatus.MISDIRECTED_REQUEST or (self._large and message.code >= 400):
                    # After 421 another connection may reach the right server; after an early refusal the
                    # service may close this one with the rest of the request unread.
                    self._keep_alive = None
                else:
                    self._keep_alive = _announced_life(message)
                return message
        raise aiohttp.http.HttpProcessingError(message="too many interim responses")

    def whole_body(self) -> bytes | None:
        """Return the body if all of it has arrived and none of it was read; most do with their heads."""
        payload = self._payload
        assert payload is not None
        return payload.read_nowait() if payload.is_eof() and payload.exception() is None else None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        assert self._payload is not None
        chunk = await self._payload.readany()
        self._protocol.read_bytes += len(chunk)
        self._protocol.watchdog.moved()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def end(self) -> None:
        """Return the connection to the pool if it is reusable; close it otherwise.

        It is reusable before the request is written, and after the response was read to its end.
        """
        connection = self._connection
        if connection is None:
            return
        self._connection = None
        self._protocol.watchdog.stop()
        payload = self._payload
        whole = payload is not None and payload.is_eof() and payload.exception() is None
        reusable = whole or self._protocol.idle
        self._pool.take_back(connection, self._protocol, self._keep_alive if reusable else None)


class _Connector(aiohttp.TCPConnector):
    """Connector of aiohttp that uses `_Protocol`."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)
        self._factory: Any = functools.partial(_Protocol, loop=asyncio.get_running_loop(), alarms=Alarms())


class _Protocol(ResponseHandler):
    """Protocol of one connection.

    Attributes:
        idle: no response is due, so data that arrives closes the connection.
        used: an exchange has used the connection.
        received: bytes received since the request was written.
        read_bytes: bytes of the body that were read.
        best_before: time until which the connection may be reused, on the clock of the pool.
        watchdog: read timeout of the current exchange.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, alarms: Alarms) -> None:
        super().__init__(loop)
        self.idle = False
        self.used = False
        self.received: int = 0
        self.read_bytes = 0
        self.best_before: float = math.inf
        self.watchdog: Watchdog = Watchdog(self._is_moving, self._time_out, alarms)
        self._unwritten = 0
        #: Kept for the checks before each call; see `Wire.exchange` for the figure.
        self._socket: Any = None
        self._poll: select.poll | None = None

    def watch(self, read: float | None) -> None:
        """Start the read timeout, in seconds."""
        assert self.transport is not None
        self._unwritten = self.transport.get_write_buffer_size()
        self.watchdog.start(read)

    def is_readable(self) -> bool:
        """Return True if the socket has bytes, or its end, for the event loop to read."""
        if self.transport is None:
            return False
        if self._socket is None:
            self._socket = self.transport.get_extra_info("socket")
            if self._socket is None:
                return False
        descriptor: int = self._socket.fileno()
        if descriptor < 0:  # With TLS, the transport learns of a closed socket one turn later.
            return True
        if not hasattr(select, "poll"):  # Windows, where select() accepts descriptors of any size.
            return bool(select.select([descriptor], [], [], 0)[0])
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)
        return bool(self._poll.poll(0))

    def data_received(self, data: bytes) -> None:
        if self.idle:
            self.close()
            return
        self.received += len(data)
        if self.received > 2 * self.read_bytes + _MAX_FRAMING:
            self.set_exception(aiohttp.http.HttpProcessingError(message="too many bytes around the body"))
        else:
            super().data_received(data)

    def resume_reading(self, *args: Any, **kwargs: Any) -> None:
        """Read on after a pause.

        Without one, aiohttp feeds its parser nothing after every chunk, and a call takes 6 % longer.
        """
        if self._reading_paused:
            super().resume_reading(*args, **kwargs)  # aiohttp 3.13 has no parameter, 3.14 one.

    def set_exception(self, exc: BaseException, *cause: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  (passes the cause on)
        """Set the exception on the awaited head and, unlike aiohttp, on an incomplete body."""
        payload: aiohttp.StreamReader | None = self._payload
        super().set_exception(exc, *cause)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc)

    def _is_moving(self) -> bool:
        """Return True if there are bytes to read, or bytes were written since the last check."""
        if self.transport is None:
            return False
        before, self._unwritten = self._unwritten, self.transport.get_write_buffer_size()
        return self._unwritten < before or self.is_readable()

    def _time_out(self) -> None:
        self.set_exception(aiohttp.ServerTimeoutError())


def _announced_life(message: aiohttp.http.RawResponseMessage) -> float:
    """Return the seconds that ``Keep-Alive: timeout=`` lets the connection stay idle."""
    hint = message.headers.get("Keep-Alive")
    if hint is None:
        return math.inf
    for parameter in hint.split(","):
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "timeout" and value.strip().isdecimal():
            # aiohttp closes idle connections after 15 seconds, so longer ones do not matter.
            seconds = float(value)
            return seconds - min(_KEEP_ALIVE_MARGIN, seconds / 2)
    return math.inf
