"""Connection to Redis: scripts, commands, and outages."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from redis.commands.core import AsyncScript
from redis.exceptions import RedisError, ResponseError

from publitrac_async.errors import ConfigurationError
from publitrac_async.shared.redis.client import client_for
from publitrac_async.transport.secret import Secret, all_sealed, seal

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async.shared")

#: Timeout in seconds of a response, and of connecting. The URL may override it.
RESPONSE_TIMEOUT: Final = 1.0
#: Seconds after a failure during which calls fail without asking Redis, instead of timing out one by one.
RETRY_AFTER: Final = 1.0
#: Timeout in seconds of a response that waits for the disk. Redis with ``appendfsync everysec`` takes up to
#: two seconds.
DISK_TIMEOUT: Final = 5.0

CLUSTER: Final = "it is a node of a Redis Cluster, which is not supported: name a Redis without cluster mode"
#: Error of a script that runs on such a node.
CLUSTER_MODE: Final = "CLUSTERMODE"
#: Permanent errors of redis-py, with reason and remedy.
_REFUSALS: Final = {
    "AuthenticationError": "it refuses the user or password of the URL",
    "CERTIFICATE_REQUIRED": "it requires a certificate: add ?ssl_certfile=FILE&ssl_keyfile=FILE to the URL",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted: add ?ssl_ca_certs=FILE with its authority",
    "AskError": CLUSTER,
    "ClusterCrossSlotError": CLUSTER,
    "ClusterDownError": CLUSTER,
    "MovedError": CLUSTER,
    "NoDatabase": "it does not have the database number of the URL",
    "NoPermissionError": "its user lacks rights: `publitrac-async doctor` names them",
}

#: Those that are temporary on a server that has responded before: passwords and certificates change.
_TEMPORARY: Final = frozenset({"AuthenticationError", "CERTIFICATE_REQUIRED", "CERTIFICATE_VERIFY_FAILED"})
#: Errors of a node of a Redis Cluster. redis-py 5 has no classes for them.
_OF_CLUSTER: Final = re.compile("(?:ASK|CLUSTERDOWN|CROSSSLOT|MOVED) ")
_TLS: Final = re.compile(r"\[SSL: (?:\w+_ALERT_)?(\w+)\]")

#: States of a server that may end, by the code of its error.
_STATES: Final = {
    "BUSY": "a script of another program runs too long",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "it is a replica without its primary",
    "MISCONF": "it cannot write to its disk",
    "NOREPLICAS": "it has too few replicas",
    "OOM": "its memory is full",
    "READONLY": "it is a read-only replica",
}
_CODES: Final = {
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
}
#: States that end without an operator.
_TRANSIENT: Final = frozenset({"BUSY", "LOADING", "MASTERDOWN"})
#: Code of an error; for errors within a script, Redis 6.2 puts it at the end.
_CODE: Final = re.compile(rf"(?:^|-)({'|'.join(_STATES)}) ")

#: Errors of commands and scripts for a value of the wrong type.
_DAMAGE: Final = re.compile(r"WRONGTYPE|is not an integer|(?<!@)user_script:\d+: ")

Argument: TypeAlias = "str | bytes | memoryview | float"


class NotOnDisk(RedisError):
    """Redis did not write to its disk in time."""


class Unavailable(Exception):
    """Redis did not respond. The argument names the error, whose text may show the server's address."""


class Damaged(Unavailable):
    """Redis responded, but the value of a key is not of the type that this package writes."""


