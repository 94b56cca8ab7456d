"""`SharedRedis`: the object that shares an account through Redis."""

from __future__ import annotations

from typing import Literal, Self

from attrs import evolve

from publitrac_async.config import PUBLITRAC_RATE, Rate
from publitrac_async.errors import ConfigurationError
from publitrac_async.shared.redis.connection import DISK_TIMEOUT, RESPONSE_TIMEOUT, Connection, Unavailable
from publitrac_async.shared.redis.limiter import GUARD, RedisRateLimiter
from publitrac_async.shared.redis.slots import RedisSlots
from publitrac_async.shared.redis.tokens import RedisTokenStore
from publitrac_async.transport.limits import Unlimited, WindowLimiter, shared_rate
from publitrac_async.transport.secret import Secret, all_sealed, seal


class SharedRedis:
    """Account that processes share through Redis or Valkey: rate limiter, token, state stores.

    ::

        async with SharedRedis("redis://localhost", account=key) as shared:
            async with PublitracClient(api_key=key, shared=shared) as publitrac:
                await sync_leads(source, publitrac.v2, state=RedisStateStore(shared))

    This object owns the connections to Redis, which open on demand: `aclose`, or the end of ``async with``,
    closes them.

    Args:
        url: URL of Redis 6.2 or newer, or Valkey: ``redis://``, ``rediss://`` or ``unix://``. Options of
            redis-py may follow: ``?socket_timeout=2`` (seconds; 1 by default).
        account: owner of limit, token and leads. Preferably the API key, which cannot be mixed up: two
            accounts under one name would use each other's token. Redis gets only keyed hashes of it.
        rate_limit: requests of all processes together; a number means requests per second, ``None`` no limit.
        in_flight: requests in flight at once, of all processes together; ``None`` for no limit.
        guard: seconds added to the period, for different latencies of hosts to Redis. The default suits hosts
            in one location; each 0.01 takes 1 % of the limit.
        on_unavailable: without Redis, calls fail with `LimiterUnavailable` (``"raise"``), or each process
            continues with its share of `rate_limit` (``"local"``).
        processes: maximum number of processes; required for ``"local"``, and for nothing else.

    Raises:
        ConfigurationError: a setting is unusable.
    """

    def __init__(
        self,
        url: str | Secret,
        account: str | Secret,
        *,
        rate_limit: Rate | int | None = PUBLITRAC_RATE,
        in_flight: int | None = None,
        guard: float = GUARD,
        on_unavailable: Literal["raise", "local"] = "raise",
        processes: int | None = None,
    ) -> None:
        self._connections: dict[bool, Connection] = {}
        self._limiter: RedisRateLimiter | Unlimited | None = None
        self._tokens: RedisTokenStore | None = None
        sealed = seal(url, "url"), seal(account, "account")
        # Error trackers record the local names of frames.
        del url, account
        self._url, self._account = all_sealed(*sealed)
        rate = shared_rate(rate_limit, in_flight, guard)
        if on_unavailable not in ("raise", "local"):
            raise ConfigurationError('on_unavailable must be "raise" or "local"')
        if on_unavailable == "raise" and processes is not None:
            raise ConfigurationError('processes is for on_unavailable="local": leave it out')
        local = None
        if on_unavailable == "local":
            if processes is None or processes < 1:
                raise ConfigurationError(
                    'on_unavailable="local" needs processes, the maximum number of processes'
                )
            local = Unlimited() if rate is None else _share(rate, processes)
        self._in_flight = in_flight
        self._rate = rate
        self._guard = guard
        self._local = local
        self.connect()

    @property
    def limiter(self) -> RedisRateLimiter | Unlimited:
        """Rate limiter of the account."""
        if self._limiter is None:
            self._limiter = self._build_limiter()
        return self._limiter

    def _build_limiter(self) -> RedisRateLimiter | Unlimited:
        if self._rate is None:
            return Unlimited()
        connection = self.connect()
        slots = None
        if self._in_flight is not None:
            slots = RedisSlots(connection, self._in_flight, optional=self._local is not None)
        return RedisRateLimiter(connection, self._rate, guard=self._guard, slots=slots, local=self._local)

    @property
    def tokens(self) -> RedisTokenStore:
        """Token store of the account."""
        if self._tokens is None:
            self._tokens = RedisTokenStore(self.connect())
        return self._tokens

    def connect(self, *, durable: bool = False) -> Connection:
        """Return the connection for state stores.

        Args:
            durable: return the connection for commands that wait for the disk of the server.
        """
        if durable not in self._connections:
            timeout = DISK_TIMEOUT if durable else RESPONSE_TIMEOUT
            self._connections[durable] = Connection(self._url, self._account, timeout=timeout)
        return self._connections[durable]

    async def ping(self) -> str | None:
        """Check that Redis responds.

        Returns:
            ``None`` if it does, otherwise the reason: the name of an error, or a remedy.
        """
        connection = self.connect()
        try:
            await connection.command("PTTL", connection.key("token"))
        except Unavailable as error:
            return connection.refusal or str(error)
        return None

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if isinstance(self._limiter, RedisRateLimiter):
            await self._limiter.aclose()
        for connection in self._connections.values():
            await connection.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"SharedRedis({self._connections.get(False)!r})"


def _share(rate: Rate, processes: int) -> WindowLimiter:
    """Return the limiter of one process with its share of the limit, in whole calls."""
    if rate.calls >= processes:
        return WindowLimiter(evolve(rate, calls=rate.calls // processes))
    return WindowLimiter(evolve(rate, calls=1, per=rate.per * processes / rate.calls))
