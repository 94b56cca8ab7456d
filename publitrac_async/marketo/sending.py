"""Base of the operations of Marketo, which have a module for each subject: token, limits, sending."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

from attrs import evolve

from publitrac_async.config import (
    MARKETO_CONCURRENCY,
    MARKETO_RATE,
    MARKETO_RECOVERY,
    MARKETO_URL,
    Rate,
    RetryPolicy,
    Timeout,
)
from publitrac_async.errors import PublitracError, ValidationError
from publitrac_async.marketo import responses
from publitrac_async.marketo.address import host_of
from publitrac_async.marketo.building import Query
from publitrac_async.marketo.operations import GET_TOKEN, as_post, timeout_of
from publitrac_async.marketo.paging import MarketoPage, MarketoPager, ValuePart
from publitrac_async.marketo.records import Batch
from publitrac_async.marketo.results import FieldResult, Reason, RecordResult
from publitrac_async.shared.share import Shared, limiter_and_tokens
from publitrac_async.transport.auth import Authorization, SharedToken, StaticCredentials, Token, TokenStore
from publitrac_async.transport.base import BaseClient
from publitrac_async.transport.events import Hook
from publitrac_async.transport.limits import RateLimiter, Unlimited
from publitrac_async.transport.operation import Call, Operation, ServiceResponse
from publitrac_async.transport.secret import Secret, all_sealed, seal
from publitrac_async.transport.trace import TraceTarget

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
R = TypeVar("R", RecordResult, FieldResult)

#: Values of the placeholders in an operation's path.
Path: TypeAlias = Mapping[str, int | str]

_ACCEPT: Final = (("accept", "application/json"),)
_JSON: Final = "application/json"
_TOO_MANY_AT_ONCE: Final = "615"
#: Default timeout: every operation has Marketo's time limit.
_BY_OPERATION: Final = Timeout()


class MarketoBase(BaseClient):
    """Part of `MarketoClient` without operations; see there."""

    _vendor = "marketo"
    _max_in_flight = MARKETO_CONCURRENCY

    def __init__(
        self,
        *,
        base_url: str | None = None,
        munchkin_id: str | None = None,
        client_id: str | Secret,
        client_secret: str | Secret,
        rate_limit: Rate | int | None = MARKETO_RATE,
        shared: Shared | None = None,
        retry: RetryPolicy | None = None,
        timeout: Timeout | float | None = _BY_OPERATION,
        concurrency: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        limiter: RateLimiter | None = None,
        token_store: TokenStore | None = None,
        hooks: Sequence[Hook] = (),
        log_failures: bool = True,
        trust_env: bool = False,
        allow_insecure_http: bool = False,
        trace: TraceTarget | None = None,
    ) -> None:
        sealed = seal(client_id, "client_id"), seal(client_secret, "client_secret")
        # From here on no local name holds a bare credential: error trackers record the local names of frames.
        del client_id, client_secret
        identity = tuple(zip(("client_id", "client_secret"), all_sealed(*sealed), strict=True))
        limiter, token_store = limiter_and_tokens(
            shared, limiter=limiter, token_store=token_store, rate_limit=rate_limit, default=MARKETO_RATE
        )
        super().__init__(
            base_url=host_of(base_url, munchkin_id),
            limiter=limiter,
            retry=retry,
            timeout=timeout,
            concurrency=concurrency,
            transport=transport,
            hooks=hooks,
            log_failures=log_failures,
            trust_env=trust_env,
            allow_insecure_http=allow_insecure_http,
            trace=trace,
        )
        self._successes = 0
        self._transport.reporter.on_attempt = self._adapt_concurrency
        self._identity = StaticCredentials(Authorization(parameters=identity))
        #: Calls of Identity do not count towards a limit.
        self._identity_limiter = Unlimited()
        self._clock = time.monotonic
        self._token = SharedToken(
            self._request_token, header="Authorization", scheme="Bearer", store=token_store, clock=self._clock
        )

    async def aclose(self) -> None:
        """Close the client: refuse new calls, and give those in flight half a second. Can be called again."""
        if not self._is_view:
            await self._token.aclose()
        await super().aclose()

    # Sending.

    async def _send(
        self,
        operation: Operation,
        parse: Callable[[ServiceResponse], T],
        *,
        query: Query = (),
        content: bytes | None = None,
        form: Query | None = None,
        path: Path | None = None,
        filled: str | None = None,
    ) -> T:
        """Send one call.

        Args:
            operation: row of the table.
            parse: reads the response.
            query: parameters of the URL.
            content: a JSON body.
            form: a form-encoded body.
            path: values of the placeholders in the operation's path.
            filled: the path with values, instead of `path`.
        """
        if filled is None:
            filled = operation.path
            for name, value in (path or {}).items():
                filled = filled.replace(f"{{{name}}}", quote(str(value), safe=""))
        timeout = timeout_of(operation) if self._transport.timeout is _BY_OPERATION else None
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
            content_type=_JSON if operation.verb != "GET" and form is None else None,
            headers=_ACCEPT,
            parse=parse,
        )
        return await self._transport.send(call)

    def _is_too_long(self, path: str, query: Query) -> bool:
        parameters = sum(len(quote(name)) + len(quote(value)) + 2 for name, value in query)
        return len(self._base_url) + len(path) + parameters > MARKETO_URL

    async def _send_batches(
        self,
        operation: Operation,
        build: Callable[[Any, Any, tuple[Reason, ...]], R],
        batches: Sequence[Batch],
        *,
        read: Callable[..., tuple[R, ...]] = responses.results,
    ) -> list[R]:
        """Send batches one after the other, so that two upserts of a key are never in flight together.

        If one fails, its error concerns only its records; ``done`` has the results of earlier ones.
        """
        done: list[R] = []
        for batch in batches:
            try:
                done += await self._send(
                    operation,
                    partial(read, given=batch.records, build=build),
                    content=batch.content,
                )
            except PublitracError as error:
                error.done = tuple(done)
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
            parse = partial(responses.page, item=item, first=token is None)
            return self._send(operation, parse, query=paged, path=path)

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
        """Return a pager over values of a filter, with as many values per call as Marketo accepts.

        A call that matches too many leads is sent again with half of its values. If the values take several
        calls, a token begins with the index of the first value of its call and their number.
        """

        async def fetch(token: str | None) -> MarketoPage[T]:
            part = ValuePart.read(token, len(values))
            while True:
                chosen = values[part.place : part.place + part.count]
                paged = (*query, ("filterValues", ",".join(chosen)))
                if part.own:
                    paged += (("nextPageToken", part.own),)
                parse = partial(responses.page, item=item, first=part.own is None)
                try:
                    page = await self._send(operation, parse, query=paged)
                except ValidationError as error:
                    if part.own or len(chosen) == 1 or not responses.matches_too_many(error):
                        raise
                    part = part.halved()
                else:
                    after = part.after(page.next_page_token, len(values))
                    return evolve(page, next_page_token=after, last=after is None)

        return MarketoPager(fetch, start=start)

    # Token and limits.

    async def _request_token(self) -> Token:
        call = Call(
            operation=GET_TOKEN,
            authenticator=self._identity,
            query=(("grant_type", "client_credentials"),),
            headers=_ACCEPT,
            parse=responses.read_token,
        )
        requested_at = self._clock()
        value, life = await self._transport.request_token(
            call, limiter=self._identity_limiter, confirm=self._token.confirm_request
        )
        return Token(value=value, ttl=life, expires_at=requested_at + life)

    def _adapt_concurrency(self, operation: Operation, failure: BaseException | None) -> None:
        """Allow fewer calls in flight after code 615, and more after successes."""
        if operation is GET_TOKEN:
            return
        if isinstance(failure, PublitracError) and failure.code == _TOO_MANY_AT_ONCE:
            self._successes = 0
            self._transport.gate.narrow()
        elif failure is None:
            self._successes += 1
            if self._successes % MARKETO_RECOVERY == 0:
                self._transport.gate.widen()