class Connection:
    """Connections to one Redis for one account.

    Connections open on demand, also after `aclose`.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://HOST/SERVICE``.
        account: account of the keys, which hold a hash of it.
        timeout: seconds for a response, unless the URL sets them.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: no Redis URL, or no account.
    """

    def __init__(
        self,
        url: str | Secret,
        account: str | Secret,
        *,
        timeout: float = RESPONSE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = "publitrac"
        sealed = seal(account, "account"), seal(url, "url")
        # Error trackers record the local names of frames, which must not have password or API key.
        del url, account
        owner, address = all_sealed(*sealed)
        client = client_for(address, timeout=timeout, connect_timeout=RESPONSE_TIMEOUT)
        if isinstance(client, ConfigurationError):
            raise client
        self.url: Secret = address
        # The hash is a hash tag: a Redis Cluster keeps all keys of an account on one node.
        self._prefix = f"publitrac:{{{_digest(owner)}}}"
        self._hash = hashlib.blake2b(key=_derived(owner, b"publitrac state"), digest_size=16)
        self._signature = hashlib.blake2b(key=_derived(owner, b"publitrac task"), digest_size=32)
        #: Key of 32 bytes for data that only processes of the account may read.
        self.cipher_key: bytes = _derived(owner, b"publitrac cipher")[:32]
        self._client = client
        self._timeout: float = client.connection_pool.connection_kwargs["socket_timeout"]
        self._scripts: dict[str, AsyncScript] = {}
        self._clock = clock
        self._retry_at = -math.inf
        self._failure = ""
        self._in_outage = self._has_responded = False
        #: Reason if Redis refuses this process permanently, empty otherwise.
        self.refusal: str = ""
        #: True if the server responds that it is not ready yet, for example while it loads its data.
        self.is_starting: bool = False
        #: Number of outages.
        self.outages: int = 0
        self._silent_since = math.inf
        #: End of the last outage.
        self.available_since: float = -math.inf

    @property
    def silent_for(self) -> float:
        """Seconds since the beginning of the current outage; 0 while Redis responds."""
        return self._clock() - self._silent_since if self._in_outage else 0.0

    @property
    def refused_always(self) -> bool:
        """True if Redis refuses this process permanently, and has never responded to it."""
        return bool(self.refusal) and not self._has_responded

    def key(self, name: str) -> str:
        """Return the key of that name for this account."""
        return f"{self._prefix}:{name}"

    def hashed(self, text: str) -> bytes:
        """Return a keyed hash of `text`: without the account, a guess cannot be checked."""
        copy = self._hash.copy()
        copy.update(text.encode())
        return copy.digest()

    def signature(self, text: str) -> str:
        """Return a signature of `text`, which only processes with the account can make."""
        copy = self._signature.copy()
        copy.update(text.encode())
        return copy.hexdigest()

    async def command(self, command: str, key: str, *arguments: Argument) -> Any:
        """Run a command on a key.

        Raises:
            Unavailable: Redis did not respond.
        """
        send: Callable[..., Awaitable[Any]] = self._client.execute_command
        return await self._attempt(functools.partial(send, command, key, *arguments))

    async def run(self, script: str, keys: Sequence[str], *arguments: Argument, on_disk: bool = False) -> Any:
        """Run a Lua script. It is loaded again after a restart of the server.

        Args:
            script: text of the script.
            keys: its keys.
            arguments: its arguments.
            on_disk: wait until the changes are on the disk of the server.

        Raises:
            Unavailable: Redis did not respond, or did not write to its disk in time.
        """
        if on_disk:
            return await self._attempt(functools.partial(self._run_on_disk, script, keys, arguments))
        return await self._attempt(functools.partial(self._run_registered, script, keys, arguments))

    async def supports_waiting_for_disk(self) -> bool:
        """Return True if the server has an append-only file and WAITAOF (Redis 7.2).

        Raises:
            Unavailable: Redis did not respond.
        """

        async def wait() -> bool:
            try:
                await self._client.waitaof(1, 0, 1)
            except ResponseError:
                return False
            return True

        return await self._attempt(wait)

    async def probe(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """Run commands that may fail; return the response or error of each.

        Raises:
            Unavailable: Redis did not respond.
        """

        async def run() -> list[Any]:
            async with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                responses: list[Any] = await pipeline.execute(raise_on_error=False)
                return responses

        return await self._attempt(run)

    async def probe_subscription(self, pattern: str) -> Exception | None:
        """Subscribe to channels; return the error.

        Raises:
            Unavailable: Redis did not respond.
        """

        async def run() -> Exception | None:
            async with self._client.pubsub() as channels:
                try:
                    await channels.psubscribe(pattern)
                    await channels.get_message(timeout=self._timeout)
                except ResponseError as error:
                    return error
            return None

        return await self._attempt(run)

    async def facts(self) -> Mapping[str, Any]:
        """Return the facts of ``INFO`` about the server; an empty mapping if the user lacks the right.

        Raises:
            Unavailable: Redis did not respond.
        """
        (found,) = await self.probe([("INFO",)])
        return found if isinstance(found, dict) else {}

    async def aclose(self) -> None:
        """Close all connections."""
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()

    async def _run_registered(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        registered = self._scripts.get(script)
        if registered is not None:
            return await registered(keys=keys, args=arguments)
        # EVAL also loads the script, in one round trip. EVALSHA of an unknown script would take three.
        response = await self._client.eval(script, len(keys), *keys, *arguments)
        self._scripts[script] = self._client.register_script(script)
        return response

    async def _run_on_disk(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        # WAITAOF waits for the writes of its own connection, so script and WAITAOF are sent together. A new
        # connection repeats both: alone, WAITAOF would have nothing to wait for.
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.eval(script, len(keys), *keys, *arguments)
            # Half of the timeout, so that Redis reports a failure before the timeout expires.
            pipeline.waitaof(1, 0, int(500 * self._timeout))
            response, (on_disk, _) = await pipeline.execute()
        if not on_disk:
            raise NotOnDisk
        return response

    async def _attempt(self, request: Callable[[], Awaitable[T]]) -> T:
        failure: Unavailable | None = None
        if self._clock() >= self._retry_at:
            try:
                response = await _cancellable(request)
            except Exception as error:  # noqa: BLE001  (a server that is not Redis makes redis-py raise many types)
                if isinstance(error, ResponseError) and _DAMAGE.search(str(error)):
                    self._responded()
                    failure = Damaged("damaged value")
                else:
                    self._failed(_kind(error))
            else:
                self._responded()
                return response
        # Raised here, without the context, whose frames hold keys, tokens and passwords.
        raise failure or Unavailable(self._failure)

    def _responded(self) -> None:
        self._has_responded = True
        self.refusal = ""
        self.is_starting = False
        if self._in_outage:
            self._in_outage = False
            self.available_since = self._clock()
            logger.warning("Redis responds again")

    def _failed(self, kind: str) -> None:
        self._retry_at = self._clock() + RETRY_AFTER
        self._failure = kind
        self.is_starting = kind.partition(":")[0] in _TRANSIENT
        if kind not in _TEMPORARY or not self._has_responded:
            self.refusal = _REFUSALS.get(kind, "")
        if not self._in_outage:
            self._in_outage = True
            self._silent_since = self._clock()
            self.outages += 1
            logger.warning("Redis does not respond (%s)", kind)

    def __repr__(self) -> str:
        return f"Connection({self._prefix})"


async def _cancellable(request: Callable[[], Awaitable[T]]) -> T:
    """Await a request, and cancel the task if the request swallowed a cancellation.

    redis-py uses `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that arrives together with
    the end of a write. The task would continue, past its timeouts.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        response = await request()
    except Exception:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from None
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return response


def is_cluster(facts: Mapping[str, Any]) -> bool:
    """Return True if a server with these facts is a node of a Redis Cluster."""
    return facts.get("redis_mode") == "cluster" or bool(facts.get("cluster_enabled"))


def _kind(error: Exception) -> str:
    """Return the name of an error, or its code; its text may show the server's address."""
    text, name = str(error), type(error).__name__
    if any(words in text for words in ("NOPERM", "ACL failure", "no permissions")):
        return "NoPermissionError"
    if "DB index" in text:
        return "NoDatabase"
    if CLUSTER_MODE in text or _OF_CLUSTER.match(text):
        return "MovedError"
    if tls := _TLS.search(text):
        return tls[1]
    found = _CODE.search(text)
    code = _CODES.get(name) or (found[1] if found else None)
    return name if code is None else f"{code}: {_STATES[code]}"


def _digest(account: Secret) -> str:
    return hashlib.blake2b(account.reveal().encode(), digest_size=12, person=b"publitrac_async").hexdigest()


def _derived(account: Secret, purpose: bytes) -> bytes:
    """Return a key for one purpose."""
    return hashlib.blake2b(account.reveal().encode(), person=purpose).digest()
