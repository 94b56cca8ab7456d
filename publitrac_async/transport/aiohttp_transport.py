"""The default transport, on aiohttp: its pool stays whole when calls are cancelled, and keeps its speed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeAlias

import aiohttp
import aiohttp.http
import httpx
import yarl
from aiohttp.connector import Connection

from publitrac_async.config import CONCURRENCY
from publitrac_async.transport.proxy import NO_PROXY, Proxy, proxy_from_environment

Leave: TypeAlias = Callable[[], Awaitable[None]]

#: Extensions of a request. "target" is httpx's own: the request line's target, seen by the wire only.
TARGET: Final = "target"
SEALED_HEADERS: Final = "publitrac_async.sealed_headers"
BEFORE_SEND: Final = "publitrac_async.before_send"

#: What aiohttp and the sockets below it raise.
FAILURES: Final = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, aiohttp.EofStream, OSError)

#: Written here, whatever the request says.
_WRITTEN_HERE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_BUFFER: Final = 64 * 1024
_MAX_FIELD: Final = 32 * 1024
_REMEMBERED_FIELDS: Final = 256
#: A connection that ended while its request waited for the rate limiter is replaced so many times.
_STALE_CONNECTIONS: Final = 3


class NotTrusted(httpx.ConnectError):
    """The peer's certificate was refused."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """aiohttp's pool, TLS and parser behind httpx's interface.

    It writes the bytes of a request itself, when the request's turn has come, so that no library holds a
    URL or a header with a secret in it. It never follows a redirect, keeps no cookies, repeats nothing,
    and leaves decompression to the reader, which caps it.

    Args:
        pool_size: connections open at once.
        trust_env: take proxies (``HTTPS_PROXY``, ``NO_PROXY``, ...) and ``SSL_CERT_FILE`` or
            ``SSL_CERT_DIR`` from the environment. ``.netrc`` is never read.
        ssl_context: what to trust; certifi's authorities by default.
    """

    def __init__(
        self,
        *,
        pool_size: int = CONCURRENCY + 1,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._pool_size = pool_size
        self._trust_env = trust_env
        self._ssl_context = ssl_context
        self._connector: aiohttp.TCPConnector | None = None
        self._closed = False
        self._routes: dict[tuple[bytes, bytes, int | None], _Route] = {}
        self._fields: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}
        self._opening: dict[float | None, aiohttp.ClientTimeout] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer with an unread, still compressed body.

        Raises:
            httpx.TransportError: with ``ConnectError``, ``ConnectTimeout`` and ``ProxyError`` only when
                nothing was sent.
        """
        stream = request.stream
        content = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await request.aread()
        route = self._route(request.url)
        before_send: Leave | None = request.extensions.get(BEFORE_SEND)
        for _ in range(_STALE_CONNECTIONS):
            failure: httpx.TransportError
            try:
                connection = await self._connect(route, request.extensions.get("timeout", {}))
                try:
                    if before_send is not None:
                        await before_send()
                    if _is_stale(connection):
                        # It ended while its request waited to leave; nothing was written.
                        connection.close()
                        continue
                    self._write(connection, route, request, content)
                    message, payload = await _read_head(connection)
                except BaseException:
                    _abort(connection)
                    raise
            except FAILURES as error:
                failure = _as_httpx(error)
            else:
                body = _BodyStream(connection, payload)
                return httpx.Response(message.code, headers=list(message.raw_headers), stream=body)
            raise failure
        raise httpx.ConnectError("connections keep ending before anything is sent")

    async def aclose(self) -> None:
        """Close the pool."""
        self._closed = True
        if self._connector is not None:
            await self._connector.close()

    async def _connect(self, route: _Route, limits: dict[str, float | None]) -> Connection:
        """A connection from the pool, ready for one exchange."""
        if self._closed:
            raise httpx.ConnectError("the transport is closed")
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(limit=self._pool_size)
        seconds = limits.get("connect")
        opening = self._opening.get(seconds)
        if opening is None:
            opening = self._opening[seconds] = aiohttp.ClientTimeout(sock_connect=seconds)
        try:
            connection = await self._connector.connect(route.request(), [], opening)
        except TimeoutError:
            connection = None
        if connection is None:
            raise httpx.ConnectTimeout("ConnectTimeout")
        protocol = connection.protocol
        assert protocol is not None
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=limits.get("read"),
            read_bufsize=_READ_BUFFER,
            max_field_size=_MAX_FIELD,
        )
        return connection

    def _write(self, connection: Connection, route: _Route, request: httpx.Request, content: bytes) -> None:
        extensions = request.extensions
        target: bytes = extensions.get(TARGET, request.url.raw_path)
        visible = tuple(request.headers.raw)
        fields = self._fields.get(visible)
        if fields is None:
            fields = _lines((name, value) for name, value in visible if name.lower() not in _WRITTEN_HERE)
            if len(self._fields) < _REMEMBERED_FIELDS:
                self._fields[visible] = fields
        sealed = _lines(extensions[SEALED_HEADERS]) if SEALED_HEADERS in extensions else b""
        length = (
            b"content-length: %d\r\n" % len(content) if content or request.method not in _BODILESS else b""
        )
        start = b"%b %b%b HTTP/1.1\r\n" % (request.method.encode("ascii"), route.prefix, target)
        transport, protocol = connection.transport, connection.protocol
        assert transport is not None
        assert protocol is not None
        transport.write(b"".join((start, route.fields, fields, sealed, length, b"\r\n", content)))
        protocol.start_timeout()

    def _route(self, url: httpx.URL) -> _Route:
        key = (url.raw_scheme, url.raw_host, url.port)
        route = self._routes.get(key)
        if route is None:
            proxy = (
                proxy_from_environment(url.scheme, url.netloc.decode("ascii"))
                if self._trust_env
                else NO_PROXY
            )
            context = None
            if url.scheme == "https":
                context = self._ssl_context or httpx.create_ssl_context(trust_env=self._trust_env)
            route = self._routes[key] = _Route(url, proxy, context)
        return route


