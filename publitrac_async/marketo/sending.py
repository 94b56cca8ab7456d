"""What all operations of Marketo share: the token, the limits, and how a call is sent."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

from publitrac_async.config import (
    MARKETO_CONCURRENCY,
    MARKETO_RATE,
    MARKETO_RECORDS,
    MARKETO_RECOVERY,
    MARKETO_URL,
    Rate,
    RetryPolicy,
    Timeout,
)
from publitrac_async.errors import ConfigurationError, PublitracError
from publitrac_async.marketo import answers
from publitrac_async.marketo.building import Query
from publitrac_async.marketo.models import FieldResult, RecordResult
from publitrac_async.marketo.operations import GET_TOKEN, as_post, timeout_of
from publitrac_async.marketo.paging import MarketoPage, MarketoPager
from publitrac_async.transport.auth import Authorization, SharedToken, StaticCredentials, Token, TokenStore
from publitrac_async.transport.base import BaseClient
from publitrac_async.transport.events import AttemptEnded, Event, Hook
from publitrac_async.transport.limits import RateLimiter, Unlimited, limiter_for
from publitrac_async.transport.operation import Answer, Call, Operation
from publitrac_async.transport.secret import Secret, seal

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
R = TypeVar("R", RecordResult, FieldResult)

#: Values of the placeholders in an operation's path.
Path: TypeAlias = Mapping[str, int | str]

_ACCEPT: Final = (("accept", "application/json"),)
_JSON: Final = "application/json"
_TOO_MANY_AT_ONCE: Final = "615"
#: Every operation has the time that Marketo gives it.
_BY_OPERATION: Final = Timeout()


class MarketoBase(BaseClient):
    """The part of `MarketoClient` that knows no operation; see there."""

    _vendor = "marketo"

    def __init__(
        self,
        *,
        base_url: str,
        client_id: str | Secret,
        client_secret: str | Secret,
        rate_limit: Rate | int | None = MARKETO_RATE,
        retry: RetryPolicy | None = None,
        timeout: Timeout | float | None = _BY_OPERATION,
        concurrency: int = MARKETO_CONCURRENCY,
        transport: httpx.AsyncBaseTransport | None = None,
        limiter: RateLimiter | None = None,
        token_store: TokenStore | None = None,
        hooks: Sequence[Hook] = (),
        log_failures: bool = True,
        trust_env: bool = False,
        allow_insecure_http: bool = False,
    ) -> None:
        sealed = [seal(client_id, "client_id"), seal(client_secret, "client_secret")]
        # From here on no local name holds a bare credential: tracebacks may be recorded with theirs.
        del client_id, client_secret
        for secret in sealed:
            if isinstance(secret, ConfigurationError):
                raise secret
        super().__init__(
            base_url=_host(base_url),
            limiter=limiter or limiter_for(rate_limit),
            retry=retry,
            timeout=timeout,
            concurrency=concurrency,
            transport=transport,
            hooks=(self._watch, *hooks),
            log_failures=log_failures,
            trust_env=trust_env,
            allow_insecure_http=allow_insecure_http,
        )
        self._own_timeout = timeout is _BY_OPERATION
        self._successes = 0
        names = ("client_id", "client_secret")
        self._identity = StaticCredentials(
            Authorization(
                parameters=tuple(
                    (name, secret)
                    for name, secret in zip(names, sealed, strict=True)
                    if isinstance(secret, Secret)
                )
            )
        )
        self._uncounted = Unlimited()
        self._clock = time.monotonic
        self._resources.append(token_store)
        self._token = SharedToken(
            self._log_in, header="Authorization", scheme="Bearer", store=token_store, clock=self._clock
        )

    async def aclose(self) -> None:
        """Close the client: new calls are refused, those in flight get half a second. Can be called again."""
        await self._token.aclose()
        await super().aclose()

    # Sending.

    async def _send(
        self,
        operation: Operation,
        parse: Callable[[Answer], T],
        *,
        query: Query = (),
        content: bytes | None = None,
        path: Path | None = None,
    ) -> T:
        filled = operation.path
        for name, value in (path or {}).items():
            filled = filled.replace(f"{{{name}}}", quote(str(value), safe=""))
        form: Query | None = None
        timeout = timeout_of(operation) if self._own_timeout else None
        if operation.verb == "GET" and self._is_too_long(filled, query):
            operation, filled, form, query = as_post(operation), f"{filled}?_method=GET", query, ()
        call = Call(
            operation=operation,
            authenticator=self._token,
            path=filled,
            timeout=timeout,
            query=query,
            form=form,
            content=content,
            content_type=_JSON if operation.verb == "POST" and form is None else None,
            headers=_ACCEPT,
            parse=parse,
        )
        return await self._transport.send(call)

    def _is_too_long(self, path: str, query: Query) -> bool:
        parameters = sum(len(quote(name)) + len(quote(value)) + 2 for name, value in query)
        return len(self._base_url) + len(path) + parameters > MARKETO_URL

    async def _send_batches(
        self, operation: Operation, kind: type[R], batches: Sequence[tuple[bytes, int]]
    ) -> list[R]:
        """Send bodies one after the other, so that no two upserts of a key are ever in flight together."""
        done: list[R] = []
        for content, count in batches:
            try:
                done += await self._send(
                    operation, partial(answers.results, kind=kind, count=count), content=content
                )
            except PublitracError as error:
                error.done = tuple(done)
                if done:
                    error.maybe_applied = True
                raise
        return done

    def _pager(
        self,
        operation: Operation,
        item: Callable[[Any], T],
        *,
        start: str | None,
        query: Query = (),
        path: Path | None = None,
    ) -> MarketoPager[T]:
        def fetch(token: str | None) -> Awaitable[MarketoPage[T]]:
            paged = query if token is None else (*query, ("nextPageToken", token))
            return self._send(operation, partial(answers.page, item=item), query=paged, path=path)

        return MarketoPager(fetch, start=start)

    def _pager_of_values(
        self,
        operation: Operation,
        item: Callable[[Any], T],
        values: Sequence[str],
        *,
        start: str | None,
        query: Query,
    ) -> MarketoPager[T]:
        """A pager over values of a filter, 300 in a call.

        With more than 300 values a token begins with the place of the value at which its calls begin.
        """
        split = len(values) > MARKETO_RECORDS

        async def fetch(token: str | None) -> MarketoPage[T]:
            place, own = (0, token) if not split else _place(token)
            part = values[place : place + MARKETO_RECORDS]
            paged = (*query, ("filterValues", ",".join(part)), *((("nextPageToken", own),) if own else ()))
            page = await self._send(operation, partial(answers.page, item=item), query=paged)
            if not split:
                return page
            if page.next_page_token is None:
                place += MARKETO_RECORDS
            more = page.next_page_token is not None or place < len(values)
            return MarketoPage(page.items, f"{place}:{page.next_page_token or ''}" if more else None)

        return MarketoPager(fetch, start=start)

    # Token and limits.

    async def _log_in(self) -> Token:
        call = Call(
            operation=GET_TOKEN,
            authenticator=self._identity,
            query=(("grant_type", "client_credentials"),),
            headers=_ACCEPT,
            parse=answers.read_token,
        )
        asked = self._clock()
        value, life = await self._transport.request_token(call, limiter=self._uncounted)
        return Token(value=value, ttl=life, expires_at=asked + life)

    def _watch(self, event: Event) -> None:
        """Let fewer calls be in flight after code 615, and more again after successes."""
        if not isinstance(event, AttemptEnded) or event.operation == GET_TOKEN.name:
            return
        if event.code == _TOO_MANY_AT_ONCE:
            self._successes = 0
            self._transport.gate.narrow()
        elif event.error is None:
            self._successes += 1
            if self._successes % MARKETO_RECOVERY == 0:
                self._transport.gate.widen()


def _host(base_url: str) -> str:
    """The address of the instance: Marketo shows it with ``/rest`` or ``/identity`` behind it."""
    base = base_url.strip().rstrip("/")
    return base.removesuffix("/rest").removesuffix("/identity")


def _place(token: str | None) -> tuple[int, str | None]:
    if token is None:
        return 0, None
    place, _, own = token.partition(":")
    return (int(place), own or None) if place.isdecimal() else (0, token)
