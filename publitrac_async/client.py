"""`PublitracClient`: one transport, two façades."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from publitrac_async.config import (
    BASE_URL,
    PUBLITRAC_RATE,
    TIMEOUT,
    Rate,
    RetryPolicy,
    Timeout,
    parse_rate,
)
from publitrac_async.errors import ConfigurationError
from publitrac_async.profile import read_profile
from publitrac_async.shared.share import Shared, limiter_and_tokens, share
from publitrac_async.transport.auth import Authorization, Placement, StaticCredentials, TokenStore
from publitrac_async.transport.base import BaseClient, ClientOptions, with_transport
from publitrac_async.transport.environment import missing_variable, read_variable, read_variables
from publitrac_async.transport.events import Hook
from publitrac_async.transport.limits import RateLimiter, limiter_for
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.secret import Secret, seal
from publitrac_async.transport.trace import TraceTarget
from publitrac_async.v1 import V1, V1Shapes
from publitrac_async.v2 import V2

if TYPE_CHECKING:
    import httpx

_ENVIRONMENT: Final = "PUBLITRAC_"


class PublitracOptions(ClientOptions, total=False):
    """Arguments of `PublitracClient`, see there."""

    api_key: str | Secret
    username: str | Secret | None
    password: str | Secret | None
    base_url: str
    v2_rate_limit: Rate | int | None
    shared: str | Secret | Shared | None
    token_store: TokenStore | None
    credentials_in: Placement
    api_key_parameter: str
    v1_shapes: V1Shapes | None
    repair: bool


class PublitracClient(BaseClient):
    """Client of PUBLITRAC: ``client.v1`` uses XML, ``client.v2`` JSON.

    Open one for the lifetime of your program and share it; it belongs to the event loop of its first use. The
    first client of a process loads httpx and aiohttp, which takes about a tenth of a second.

    ::

        async with PublitracClient(api_key=..., username=..., password=...) as publitrac:
            await publitrac.v2.delayed_sync(Lead(email="ada@example.com", first_name="Ada"))
            lead = await publitrac.v1.get_lead("ada@example.com")

    Args:
        api_key: API key, from the settings of the account. v2 needs nothing else.
        username: user name, needed for v1.
        password: password of that user, needed for v1.
        base_url: the general environment by default; ``publitrac_async.CANADIAN_BASE_URL`` is the other.
            Plain ``http`` is accepted for this machine only.
        rate_limit: limit on requests of v1 and v2, retries and token requests included: a number per second,
            or a `Rate`; ``None`` for no limit.
        v2_rate_limit: separate limit for v2, if PUBLITRAC granted one; it holds for this client alone, also
            with `shared`. Otherwise v2 shares `rate_limit`.
        shared: place where all processes of the account share `rate_limit` and the v2 token: ``"file:"`` or
            ``"file:/PATH"`` for one host, the URL of a Redis for several; the client closes these. Or an
            object such as `SharedRedis`, which the caller closes; it has its own rate limit, so it excludes
            `rate_limit`. Both exclude `limiter` and `token_store`.
        retry: policy for retries of failed calls.
        timeout: limits on the time of a call. A number sets the total in seconds; ``None`` means no total.
        concurrency: calls in flight at once. ``None`` adapts the number to `rate_limit` and the latency of
            the service, up to 256, with no more connections than that.
        transport: any ``httpx.AsyncBaseTransport``, instead of the one on aiohttp. The caller closes it, so
            several clients can share one. Excludes `trust_env`.
        limiter: instead of the limiter for `rate_limit`, which it excludes. The caller closes it.
        token_store: store of the v2 token, instead of one in memory. The caller closes it.
        hooks: called with every event of `publitrac_async.transport.events`.
        log_failures: log each failed call as a warning, after its retries.
        trust_env: take proxies and ``SSL_CERT_FILE`` from the environment.
        credentials_in: place of the v1 credentials in a POST; a GET always has them in the query.
        api_key_parameter: name of the parameter for the key in v1; the documents also use ``apiKey``.
        v1_shapes: choices where the documents of v1 are incomplete.
        repair: repair invalid characters in a complete v1 response that is not well-formed. The structure is
            never repaired. A log record and ``Page.repaired`` report it.
        allow_insecure_http: accept plain ``http`` to any host.
        trace: a file to which every exchange is written for a bug report, without credentials and personal
            data; or a `Trace`, which the caller closes.

    Raises:
        ConfigurationError: a credential or setting is unusable, or contradicts another.
    """

    _vendor = "publitrac"

    def __init__(
        self,
        *,
        api_key: str | Secret,
        username: str | Secret | None = None,
        password: str | Secret | None = None,
        base_url: str = BASE_URL,
        rate_limit: Rate | int | None = PUBLITRAC_RATE,
        v2_rate_limit: Rate | int | None = None,
        shared: str | Secret | Shared | None = None,
        retry: RetryPolicy | None = None,
        timeout: Timeout | float | None = TIMEOUT,
        concurrency: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        limiter: RateLimiter | None = None,
        token_store: TokenStore | None = None,
        hooks: Sequence[Hook] = (),
        log_failures: bool = True,
        trust_env: bool = False,
        credentials_in: Placement = "query",
        api_key_parameter: str = "apikey",
        v1_shapes: V1Shapes | None = None,
        repair: bool = True,
        allow_insecure_http: bool = False,
        trace: TraceTarget | None = None,
    ) -> None:
        sealed = [
            None if value is None else seal(value, name, header=name == "api_key")
            for name, value in (("api_key", api_key), ("username", username), ("password", password))
        ]
        # From here on no local name holds a bare credential: error trackers record the local names of frames.
        del api_key, username, password
        for secret in sealed:
            if isinstance(secret, ConfigurationError):
                raise secret
        key, user, account_password = (secret if isinstance(secret, Secret) else None for secret in sealed)
        if key is None:
            raise ConfigurationError("api_key must be given")
        if (user is None) != (account_password is None):
            raise ConfigurationError("username and password must be given together")
        if credentials_in not in ("query", "body"):
            raise ConfigurationError('credentials_in must be "query" or "body"')
        opened: Shared | None = None
        if isinstance(shared, str | Secret):
            shared = opened = share(shared, account=key, rate_limit=rate_limit)
            rate_limit = PUBLITRAC_RATE  # `shared` has it.
        limiter, token_store = limiter_and_tokens(
            shared,
            limiter=limiter,
            token_store=token_store,
            rate_limit=rate_limit,
            default=PUBLITRAC_RATE,
        )
        v2_limiter = None if v2_rate_limit is None else limiter_for(v2_rate_limit)
        super().__init__(
            base_url=base_url,
            limiter=limiter,
            retry=retry,
            timeout=timeout,
            concurrency=concurrency,
            transport=transport,
            hooks=hooks,
            log_failures=log_failures,
            trust_env=trust_env,
            allow_insecure_http=allow_insecure_http,
            trace=trace,
        )
        self._opened.append(opened)
        credentials = Authorization(
            parameters=((api_key_parameter, key), ("username", user), ("password", account_password))
            if user and account_password
            else (),
            placement=credentials_in,
        )
        self._v1 = V1(
            self._transport,
            StaticCredentials(credentials),
            has_credentials=user is not None,
            shapes=v1_shapes,
            repair=repair,
        )
        self._v2 = V2(
            self._transport,
            key,
            limiter=v2_limiter,
            token_store=token_store,
        )

    @classmethod
    def from_env(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        profile: str | PathLike[str] | None = None,
        **options: Unpack[PublitracOptions],
    ) -> Self:
        """Return a client with the credentials of the environment.

        Reads ``PUBLITRAC_API_KEY``, ``PUBLITRAC_USERNAME``, ``PUBLITRAC_PASSWORD``, ``PUBLITRAC_BASE_URL``,
        ``PUBLITRAC_SHARED`` and ``PUBLITRAC_RATE_LIMIT``; each also as ``..._FILE`` with the path of a file
        that holds the value. ``PUBLITRAC_PROFILE`` is the path of a profile.

        Args:
            environment: instead of ``os.environ``.
            profile: file with settings that `publitrac_async.probe` found; by default the one that
                ``PUBLITRAC_PROFILE`` names. Environment and `options` take precedence.
            **options: further arguments of the constructor; they take precedence over the environment.

        Raises:
            ConfigurationError: there is no API key, a file cannot be read, or a value is unusable.
        """
        if not profile:
            profile = (os.environ if environment is None else environment).get("PUBLITRAC_PROFILE")
        names = {"api_key", "username", "password", "base_url", "shared", "rate_limit"}
        found = read_variables(environment, _ENVIRONMENT, sorted(names - options.keys()))
        del environment
        if isinstance(found, ConfigurationError):
            raise found
        settings: dict[str, Any] = {**(read_profile(profile).client if profile else {}), **options}
        if "api_key" not in settings and "api_key" not in found:
            raise missing_variable("PUBLITRAC_API_KEY")
        if "base_url" in found:
            settings["base_url"] = found.pop("base_url").reveal()
        if "rate_limit" in found:
            settings["rate_limit"] = parse_rate(found.pop("rate_limit").reveal(), "PUBLITRAC_RATE_LIMIT")
        settings.update(found)
        return cls(**settings)

    @property
    def v1(self) -> V1:
        """PUBLITRAC API v1."""
        return self._v1

    @property
    def v2(self) -> V2:
        """PUBLITRAC API v2."""
        return self._v2

    async def aclose(self) -> None:
        """Close the client: refuse new calls, and give those in flight half a second. Can be called again."""
        if not self._is_view:
            await self._v2.aclose()
        await super().aclose()

    def _set_transport(self, transport: Transport) -> None:
        super()._set_transport(transport)
        self._v1 = with_transport(self._v1, transport)
        self._v2 = with_transport(self._v2, transport)


def read_environment(environment: Mapping[str, str], name: str) -> Secret | None:
    """Read a credential or setting from the environment, or from the file it names.

    Raises:
        ConfigurationError: the file cannot be read, or the value is unusable.
    """
    found = read_variable(environment, _ENVIRONMENT + name.upper())
    del environment
    if isinstance(found, ConfigurationError):
        raise found
    return found
