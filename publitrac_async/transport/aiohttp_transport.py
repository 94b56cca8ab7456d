"""Default transport, on aiohttp, whose pool survives cancelled calls."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

import aiohttp
import aiohttp.http
import httpx

from publitrac_async.config import CONCURRENCY_CEILING
from publitrac_async.transport.malformed import malformation
from publitrac_async.transport.operation import Departure
from publitrac_async.transport.pool import FAILURES, Exchange, Pool, Route
from publitrac_async.transport.proxy import NO_PROXY, Proxy, proxy_from_environment

#: Extensions of a request. "target" is httpx's: the target of the request line, which is only written.
TARGET: Final = "target"
SEALED_HEADERS: Final = "publitrac_async.sealed_headers"
DEPARTURE: Final = "publitrac_async.departure"

#: Enough for the calls that two limiters allow in flight, and one token request.
POOL_SIZE: Final = 2 * CONCURRENCY_CEILING + 1

#: This transport writes these fields; it ignores those of the request.
_WRITTEN_HERE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REASONS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
}
#: New connections that may close before anything is written; after that the attempt fails.
_MAX_NEW_CONNECTIONS: Final = 3


class NotTrusted(httpx.ConnectError):
    """The peer's certificate is not trusted."""


class Unreached(httpx.ConnectError):
    """No connection was opened. The message names the reason."""


class Unusable(httpx.UnsupportedProtocol):
    """The transport is closed, or belongs to another event loop: nothing was sent."""


class ProxyRefused(httpx.ProxyError):
    """The proxy did not open a tunnel.

    Attributes:
        status: HTTP status of its response.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class MalformedResponse(httpx.RemoteProtocolError):
    """The response is not valid HTTP. The message names the defect."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """aiohttp's pool, TLS and parser behind httpx's interface.

    It writes the bytes of a request when the rate limiter permits it, so that no library holds a URL or a
    header with a secret. It follows no redirects, keeps no cookies and retries nothing. The reader of the
    response decompresses it, up to a limit.

    Args:
        pool_size: connections open at once.
        trust_env: take proxies (``HTTPS_PROXY``, ``NO_PROXY``, ...) and ``SSL_CERT_FILE`` or
            ``SSL_CERT_DIR`` from the environment. ``.netrc`` is never read.
        ssl_context: TLS settings; by default certifi's authorities are trusted.
    """

    def __init__(
        self,
        *,
        pool_size: int = POOL_SIZE,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._pool_size = pool_size
        self._trust_env = trust_env
        self._ssl_context = ssl_context
        self._pool: Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._destinations: dict[tuple[bytes, bytes], _Destination] = {}

    @property
    def closed(self) -> bool:
        """Return True after `aclose`."""
        return self._closed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its response with an unread, still compressed body.

        Raises:
            httpx.TransportError: with ``ConnectError``, ``ConnectTimeout`` and ``ProxyError`` only when
                nothing was sent.
        """
        if not isinstance(request.stream, httpx.ByteStream):
            await request.aread()
        departure: Departure | None = request.extensions.get(DEPARTURE)
        # No local name here holds the bytes of the request: this frame waits for the response, and error
        # trackers record the local names of frames.
        failure: httpx.TransportError
        try:
            exchange = await self.send(
                self._outgoing(request), departure, request.extensions.get("timeout", {})
            )
            try:
                message = await exchange.read_head()
            except BaseException:
                exchange.end()
                raise
        except FAILURES as error:
            failure = as_httpx(error)
        else:
            return httpx.Response(message.code, headers=list(message.raw_headers), stream=_Body(exchange))
        raise failure

    async def send(
        self, outgoing: Outgoing, departure: Departure | None, limits: Mapping[str, float | None]
    ) -> Exchange:
        """Write a request on a connection that was checked just before. The caller reads the response.

        Args:
            outgoing: the request.
            departure: asked for a permit, and notified, right before the write.
            limits: ``connect`` and ``read``, in seconds, as in httpx's extension ``timeout``.

        Raises:
            httpx.TransportError: nothing was sent.
            OSError: likewise, as all of `FAILURES`.
        """
        remaining = _MAX_NEW_CONNECTIONS
        while remaining:
            exchange = await self._connect(outgoing.head.route, limits)
            try:
                if departure is not None:
                    await departure.permit()
                if await exchange.is_fresh():
                    if departure is not None:
                        departure.sent()
                    exchange.write(outgoing.data)
                    return exchange
            except BaseException:
                exchange.end()
                raise
            # The connection closed before the request was written.
            remaining -= not exchange.reused
            exchange.end()
        raise httpx.ConnectError("connections keep closing before anything is sent")

    def head(self, method: str, url: httpx.URL, fields: Sequence[tuple[bytes, bytes]]) -> Head:
        """Return the fixed parts of requests to `url`.

        Args:
            method: of the request line.
            url: its path is ignored.
            fields: header fields that are not secret.
        """
        return Head(method, self._destination(url), fields)

    async def aclose(self) -> None:
        """Close the pool."""
        self._closed = True
        if self._pool is not None:
            await self._pool.aclose()

    async def _connect(self, route: Route, limits: Mapping[str, float | None]) -> Exchange:
        if self._closed:
            raise Unusable("the transport is closed: open a new one")
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool, self._loop = Pool(self._pool_size), loop
        elif self._loop is not loop:
            raise Unusable("the transport belongs to another event loop: open one in each loop")
        try:
            return await self._pool.connect(route, connect=limits.get("connect"), read=limits.get("read"))
        except TimeoutError:
            pass
        raise httpx.ConnectTimeout("ConnectTimeout")

    def _outgoing(self, request: httpx.Request) -> Outgoing:
        extensions, stream = request.extensions, request.stream
        assert isinstance(stream, httpx.ByteStream)
        return self.head(request.method, request.url, request.headers.raw).outgoing(
            extensions.get(TARGET, request.url.raw_path),
            extensions.get(SEALED_HEADERS, ()),
            b"".join(stream),
        )

    def _destination(self, url: httpx.URL) -> _Destination:
        key = (url.raw_scheme, url.netloc)
        destination = self._destinations.get(key)
        if destination is None:
            proxy = (
                proxy_from_environment(url.scheme, url.netloc.decode("ascii"))
                if self._trust_env
                else NO_PROXY
            )
            context = None
            if url.scheme == "https":
                context = self._ssl_context or httpx.create_ssl_context(trust_env=self._trust_env)
            destination = self._destinations[key] = _Destination(url, proxy, context)
        return destination


