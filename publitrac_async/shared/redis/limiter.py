"""Rate limiter that all processes of an account share. No other file imports pyrate-limiter."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import Final

from pyrate_limiter import GCRA, Rate

from publitrac_async.errors import LimiterUnavailable
from publitrac_async.shared.redis.connection import RESPONSE_TIMEOUT, RETRY_AFTER, Connection, Unavailable
from publitrac_async.transport.limits import RateLimiter

#: GCRA counts in units: a request costs 4, and the burst is 5, so that a request that leaves late (the way to
#: Redis, the turns of the event loop) costs the next ones nothing. One request more than the limit costs
#: 4 * calls + 4 units; 5 are in the burst, and the others take at least the whole period plus the guard.
_UNITS: Final = 4
_BURST: Final = 5
#: Seconds added to the period, for permits that travel longer than others.
GUARD: Final = 0.028
#: A permit that took this many seconds longer than usual is dropped, so the guard suffices.
_LATE: Final = 0.02
#: Seconds until every process has noticed the end of an outage: one may be waiting for a response, may then
#: not ask for a while, and may be using its local share.
_GRACE: Final = RESPONSE_TIMEOUT + RETRY_AFTER + 0.5

#: Prefix of pyrate-limiter's script, whose first argument is the time. A key that outlives its life was
#: written before the clock of the server was set back.
_BEFORE_GCRA: Final = """
local pause = redis.call('PTTL', KEYS[2])
if pause > 0 then
  return {0, pause}
end
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[1])
end
local time = redis.call('TIME')
ARGV[1] = time[1] * 1000 + time[2] / 1000
"""

_PAUSE: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
"""


class RedisRateLimiter:
    """A limiter that spaces departures evenly over all processes; see `SharedRedis.limiter`.

    Departures are spaced by GCRA (pyrate-limiter) in the time of Redis, so the clocks of the hosts need not
    agree. Within this process callers are served in order; between processes there is no order. Redis may
    lose scripts and data: the next departure starts anew.

    Args:
        connection: connection of the account, which the caller closes.
        calls: requests of all processes together per `per` seconds.
        per: seconds.
        guard: seconds added to `per`: tolerated difference between the latencies of hosts to Redis. The
            default suits hosts in one place.
        local: limiter to use while Redis does not respond; without it calls fail.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        connection: Connection,
        calls: int,
        per: float = 1.0,
        *,
        guard: float = GUARD,
        local: RateLimiter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._calls, self._per = calls, per
        algorithm = GCRA()
        rate = Rate(_UNITS * calls - 1, round((per + guard) * 1000), burst=_BURST)
        life = math.ceil(2 * _BURST * rate.interval / rate.limit)
        #: The time (set by the script), units of a request, life of the key, number of rates, the rate.
        self._arguments = (0, _UNITS, life, 1, *algorithm.redis_args([rate]))
        self._gcra = f"{_BEFORE_GCRA}{algorithm.redis_script()}"
        self._rate_key, self._pause_key = connection.key("rate"), connection.key("pause")
        self._local = local
        self._clock = clock
        self._lock = asyncio.Lock()
        self._paused_until = -math.inf
        self._usual = math.inf
        self._outage = 0
        self._announcements: set[asyncio.Task[None]] = set()

    async def acquire(self) -> None:
        """Wait until one request may leave. A cancelled waiter costs one permit at most.

        Raises:
            LimiterUnavailable: Redis does not respond, and there is no local limiter.
        """
        async with self._lock:
            while True:
                failure, wait = "", None
                try:
                    wait = await self._wait()
                except Unavailable as error:
                    failure = str(error)
                if failure:
                    await self._do_without(failure)
                    return
                if wait is None:
                    return
                # Some event loops return from a shorter sleep at once, and would spin.
                await asyncio.sleep(max(wait, 0.001))

    def pause(self, seconds: float) -> None:
        """Block the requests of all processes for `seconds`."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        if self._local is not None:
            self._local.pause(seconds)
        task = asyncio.create_task(self._announce(seconds), name="publitrac_async pause")
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)

    async def aclose(self) -> None:
        """Wait until pauses are announced."""
        if self._announcements:
            await asyncio.wait(self._announcements)

    async def _wait(self) -> float | None:
        """Ask for a permit; return ``None`` if it was granted, or the seconds until the next attempt."""
        asked = self._clock()
        own = self._paused_until - asked
        if own > 0:
            return own
        refused_by, wait = await self._connection.run(
            self._gcra, (self._rate_key, self._pause_key), *self._arguments
        )
        took = self._clock() - asked
        if self._local is not None:
            # Other processes may still use their local shares until they notice the end of the outage.
            grace = self._connection.available_since + _GRACE - self._clock()
            if grace > 0:
                return grace
        if int(refused_by) >= 0:
            return int(wait) / 1000 - took
        late = took > self._usual + _LATE
        self._usual = took if late else min(self._usual, took)
        return 0.0 if late else None

    async def _do_without(self, kind: str) -> None:
        if self._local is None:
            raise LimiterUnavailable(
                f"the shared rate limiter in Redis is unreachable ({kind})", retry_after=RETRY_AFTER
            )
        if self._outage != self._connection.outages:
            self._outage = self._connection.outages
            # Starts with a pause, because the processes shared the last period.
            self._local.pause(self._per)
        await self._local.acquire()

    async def _announce(self, seconds: float) -> None:
        # Without Redis no request leaves, or the service pauses each process.
        with contextlib.suppress(Unavailable):
            await self._connection.run(_PAUSE, (self._pause_key,), math.ceil(seconds * 1000))

    def __repr__(self) -> str:
        return f"RedisRateLimiter({self._calls} calls in {self._per} s)"
