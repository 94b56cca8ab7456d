"""A rate limit that all processes of an account share. The only file that imports pyrate-limiter."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import Final

from pyrate_limiter import GCRA, Rate

from publitrac_async.errors import LimiterUnavailable
from publitrac_async.redis.connection import ANSWER_TIMEOUT, ASK_AGAIN, Connection, Unavailable
from publitrac_async.transport.limits import RateLimiter

#: GCRA counts in units: a request takes 4, and 5 may be at hand, so that a request that left late (the way
#: to Redis, the turns of the event loop) costs the next ones nothing. One request more than the limit takes
#: 4 * calls + 4 units; 5 are at hand, the others come in no less than the whole time plus the guard.
_UNITS: Final = 4
_AT_HAND: Final = 5
#: Seconds added to the time, for permits that travel longer than others.
GUARD: Final = 0.028
#: A permit that took so many seconds longer than usual is let go, so the guard suffices.
_LATE: Final = 0.02
#: Seconds until every process has noticed that Redis is back: one may be waiting for an answer in vain, will
#: then not ask for a while, and may just be waiting for a departure of its own share.
_SETTLING: Final = ANSWER_TIMEOUT + ASK_AGAIN + 0.5

#: Stands before pyrate-limiter's own script, whose first argument is the time. A key that outlives its life
#: was left behind by a clock that has been set back since.
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
    """Evenly spaced departures, whatever process they leave from.

    Departures are spaced by GCRA (pyrate-limiter) in the time of Redis, so the clocks of the hosts need not
    agree. In this process callers are served in the order in which they came; between processes none is
    preferred. Redis may forget scripts and data: the next departure starts anew.

    Args:
        connection: the account's Redis.
        calls: requests allowed to all processes together.
        per: seconds in which they are allowed.
        guard: seconds added to `per`: by so much the way from Redis may be longer for one host than for
            another. The default suits hosts in one place.
        local: asked instead while Redis does not answer; without it calls then fail.
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
        rate = Rate(_UNITS * calls - 1, round((per + guard) * 1000), burst=_AT_HAND)
        life = math.ceil(2 * _AT_HAND * rate.interval / rate.limit)
        #: The time (filled in by the script), units asked for, life of the key, number of rates, the rate.
        self._arguments = (0, _UNITS, life, 1, *algorithm.redis_args([rate]))
        self._gcra = connection.script(f"{_BEFORE_GCRA}{algorithm.redis_script()}", "rate", "pause")
        self._announce_pause = connection.script(_PAUSE, "pause")
        self._local = local
        self._clock = clock
        self._turn = asyncio.Lock()
        self._paused_until = -math.inf
        self._usual = math.inf
        self._outage = 0
        self._announcements: set[asyncio.Task[None]] = set()

    async def acquire(self) -> None:
        """Return when one request may leave. Cancelling a waiter costs one permit at most.

        Raises:
            LimiterUnavailable: Redis does not answer, and there is no local share.
        """
        async with self._turn:
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
                # Some event loops end a shorter sleep at once, and would spin.
                await asyncio.sleep(max(wait, 0.001))

    def pause(self, seconds: float) -> None:
        """Let nothing leave from any process for so many seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        if self._local is not None:
            self._local.pause(seconds)
        task = asyncio.create_task(self._announce(seconds), name="publitrac_async pause")
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)

    async def aclose(self) -> None:
        """Close the connections to Redis. They open again if the limiter is used again."""
        if self._announcements:
            await asyncio.wait(self._announcements)
        await self._connection.aclose()

    async def _wait(self) -> float | None:
        """Ask for a permit: ``None`` if it was granted, or the seconds to wait before asking again."""
        asked = self._clock()
        own = self._paused_until - asked
        if own > 0:
            return own
        refused_by, wait = await self._gcra(*self._arguments)
        took = self._clock() - asked
        if self._local is not None:
            # Others may still live on their shares, and have to notice first that Redis is back.
            settling = self._connection.answers_since + _SETTLING - self._clock()
            if settling > 0:
                return settling
        if int(refused_by) >= 0:
            return int(wait) / 1000 - took
        late = took > self._usual + _LATE
        self._usual = took if late else min(self._usual, took)
        return 0.0 if late else None

    async def _do_without(self, kind: str) -> None:
        if self._local is None:
            raise LimiterUnavailable(
                f"the limit that is shared in Redis cannot be asked ({kind})", retry_after=ASK_AGAIN
            )
        if self._outage != self._connection.outages:
            self._outage = self._connection.outages
            # The shares begin with a pause, because the last second was used by all together.
            self._local.pause(self._per)
        await self._local.acquire()

    async def _announce(self, seconds: float) -> None:
        # Without Redis nothing leaves, or every process is refused, and pauses, by itself.
        with contextlib.suppress(Unavailable):
            await self._announce_pause(math.ceil(seconds * 1000))

    def __repr__(self) -> str:
        return f"RedisRateLimiter({self._calls} calls in {self._per} s)"
