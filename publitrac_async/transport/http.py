"""The only place that speaks httpx and aiohttp.

The seam is httpx: requests and answers are `httpx.Request` and `httpx.Response`, and any
`httpx.AsyncBaseTransport` can carry them. The default one, `AiohttpTransport`, runs on aiohttp, whose pool
stays whole when calls are cancelled and keeps its speed when many are in flight.

Secrets and personal data are not in the request that libraries, logs and auto-instrumentation see. They
travel beside it, in its ``extensions``, and join it when its bytes are written.
"""

from __future__ import annotations

import base64
import ssl
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import aiohttp
import httpx
import yarl
from attrs import define, field, frozen
from multidict import CIMultiDict, CIMultiDictProxy

from publitrac_async.config import CONCURRENCY, Timeout
from publitrac_async.errors import NotSent, OutcomeUnknown, Problem, PublitracError, ValidationError
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.body import read_body
from publitrac_async.transport.classify import parse_retry_after
from publitrac_async.transport.operation import Answer, Call, Operation
from publitrac_async.version import USER_AGENT

Leave = Callable[[], Awaitable[None]]

#: Extensions of a request. "target" is httpx's own: the request line's target, seen by the wire only.
TARGET: Final = "target"
SEALED_HEADERS: Final = "publitrac_async.sealed_headers"
BEFORE_SEND: Final = "publitrac_async.before_send"

_BASE_HEADERS: Final = (("accept-encoding", "gzip"), ("user-agent", USER_AGENT))
_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
#: aiohttp writes these itself.
_WRITTEN_BY_AIOHTTP: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
#: A connection that ended while its request waited for the rate limiter is replaced so many times.
_STALE_CONNECTIONS: Final = 3

_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
#: Besides httpx's own errors, those that injected transports are known to let through.
_FAILURES: Final = (httpx.TransportError, httpx.StreamError, aiohttp.ClientError, OSError)

_NOT_SENDABLE: Final = Problem("a parameter holds lone surrogates, or is too long for a URL")


@define
class Attempt:
    """What is known of one request while it is under way: whether bytes may have left, and when."""

    number: int
    started: float
    sent_at: float | None = None
    status: int | None = None


class Wire:
    """Builds a request from a call, hands it to a transport, reads the answer, names what went wrong."""

    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport, timeout: Timeout) -> None:
        self._base = base_url
        self._transport = transport
        self._timeout = {
            "connect": timeout.connect,
            "read": timeout.read,
            "write": timeout.read,
            "pool": timeout.connect,
        }
        self._seals = isinstance(transport, AiohttpTransport)
        self._urls: dict[str, httpx.URL] = {}
        self._headers: dict[tuple[tuple[str, str], ...], httpx.Headers] = {}

    async def exchange(
        self, call: Call[Any], authorization: Authorization, attempt: Attempt, leave: Leave
    ) -> Answer:
        """Send one request and read its answer whole.

        Args:
            call: what to send.
            authorization: the credentials to send it with.
            attempt: filled in on the way.
            leave: awaited as the last thing before bytes are written.

        Raises:
            NotSent: nothing reached the service.
            OutcomeUnknown: the answer did not arrive whole.
            UnexpectedContent: the answer passes a cap or has a broken coding.
            ValidationError: a text of the call cannot be written.
        """
        request = self._sendable(call, authorization, leave)
        if request is None:
            raise ValidationError(str(_NOT_SENDABLE), problems=[_NOT_SENDABLE])
        failure: PublitracError
        try:
            if not self._seals:
                await leave()
            response = await self._transport.handle_async_request(request)
            try:
                attempt.status = response.status_code
                return await _read(response)
            finally:
                await response.aclose()
        except _FAILURES as error:
            failure = _name(error, sent=attempt.sent_at is not None)
        # Raised out here, so that no exception with a URL or a header in its frames hangs on to it.
        raise failure

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def _sendable(self, call: Call[Any], authorization: Authorization, leave: Leave) -> httpx.Request | None:
        try:
            return self._request(call, authorization, leave)
        except (UnicodeEncodeError, httpx.InvalidURL):
            return None  # The error's text and frames show the value, and the credentials beside it.

    def _request(self, call: Call[Any], authorization: Authorization, leave: Leave) -> httpx.Request:
        operation = call.operation
        content, content_type, query = call.content or b"", call.content_type, call.query
        parameters = tuple((name, secret.reveal()) for name, secret in authorization.parameters)
        if call.form is not None:
            content_type = _FORM
            if authorization.placement == "body":
                content = urllib.parse.urlencode(parameters + call.form).encode()
                parameters = ()
            else:
                content = urllib.parse.urlencode(call.form).encode()
        headers = (*call.headers, *((("content-type", content_type),) if content_type is not None else ()))
        secret_headers = [(name, secret.reveal()) for name, secret in authorization.headers]
        url = self._url(operation)
        target = url.raw_path.decode("ascii")
        if parameters or query:
            joint = "&" if "?" in target else "?"
            target += joint + urllib.parse.urlencode(parameters + query, quote_via=urllib.parse.quote)
        extensions: dict[str, Any] = {"timeout": self._timeout, TARGET: target.encode("ascii")}
        if self._seals:
            extensions[SEALED_HEADERS] = secret_headers
            extensions[BEFORE_SEND] = leave
            return httpx.Request(
                operation.verb,
                url,
                headers=self._ready_headers(headers),
                stream=httpx.ByteStream(content),
                extensions=extensions,
            )
        # httpx's own transport sends the target from the extension; others know only the URL.
        if not isinstance(self._transport, httpx.AsyncHTTPTransport):
            url = url.copy_with(raw_path=target.encode("ascii"))
        return httpx.Request(
            operation.verb,
            url,
            headers=[*_BASE_HEADERS, *headers, *secret_headers],
            content=content if call.form is not None or call.content is not None else None,
            extensions=extensions,
        )

    def _ready_headers(self, headers: tuple[tuple[str, str], ...]) -> httpx.Headers:
        ready = self._headers.get(headers)
        if ready is None:
            ready = self._headers[headers] = httpx.Headers([*_BASE_HEADERS, *headers])
        return ready

    def _url(self, operation: Operation) -> httpx.URL:
        text = (operation.base_url or self._base) + operation.path
        url = self._urls.get(text)
        if url is None:
            url = self._urls[text] = httpx.URL(text)
        return url


