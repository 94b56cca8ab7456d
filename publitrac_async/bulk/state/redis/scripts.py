"""Lua scripts of the state store.

A script decides and writes in one step, by the clock of the server, so neither hosts nor their clocks have to
agree. A script may run twice, because the response to its first run may be lost.
"""

from __future__ import annotations

from typing import Final

#: Names of the keys. ``leads`` is one hash for all leads: it takes less memory than a key per lead, and one
#: command deletes it. ``unresolved`` is the set of leads that are sending or unknown. ``progress`` and
#: ``failures`` describe the current or last job, for display.
KEYS: Final = (
    "leads",
    "unresolved",
    "job",
    "lease",
    "fences",
    "running",
    "ended",
    "facts",
    "progress",
    "failures",
)

_HEAD: Final = """
local leads, unresolved, job, lease, fences, running, ended, facts, progress, failures = unpack(KEYS)
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000 + math.floor(time[2] / 1000)
"""

#: An entry is a packed array. Its state is a letter: p(ending), s(ending), o(k), a(ccepted), r(ejected),
#: (re)t(ry), u(nknown). Its owner is the job that planned it, or the session that sends it; its token is the
#: token of the chunk that sends it. Unknown fields are false.
_ENTRIES: Final = """
local STATE, OWNER, TOKEN, CONTENT_HASH, ACKED, ATTEMPTS = 1, 2, 3, 4, 5, 6
local CHANGED, KIND, CODE, ERROR = 7, 8, 9, 10
local function load(key)
  local packed = redis.call('HGET', leads, key)
  local entry = packed and cmsgpack.unpack(packed)
  if packed and not (type(entry) == 'table' and type(entry[STATE]) == 'string' and #entry == ERROR) then
    error('an entry is damaged')
  end
  return entry
end
local function store(key, entry)
  redis.call('HSET', leads, key, cmsgpack.pack(entry))
end
"""

#: Count rows by state for ``progress``, and rows whose call ended, in slices of ten seconds.
_TALLY: Final = """
local changes, called = {}, 0
local function tally(entry, state)
  local before = (entry[OWNER] == id or entry[OWNER] == owner) and entry[STATE]
  if before and before ~= 'p' then
    changes[before] = (changes[before] or 0) - 1
  end
  changes[state] = (changes[state] or 0) + 1
  if before == 's' and state ~= 's' then
    called = called + 1
  end
end
local function write_tally()
  if not id or redis.call('HGET', progress, 'id') ~= id then
    return
  end
  for state, by in pairs(changes) do
    if by ~= 0 then
      redis.call('HINCRBY', progress, 'state:' .. state, by)
    end
  end
  if called > 0 then
    local slice = math.floor(seconds / 10)
    local last, rows = unpack(redis.call('HMGET', progress, 'slice', 'slice_rows'))
    if tonumber(last or 0) ~= slice then
      local before = tonumber(last or 0) == slice - 1 and rows or 0
      redis.call('HSET', progress, 'slice', slice, 'slice_rows', 0, 'rows_before', before)
    end
    redis.call('HINCRBY', progress, 'slice_rows', called)
  end
end
"""

