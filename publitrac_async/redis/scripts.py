"""What Redis does for a ledger: Lua scripts, and patience while it does not answer.

Scripts decide and write in one step, by the server's clock, so neither hosts nor clocks have to agree. They
may be run twice, because the answer to the first time may be lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.redis.connection import Connection, Unavailable

T = TypeVar("T")

#: Seconds between two looks whether Redis answers again, or whether somebody has ended.
POLL: Final = 0.1

#: ``leads`` is one hash, because a key of its own for each lead would cost more memory, and because it can be
#: forgotten in one step. ``doubtful`` holds those that are being sent or unknown.
_NAMES: Final = ("leads", "doubtful", "job", "lease", "fences", "running", "ended", "facts")

_HEAD: Final = """
local leads, doubtful, job, lease, fences, running, ended, facts = unpack(KEYS)
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000 + math.floor(time[2] / 1000)
"""

#: An entry is an array, packed. Its state is a letter: p(ending), s(ending), o(k), a(ccepted), r(ejected),
#: (re)t(ry), u(nknown). Its owner is the job it was entered for, or the session that sends it; the token is
#: that of the chunk which sends it. What is not known is false.
_ENTRIES: Final = """
local STATE, OWNER, TOKEN, PAYLOAD, TAKEN, ATTEMPTS = 1, 2, 3, 4, 5, 6
local CHANGED, KIND, CODE, ERROR = 7, 8, 9, 10
local function load(key)
  local packed = redis.call('HGET', leads, key)
  return packed and cmsgpack.unpack(packed)
end
local function store(key, entry)
  redis.call('HSET', leads, key, cmsgpack.pack(entry))
end
"""

#: For the process that opened the ledger. What the job's workers have in hand is not its own.
_OPENER: Final = f"""{_ENTRIES}
local session, first = ARGV[1], 2
local id, stopped = unpack(redis.call('HMGET', job, 'id', 'stopped'))
local may_begin, newest = not stopped, false
local owner, token = session, 0
local function mine(entry)
  return not (entry[OWNER] == id and entry[STATE] == 's')
end
-- As the run sees it: what belongs to this job may be in somebody's hands, also when it is being sent. What
-- was being sent for another one has been abandoned, or for a job that was stopped, which nobody resumes.
local function seen(entry)
  local state = entry[STATE]
  if entry[OWNER] == id and (state == 'p' or state == 't' or (state == 's' and not stopped)) then
    return 'p'
  elseif state == 's' and entry[OWNER] ~= session then
    return 'u'
  end
  return state
end
"""
_HELD: Final = """
if redis.call('HGET', lease, 'holder') ~= ARGV[1] then
  return false
end
"""

#: For a worker with a chunk. Of the entries of its job it may write as long as nobody has taken the chunk
#: after it; when the job was replaced, those that it was sending.
_WORKER: Final = f"""{_ENTRIES}
local id, chunk, token, first = ARGV[1], ARGV[2], tonumber(ARGV[3]), 4
local current, stopped = unpack(redis.call('HMGET', job, 'id', 'stopped'))
local newest = current == id and redis.call('HGET', fences, chunk) == ARGV[3]
local may_begin = newest and not stopped
local owner = id
local function mine(entry)
  return entry[OWNER] == id and (newest or (current ~= id and entry[TOKEN] == token))
end
local function seen(entry)
  local state = entry[STATE]
  if state == 's' and not (entry[OWNER] == id and entry[TOKEN] == token) then
    return 'u'
  end
  return state
