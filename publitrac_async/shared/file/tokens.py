"""Store of a v2 token that the processes of one host share through a file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from publitrac_async.errors import ConfigurationError
from publitrac_async.shared.file.record import Record
from publitrac_async.transport.auth import Token
from publitrac_async.transport.secret import Secret

logger: Final = logging.getLogger("publitrac_async.shared")

#: Seconds until another process may request a token if the first one was killed.
_LEASE: Final = 10.0
_LEASE_POLL: Final = 0.05


class FileTokenStore:
    """Token store in a file that other users cannot read.

    Args:
        record: the file.
        clock: monotonic seconds, the same for all processes of the host.
    """

    def __init__(self, record: Record, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._clock = clock

    async def load(self) -> Token | None:
        """Return the current token."""
        async with self._record.locked():
            found = self._record.read_token()
        if found is None:
            return None
        value, life, end = found
        # An expiry further away than the lifetime is from another boot. NaN compares as damaged.
        if not (self._clock() < end <= self._clock() + life and life < math.inf):
            return None
        try:
            return Token(value=Secret(value.decode(), "token", header=True), ttl=life, expires_at=end)
        except (ValueError, ConfigurationError):
            # The next token request replaces it for all processes.
            logger.warning("the shared token in %s is damaged: a new one is requested", self._record.path)
        return None

    async def save(self, token: Token) -> None:
        """Store `token` as the current one."""
        async with self._record.locked():
            self._record.write_token(token.value.reveal().encode(), token.ttl, token.expires_at)

    async def touch(self, token: Token, expires_at: float) -> None:
        """Extend the lifetime of the current token; never shorten it."""
        async with self._record.locked():
            found = self._current(token)
            if found is not None and found < expires_at:
                self._record.write_token(token.value.reveal().encode(), token.ttl, expires_at)

    async def discard(self, token: Token) -> None:
        """Forget `token`; ignored unless it is the current one."""
        async with self._record.locked():
            if self._current(token) is not None:
                self._record.write_token(b"", 0.0, 0.0)

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Allow one process to request a token; after 10 s, the next one."""
        mine = secrets.token_bytes(8)
        patience = self._clock() + _LEASE
        while not (held := await self._take(mine)) and self._clock() < patience:
            await asyncio.sleep(_LEASE_POLL)
        try:
            yield
        finally:
            if held:
                async with self._record.locked() as header:
                    if header.lease_owner == mine:
                        header.lease_until = 0.0

    async def aclose(self) -> None:
        """Close the file. It opens again if the store is used again."""
        self._record.close()

    async def _take(self, mine: bytes) -> bool:
        async with self._record.locked() as header:
            now = self._clock()
            if now < header.lease_until <= now + _LEASE:
                return False
            header.lease_until, header.lease_owner = now + _LEASE, mine
        return True

    def _current(self, token: Token) -> float | None:
        """Return the expiry of `token` if it is the current one."""
        found = self._record.read_token()
        if found is None or found[0] != token.value.reveal().encode():
            return None
        return found[2]

    def __repr__(self) -> str:
        return f"FileTokenStore({self._record!r})"
