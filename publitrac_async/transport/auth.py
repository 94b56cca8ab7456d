"""Authentication: static credentials, and tokens that are requested, shared and renewed."""

from __future__ import annotations

import asyncio
import copy
import time
import urllib.parse
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol, TypeAlias

from attrs import frozen

from publitrac_async.config import TOKEN_MARGIN, TOKEN_MARGIN_PART
from publitrac_async.errors import AuthenticationError, ClientStateError, PublitracError
from publitrac_async.transport.secret import Secret

#: Smallest extension of a sliding token, as a part of its lifetime: not every call writes to the store.
_SLIDE_PART: Final = 0.001

Placement: TypeAlias = Literal["query", "body"]


@frozen(kw_only=True)
class Token:
    """Access token.

    Attributes:
        value: the token itself.
        ttl: lifetime in seconds, from the token request or from the last use.
        expires_at: estimated end of the lifetime, on the monotonic clock.
    """

    value: Secret
    ttl: float
    expires_at: float


@frozen(kw_only=True)
class Authorization:
    """Credentials for one request, added right before it is sent.

    Attributes:
        parameters: query or form parameters.
        placement: place of the parameters; a request without a form has them in the query.
        headers: header fields.
        token: the token in the headers, if any.
        encoded: credentials that are in a header in an encoded form.
    """

    parameters: tuple[tuple[str, Secret], ...] = ()
    placement: Placement = "query"
    headers: tuple[tuple[str, Secret], ...] = ()
    token: Token | None = None
    encoded: tuple[Secret, ...] = ()

    @property
    def url_length(self) -> int:
        """Bytes that the parameters add to a URL."""
        return sum(
            len(urllib.parse.quote(name)) + len(urllib.parse.quote(secret.reveal(), safe="")) + 2
            for name, secret in self.parameters
        )

    def masked_in(self, text: str) -> str:
        """Mask these credentials in a text of the service, which may quote them."""
        for _, secret in (*self.parameters, *self.headers):
            text = secret.masked_in(text)
        for secret in self.encoded:
            text = secret.masked_in(text)
        return text if self.token is None else self.token.value.masked_in(text)


class Authenticator(Protocol):
    """Supplies credentials, and is notified of the result."""

    @property
    def reauthenticate_on(self) -> tuple[type[PublitracError], ...]:
        """Errors that stale credentials may cause: the call is then retried once with fresh ones."""
        ...

    async def authorize(self) -> Authorization:
        """Return valid credentials; may request a token."""
        ...

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Record that the service accepted the credentials in a request sent at `sent_at` (monotonic)."""
        ...

    async def rejected(self, authorization: Authorization) -> None:
        """Record that the service rejected the credentials with one of the errors `reauthenticate_on`."""
        ...


class StaticCredentials:
    """Credentials that every request shares: key, user and password of v1, or a key in a header."""

    reauthenticate_on: tuple[type[PublitracError], ...] = ()

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def authorize(self) -> Authorization:
        """Return the credentials."""
        return self._authorization

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Do nothing: these credentials never change."""

    async def rejected(self, authorization: Authorization) -> None:
        """Do nothing: there are no other credentials."""


class TokenRequestSuperseded(Exception):
    """Another process is requesting a token, or has one: this process sends no token request."""


class TokenLease(Protocol):
    """Right of one process to request a token."""

    async def confirm(self) -> bool:
        """Return True if this process may request a token now. Called right before the request is sent."""
        ...


class TokenStore(Protocol):
    """Store of the current token: in memory by default, or shared by several processes.

    The caller of a client closes the store that it passes.
    """

    async def load(self) -> Token | None:
        """Return the current token, ``None`` without one."""

    async def save(self, token: Token) -> None:
        """Store `token` as the current one."""

    async def touch(self, token: Token, expires_at: float) -> None:
        """Extend the lifetime of `token` to `expires_at`; ignored unless it is the current one."""

    async def discard(self, token: Token) -> None:
        """Forget `token`; ignored unless it is the current one."""

    def lock(self) -> AbstractAsyncContextManager[TokenLease | None]:
        """Return a lock for token requests.

        Holders load the token again first, so only one of them requests it. A lock that may be lost while its
        holder waits for the rate limiter returns a lease, which is confirmed right before the request is
        sent.
        """
        ...


class MemoryTokenStore:
    """Token store for the clients of one event loop."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def load(self) -> Token | None:
        """Return the current token, ``None`` without one."""
        return self._token

    async def save(self, token: Token) -> None:
        """Store `token` as the current one."""
        self._token = token

    async def touch(self, token: Token, expires_at: float) -> None:
        """Extend the lifetime of the current token; never shorten it."""
        current = self._token
        if current is not None and current.value == token.value and expires_at > current.expires_at:
            self._token = Token(value=current.value, ttl=current.ttl, expires_at=expires_at)

    async def discard(self, token: Token) -> None:
        """Forget `token` if it is the current one."""
        if self._token is not None and self._token.value == token.value:
            self._token = None

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return the lock that allows one token request at a time."""
        return self._lock


