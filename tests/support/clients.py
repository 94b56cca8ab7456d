"""Clients, transports and calls with figures for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import httpx

from publitrac_async import Lead, PublitracClient, RetryPolicy, Timeout
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from publitrac_async.transport.classify import error_for_status
from publitrac_async.transport.http import Wire
from publitrac_async.transport.limits import Unlimited
from publitrac_async.transport.operation import Call, Operation, OperationClass, ServiceResponse
from publitrac_async.transport.pipeline import Transport
from tests.support.clock import now

#: Retries immediately and without a budget: for tests about something else.
EAGER = RetryPolicy(base=0, throttle_base=0, cost=0, throttle_cost=0)

Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]


def lead(number: int = 0) -> Lead:
    return Lead(email=f"lead{number}@example.com", first_name="Ada")


def unlimited(options: Mapping[str, Any]) -> dict[str, Any]:
    """No rate limit, for a client without another limiter."""
    return {} if options.keys() & {"limiter", "shared"} else {"rate_limit": None}


def client(url: str, **options: Any) -> PublitracClient:
    """A client without a rate limit that retries immediately."""
    settings: dict[str, Any] = {
        "api_key": "the-key",
        "username": "the-user",
        "password": "the-password",
        "base_url": url,
        "retry": EAGER,
        "timeout": Timeout(total=20, connect=5, read=5),
        **unlimited(options),
    }
    return PublitracClient(**settings | options)


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[PublitracClient]:
    try:
        async with client(url, **options) as publitrac:
            yield publitrac
            check_whole(publitrac)
    finally:
        if "transport" in options:  # The function that opened it closes it.
            await options["transport"].aclose()


def check_whole(publitrac: PublitracClient) -> None:
    """Raise if a call still holds a slot, a place in the queue, or a connection."""
    carrier = publitrac._transport._wire._transport
    if publitrac.in_flight or not isinstance(carrier, AiohttpTransport) or carrier._pool is None:
        return  # The test closes the client during calls, or has its own transport.
    assert publitrac.queued == 0
    assert not carrier._pool.connector._acquired
    assert carrier._pool._slots._value == carrier._pool_size
    assert not carrier._pool.connector._factory.keywords["alarms"]._due, "a read timeout still runs"


def connector(publitrac: PublitracClient) -> aiohttp.TCPConnector:
    """The pool of connections of a client with the default transport, after its first request."""
    carrier = publitrac._transport._wire._transport
    assert isinstance(carrier, AiohttpTransport)
    assert carrier._pool is not None
    return carrier._pool.connector


def transport(handler: Handler, **options: Any) -> Transport:
    """A `Transport` over `handler`, in the time of the running loop, without randomness."""
    settings: dict[str, Any] = {
        "limiter": Unlimited(clock=now),
        "retry": RetryPolicy(),
        "timeout": Timeout(),
        "concurrency": 32,
        "clock": now,
        "draw": lambda: 0.5,
    }
    wire = Wire("https://vendor.test", httpx.MockTransport(handler), options.get("timeout", Timeout()))
    return Transport(wire, **settings | options)


def parse(response: ServiceResponse) -> bytes:
    failure = error_for_status(response)
    if failure is not None:
        raise failure
    return response.body


READ = Operation(name="read", verb="GET", path="/read", operation_class=OperationClass.READ)
UPSERT = Operation(name="upsert", verb="POST", path="/upsert", operation_class=OperationClass.UPSERT)
APPEND = Operation(name="append", verb="POST", path="/append", operation_class=OperationClass.APPEND)


def call(operation: Operation = UPSERT, **options: Any) -> Call[Any]:
    content = None if operation.verb == "GET" else b"{}"
    return Call(operation=operation, **{"parse": parse, "content": content} | options)
