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
from publitrac_async.shared.file.record import AccountFile
from publitrac_async.transport.auth import Token, TokenLease
from publitrac_async.transport.secret import Secret

logger: Final = logging.getLogger("publitrac_async.shared")

#: Seconds until another process may request a token if the first one was killed.
_LEASE: Final = 10.0
_LEASE_POLL: Final = 0.05
#: Last byte of the owner of a lease: its token request waits for the limiter, or is in flight.
_WAITING: Final = b"\0"
_SENT: Final = b"\1"


class FileTokenStore:
    """Token store in a file that other users cannot read.

    Args:
        record: the file.
        clock: monotonic seconds, the same for all processes of the host.
    """

    def __init__(self, record: AccountFile, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._clock = clock

    async def load(self) -> Token | None:
        """Return the current token."""
        async with self._record.locked():
            found = self._record.read_token()
        if found is None:
            return None
        value, life, end = found
        # An expiry further away than the lifetime is from another boot. NaN fails the comparison.
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
    async def lock(self) -> AsyncIterator[TokenLease]:
        """Allow one process to request a token. The lease of a killed process expires after 10 s."""
        lease = _Lease(self._record, self._clock)
        while not await lease.take():
            await asyncio.sleep(_LEASE_POLL)
        try:
            yield lease
        finally:
            await lease.release()

    def _current(self, token: Token) -> float | None:
        """Return the expiry of `token` if it is the current one."""
        found = self._record.read_token()
        if found is None or found[0] != token.value.reveal().encode():
            return None
        return found[2]

    def __repr__(self) -> str:
        return f"FileTokenStore({self._record!r})"


class _Lease:
    """Right to request a token."""

    def __init__(self, record: AccountFile, clock: Callable[[], float]) -> None:
        self._record = record
        self._clock = clock
        self._mine = secrets.token_bytes(7)
        #: The token to be replaced, ``None`` without one.
        self._ending: tuple[bytes, float, float] | None = None

    async def take(self) -> bool:
        """Take the lease; return False if another process has it."""
        async with self._record.locked() as header:
            now = self._clock()
            if now < header.lease_until <= now + _LEASE:
                return False
            header.lease_until, header.lease_owner = now + _LEASE, self._mine + _WAITING
            self._ending = self._record.read_token()
        return True

    async def confirm(self) -> bool:
        """Return True if this process may request a token now; see `TokenLease.confirm`."""
        async with self._record.locked() as header:
            stored = self._record.read_token()
            replaced = stored is not None and (self._ending is None or stored[0] != self._ending[0])
            now = self._clock()
            in_flight = (
                now < header.lease_until <= now + _LEASE
                and header.lease_owner.endswith(_SENT)
                and header.lease_owner != self._mine + _SENT
            )
            if replaced or in_flight:
                return False
            # Another process may have taken the lease while this one waited for the limiter.
            header.lease_until, header.lease_owner = now + _LEASE, self._mine + _SENT
        return True

    async def release(self) -> None:
        """Let another process request a token."""
        async with self._record.locked() as header:
            if header.lease_owner[:7] == self._mine:
                header.lease_until = 0.0
