"""Rate limiter that all processes of an account share; each reserves its next departures in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import secrets
import time
from collections.abc import Callable
from typing import Final, cast

from publitrac_async.config import Rate
from publitrac_async.errors import ConfigurationError, LimiterUnavailable
from publitrac_async.shared.redis.connection import (
    RESPONSE_TIMEOUT,
    RETRY_AFTER,
    Connection,
    Damaged,
    Unavailable,
)
from publitrac_async.shared.redis.server_clock import ServerClock
from publitrac_async.shared.redis.slots import RedisSlots
from publitrac_async.transport.limits import RateLimiter

#: Seconds added to the period. A request is sent at most `_LATE` seconds after its slot; the rest is for
#: errors of the clocks and different latencies of calls.
GUARD: Final = 0.058
_LATE: Final = 0.042
#: Seconds of departures that all processes together reserve in advance, each an equal number. So responses of
#: a distant Redis arrive in time, all processes get equal shares, and a new caller waits no longer than this.
_RESERVED: Final = 1.0
#: Seconds: no reservation is further ahead. After Redis lost its data, no new reservation is nearer.
_HORIZON: Final = 1.3
#: Departures that a process reserves before it has sent any request.
_FIRST: Final = 4
#: Requests to Redis in flight at once.
_REQUESTS: Final = 4
#: Milliseconds that Redis keeps the last reservation.
_MEMORY: Final = 30 * 24 * 3600 * 1000
#: Seconds until every process has noticed the end of an outage: one may be waiting for a response, be in
#: backoff, and be using its local share.
_GRACE: Final = RESPONSE_TIMEOUT + RETRY_AFTER + 0.5

#: Reserve consecutive departures. All times are in microseconds, by the clock of Redis.
_RESERVE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local process = ARGV[1]
local wanted, least, interval, lead, known, horizon, reserved, processes, unsure = unpack(ARGV, 2)
wanted, least = tonumber(wanted), tonumber(least)
if wanted == 0 then
  return {now}
end
local pause = redis.call('PTTL', KEYS[2])
if pause > 0 then
  return {now, 0, 0, 0, pause * 1000}
end
horizon, processes = tonumber(horizon), tonumber(processes)
if processes > 1 then
  horizon = math.max(horizon, (processes + 2) * interval)
end
local absurd = now + math.max(10 * horizon, 100 * interval)
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' and string.find(info, '_mode:cluster', 1, true) then
  return redis.error_reply('CLUSTERMODE')
end
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local slot, writer = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ?(%x*)$')
slot = tonumber(slot) or 0
if slot > absurd then
  slot = 0
end
-- A server that was restarted or has taken over may have lost the last reservations; an empty one has, and
-- so has one whose clock was set back. Other processes may have reservations up to the horizon.
if slot == 0 or writer ~= server then
  slot = math.max(slot, now + horizon + math.min(interval, 50000))
end
known = tonumber(known)
if known > absurd then
  known = 0
end
if unsure == '1' then
  slot = math.max(slot, now + horizon)
end
slot = math.max(slot, known, now + lead)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
redis.call('ZADD', KEYS[3], string.format('%.0f', slot + 1000000), process)
processes = redis.call('ZCARD', KEYS[3])
local room = math.floor((now + horizon - slot) / interval) + 1
local granted = math.max(least, math.min(wanted, math.max(1, math.floor(reserved / processes)), room))
local after = slot + granted * interval
redis.call('SET', KEYS[1], string.format('%.0f %s', after, server), 'PX', ARGV[11])
redis.call('ZADD', KEYS[3], string.format('%.0f', after + 1000000), process)
redis.call('PEXPIRE', KEYS[3], math.ceil((after - now) / 1000) + 2000)
return {now, slot, granted, processes, granted > 0 and 0 or math.max(1000, slot - now - horizon)}
"""