class Outgoing:
    """Request that is ready to be written. Its ``repr`` does not show its content."""

    # Without a `__dict__` in which debuggers and error trackers would find the credentials.
    __slots__ = ("data", "head")

    def __init__(self, head: Head, data: bytes) -> None:
        self.head: Head = head
        self.data: bytes = data


class Head:
    """Fixed parts of many requests: their route, method, and the header fields that are not secret."""

    def __init__(self, method: str, destination: _Destination, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.route: Route = destination.route
        self._start = b"%b %b" % (method.encode("ascii"), destination.prefix)
        self._fields = b" HTTP/1.1\r\n%b%b" % (
            destination.fields,
            _lines((name, value) for name, value in fields if name.lower() not in _WRITTEN_HERE),
        )
        self._bodiless = method in _BODILESS

    def outgoing(self, target: bytes, sealed: Iterable[tuple[bytes, bytes]], content: bytes) -> Outgoing:
        """Complete a request.

        Args:
            target: of the request line.
            sealed: header fields that are secret.
            content: the body.

        Raises:
            httpx.LocalProtocolError: a field has a line break or NUL.
        """
        length = b"content-length: %d\r\n" % len(content) if content or not self._bodiless else b""
        parts = (self._start, target, self._fields, _lines(sealed), length, b"\r\n", content)
        return Outgoing(self, b"".join(parts))


class _Destination:
    """Route to one host, with the fixed parts of requests to it."""

    def __init__(self, url: httpx.URL, proxy: Proxy, context: ssl.SSLContext | None) -> None:
        self.route: Route = Route(url.scheme, url.netloc.decode("ascii"), proxy, context)
        self.prefix: bytes = b""
        self.fields: bytes = _lines([(b"host", url.netloc)])
        if proxy.url is not None and context is None:
            # A proxy needs the absolute form for plain http; with TLS it gets only the CONNECT.
            self.prefix = b"http://" + url.netloc
            headers = proxy.headers or {}
            self.fields += _lines(
                (name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()
            )


def _lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the bytes of header fields.

    Raises:
        httpx.LocalProtocolError: a field has a line break or NUL.
    """
    lines = [b"%b: %b\r\n" % field for field in fields]
    text = b"".join(lines)
    if not text.count(b"\r") == text.count(b"\n") == len(lines) or b"\0" in text:
        raise httpx.LocalProtocolError("a header field has a line break or NUL")
    return text


class _Body(httpx.AsyncByteStream):
    """Body of a response for httpx. Reading it to its end frees the connection for reuse."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._exchange)
        except FAILURES as error:
            failure = as_httpx(error)
        raise failure

    async def aclose(self) -> None:
        self._exchange.end()


def as_httpx(error: Exception) -> httpx.TransportError:
    """Return the error of httpx for one of `FAILURES`."""
    kind = type(error).__name__
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return NotTrusted(kind)
        case aiohttp.ClientHttpProxyError():
            return ProxyRefused(error.status)
        case aiohttp.ClientProxyConnectionError():
            return httpx.ProxyError(kind)
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(kind)
        case aiohttp.ClientConnectorError():
            reason = _unreached(error)
            return httpx.ConnectError(kind) if reason is None else Unreached(reason)
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout(kind)
        case OSError():
            return httpx.ReadError(kind)
        case aiohttp.http.HttpProcessingError():
            return MalformedResponse(malformation(error) or "it cannot be parsed")
        case _:
            return httpx.RemoteProtocolError(kind)


def _unreached(error: aiohttp.ClientConnectorError) -> str | None:
    """Return the reason why no connection was opened, ``None`` if unknown."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "host name not found"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS handshake failed"
    return _REASONS.get(error.os_error.errno or 0)