class _Route:
    """The way to one host: directly or through a proxy, in the clear or with TLS."""

    def __init__(self, url: httpx.URL, proxy: Proxy, context: ssl.SSLContext | None) -> None:
        self._origin = yarl.URL(f"{url.scheme}://{url.netloc.decode('ascii')}/", encoded=True)
        self._proxy = proxy
        self._context = context
        self._ready: aiohttp.ClientRequest | None = None
        self.prefix = b""
        self.fields = _lines([(b"host", url.netloc)])
        if proxy.url is not None and context is None:
            # A proxy takes plain http in absolute form; with TLS it only sees the CONNECT before it.
            self.prefix = b"http://" + url.netloc
            headers = proxy.headers or {}
            self.fields += _lines(
                (name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()
            )

    def request(self) -> aiohttp.ClientRequest:
        """What aiohttp's pool wants to know of the connection."""
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


def _lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields as they are written.

    Raises:
        httpx.LocalProtocolError: a field holds a line break or NUL.
    """
    lines = [b"%b: %b\r\n" % field for field in fields]
    text = b"".join(lines)
    if not text.count(b"\r") == text.count(b"\n") == len(lines) or b"\0" in text:
        raise httpx.LocalProtocolError("a header field holds characters that cannot be sent")
    return text


def _abort(connection: Connection) -> None:
    """Close at once; a mere close would first wait for a peer that does not read to take what is written."""
    transport = connection.transport
    connection.close()
    if transport is not None:
        transport.abort()


def _is_stale(connection: Connection) -> bool:
    protocol = connection.protocol
    return protocol is None or not protocol.is_connected() or protocol.should_close


async def _read_head(connection: Connection) -> tuple[aiohttp.http.RawResponseMessage, aiohttp.StreamReader]:
    """The head of the answer, and its body still to be read; interim answers (1xx) are skipped."""
    protocol = connection.protocol
    assert protocol is not None
    while True:
        message, payload = await protocol.read()
        if not 100 <= message.code < 200 or message.code == 101:
            return message, payload


class _BodyStream(httpx.AsyncByteStream):
    """The body of an answer, as httpx wants it. Read to its end, its connection can be used again."""

    def __init__(self, connection: Connection, payload: aiohttp.StreamReader) -> None:
        self._connection = connection
        self._payload = payload

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._payload.readany()
        except FAILURES as error:
            failure = _as_httpx(error)
        else:
            if not chunk:
                raise StopAsyncIteration
            return chunk
        raise failure

    async def aclose(self) -> None:
        if self._payload.is_eof() and self._payload.exception() is None:
            self._connection.release()
        else:
            _abort(self._connection)


def _as_httpx(error: Exception) -> httpx.TransportError:
    kind = type(error).__name__
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return NotTrusted(kind)
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return httpx.ProxyError(kind)
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(kind)
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(kind)
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout(kind)
        case OSError():
            return httpx.ReadError(kind)
        case _:
            return httpx.RemoteProtocolError(kind)
