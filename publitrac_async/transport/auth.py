"""Who we are: credentials that stay the same, and tokens that are fetched, shared and renewed."""

from __future__ import annotations

import asyncio
import copy
import time
import urllib.parse
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from publitrac_async.config import TOKEN_MARGIN, TOKEN_MARGIN_PART
from publitrac_async.errors import AuthenticationError, ClientStateError, PublitracError
from publitrac_async.transport.secret import Secret

Placement: TypeAlias = Literal["query", "body"]


@frozen(kw_only=True)
class Token:
    """A token of the service.

    Attributes:
        value: the token itself.
        ttl: seconds it lives, after its log-in or after its last use.
        expires_at: end of its life on the monotonic clock, as far as this client knows.
    """

    value: Secret
    ttl: float
    expires_at: float


@frozen(kw_only=True)
class Authorization:
    """Credentials for one request; they join it at the last moment.

    Attributes:
        parameters: query or form parameters.
        placement: where the parameters go; a request without a form always has them in the query.
        headers: header fields.
        token: the token behind the headers, if there is one.
    """

    parameters: tuple[tuple[str, Secret], ...] = ()
    placement: Placement = "query"
    headers: tuple[tuple[str, Secret], ...] = ()
    token: Token | None = None

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
        return text if self.token is None else self.token.value.masked_in(text)


class Authenticator(Protocol):
    """Gives credentials, and hears how they fared."""

    @property
    def doubted_after(self) -> tuple[type[PublitracError], ...]:
        """Errors that stale credentials may be behind: then the call is repeated once with fresh ones."""
        ...

    async def authorize(self) -> Authorization:
        """Credentials that are good now; may log in."""
        ...

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """The service took them in a request that left at `sent_at` (monotonic seconds)."""
        ...

    async def rejected(self, authorization: Authorization) -> None:
        """The service refused them with one of the errors `doubted_after`."""
        ...


class StaticCredentials:
    """Credentials that are the same in every request: the key, user and password of v1, a key in a header."""

    doubted_after: tuple[type[PublitracError], ...] = ()

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def authorize(self) -> Authorization:
        """The credentials."""
        return self._authorization

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Nothing changes."""

    async def rejected(self, authorization: Authorization) -> None:
        """There are no others."""


class TokenStore(Protocol):
    """Where the token is kept. One in memory is the default; several processes may share one.

    A store that has a method ``aclose()`` is closed with the client.
    """

    async def load(self) -> Token | None:
        """The current token."""

    async def save(self, token: Token) -> None:
        """Keep `token` as the current one."""

    async def touch(self, token: Token, expires_at: float) -> None:
        """`token` was used and lives until `expires_at`; ignored unless it is the current one."""

    async def discard(self, token: Token) -> None:
        """Forget `token`; ignored unless it is the current one."""

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Entered for a log-in, so that all who share the store make one; they look again once inside."""
        ...


class MemoryTokenStore:
    """A token for the clients of one event loop."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def load(self) -> Token | None:
        """The current token."""
        return self._token

    async def save(self, token: Token) -> None:
        """Keep `token` as the current one."""
        self._token = token

    async def touch(self, token: Token, expires_at: float) -> None:
        """Slide the life of the current token, never backwards."""
        current = self._token
        if current is not None and current.value == token.value and expires_at > current.expires_at:
            self._token = Token(value=current.value, ttl=current.ttl, expires_at=expires_at)

    async def discard(self, token: Token) -> None:
        """Forget the current token if it is this one."""
        if self._token is not None and self._token.value == token.value:
            self._token = None

    def lock(self) -> AbstractAsyncContextManager[None]:
        """One log-in at a time."""
        return self._lock


class SharedToken:
    """A token that all calls share until its end.

    However many callers need a new token, one log-in runs. It is a task of its own, so a caller that is
    cancelled takes nobody down. A token that the service rejects is discarded only if it is still the
    current one, so late rejections of an old token cause no second log-in.

    Args:
        log_in: brings a fresh token.
        header: header field in which the token travels.
        scheme: the word before it, ``"Bearer"``.
        store: where the token is kept.
        doubted_after: errors that a stale token may be behind; after one of them the call is repeated
            once with a fresh token.
        clock: monotonic seconds. The service has the last word on a token's life; the clock only spares
            the attempts that would surely fail.
    """

    def __init__(
        self,
        log_in: Callable[[], Awaitable[Token]],
        *,
        header: str,
        scheme: str = "",
        store: TokenStore | None = None,
        doubted_after: tuple[type[PublitracError], ...] = (AuthenticationError,),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.doubted_after = doubted_after
        self._log_in = log_in
        self._header = header
        self._prefix = f"{scheme} " if scheme else ""
        self._store: TokenStore = MemoryTokenStore() if store is None else store
        self._clock = clock
        self._renewal: asyncio.Task[Token] | None = None

    async def authorize(self) -> Authorization:
        """The current token, renewed first if its time has come.

        Raises:
            PublitracError: the log-in failed, and there is no token with some life left.
        """
        token = await self._store.load()
        if token is None or self._ends_soon(token):
            token = await self._renewed(token)
        value = token.value
        if self._prefix:
            value = Secret(self._prefix + value.reveal(), self._header, header=True)
        return Authorization(headers=((self._header, value),), token=token)

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Nothing changes: use does not prolong the token's life."""

    async def rejected(self, authorization: Authorization) -> None:
        """Discard the token, unless it was replaced already."""
        if authorization.token is not None:
            await self._store.discard(authorization.token)

    async def token(self) -> Token:
        """The current token, renewed if its time has come."""
        authorization = await self.authorize()
        assert authorization.token is not None
        return authorization.token

    async def aclose(self) -> None:
        """Cancel a log-in that is under way."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renewed(self, ending: Token | None) -> Token:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(), name="publitrac_async log-in")
            self._renewal.add_done_callback(self._renewal_ended)
        renewal = self._renewal
        failure: PublitracError
        try:
            return await asyncio.shield(renewal)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not renewal.cancelled() or (task is not None and task.cancelling()):
                raise
            failure = ClientStateError("the client was closed during the log-in")
        except PublitracError as error:
            if ending is not None and self._clock() < ending.expires_at:
                return ending
            # Every waiter raises an error of its own: tracebacks and counts are not shared.
            failure = copy.copy(error)
        raise failure

    async def _renew(self) -> Token:
        async with self._store.lock():
            # Others may have logged in meanwhile; the service may have given them the same token, revived.
            current = await self._store.load()
            if current is not None and not self._ends_soon(current):
                return current
            token = await self._log_in()
            await self._store.save(token)
            return token

    def _ends_soon(self, token: Token) -> bool:
        # Not before its end: a service that is asked early hands out the same token again.
        return self._clock() >= token.expires_at

    def _renewal_ended(self, renewal: asyncio.Task[Token]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # Nobody may be left to hear of it.


class SlidingToken(SharedToken):
    """A token whose life starts anew with every successful use. It is renewed a little before its end."""

    async def accepted(self, authorization: Authorization, sent_at: float) -> None:
        """Slide the token's life from the moment its request left."""
        token = authorization.token
        if token is not None:
            await self._store.touch(token, sent_at + token.ttl)

    def _ends_soon(self, token: Token) -> bool:
        margin = min(TOKEN_MARGIN, token.ttl * TOKEN_MARGIN_PART)
        return self._clock() >= token.expires_at - margin
