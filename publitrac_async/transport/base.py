"""Common base of the clients: settings, one transport, opening and closing."""

from __future__ import annotations

import copy
import ipaddress
import re
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self, TypedDict, TypeVar, Unpack

from attrs import evolve

from publitrac_async.config import CONCURRENCY_CEILING, TIMEOUT, Rate, RetryPolicy, Timeout, is_integer
from publitrac_async.errors import ClientStateError, ConfigurationError
from publitrac_async.transport.events import Hook
from publitrac_async.transport.limits import RateLimiter
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.trace import TraceTarget, open_trace

if TYPE_CHECKING:
    import httpx


class _Facade(Protocol):
    _transport: Transport


F = TypeVar("F", bound=_Facade)

#: Characters of a URL: printable ASCII. Other host names need their "xn--" form.
_URL_CHARACTERS: Final = re.compile(r"[!-~]+")


class CallOptions(TypedDict, total=False):
    """Options of single calls, see `PublitracClient.with_options`."""

    retry: RetryPolicy | None
    timeout: Timeout | float | None


class ClientOptions(CallOptions, total=False):
    """Options of the constructors of all clients, documented there."""

    rate_limit: Rate | int | None
    concurrency: int | None
    transport: httpx.AsyncBaseTransport | None
    limiter: RateLimiter | None
    hooks: Sequence[Hook]
    log_failures: bool
    trust_env: bool
    allow_insecure_http: bool
    trace: TraceTarget | None


class BaseClient:
    """Base class of clients: builds one transport from the common settings, and closes it.

    Args:
        base_url: scheme and host; plain ``http`` is accepted for this machine only.
        limiter: rate limiter, asked before every request; the caller closes it.
        retry: policy for retries of failed calls.
        timeout: limits on the time of a call. A number sets the total in seconds; ``None`` means no total.
        concurrency: calls in flight at once; ``None`` for as many as the rate limit needs at the latency of
            the service, up to 256, or as many as the vendor allows.
        transport: sends the requests, instead of the one on aiohttp; the caller closes it. Excludes
            `trust_env`, which is for the one on aiohttp.
        hooks: called with every event of `publitrac_async.transport.events`.
        log_failures: log each failed call as a warning, after its retries.
        trust_env: take proxies and ``SSL_CERT_FILE`` from the environment.
        allow_insecure_http: accept plain ``http`` to any host.
        trace: a file for all exchanges without credentials and personal data, or a `Trace`.

    Raises:
        ConfigurationError: a setting is unusable.
    """

    #: The vendor's name in events, spans and log records.
    _vendor: ClassVar[str]

    #: Maximum calls in flight at once, if their number follows the rate limit.
    _max_in_flight: ClassVar[int] = CONCURRENCY_CEILING

    #: True for the views that `with_options` returns.
    _is_view = False
    _closed = False
    #: Set on the class, too: an error report may show a client whose constructor failed.
    _base_url = ""

    def __init__(
        self,
        *,
        base_url: str,
        limiter: RateLimiter,
        retry: RetryPolicy | None,
        timeout: Timeout | float | None,
        concurrency: int | None,
        transport: httpx.AsyncBaseTransport | None,
        hooks: Sequence[Hook],
        log_failures: bool,
        trust_env: bool,
        allow_insecure_http: bool,
        trace: TraceTarget | None,
    ) -> None:
        self._base_url = check_base_url(base_url, allow_insecure_http=allow_insecure_http)
        if concurrency is not None and (not is_integer(concurrency) or concurrency < 1):
            raise ConfigurationError("concurrency must be an integer, at least 1, or None")
        policy = _retry(retry) or RetryPolicy()
        settings = _timeout(timeout)
        # Imported with the first client: aiohttp and httpx take longer to load than all the rest. httpx also
        # loads click and rich where they are installed.
        from publitrac_async.transport.aiohttp_transport import POOL_SIZE, AiohttpTransport  # noqa: PLC0415
        from publitrac_async.transport.http import Wire, check_transport  # noqa: PLC0415

        # One connection more than calls in flight, for the token request.
        pool_size = POOL_SIZE if concurrency is None else concurrency + 1
        if transport is None:
            own = AiohttpTransport(pool_size=pool_size, trust_env=trust_env)
            wire = Wire(self._base_url, own, settings, owned=True)
        else:
            check_transport(transport)
            if trust_env:
                raise ConfigurationError(
                    "trust_env is for the default transport: leave it out, and set proxy and TLS in transport"
                )
            wire = Wire(self._base_url, transport, settings)
        called = _hooks(hooks)
        # Last: a constructor that fails leaves no file open.
        active_trace, opened = open_trace(trace)
        self._transport = Transport(
            wire,
            limiter=limiter,
            retry=policy,
            timeout=settings,
            concurrency=concurrency,
            max_in_flight=self._max_in_flight,
            hooks=called,
            vendor=self._vendor,
            base_url=self._base_url,
            log_failures=log_failures,
            trace=active_trace,
        )
        #: What this client opened, and closes.
        self._opened: list[object] = [opened]

    @property
    def queued(self) -> int:
        """Number of calls in the queue that wait for a slot (see `concurrency`)."""
        return self._transport.reporter.queued

    @property
    def in_flight(self) -> int:
        """Number of calls that left the queue and have not ended; some may wait for a permit or a retry."""
        return self._transport.reporter.in_flight

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """Return a view of this client whose calls have other options.

        ::

            lead = await publitrac.with_options(timeout=2).v1.get_lead("ada@example.com")

        The view is cheap. It shares connections, rate limiter, slots, token, retry budget and hooks with the
        client, which closes them; closing the view, or leaving its ``async with``, does nothing.

        Args:
            **options: ``timeout`` and ``retry``, as the constructor takes them. A number as ``timeout``
                replaces the total and keeps the other limits.

        Raises:
            ConfigurationError: an option is unusable.
        """
        unknown = options.keys() - CallOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"with_options() takes timeout and retry, not {', '.join(sorted(unknown))}")
        retry = _retry(options.get("retry"))
        timeout = None
        if "timeout" in options:
            timeout = _timeout(options["timeout"], base=self._transport.timeout)
        view = object.__new__(type(self))  # Not `copy.copy`: it would pickle, which a client refuses.
        view.__dict__.update(self.__dict__)
        view._is_view = True
        view._set_transport(self._transport.view(retry=retry, timeout=timeout))
        return view

    def _set_transport(self, transport: Transport) -> None:
        """Send all calls of this view through `transport`."""
        self._transport = transport

    async def aclose(self) -> None:
        """Close the client: refuse new calls, and give those in flight half a second. Can be called again."""
        if self._is_view:
            return
        self._closed = True
        await self._transport.aclose()
        # Last: calls in flight use them until they end.
        for resource in self._opened:
            if (aclose := getattr(resource, "aclose", None)) is not None:
                await aclose()

    async def __aenter__(self) -> Self:
        if self._closed:
            raise ClientStateError("the client is closed: open a new one")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url})"

    def __reduce__(self) -> Any:
        raise TypeError("a client cannot be pickled: build one where it is used")