#: For the process that opened the state store. It must not write entries that workers of the job are sending.
_OPENER: Final = f"""{_ENTRIES}
local session, first = ARGV[1], 2
local id, stopped = unpack(redis.call('HMGET', job, 'id', 'stopped'))
local may_begin, newest = not stopped, false
local owner, token = session, 0
local function mine(entry)
  return not (entry[OWNER] == id and entry[STATE] == 's')
end
-- State for the run. Entries of this job may be claimed by a worker, even while sending. 'Sending' entries of
-- other jobs, or of a stopped job, are orphans.
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

#: For a worker with a claim. It may write entries of its job until another worker claims the chunk. After the
#: job was replaced, it may write only the entries that it was sending.
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

#: A worker that takes over a chunk marks the entries its predecessor was sending as unknown, so that the
#: predecessor can no longer write them. The response is one text, because redis-py spends time on each
#: element. JSON keeps the bytes of hashes.
_LOOKUP: Final = """
local found = {}
for i = first, #ARGV do
  local entry = load(ARGV[i])
  if entry then
    local state = seen(entry)
    if newest and entry[STATE] == 's' and state == 'u' and entry[OWNER] == id then
      tally(entry, 'u')
      entry[STATE], entry[TOKEN] = 'u', token
      store(ARGV[i], entry)
    end
    found[#found + 1] =
      {state, entry[CONTENT_HASH], entry[ACKED], entry[KIND], entry[ERROR], entry[CODE], entry[CHANGED]}
  else
    found[#found + 1] = false
  end
end
write_tally()
return cjson.encode(found)
"""

#: After a call with an unknown outcome the content at the service is unknown, so no row counts as unchanged.
#: Entries that workers of this job may be sending, or have sent with this content, stay unchanged.
_PLAN: Final = """
if not id then
  return false
end
for i = first, #ARGV, 2 do
  local key, content_hash = ARGV[i], ARGV[i + 1]
  local entry = load(key) or {'p', id, 0, content_hash, false, 0, false, false, false, false}
  local state = entry[STATE]
  local done = (state == 'o' or state == 'a' or state == 'r') and entry[CONTENT_HASH] == content_hash
  if entry[OWNER] ~= id or not (state == 'p' or state == 's' or state == 't' or done) then
    local taken = state ~= 's' and state ~= 'u' and entry[ACKED]
    entry = {'p', id, 0, content_hash, taken, entry[ATTEMPTS], entry[CHANGED], false, false, false}
    redis.call('SREM', unresolved, key)
  elseif state ~= 's' then
    entry[CONTENT_HASH] = content_hash
  end
  store(key, entry)
end
return 1
"""

#: Any number of begins ('b', count, keys) and completes ('c', count, five arguments per lead), in order.
_WRITE: Final = """
local function begin(at, count)
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
      tally(entry, 's')
      local taken = state ~= 's' and state ~= 'u' and entry[ACKED]
      entry =
        {'s', owner, token, entry[CONTENT_HASH], taken, entry[ATTEMPTS] + 1, seconds, false, false, false}
    end
    store(key, entry)
    redis.call('SADD', unresolved, key)
  end
  return 1
end
local function complete(at, count)
  local not_recorded = 0
  for i = at, at + 5 * count - 1, 5 do
    local key, state = ARGV[i], ARGV[i + 1]
    local entry = load(key)
    if entry and mine(entry) then
      tally(entry, state)
      if state == 'o' or state == 'a' then
        entry[ACKED] = entry[CONTENT_HASH]
      end
      entry[STATE], entry[CHANGED] = state, seconds
      for j = 2, 4 do
        entry[KIND + j - 2] = ARGV[i + j] ~= '' and ARGV[i + j]
      end
      store(key, entry)
      redis.call(state == 'u' and 'SADD' or 'SREM', unresolved, key)
    else
      not_recorded = not_recorded + 1
    end
  end
  return not_recorded
end
local results, at = {}, first
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  if ARGV[at] == 'b' then
    results[#results + 1] = begin(at + 2, count)
    at = at + 2 + count
  else
    results[#results + 1] = complete(at + 2, count)
    at = at + 2 + 5 * count
  end
end
write_tally()
return results
"""

OPENER_LOOKUP: Final = _HEAD + _OPENER + _TALLY + _LOOKUP
OPENER_PLAN: Final = _HEAD + _OPENER + _HELD + _PLAN
OPENER_WRITE: Final = _HEAD + _OPENER + _HELD + _TALLY + _WRITE
WORKER_LOOKUP: Final = _HEAD + _WORKER + _TALLY + _LOOKUP
WORKER_WRITE: Final = _HEAD + _WORKER + _TALLY + _WRITE

#: Arguments: session, life of the lease, destination, run, true to reset, id for a new job.
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
redis.call('DEL', job, fences, ended, progress, failures)
redis.call('HSET', job, 'id', fresh, 'run', run)
redis.call('HSET', progress, 'id', fresh, 'begun', seconds)
if destination ~= '' then
  redis.call('HSET', facts, 'destination', destination)
end
return {{'open', fresh}}
"""
#: UNLINK frees the hash of a million leads in the background.
RESET: Final = f"""{_HEAD}{_HELD}
redis.call('UNLINK', leads, unresolved, facts)
if ARGV[2] ~= '' then
  redis.call('HSET', facts, 'destination', ARGV[2])
end
return 1
"""
NOTE_SOURCE: Final = f"{_HEAD}{_HELD} redis.call('HSET', facts, 'source_hash', ARGV[2]) return 1"
RENEW: Final = f"{_HEAD}{_HELD} redis.call('HSET', lease, 'until', now + ARGV[2]) return 1"
#: A job without chunks ends with its process.
RELEASE: Final = f"""{_HEAD}{_HELD}
if redis.call('HEXISTS', progress, 'id') == 1 and redis.call('HEXISTS', progress, 'rows') == 0 then
  redis.call('HSETNX', progress, 'ended', seconds)
end
return redis.call('DEL', lease)
"""
#: The leases of running chunks are kept: the next job waits until they end.
FINISH: Final = f"""{_HEAD}{_HELD}
redis.call('HSET', progress, 'ended', seconds)
redis.call('DEL', job, fences, ended)
return 1
"""
#: Arguments: session, number of rows to be sent, number of rows rejected before, failures.
NOTE_ROWS: Final = f"""{_HEAD}{_HELD}
redis.call('HSETNX', progress, 'rows', ARGV[2])
redis.call('HSETNX', progress, 'refused', ARGV[3])
redis.call('HSETNX', progress, 'sending_since', seconds)
for i = 4, #ARGV, 2 do
  redis.call('HSET', failures, ARGV[i], ARGV[i + 1])
end
return 1
"""
#: Return time, destination, true if the lease is held, number of running chunks and progress.
PROGRESS: Final = f"""{_HEAD}
local until_ = tonumber(redis.call('HGET', lease, 'until') or 0)
return {{
  now,
  redis.call('HGET', facts, 'destination'),
  until_ > now and 1 or 0,
  redis.call('ZCOUNT', running, now, '+inf'),
  redis.call('HGETALL', progress),
}}
"""
#: The first reason is kept. Without an id, stop the current job.
STOP: Final = f"""{_HEAD}
local id = redis.call('HGET', job, 'id')
if id and (ARGV[1] == '' or ARGV[1] == id) then
  redis.call('HSETNX', job, 'stopped', ARGV[2])
  if redis.call('HGET', progress, 'id') == id then
    redis.call('HSETNX', progress, 'stopped', ARGV[2])
  end
  return 1
end
return 0
"""
#: Return the numbers of the running chunks of this job, and the number of those of other jobs.
RUNNING: Final = f"""{_HEAD}
redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
local own, others = {{}}, 0
local id = redis.call('HGET', job, 'id')
for _, each in ipairs(redis.call('ZRANGE', running, 0, -1)) do
  local owner, chunk = string.match(each, '^([^:]*):(%d+)')
  if owner == id then
    own[#own + 1] = chunk
  else
    others = others + 1
  end
end
return {{own, others}}
"""
CLAIM: Final = f"""{_HEAD}
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
local id, chunk, token, text, failed = unpack(ARGV)
if redis.call('HGET', job, 'id') ~= id or redis.call('HGET', fences, chunk) ~= token then
  return 0
end
redis.call('RPUSH', ended, text)
if failed == '' then
  redis.call('HDEL', failures, chunk)
else
  redis.call('HSET', failures, chunk, failed)
end
return 1
"""
