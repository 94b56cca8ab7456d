"""Base of the operations of v1, which have a module for each subject: sends requests, reads pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from attrs import evolve

from publitrac_async.checks import check_page, check_read_ahead, refuse
from publitrac_async.config import MAX_URL
from publitrac_async.errors import ConfigurationError, Problem
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.auth import Authenticator
from publitrac_async.transport.operation import Call, ServiceResponse
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request
from publitrac_async.v1.operations import Method
from publitrac_async.v1.shapes import V1Shapes

T = TypeVar("T")


def _parse_strictly(
    parse: Callable[[ServiceResponse], T | Steps[T]], response: ServiceResponse
) -> T | Steps[T]:
    return parse(evolve(response, repair=False))


class V1Base:
    """Part of `V1` without operations; see there."""

    def __init__(
        self,
        transport: Transport,
        credentials: Authenticator,
        *,
        has_credentials: bool = True,
        shapes: V1Shapes | None = None,
        repair: bool = True,
    ) -> None:
        self._repair = repair
        self._transport = transport
        self._credentials = credentials
        self._has_credentials = has_credentials
        self._shapes = shapes or V1Shapes()

    @property
    def queued(self) -> int:
        """Number of calls in the client's queue."""
        return self._transport.reporter.queued

    async def _send(self, request: Request[T], on_sent: Callable[[], None] | None = None) -> T:
        method = request.method
        if not self._has_credentials:
            raise ConfigurationError(
                "API v1 needs username and password: pass them to PublitracClient", operation=method.name
            )
        posts = method.verb == "POST"
        if not posts:
            await self._check_length(request)
        call = Call(
            operation=method,
            authenticator=self._credentials,
            query=() if posts else request.parameters,
            form=request.parameters if posts else None,
            headers=(("accept", "application/xml"),),
            parse=request.parse if self._repair else partial(_parse_strictly, request.parse),
            on_sent=on_sent,
        )
        return await self._transport.send(call)

    async def _check_length(self, request: Request[Any]) -> None:
        """Refuse a request whose URL, credentials included, is too long for servers."""
        # Lone surrogates are refused when the request is written.
        query = urlencode(request.parameters, quote_via=quote, errors="replace")
        length = len(request.method.path) + 1 + len(query)
        length += (await self._credentials.authorize()).url_length
        if length > MAX_URL:
            reason = (
                f"the URL would have {length} bytes, and servers refuse more than {MAX_URL}: use fewer "
                f'conditions, or v1.call("{request.method.name}", xml=...), which sends them in the body'
            )
            refuse([Problem(reason, field="query")], request.method.name)

    def _pager(
        self,
        method: Method,
        request: Callable[[int], Request[Page[T]]],
        page: int,
        key: Callable[[T], Hashable | None],
        read_ahead: int = 0,
    ) -> Pager[T]:
        check_page(page, method.name)
        check_read_ahead(read_ahead, method.name)
        request(page)  # Checks the arguments now, so that this call raises the error and not the pager.

        def fetch(number: int, on_sent: Callable[[], None] | None = None) -> Awaitable[Page[T]]:
            return self._send(request(number), on_sent)

        return Pager(fetch, start=page, key=key, read_ahead=read_ahead)