async def _read(response: httpx.Response) -> Answer:
    encoding, retry_after, framed = "", [], False
    # One pass over the bytes: the look-ups of httpx.Headers decode every field each time.
    for name, value in response.headers.raw:
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                framed = True
            case b"content-encoding":
                encoding = value.decode("latin-1")
            case b"retry-after":
                retry_after.append(value.decode("latin-1"))
    body = await read_body(_chunks(response), encoding)
    wait = parse_retry_after(retry_after) if retry_after else None
    return Answer(response.status_code, body, framed, wait)


def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    return aiter(stream)


def _name(error: Exception, *, sent: bool) -> PublitracError:
    """The typed error for a failure of the transport. Its text comes from here, never from `error`."""
    kind = type(error).__name__
    if isinstance(error, _NotTrusted) or _is_certificate_error(error):
        return NotSent(
            "no trusted TLS connection to the service: its certificate was refused", retryable=False
        )
    if not sent or isinstance(error, _NEVER_SENT):
        return NotSent(f"no connection to the service ({kind})")
    if isinstance(error, httpx.TimeoutException):
        return OutcomeUnknown(f"the service fell silent before its answer was whole ({kind})")
    return OutcomeUnknown(f"the connection ended before the answer was whole ({kind})")


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _NotTrusted(httpx.ConnectError):
    """The peer's certificate was refused."""


@frozen
class _Sealed:
    """What joins a request only when its bytes are written. Its ``repr`` shows nothing."""

    target: bytes | None = field(repr=False)
    headers: list[tuple[str, str]] = field(repr=False)
    before_send: Leave | None = field(repr=False)


class _StaleConnection(Exception):
    """The connection ended while its request waited to leave; nothing was written."""