_PAUSE: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
"""


class RedisRateLimiter:
    """Limiter that spaces the requests of all processes evenly; see `SharedRedis.limiter`.

    A process reserves its next departures in Redis, for callers that wait, and releases each at its time by
    its own clock. It estimates the difference to the clock of Redis, so no two clocks need to agree. Within
    a process callers are served in order; if a caller is cancelled, the next one uses its reservation. A
    killed process loses its reservations, at most one second of the limit.

    The rate is never exceeded if the latencies to Redis and back differ by less than 15 ms, those of the
    processes to the service likewise, and the clock of Redis is not adjusted by less than a round trip. A
    process that is more than 42 ms late skips the departure.

    Args:
        connection: connection of the account, which the caller closes.
        rate: requests of all processes together, spaced evenly regardless of its pace.
        guard: seconds added to the period. The part above 0.042 is for different latencies.
        slots: limit on the requests in flight, ``None`` for no limit.
        local: limiter for outages of Redis; without it calls fail.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        connection: Connection,
        rate: Rate,
        *,
        guard: float = GUARD,
        slots: RedisSlots | None = None,
        local: RateLimiter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Read by the client, which opens as many connections as the rate needs.
        self.rate: Rate = rate
        #: Used by the client, which takes a slot for every request.
        self.slots: RedisSlots | None = slots
        #: Read by the client, which then lets several calls wait here at once.
        self.reserves: bool = True
        self._connection = connection
        self._interval = (rate.per + guard) / rate.calls
        self._reserved = max(1, math.floor(_RESERVED / self._interval))
        self._keys = tuple(map(connection.key, ("rate", "pause", "processes")))
        self._process = secrets.token_hex(6)
        self._local = local
        self._clock = clock
        self._server = ServerClock()
        self._outages = connection.outages
        #: Number of processes that reserve departures.
        self._processes = 1
        #: Times of reserved departures, and the end of the last one, by the clock of this process.
        self._slots: list[float] = []
        self._known = -math.inf
        #: Departures to reserve for callers that do not wait here yet, since a client lets only few wait. One
        #: more after a departure while others waited, half after a departure that no caller used.
        self._ahead = 0
        #: True if Redis may have lost its data, or may be another server.
        self._unsure = False
        self._waiting = self._requested = 0
        self._requests: set[asyncio.Task[None]] = set()
        self._response = asyncio.Event()
        self._failure = ""
        self._damaged = False
        self._lock = asyncio.Lock()
        self._paused_until = -math.inf
        self._local_outage = 0
        self._announcements: set[asyncio.Task[None]] = set()

    async def acquire(self) -> None:
        """Wait until one request may be sent. Cancelling a waiter costs no permit.

        Raises:
            LimiterUnavailable: Redis does not respond, and there is no local limiter.
            ConfigurationError: Redis refuses this process: wrong password, missing rights, or a Cluster.
        """
        self._waiting += 1
        try:
            self._reserve()
            async with self._lock:
                while not await self._try_departure():
                    pass
        finally:
            self._waiting -= 1

    def pause(self, seconds: float) -> None:
        """Block the requests of all processes for `seconds`."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        if self._local is not None:
            self._local.pause(seconds)
        task = asyncio.create_task(self._announce(seconds), name="publitrac_async pause")
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)

    async def aclose(self) -> None:
        """Wait until all pauses are stored in Redis, and cancel requests for reservations."""
        if self.slots is not None:
            await self.slots.aclose()
        for request in self._requests:
            request.cancel()
        if tasks := self._announcements | self._requests:
            await asyncio.wait(tasks)

    async def _try_departure(self) -> bool:
        """Take one step towards a departure; return True if the caller may send now."""
        wait = self._paused_until - self._clock()
        if self._local is not None:
            # Other processes may still use their local shares until they notice the end of the outage.
            wait = max(wait, self._connection.available_since + _GRACE - self._clock())
        if wait > 0:
            await self._sleep(wait)
            return False
        if self._slots:
            self._reserve()
            wait = self._slots[0] - self._clock()
            if wait > 0:
                # Wake up when this departure no longer counts as held, to reserve the next one.
                early = wait - self._server.one_way
                await self._sleep(early if early > 0 else wait)
                return False
            heapq.heappop(self._slots)
            if wait < -_LATE:
                self._ahead //= 2
                return False
            if self._waiting > 1 and self._ahead < self._reserved:
                self._ahead += 1
            return True
        if self._failure:
            failure, self._failure = self._failure, ""
            await self._without_redis(failure)
            return True
        self._reserve()
        self._response.clear()
        await self._response.wait()
        return False

    async def _sleep(self, seconds: float) -> None:
        # Some event loops return from a shorter sleep at once; the loop would spin.
        await asyncio.sleep(max(seconds, 0.001))

    def _reserve(self) -> None:
        """Request departures for callers that wait or are expected, up to the share of the process."""
        if not self._waiting:
            return
        held = self._held()
        # Callers that send before the request reaches Redis need no departure.
        waiting = max(0, self._waiting - (len(self._slots) - held))
        share = max(1, self._reserved // self._processes)
        wanted = min(share, min(waiting, _FIRST) + self._ahead) - held - self._requested
        if wanted < 1 or len(self._requests) >= (_REQUESTS if self._server.settled else 1):
            return
        self._requested += wanted
        self._failure = ""
        task = asyncio.create_task(self._request(wanted), name="publitrac_async reservation")
        self._requests.add(task)

    def _held(self) -> int:
        """Count the reservations that will be left when a request arrives at Redis.

        With those of now, a distant process would get less than a near one.
        """
        arrival = self._clock() + (self._server.one_way if self._server.settled else 0.0)
        return sum(slot > arrival for slot in self._slots)

    async def _request(self, wanted: int) -> None:
        try:
            if self._outages != self._connection.outages:
                self._outages = self._connection.outages
                self._server, self._unsure = ServerClock(), True
            while await self._must_request_again(wanted):
                pass
        except Unavailable as error:
            self._failure, self._damaged = str(error), isinstance(error, Damaged)
            if self._local is not None:
                self._slots.clear()
        finally:
            # Here, not in a callback: the caller that wakes up may request again at once.
            self._requests.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            self._requested -= wanted
            self._response.set()

    async def _must_request_again(self, wanted: int) -> bool:
        """Send one request, for the time until the clock of Redis is known, later for departures.

        Returns:
            True if another request is needed.
        """
        settled, unsure = self._server.settled, self._unsure
        offset = self._server.offset if settled else 0.0
        sent = self._clock()
        response = await self._connection.run(
            _RESERVE,
            self._keys,
            self._process,
            wanted if settled else 0,
            # A process without reservations always gets one, however many processes there are.
            int(not self._held() and self._requested == wanted),
            *map(
                _microseconds,
                (
                    self._interval,
                    1.25 * self._server.one_way if settled else 0.0,
                    max(0.0, self._known + offset),
                    _HORIZON,
                ),
            ),
            self._reserved,
            self._processes,
            int(unsure),
            _MEMORY,
        )
        now = response[0] / 1e6
        if not self._server.sample(sent, now, self._clock()):
            # A clock was adjusted: ignore this response.
            self._known, self._unsure = -math.inf, True
        if not settled or (self._unsure and not unsure):
            # Ignore departures reserved before this process knew that Redis may have lost the last ones.
            return True
        _, slot, granted, processes, wait = response
        if not processes:
            self._paused_until = max(self._paused_until, self._clock() + wait / 1e6)
            self._slots.clear()
            return False
        self._processes = processes
        self._unsure &= not unsure
        if not granted:
            await self._sleep(wait / 1e6)
            return True
        first = slot / 1e6 - self._server.offset
        for number in range(granted):
            heapq.heappush(self._slots, first + number * self._interval)
        self._known = max(self._known, first + granted * self._interval)
        return False

    async def _without_redis(self, kind: str) -> None:
        if self._connection.refusal:
            raise ConfigurationError(f"the Redis of the shared rate limit: {self._connection.refusal}")
        if self._damaged:
            raise ConfigurationError(
                "the Redis of the shared rate limit: another program wrote to its keys; delete "
                + ", ".join(self._keys)
            )
        if self._local is None:
            raise LimiterUnavailable(
                f"the shared rate limiter in Redis is unreachable ({kind})", retry_after=RETRY_AFTER
            )
        if self._local_outage != self._connection.outages:
            self._local_outage = self._connection.outages
            # Start with a pause, because the processes shared the last period.
            self._local.pause(self.rate.per)
        await self._local.acquire()

    async def _announce(self, seconds: float) -> None:
        # In an outage of Redis no request is sent, or the service pauses each process.
        with contextlib.suppress(Unavailable):
            await self._connection.run(_PAUSE, self._keys[1:2], math.ceil(seconds * 1000))

    def __repr__(self) -> str:
        return f"RedisRateLimiter({self.rate.calls} calls in {self.rate.per} s)"


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
