"""The keys of one state store in Redis, and retries while Redis does not respond."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.state.redis.scripts import KEYS
from publitrac_async.errors import ConfigurationError
from publitrac_async.shared.redis.connection import (
    CLUSTER,
    Argument,
    Connection,
    Damaged,
    Unavailable,
    is_cluster,
)

T = TypeVar("T")

#: Seconds between two polls of Redis, or of another process.
POLL: Final = 0.1


#: Errors that values of another program cause: a time of another millennium, JSON that is nested too deeply.
_INVALID: Final = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
    OSError,
)


def damaged(kind: str) -> StateStoreError:
    """Return the error for values that this package did not write.

    Args:
        kind: name of the exception that they caused.
    """
    return StateStoreError(
        f"the state store in Redis is damaged ({kind}): reset it, or name another one, and every row will be "
        "sent again"
    )


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Translate the errors of an invalid response.

    Raises:
        StateStoreError: the state store is damaged.
    """
    try:
        yield
    except _INVALID as error:
        kind = type(error).__name__
    else:
        return
    raise damaged(kind)


class StateKeys:
    """The keys of one state store.

    Args:
        connection: connection of the account.
        name: name of the state store.
        timeout: seconds to wait while Redis does not respond, ``None`` without a limit.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        *,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self._keys = {each: connection.key(f"state:{name}:{each}") for each in KEYS}
        self._timeout = math.inf if timeout is None else timeout
        self._clock = clock

    async def run(self, script: str, *arguments: Argument, on_disk: bool = False, wait: bool = True) -> Any:
        """Run a script on all keys.

        Args:
            script: text of the script.
            arguments: its arguments.
            on_disk: wait until the changes are on the disk of the server.
            wait: wait while Redis does not respond, until the timeout.

        Raises:
            StateStoreError: Redis does not respond.
        """
        keys = [*self._keys.values()]
        return await self.ask(
            lambda: self.connection.run(script, keys, *arguments, on_disk=on_disk), wait=wait
        )

    async def read(self, command: str, name: str, *arguments: Argument) -> Any:
        """Run a command on one key.

        Raises:
            StateStoreError: Redis does not respond.
        """
        return await self.ask(lambda: self.connection.command(command, self._keys[name], *arguments))

    async def wait_until_started(self) -> None:
        """Wait while Redis loads its data, until the timeout; return at once if it does not respond."""
        give_up_at = self._clock() + self._timeout
        while True:
            with contextlib.suppress(Unavailable):
                await self.connection.command("PTTL", self.connection.key("token"))
            if not self.connection.is_starting or self._clock() >= give_up_at:
                return
            await asyncio.sleep(POLL)

    async def check_mode(self) -> None:
        """Refuse a node of a Redis Cluster: the other nodes do not have its keys.

        Raises:
            ConfigurationError: it is a node of a Redis Cluster.
            StateStoreError: Redis does not respond.
        """
        facts = await self.ask(self.connection.facts)
        if is_cluster(facts):
            raise ConfigurationError(f"the Redis of the state store: {CLUSTER}")

    async def ask(self, call: Callable[[], Awaitable[T]], *, wait: bool = True) -> T:
        """Return the result of a call of Redis; repeat it while Redis does not respond.

        Raises:
            ConfigurationError: Redis has refused this process from the start: its password or rights are
                wrong, or Redis is a Cluster.
            StateStoreError: Redis does not respond, or holds a value that this package did not write.
        """
        give_up_at = self._clock() + (self._timeout if wait else 0.0)
        while True:
            try:
                return await call()
            except Damaged as error:
                raise damaged(str(error)) from None
            except Unavailable as error:
                kind = str(error)
            if (refused := self.connection.refused_always) or self._clock() >= give_up_at:
                break
            await asyncio.sleep(POLL)
        # Raised outside `except`, so without the context: its frames may hold secrets.
        if refused:
            raise ConfigurationError(f"the Redis of the state store: {self.connection.refusal}")
        raise StateStoreError(
            f"the state store in Redis does not respond ({kind}): check its URL, and that Redis runs and has "
            "memory and disk left, then run it again",
            retryable=True,
        )
