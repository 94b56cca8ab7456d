"""Check that a Redis is suitable: rights of its user, cluster mode, replicas, eviction."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import frozen

from publitrac_async.shared.redis.connection import CLUSTER, Connection, is_cluster

#: A command, with ``{key}`` and ``{queue}`` instead of keys.
Probe: TypeAlias = tuple[str, ...]

#: Limiter and token.
_LIMIT: Final[tuple[Probe, ...]] = (
    ("EVAL", "return 1", "1", "{key}"),
    ("SCRIPT", "LOAD", "return 1"),
    ("TIME",),
    ("GET", "{key}"),
    ("SET", "{key}", "1", "PX", "1000"),
    ("GETEX", "{key}", "PX", "1000"),
    ("PTTL", "{key}"),
    ("DEL", "{key}"),
    ("ZADD", "{key}", "1", "a"),
    ("ZREMRANGEBYSCORE", "{key}", "2", "3"),
    ("ZCARD", "{key}"),
    ("PEXPIRE", "{key}", "1000"),
    ("DEL", "{key}"),
)
#: State store.
_STATE: Final[tuple[Probe, ...]] = (
    ("HSET", "{key}", "a", "1"),
    ("HSETNX", "{key}", "a", "1"),
    ("HGET", "{key}", "a"),
    ("HMGET", "{key}", "a"),
    ("HINCRBY", "{key}", "a", "1"),
    ("HEXISTS", "{key}", "a"),
    ("HGETALL", "{key}"),
    ("HSCAN", "{key}", "0"),
    ("HDEL", "{key}", "a"),
    ("UNLINK", "{key}"),
    ("SADD", "{key}", "a"),
    ("SMEMBERS", "{key}"),
    ("SSCAN", "{key}", "0"),
    ("SREM", "{key}", "a"),
    ("ZADD", "{key}", "1", "a"),
    ("ZRANGE", "{key}", "0", "-1"),
    ("ZCOUNT", "{key}", "0", "1"),
    ("ZREM", "{key}", "a"),
    ("RPUSH", "{key}", "a"),
    ("LRANGE", "{key}", "0", "-1"),
    ("DEL", "{key}"),
)
#: The queue of docket.
_QUEUE: Final[tuple[Probe, ...]] = (
    ("EVALSHA", "0" * 40, "1", "{queue}:check"),
    ("EXISTS", "{queue}:check"),
    ("XADD", "{queue}:check", "1-1", "a", "1"),
    ("XGROUP", "CREATE", "{queue}:check", "g", "0"),
    ("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "{queue}:check", ">"),
    ("XAUTOCLAIM", "{queue}:check", "g", "c", "100000", "0"),
    ("XCLAIM", "{queue}:check", "g", "c", "100000", "1-1"),
    ("XPENDING", "{queue}:check", "g"),
    ("XACK", "{queue}:check", "g", "1-1"),
    ("XREAD", "COUNT", "1", "STREAMS", "{queue}:check", "9-9"),
    ("XRANGE", "{queue}:check", "-", "+"),
    ("XLEN", "{queue}:check"),
    ("XDEL", "{queue}:check", "1-1"),
    ("DEL", "{queue}:check"),
    ("HSET", "{queue}:check", "a", "1"),
    ("HEXISTS", "{queue}:check", "a"),
    ("HGETALL", "{queue}:check"),
    ("HDEL", "{queue}:check", "a"),
    ("SADD", "{queue}:check", "a"),
    ("SMEMBERS", "{queue}:check"),
    ("EXPIRE", "{queue}:check", "1"),
    ("DEL", "{queue}:check"),
    ("ZADD", "{queue}:check", "1", "a"),
    ("ZSCORE", "{queue}:check", "a"),
    ("ZCOUNT", "{queue}:check", "0", "1"),
    ("ZRANGEBYSCORE", "{queue}:check", "0", "1"),
    ("DEL", "{queue}:check"),
    ("MULTI",),
    ("DISCARD",),
    ("PUBLISH", "{queue}:check", "1"),
)


@frozen
class RedisFault:
    """Reason why a Redis is not suitable.

    Attributes:
        text: reason and remedy.
        fatal: True if this package cannot work with it; False for a warning.
    """

    text: str
    fatal: bool


async def examine(
    connection: Connection, *, queue: str | None = None, state: bool = False, durable: bool = False
) -> list[RedisFault]:
    """Return the problems of a Redis. Call it at the start of a process.

    It runs each command that this package needs, on keys that it deletes.

    Args:
        connection: connection of the account.
        queue: name of the queue, if workers use it.
        state: True if a state store uses it.
        durable: True if that state store waits for the disk.

    Raises:
        Unavailable: Redis does not respond.
    """
    probes = [*_LIMIT, *(_STATE if state or queue else ()), *(_QUEUE if queue else ())]
    probes += [("WAITAOF", "0", "0", "1")] if durable else []
    key = connection.key(f"check-{secrets.token_hex(4)}")
    commands = [tuple(part.format(key=key, queue=queue) for part in probe) for probe in probes]
    responses = await connection.probe(commands)
    errors = [_text_of(each) if isinstance(each, Exception) else None for each in responses]
    problems = [each for error in errors for each in (_unsuitable(error),) if each is not None][:1]
    problems += _missing_rights(commands, errors, key.rpartition("check")[0])
    if queue is not None and not any(problem.fatal for problem in problems):
        problems += await _subscription(connection, f"{queue}:cancel:*")
    if not any(problem.fatal for problem in problems):
        problems += await _server(connection, state=state or queue is not None)
    return problems


def _text_of(error: Exception) -> str:
    """Return class and text of an error of Redis."""
    return f"{type(error).__name__}: {error}"


def _unsuitable(error: str | None) -> RedisFault | None:
    """Return the problem of a server that cannot be used at all."""
    kind = (error or "").partition(":")[0]
    if kind in ("MovedError", "AskError", "ClusterCrossSlotError", "ClusterDownError"):
        return RedisFault(CLUSTER, fatal=True)
    if kind == "ReadOnlyError":
        return RedisFault("it is a read-only replica: name the primary, or its Sentinels", fatal=True)
    if error is not None and "unknown command" in error.lower() and "eval" in error.lower():
        return RedisFault(
            "it is a Sentinel (use redis+sentinel://HOST/SERVICE), or older than Redis 6.2", fatal=True
        )
    return None


def _missing_rights(commands: Sequence[Probe], errors: Sequence[str | None], prefix: str) -> list[RedisFault]:
    missing: dict[str, None] = {}
    for (command, *_), error in zip(commands, errors, strict=True):
        if error is None or not error.startswith("NoPermissionError"):
            continue
        if " key" in error:
            missing[f"~{prefix}*"] = None
        elif " channel" in error:
            missing[f"&{prefix}*"] = None
        else:
            missing[f"+{command.lower()}"] = None
    return [RedisFault(f"its user lacks rights: {' '.join(missing)}", fatal=True)] if missing else []


async def _subscription(connection: Connection, pattern: str) -> list[RedisFault]:
    error = await connection.probe_subscription(pattern)
    if error is None:
        return []
    right = "+psubscribe" if "command" in str(error) else f"&{pattern}"
    # Redis compares the pattern of a subscription literally with the rule.
    return [
        RedisFault(
            f"its user lacks rights: {right} (literally, or &*), so workers would stay idle", fatal=True
        )
    ]


async def _server(connection: Connection, *, state: bool) -> list[RedisFault]:
    facts = await connection.facts()
    problems: list[RedisFault] = []
    if not facts:
        text = "its user lacks +info, so this package notices neither its settings nor its restarts"
        problems.append(RedisFault(text, fatal=False))
    if is_cluster(facts):
        problems.append(RedisFault(CLUSTER, fatal=True))
    policy = str(facts.get("maxmemory_policy", ""))
    if policy.startswith("allkeys") and int(facts.get("maxmemory", 0)):
        text = f"it may evict keys ({policy}): set maxmemory-policy noeviction"
        problems.append(RedisFault(text, fatal=state))
    elif policy.startswith("volatile") and int(facts.get("maxmemory", 0)):
        # Keys of a state store do not expire; those of limit, token and workers' locks do.
        text = f"it may evict limit and token ({policy}): set maxmemory-policy noeviction"
        problems.append(RedisFault(text, fatal=False))
    return problems