class _SealedRequest(aiohttp.ClientRequest):
    """A request whose secrets exist only while `send` writes them.

    Traces, errors and ``response.request_info`` are given the URL and headers without them.
    """

    sealed: _Sealed | None = None
    _visible: tuple[yarl.URL, CIMultiDict[str]] | None = None

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        sealed = self.sealed
        if sealed is None:
            return await super().send(conn)
        if sealed.before_send is not None:
            await sealed.before_send()
            protocol = conn.protocol
            if protocol is None or not protocol.is_connected() or protocol.should_close:
                raise _StaleConnection
        self._visible = self.url, self.headers
        try:
            if sealed.target is not None:
                self.url = yarl.URL(f"{self.url.origin()}{sealed.target.decode('ascii')}", encoded=True)
            if sealed.headers:
                self.headers = self.headers.copy()
                self.headers.extend(sealed.headers)
            return await super().send(conn)
        finally:
            self.url, self.headers = self._visible

    @property
    def request_info(self) -> aiohttp.RequestInfo:
        url, headers = self._visible or (self.url, self.headers)
        return aiohttp.RequestInfo(url, self.method, CIMultiDictProxy(headers), self.original_url)

    async def _on_headers_request_sent(self, method: str, url: yarl.URL, headers: Any) -> None:
        url, headers = self._visible or (url, headers)
        await super()._on_headers_request_sent(method, url, headers)

    async def _on_chunk_request_sent(self, method: str, url: yarl.URL, chunk: bytes) -> None:
        """A body is personal data: no trace sees it."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """The default transport: aiohttp behind httpx's interface.

    It never follows a redirect, keeps no cookies, repeats nothing by itself, and leaves decompression to
    the reader, which caps it.

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
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._urls: dict[str, yarl.URL] = {}
        self._headers: dict[tuple[tuple[bytes, bytes], ...], CIMultiDict[str]] = {}
        self._proxies: dict[str, _Proxy] = {}
        self._timeout = aiohttp.ClientTimeout()
        self._timeout_of: object = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer with an unread, still compressed body.

        Raises:
            httpx.TransportError: with ``ConnectError``, ``ConnectTimeout`` and ``ProxyError`` only when
                nothing was sent.
        """
        extensions = request.extensions
        sealed = _Sealed(
            extensions.get(TARGET), extensions.get(SEALED_HEADERS, []), extensions.get(BEFORE_SEND)
        )
        stream = request.stream
        content = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await request.aread()
        for _ in range(_STALE_CONNECTIONS):
            try:
                response = await self._send(request, content, sealed)
            except _StaleConnection:
                continue
            except aiohttp.ClientError as error:
                failure = _as_httpx(error)
            else:
                return httpx.Response(
                    response.status,
                    headers=list(response.raw_headers),
                    stream=_BodyStream(response),
                    extensions={"http_version": b"HTTP/1.1"},
                )
            raise failure
        raise httpx.ConnectError("connections keep ending before anything is sent")

    async def aclose(self) -> None:
        """Close the pool."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(self, request: httpx.Request, content: bytes, sealed: _Sealed) -> aiohttp.ClientResponse:
        async def seal(
            outgoing: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            assert isinstance(outgoing, _SealedRequest)
            outgoing.sealed = sealed
            return await send(outgoing)

        if self._closed:
            raise httpx.ConnectError("the transport is closed")
        session = self._session
        if session is None:
            session = self._session = self._open()
        proxy = self._proxy_for(request.url) if self._trust_env else _NO_PROXY
        return await session.request(
            request.method,
            self._url(request.url),
            data=content or None,
            headers=self._client_headers(tuple(request.headers.raw)),
            allow_redirects=False,
            timeout=self._client_timeout(request.extensions.get("timeout")),
            middlewares=(seal,),
            proxy=proxy.url,
            proxy_headers=proxy.headers,
        )

    def _open(self) -> aiohttp.ClientSession:
        context = self._ssl_context or httpx.create_ssl_context(trust_env=self._trust_env)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._pool_size, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_SealedRequest,
            auto_decompress=False,
            max_field_size=32 * 1024,
        )
        # aiohttp sends a GET again by itself when the server hangs up, past rate limiter and retry count.
        session._retry_connection = False  # noqa: SLF001  (no public switch; a test pins what it does)
        return session

    def _url(self, url: httpx.URL) -> yarl.URL:
        text = str(url)
        ready = self._urls.get(text)
        if ready is None:
            ready = yarl.URL(text, encoded=True)
            if len(self._urls) < 256:
                self._urls[text] = ready
        return ready

    def _client_headers(self, raw: tuple[tuple[bytes, bytes], ...]) -> CIMultiDict[str]:
        ready = self._headers.get(raw)
        if ready is None:
            ready = CIMultiDict(
                (name.decode("ascii"), value.decode("latin-1"))
                for name, value in raw
                if name.lower() not in _WRITTEN_BY_AIOHTTP
            )
            if len(self._headers) < 256:
                self._headers[raw] = ready
        return ready

    def _client_timeout(self, timeout: dict[str, float | None] | None) -> aiohttp.ClientTimeout:
        if timeout is not self._timeout_of and timeout is not None:
            self._timeout = aiohttp.ClientTimeout(
                sock_connect=timeout.get("connect"), sock_read=timeout.get("read")
            )
            self._timeout_of = timeout
        return self._timeout

    def _proxy_for(self, url: httpx.URL) -> _Proxy:
        key = f"{url.scheme}://{url.host}"
        if key not in self._proxies:
            self._proxies[key] = _proxy_from_environment(url.scheme, url.host)
        return self._proxies[key]


class _BodyStream(httpx.AsyncByteStream):
    """The body of an aiohttp answer as httpx wants it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.content.readany()
        except aiohttp.ClientError as error:
            failure = _as_httpx(error)
        else:
            if not chunk:
                raise StopAsyncIteration
            return chunk
        raise failure

    async def aclose(self) -> None:
        # Releases the connection if the body was read to its end, and closes it otherwise.
        self._response.close() if not self._response.content.is_eof() else self._response.release()


def _as_httpx(error: aiohttp.ClientError) -> httpx.TransportError:
    kind = type(error).__name__
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return _NotTrusted(kind)
        case aiohttp.ServerFingerprintMismatch():
            return _NotTrusted(kind)
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return httpx.ProxyError(kind)
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(kind)
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(kind)
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout(kind)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError(kind)
        case _:
            return httpx.ReadError(kind)


@frozen
class _Proxy:
    url: str | None = None
    headers: dict[str, str] | None = field(default=None, repr=False)


_NO_PROXY: Final = _Proxy()


def _proxy_from_environment(scheme: str, host: str) -> _Proxy:
    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return _NO_PROXY
    url = httpx.URL(address if "://" in address else f"http://{address}")
    headers = None
    if url.userinfo:
        # The password goes into a header of the CONNECT request, not into the URL that errors quote.
        pair = f"{url.username}:{url.password}".encode()
        headers = {"proxy-authorization": f"Basic {base64.b64encode(pair).decode()}"}
        url = url.copy_with(username=None, password=None)
    return _Proxy(str(url), headers)
