"""The way to Redis: the only file that imports its client."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError

from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.secret import Secret, seal

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async.redis")

#: Seconds for one answer of Redis, and for a connection to it. The URL may say otherwise.
ANSWER_TIMEOUT: Final = 1.0
#: Seconds after a failure in which Redis is not asked: calls that queue up fail at once instead of one
#: after the other.
ASK_AGAIN: Final = 1.0

_FAILURES: Final = (RedisError, OSError)


class NotOnDisk(RedisError):
    """Redis could not write to its disk in time."""


class Unavailable(Exception):
    """Redis gave no answer. The argument names the error, whose own text may show the server's address."""


class Connection:
    """One Redis for the limiter, the token store and the ledger of one account, and whether it answers.

    Connections open when they are needed, also after `aclose`.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
        account: what the keys are for. They hold a hash of it.
        answer_timeout: seconds for one answer, unless the URL says otherwise.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: no Redis URL, or no account.
    """

    def __init__(
        self,
        url: str,
        account: str | Secret,
        *,
        answer_timeout: float = ANSWER_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        sealed = seal(account, "account")
        client = _client(url, answer_timeout)
        # The frames of tracebacks may be recorded: from here on they hold neither a password nor an API key.
        del url, account
        if isinstance(sealed, ConfigurationError):
            raise sealed
        if client is None:
            raise ConfigurationError("url must be redis://, rediss:// or unix://, as redis-py reads it")
        # The whole of it in braces: a cluster then keeps all keys of an account on one node.
        self._prefix = f"publitrac:{{{_digest(sealed)}}}"
        self._hash = hashlib.blake2b(key=_hash_key(sealed), digest_size=16)
        self.client: redis.asyncio.Redis = client
        self._clock = clock
        self._ask_at = -math.inf
        self._failure = ""
        self._in_outage = False
        #: Outages so far, and when the last one ended.
        self.outages: int = 0
        self.answers_since: float = -math.inf

    def key(self, name: str) -> str:
        """The key of that name for this account."""
        return f"{self._prefix}:{name}"

    def hashed(self, text: str) -> bytes:
        """A hash of `text` that nobody can compute, or check a guess with, who does not know the account."""
        copy = self._hash.copy()
        copy.update(text.encode())
        return copy.digest()

    async def command(self, command: str, name: str, *arguments: str | int) -> Any:
        """The answer to a plain command on the key of that name.

        Raises:
            Unavailable: there is none.
        """

        async def question() -> Any:
            send: Callable[..., Awaitable[Any]] = self.client.execute_command
            return await send(command, self.key(name), *arguments)

        return await self.ask(question)

    def script(self, text: str, *names: str) -> Callable[..., Awaitable[Any]]:
        """A Lua script on the keys of these names, to be called with its arguments.

        It is loaded again when the server has lost it.
        """
        registered = self.client.register_script(text)
        keys = [self.key(name) for name in names]

        def run(*arguments: float | str | bytes | memoryview) -> Awaitable[Any]:
            return self.ask(lambda: registered(keys=keys, args=arguments))

        return run

    def durable_script(self, text: str, *names: str) -> Callable[..., Awaitable[Any]]:
        """The same; what it writes is on the server's disk when it returns."""
        keys = [self.key(name) for name in names]
        # Half of the time for an answer: the server's word that it could not is better than none.
        patience = int(500 * self.client.connection_pool.connection_kwargs["socket_timeout"])

        async def question(arguments: Sequence[float | str | bytes | memoryview]) -> Any:
            # WAITAOF is about what its own connection wrote, so script and question travel together. A
            # connection that opens again repeats both: alone, WAITAOF would find nothing to wait for.
            async with self.client.pipeline(transaction=False) as pipeline:
                pipeline.eval(text, len(keys), *keys, *arguments)
                pipeline.waitaof(1, 0, patience)
                answer, (on_disk, _) = await pipeline.execute()
            if not on_disk:
                raise NotOnDisk
            return answer

        def run(*arguments: float | str | bytes | memoryview) -> Awaitable[Any]:
            return self.ask(lambda: question(arguments))

        return run

    async def can_be_durable(self) -> bool:
        """Whether the server can say that something is on its disk: append-only file, WAITAOF (Redis 7.2).

        Raises:
            Unavailable: it does not answer.
        """

        async def question() -> bool:
            try:
                await self.client.waitaof(1, 0, 1)
            except ResponseError:
                return False
            return True

        return await self.ask(question)

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a command.

        Args:
            question: sends the command. Not called in the second after a failure.

        Raises:
            Unavailable: there is none.
        """
        if self._clock() >= self._ask_at:
            try:
                answer = await question()
            except _FAILURES as error:
                self._failed(type(error).__name__)
            else:
                self._answered()
                return answer
        # Raised out here, without the context whose frames hold keys, tokens and passwords.
        raise Unavailable(self._failure)

    def _answered(self) -> None:
        if self._in_outage:
            self._in_outage = False
            self.answers_since = self._clock()
            logger.warning("Redis answers again")

    def _failed(self, kind: str) -> None:
        self._ask_at = self._clock() + ASK_AGAIN
        self._failure = kind
        if not self._in_outage:
            self._in_outage = True
            self.outages += 1
            logger.warning("Redis does not answer (%s)", kind)

    async def aclose(self) -> None:
        """Close what is open."""
        with contextlib.suppress(*_FAILURES):
            await self.client.aclose()

    def __repr__(self) -> str:
        return f"Connection({self._prefix})"


def connect(
    url: str, account: str | Secret, *, answer_timeout: float = ANSWER_TIMEOUT
) -> Connection | ConfigurationError:
    """Make a `Connection`, or return the error instead of raising it.

    For callers whose own arguments hold the bare credentials: they can drop them before they raise.
    """
    try:
        return Connection(url, account, answer_timeout=answer_timeout)
    except ConfigurationError as error:
        return error.with_traceback(None)


def _client(url: str, answer_timeout: float) -> redis.asyncio.Redis | None:
    # A connection that Redis closed while it was idle is replaced at once; silence is not waited for twice.
    retry = Retry(NoBackoff(), 1, (NoConnection,))
    try:
        client = redis.asyncio.Redis.from_url(
            url, socket_timeout=answer_timeout, socket_connect_timeout=ANSWER_TIMEOUT, retry=retry
        )
    except (ValueError, TypeError, AttributeError):  # The text may quote a part of the password.
        return None
    # What the URL says of it does not suit digests.
    client.connection_pool.connection_kwargs.pop("decode_responses", None)
    return client


def _digest(account: Secret) -> str:
    return hashlib.blake2b(account.reveal().encode(), digest_size=12, person=b"publitrac_async").hexdigest()


def _hash_key(account: Secret) -> bytes:
    return hashlib.blake2b(account.reveal().encode(), person=b"publitrac ledger").digest()
