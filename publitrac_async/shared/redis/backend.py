"""`SharedRedis`: the object that shares an account through Redis."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from attrs import evolve

from publitrac_async.config import CALLS_PER_SECOND, Rate, as_rate
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.limits import Unlimited, WindowLimiter
from publitrac_async.transport.secret import Secret, seal

try:
    from publitrac_async.shared.redis.connection import (
        DISK_TIMEOUT,
        RESPONSE_TIMEOUT,
        Connection,
        Unavailable,
    )
    from publitrac_async.shared.redis.limiter import GUARD, RedisRateLimiter
    from publitrac_async.shared.redis.tokens import RedisTokenStore
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "sharing through Redis needs an extra: pip install 'publitrac_async[redis]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from publitrac_async.bulk.distributed.docket import DocketExecutor
    from publitrac_async.bulk.state.redis.store import RedisStateStore


class SharedRedis:
    """An account that processes share through Redis or Valkey: limiter, token, state stores, executor.

    ::

        async with SharedRedis("redis://localhost", account=key) as shared:
            async with PublitracClient(
                api_key=key, limiter=shared.limiter, token_store=shared.tokens
            ) as publitrac:
                await sync_leads(source, publitrac.v2, state=shared.state())

    It owns the connections to Redis: `aclose`, or the end of ``async with``, closes them. They open on
    demand.

    Args:
        url: Redis 6.2 or newer, or Valkey: ``redis://``, ``rediss://`` or ``unix://``. Options of redis-py
            may follow: ``?socket_timeout=2`` (seconds; 1 by default).
        account: owner of limit, token and leads. The API key is best, because it cannot be mixed up: two
            accounts under one name would use each other's token. Redis sees keyed hashes of it only.
        rate_limit: requests of all processes together; a number means requests a second, ``None`` no limit.
        guard: seconds added to the time of the rate: tolerated difference between the latencies of hosts to
            Redis. The default suits hosts in one place; each 0.01 costs 1 % of the limit.
        on_unavailable: without Redis, calls fail with `LimiterUnavailable` (``"raise"``), or each process
            continues with its share of `rate_limit` (``"local"``).
        processes: maximum number of processes; required for ``"local"``.

    Raises:
        ConfigurationError: a setting is unusable.
    """

    def __init__(
        self,
        url: str | Secret,
        account: str | Secret,
        *,
        rate_limit: Rate | int | None = CALLS_PER_SECOND,
        guard: float = GUARD,
        on_unavailable: Literal["raise", "local"] = "raise",
        processes: int | None = None,
    ) -> None:
        self._connections: dict[float, Connection] = {}
        sealed, sealed_url = seal(account, "account"), seal(url, "url")
        # Recorded tracebacks hold the locals of frames.
        del url, account
        for each in (sealed_url, sealed):
            if isinstance(each, ConfigurationError):
                raise each
        assert isinstance(sealed, Secret)
        assert isinstance(sealed_url, Secret)
        rate = None if rate_limit is None else as_rate(rate_limit)
        if not guard >= 0:
            raise ConfigurationError("guard must be at least 0 s")
        if on_unavailable not in ("raise", "local"):
            raise ConfigurationError('on_unavailable must be "raise" or "local"')
        local = None
        if on_unavailable == "local":
            if processes is None or processes < 1:
                raise ConfigurationError('on_unavailable="local" needs the number of processes')
            local = Unlimited() if rate is None else _share(rate, processes)
        self._url, self._account = sealed_url, sealed
        self._rate = rate
        self._guard = guard
        self._local = local
        self._connect(RESPONSE_TIMEOUT)

    @cached_property
    def limiter(self) -> RedisRateLimiter | Unlimited:
        """Rate limiter of the account, for the ``limiter`` of a client."""
        if self._rate is None:
            return Unlimited()
        connection = self._connect(RESPONSE_TIMEOUT)
        return RedisRateLimiter(connection, self._rate, guard=self._guard, local=self._local)

    @cached_property
    def tokens(self) -> RedisTokenStore:
        """Token store of the account, for the ``token_store`` of a client."""
        return RedisTokenStore(self._connect(RESPONSE_TIMEOUT))

    def state(
        self, name: str = "default", *, durable: bool = True, lease: float = 30.0, timeout: float = 30.0
    ) -> RedisStateStore:
        """Return a new state store for `sync_leads`, or for `serve`.

        Args:
            name: name of the state store: one for each destination of the account.
            durable: wait for the disk of the server before each call; needs ``appendonly yes`` and Redis 7.2
                or Valkey. Without it a crash of the server loses its last second.
            lease: seconds until the claims of a killed process expire.
            timeout: seconds to wait for a Redis that does not respond before a run ends.

        Raises:
            ConfigurationError: a setting is unusable.
        """
        from publitrac_async.bulk.state.redis.store import RedisStateStore  # noqa: PLC0415  (clients do not load bulk)

        connection = self._connect(DISK_TIMEOUT if durable else RESPONSE_TIMEOUT)
        return RedisStateStore(connection, name=name, durable=durable, lease=lease, timeout=timeout)

    async def state_names(self, *, timeout: float = 30.0) -> list[str]:  # noqa: ASYNC109  (for all requests of Redis)
        """Return the names of the state stores of the account that a run has opened.

        Args:
            timeout: seconds to wait for a Redis that does not respond.

        Raises:
            StateStoreError: Redis does not respond.
        """
        from publitrac_async.bulk.state.redis.store import RedisStateStore  # noqa: PLC0415  (clients do not load bulk)

        return await RedisStateStore(self._connect(RESPONSE_TIMEOUT), timeout=timeout).names()

    def executor(self, *, chunk_rows: int = 200) -> DocketExecutor:
        """Return an executor that hands out rows to the workers of the account (extra ``docket``).

        Args:
            chunk_rows: rows per chunk.

        Raises:
            ConfigurationError: a setting is unusable.
        """
        from publitrac_async.bulk.distributed.docket import DocketExecutor  # noqa: PLC0415  (docket is an extra)

        return DocketExecutor(chunk_rows)

    async def ping(self) -> str | None:
        """Ask Redis for a response.

        Returns:
            ``None``, or the reason if Redis does not respond: the name of an error, or a remedy.
        """
        connection = self._connect(RESPONSE_TIMEOUT)
        try:
            await connection.command("PTTL", connection.key("token"))
        except Unavailable as error:
            return connection.refusal or str(error)
        return None

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        limiter = self.__dict__.get("limiter")
        if isinstance(limiter, RedisRateLimiter):
            await limiter.aclose()
        for connection in self._connections.values():
            await connection.aclose()

    def _connect(self, timeout: float) -> Connection:
        if timeout not in self._connections:
            self._connections[timeout] = Connection(self._url, self._account, timeout=timeout)
        return self._connections[timeout]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"SharedRedis({self._connections.get(RESPONSE_TIMEOUT)!r})"


def _share(rate: Rate, processes: int) -> WindowLimiter:
    """Return the limiter of one process with its share of the limit, in whole calls."""
    if rate.calls >= processes:
        return WindowLimiter(evolve(rate, calls=rate.calls // processes))
    return WindowLimiter(evolve(rate, calls=1, per=rate.per * processes / rate.calls))