def with_transport(facade: F, transport: Transport) -> F:
    """Return a copy of a façade that sends its calls through another transport."""
    facade = copy.copy(facade)
    facade._transport = transport  # noqa: SLF001  (a copy of this package's own object)
    return facade


def _retry(retry: RetryPolicy | None) -> RetryPolicy | None:
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise ConfigurationError("retry must be a RetryPolicy")
    return retry


def _hooks(hooks: object) -> Sequence[Hook]:
    found: tuple[Any, ...] = tuple(hooks) if isinstance(hooks, Iterable) else (None,)
    if not all(map(callable, found)):
        raise ConfigurationError("hooks must be a list of functions: hooks=[hook]")
    return found


def _timeout(timeout: Timeout | float | None, *, base: Timeout = TIMEOUT) -> Timeout:
    if timeout is None:
        return evolve(base, total=None)
    if isinstance(timeout, Timeout):
        return timeout
    if not is_integer(timeout) and not isinstance(timeout, float):
        raise ConfigurationError("timeout must be a Timeout, or the total in seconds")
    return evolve(base, total=timeout)


def check_base_url(base_url: str, *, allow_insecure_http: bool, name: str = "base_url") -> str:
    """Check `base_url` and return it without a trailing slash.

    Args:
        base_url: scheme and host, optionally with a port and a path.
        allow_insecure_http: accept plain ``http`` to any host, not only to this machine.
        name: name of the setting in errors.

    Raises:
        ConfigurationError: it is not a URL with scheme and host, or would expose credentials.
    """
    base_url = (base_url or "").strip()  # Settings from a program's own configuration may be None.
    try:
        parts = urllib.parse.urlsplit(base_url)
        host = parts.hostname if parts.port != 0 and _URL_CHARACTERS.fullmatch(base_url) else None
    except ValueError:  # The port is not a number, or the brackets do not have an IPv6 address.
        parts, host = urllib.parse.urlsplit(""), None
    if parts.username or parts.password:
        raise ConfigurationError(f"{name} must not contain credentials: pass them as separate arguments")
    if host is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ConfigurationError(f"{name} must be https://host, optionally with a port and a path")
    if parts.scheme == "http" and not allow_insecure_http and not _is_loopback(host):
        raise ConfigurationError(f"{name} must be https: plain http would expose credentials")
    return base_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