class SharedToken:
    """Token that all calls share until it expires.

    One token request serves all callers that wait for it. It runs in a separate task, so a cancelled caller
    does not cancel it for the others. A rejected token is discarded only while it is the current one, so late
    rejections of an old token cause no second token request.

    Args:
        request_token: requests a fresh token.
        header: header field of the token.
        scheme: authentication scheme before the token, ``"Bearer"``.
        store: store of the token.
        reauthenticate_on: errors that a stale token may cause; after one of them the call is repeated once
            with a fresh token.
        clock: monotonic seconds. The service decides when a token expires; the clock only avoids attempts
            that would fail.
    """

    def __init__(
        self,
        request_token: Callable[[], Awaitable[Token]],
        *,
        header: str,
        scheme: str = "",
        store: TokenStore | None = None,
        reauthenticate_on: tuple[type[PublitracError], ...] = (AuthenticationError,),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reauthenticate_on = reauthenticate_on
        self._request_token = request_token
        self._header = header
        self._prefix = f"{scheme} " if scheme else ""
        self._store: TokenStore = MemoryTokenStore() if store is None else store
        self._clock = clock
        self._renewal: asyncio.Task[Token] | None = None
        self._lease: TokenLease | None = None
        #: The last one, with its token: most calls use the token of the call before. See `Wire.exchange` for
        #: the figure.
        self._authorization = Authorization()

    async def authorize(self) -> Authorization:
        """Return the current token as credentials, renewed first if due.

        Raises:
            PublitracError: the token request failed, and there is no valid token.
        """
        token = await self._store.load()
        if token is None or self._ends_soon(token):
            token = await self._renewed(token)
        if self._authorization.token is not token:
            value = token.value
            if self._prefix:
                value = Secret(self._prefix + value.reveal(), self._header, header=True)
            self._authorization = Authorization(headers=((self._header, value),), token=token)
        return self._authorization

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Do nothing: use does not extend the lifetime of the token."""

    async def rejected(self, authorization: Authorization) -> None:
        """Discard the token, unless it was replaced already."""
        if authorization.token is not None:
            await self._store.discard(authorization.token)

    async def token(self) -> Token:
        """Return the current token, renewed first if due."""
        authorization = await self.authorize()
        assert authorization.token is not None
        return authorization.token

    async def confirm_request(self) -> None:
        """Check that the token request in progress is still needed, right before it is sent.

        Raises:
            TokenRequestSuperseded: another process was faster.
        """
        if self._lease is not None and not await self._lease.confirm():
            raise TokenRequestSuperseded

    async def aclose(self) -> None:
        """Cancel the token request in flight."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renewed(self, expiring: Token | None) -> Token:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(), name="publitrac_async token request")
            self._renewal.add_done_callback(self._renewal_ended)
        renewal = self._renewal
        failure: PublitracError
        try:
            return await asyncio.shield(renewal)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not renewal.cancelled() or (task is not None and task.cancelling()):
                raise
            failure = ClientStateError("the client was closed during the token request")
        except PublitracError as error:
            if expiring is not None and self._clock() < expiring.expires_at:
                return expiring
            # Every waiter raises its copy of the error: tracebacks and counts are not shared.
            failure = copy.copy(error)
        raise failure

    async def _renew(self) -> Token:
        while True:
            async with self._store.lock() as self._lease:
                # Another process may have requested a token meanwhile; the service may have returned the same
                # one with a longer lifetime.
                current = await self._store.load()
                if current is not None and not self._ends_soon(current):
                    return current
                try:
                    token = await self._request_token()
                except TokenRequestSuperseded:
                    continue
                await self._store.save(token)
                return token

    def _ends_soon(self, token: Token) -> bool:
        # Wait for the expiry: before it, the service returns the same token again.
        return self._clock() >= token.expires_at

    def _renewal_ended(self, renewal: asyncio.Task[Token]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # All waiters may have been cancelled; asyncio logs exceptions not retrieved.


class SlidingToken(SharedToken):
    """Token whose lifetime restarts with every successful use. It is renewed shortly before it expires."""

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Extend the lifetime of the token, counted from the time its request was sent."""
        token = authorization.token
        if token is not None and sent_at + token.ttl - token.expires_at > token.ttl * _SLIDE_PART:
            await self._store.touch(token, sent_at + token.ttl)

    def _ends_soon(self, token: Token) -> bool:
        margin = min(TOKEN_MARGIN, token.ttl * TOKEN_MARGIN_PART)
        return self._clock() >= token.expires_at - margin