end
"""

#: A worker that took over writes down what its predecessor left unknown, so the predecessor cannot any more.
#: One long answer, because redis-py takes a while for each short one. JSON lets the bytes of digests through.
_RECALL: Final = """
local found = {}
for i = first, #ARGV do
  local entry = load(ARGV[i])
  if entry then
    local state = seen(entry)
    if newest and entry[STATE] == 's' and state == 'u' and entry[OWNER] == id then
      entry[STATE], entry[TOKEN] = 'u', token
      store(ARGV[i], entry)
    end
    found[#found + 1] =
      {state, entry[PAYLOAD], entry[TAKEN], entry[KIND], entry[ERROR], entry[CODE], entry[CHANGED]}
  else
    found[#found + 1] = false
  end
end
return cjson.encode(found)
"""

#: What the service has after a call with an unknown outcome nobody knows, so that no payload can be called
#: unchanged. What workers of this job may have in hand, or have sent already as it is, is left alone.
_ENTER: Final = """
if not id then
  return false
end
for i = first, #ARGV, 2 do
  local key, payload = ARGV[i], ARGV[i + 1]
  local entry = load(key) or {'p', id, 0, payload, false, 0, false, false, false, false}
  local state = entry[STATE]
  local done = (state == 'o' or state == 'a' or state == 'r') and entry[PAYLOAD] == payload
  if entry[OWNER] ~= id or not (state == 'p' or state == 's' or state == 't' or done) then
    local taken = state ~= 's' and state ~= 'u' and entry[TAKEN]
    entry = {'p', id, 0, payload, taken, entry[ATTEMPTS], entry[CHANGED], false, false, false}
    redis.call('SREM', doubtful, key)
  elseif state ~= 's' then
    entry[PAYLOAD] = payload
  end
  store(key, entry)
end
return 1
"""

#: Any number of intents ('i', how many, keys) and settlements ('s', how many, five words for each), in order.
_WRITE: Final = """
local function intend(at, count)
  local entries = {}
  for i = 1, count do
    entries[i] = load(ARGV[at + i - 1])
    if not (may_begin and entries[i] and mine(entries[i])) then
      return 0
    end
  end
  for i = 1, count do
    local key, entry = ARGV[at + i - 1], entries[i]
    local state = entry[STATE]
    if not (state == 's' and entry[OWNER] == owner and entry[TOKEN] == token) then
      local taken = state ~= 's' and state ~= 'u' and entry[TAKEN]
      entry = {'s', owner, token, entry[PAYLOAD], taken, entry[ATTEMPTS] + 1, seconds, false, false, false}
    end
    store(key, entry)
    redis.call('SADD', doubtful, key)
  end
  return 1
end
local function settle(at, count)
  local refused = 0
  for i = at, at + 5 * count - 1, 5 do
    local key, state = ARGV[i], ARGV[i + 1]
    local entry = load(key)
    if entry and mine(entry) then
      if state == 'o' or state == 'a' then
        entry[TAKEN] = entry[PAYLOAD]
      end
      entry[STATE], entry[CHANGED] = state, seconds
      for j = 2, 4 do
        entry[KIND + j - 2] = ARGV[i + j] ~= '' and ARGV[i + j]
      end
      store(key, entry)
      redis.call(state == 'u' and 'SADD' or 'SREM', doubtful, key)
    else
      refused = refused + 1
    end
  end
  return refused
end
local results, at = {}, first
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  if ARGV[at] == 'i' then
    results[#results + 1] = intend(at + 2, count)
    at = at + 2 + count
  else
    results[#results + 1] = settle(at + 2, count)
    at = at + 2 + 5 * count
  end
end
return results
"""

OPENER_RECALL: Final = _HEAD + _OPENER + _RECALL
OPENER_ENTER: Final = _HEAD + _OPENER + _HELD + _ENTER
OPENER_WRITE: Final = _HEAD + _OPENER + _HELD + _WRITE
WORKER_RECALL: Final = _HEAD + _WORKER + _RECALL
WORKER_WRITE: Final = _HEAD + _WORKER + _WRITE

#: Session, life of the lease, destination, run, whether to forget everything, id for a new job.
OPEN: Final = f"""{_HEAD}
local session, life, destination, run, reset, fresh = unpack(ARGV)
local holder, until_ = unpack(redis.call('HMGET', lease, 'holder', 'until'))
if holder and holder ~= session and tonumber(until_) > now then
  return {{'held', until_ - now}}
end
local known = redis.call('HGET', facts, 'destination')
if destination ~= '' and reset == '' and known and known ~= destination then
  return {{'destination', known}}
end
redis.call('HSET', lease, 'holder', session, 'until', now + life)
local id, known_run, stopped = unpack(redis.call('HMGET', job, 'id', 'run', 'stopped'))
if reset == '' and (destination == '' or (id and run ~= '' and run == known_run and not stopped)) then
  return {{'open', id}}
end
redis.call('DEL', job, fences, ended)
redis.call('HSET', job, 'id', fresh, 'run', run)
if destination ~= '' then
  redis.call('HSET', facts, 'destination', destination)
end
return {{'open', fresh}}
"""
#: The hash of a million leads is freed beside, without holding up others.
RESET: Final = f"""{_HEAD}{_HELD}
redis.call('UNLINK', leads, doubtful, facts)
if ARGV[2] ~= '' then
  redis.call('HSET', facts, 'destination', ARGV[2])
end
return 1
"""
NOTE_SOURCE: Final = f"{_HEAD}{_HELD} redis.call('HSET', facts, 'fingerprint', ARGV[2]) return 1"
RENEW: Final = f"{_HEAD}{_HELD} redis.call('HSET', lease, 'until', now + ARGV[2]) return 1"
RELEASE: Final = f"{_HEAD}{_HELD} return redis.call('DEL', lease)"
#: Leases of running chunks stay: the next job waits for them.
FINISH: Final = f"{_HEAD}{_HELD} redis.call('DEL', job, fences, ended) return 1"
#: The first reason counts. Without an id, it is whatever job there is.
STOP: Final = f"""{_HEAD}
local id = redis.call('HGET', job, 'id')
if id and (ARGV[1] == '' or ARGV[1] == id) then
  redis.call('HSETNX', job, 'stopped', ARGV[2])
  return 1
end
return 0
"""
#: How many chunks are running, and how many of them for other jobs.
RUNNING: Final = f"""{_HEAD}
redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
local all, others = redis.call('ZRANGE', running, 0, -1), 0
local id = redis.call('HGET', job, 'id')
for _, each in ipairs(all) do
  if string.match(each, '^[^:]*') ~= id then
    others = others + 1
  end
end
return {{#all - others, others}}
"""
TAKE: Final = f"""{_HEAD}
local id, chunk, life = unpack(ARGV)
local current, stopped = unpack(redis.call('HMGET', job, 'id', 'stopped'))
if current ~= id or stopped then
  return false
end
local token = redis.call('HINCRBY', fences, chunk, 1)
redis.call('ZADD', running, now + life, id .. ':' .. chunk .. ':' .. token)
return token
"""
KEEP_RUNNING: Final = f"{_HEAD} return redis.call('ZADD', running, now + ARGV[2], ARGV[1])"
LEAVE: Final = f"{_HEAD} return redis.call('ZREM', running, ARGV[1])"
END: Final = f"""{_HEAD}
local id, chunk, token, text = unpack(ARGV)
if redis.call('HGET', job, 'id') ~= id or redis.call('HGET', fences, chunk) ~= token then
  return 0
end
redis.call('RPUSH', ended, text)
return 1
"""


class Store:
    """The keys of one ledger.

    Args:
        connection: the account's Redis.
        name: of the ledger.
        patience: seconds to wait for a Redis that does not answer.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        *,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self._names = {each: f"ledger:{name}:{each}" for each in _NAMES}
        self._patience = patience
        self._clock = clock

    def script(
        self, text: str, *, durable: bool = False, patient: bool = True
    ) -> Callable[..., Awaitable[Any]]:
        """A script, to be called with its arguments; see `ask`.

        Args:
            text: in Lua.
            durable: wait until what it wrote is on the disk.
            patient: wait while Redis does not answer.
        """
        make = self.connection.durable_script if durable else self.connection.script
        script = make(text, *self._names.values())
        return lambda *arguments: self.ask(lambda: script(*arguments), patient=patient)

    async def read(self, command: str, name: str, *arguments: str | int) -> Any:
        """The answer to a plain command on one of the keys; see `ask`."""
        return await self.ask(lambda: self.connection.command(command, self._names[name], *arguments))

    async def ask(self, question: Callable[[], Awaitable[T]], *, patient: bool = True) -> T:
        """The answer to a question that `Connection.ask` or one of its scripts puts.

        Raises:
            LedgerError: there is none.
        """
        give_up_at = self._clock() + (self._patience if patient else 0.0)
        while True:
            try:
                return await question()
            except Unavailable as error:
                kind = str(error)
            if self._clock() >= give_up_at:
                break
            await asyncio.sleep(POLL)
        # Raised out here, without the context whose frames hold more than an error may show.
        raise LedgerError(
            f"the ledger in Redis does not answer ({kind}): check its URL, and that Redis runs and has "
            "memory and disk left, then run it again",
            retryable=True,
        )
