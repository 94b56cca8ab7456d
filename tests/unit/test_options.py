"""Options of clients: typed in `from_env`, and replaced for single calls by `with_options`."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import httpx
import pytest

import publitrac_async
from publitrac_async import (
    ClientStateError,
    ConfigurationError,
    DeadlineExceeded,
    Lead,
    PublitracClient,
    RetryPolicy,
    ServerError,
    Timeout,
    ValidationError,
    field,
)
from publitrac_async.marketo import MarketoClient
from publitrac_async.transport.base import BaseClient
from tests.support.clock import now, virtual
from tests.support.four_vendors import CLIENTS

LEAD = Lead(email="ada@example.com")


@pytest.mark.parametrize("client", CLIENTS)
def test_the_typed_options_are_those_of_the_constructor(client: Any) -> None:
    (options,) = get_args(get_type_hints(client.from_env)["options"])
    assert options.__annotations__.keys() == inspect.signature(client).parameters.keys()


def test_every_client_is_in_the_tests_of_all_vendors() -> None:
    for _, name, _ in pkgutil.iter_modules(publitrac_async.__path__, "publitrac_async."):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    kinds = [BaseClient]
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = {kind for kind in kinds if kind.__module__.startswith("publitrac_async.")}
    assert {kind for kind in ours if ours.isdisjoint(kind.__subclasses__())} == {*CLIENTS}


def test_options_that_do_not_exist_are_refused() -> None:
    environment = {"PUBLITRAC_API_KEY": "k"}
    with pytest.raises(TypeError, match="timeot"):
        PublitracClient.from_env(environment, timeot=5)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError):
        PublitracClient.from_env(environment, rate_limit="lots")  # type: ignore[arg-type]
    client = PublitracClient.from_env(environment)
    with pytest.raises(TypeError, match="timeot"):
        client.with_options(timeot=5)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError):
        client.with_options(retry=5)  # type: ignore[arg-type]


def opened(handler: Callable[[httpx.Request], Any], **options: Any) -> PublitracClient:
    settings = {"api_key": "k", "username": "u", "password": "p", "rate_limit": None}
    return PublitracClient(transport=httpx.MockTransport(handler), **settings | options)


def failing(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503)


@virtual
async def test_a_view_has_its_own_retries_and_shares_the_budget() -> None:
    retry = RetryPolicy(base=0, budget=100)
    async with opened(failing, retry=retry) as publitrac:
        eager = publitrac.with_options(retry=RetryPolicy(attempts=6, base=0))
        for client, attempts in ((publitrac, 4), (eager, 6), (publitrac, 1)):
            with pytest.raises(ServerError) as caught:
                await client.v1.sync_lead(LEAD)
            # 100 are enough for 7 retries of 14, whichever client makes them.
            assert caught.value.attempts == min(attempts, 5 if client is eager else attempts)


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (2, Timeout(queue=1, total=2, read=7)),
        (None, Timeout(queue=1, total=None, read=7)),
        (Timeout(total=3), Timeout(total=3)),
    ],
)
def test_a_number_replaces_the_total_alone(timeout: Any, expected: Timeout) -> None:
    publitrac = opened(failing, timeout=Timeout(queue=1, total=30, read=7))
    view = publitrac.with_options(timeout=timeout)
    assert view._transport.timeout == expected
    assert view.with_options(retry=RetryPolicy())._transport.timeout == expected
    assert publitrac._transport.timeout == Timeout(queue=1, total=30, read=7)


@virtual
async def test_a_view_has_its_own_timeout_down_to_the_wire() -> None:
    seen = list[Any]()

    async def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"]["read"])
        raise httpx.ReadTimeout("x")

    async with opened(handler, retry=RetryPolicy(base=8, throttle_base=8, cost=0)) as publitrac:
        view = publitrac.with_options(timeout=Timeout(total=0.001, read=3))
        started = now()
        with pytest.raises(Exception, match="syncLead"):
            await view.v1.sync_lead(LEAD)
        assert now() - started < 0.1
        assert seen == [3]


@virtual
async def test_a_view_ends_with_its_client_and_not_before() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"<response><status>2001</status></response>")

    publitrac = opened(handler)
    async with publitrac.with_options(timeout=2) as view:
        await view.v1.sync_lead(LEAD)
    await view.aclose()
    await publitrac.v1.sync_lead(LEAD)
    assert view.in_flight == view.queued == 0
    await publitrac.aclose()
    with pytest.raises(ClientStateError, match="closed"):
        await view.v1.sync_lead(LEAD)


@virtual
async def test_views_share_one_token() -> None:
    routes = list[str]()

    def handler(request: httpx.Request) -> httpx.Response:
        routes.append(request.url.path)
        if request.url.path.endswith("getToken"):
            return httpx.Response(200, json={"status": "success", "code": 200, "token": "t", "ttl": 900})
        return httpx.Response(200, json={"status": "success", "code": 202})

    async with opened(handler) as publitrac:
        await publitrac.with_options(timeout=2).v2.delayed_sync(LEAD)
        await publitrac.v2.delayed_sync(LEAD)
        await publitrac.with_options(retry=RetryPolicy(attempts=1)).v2.delayed_sync(LEAD)
    assert sum(path.endswith("getToken") for path in routes) == 1


@virtual
async def test_closing_a_view_leaves_the_token_request_of_its_client_alone() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        if request.url.path.endswith("/oauth/token"):
            return httpx.Response(200, json={"access_token": "t", "token_type": "bearer", "expires_in": 3600})
        return httpx.Response(200, json={"requestId": "1", "success": True, "result": [{"id": 1}]})

    async with MarketoClient(
        base_url="https://x.mktorest.com",
        client_id="i",
        client_secret="s",
        transport=httpx.MockTransport(handler),
        retry=RetryPolicy(attempts=1),
    ) as marketo:
        calling = asyncio.ensure_future(marketo.call("GET", "/rest/v1/lists.json"))
        await asyncio.sleep(1)
        async with marketo.with_options(timeout=2):
            pass
        assert (await calling).items == ({"id": 1},)


def test_a_timeout_replaces_the_times_that_marketo_gives_its_operations() -> None:
    marketo = MarketoClient(base_url="https://x.mktorest.com", client_id="i", client_secret="s")
    view = marketo.with_options(timeout=2)
    assert view._transport.timeout == Timeout(total=2)
    assert marketo._transport.timeout is not view._transport.timeout
    assert isinstance(view, MarketoClient)


@virtual
async def test_closing_stops_calls_of_views_too() -> None:
    publitrac = opened(failing, retry=RetryPolicy(base=50, cap=100))
    view = publitrac.with_options(timeout=1000)
    task = asyncio.create_task(view.v1.sync_lead(LEAD))
    await asyncio.sleep(0.01)
    await publitrac.aclose()
    with pytest.raises((ClientStateError, DeadlineExceeded)):
        await task


@pytest.mark.parametrize("lead", [{"email": "ada@example.com"}, "ada@example.com", [LEAD], None])
async def test_only_a_lead_is_sent_as_a_lead(lead: Any) -> None:
    async with opened(failing) as publitrac:
        for send in (publitrac.v1.sync_lead, publitrac.v1.add_lead, publitrac.v2.delayed_sync):
            with pytest.raises(TypeError, match=r"a lead must be a Lead, such as Lead\(email=\.\.\.\), not"):
                await send(lead)
        with pytest.raises(TypeError, match="a lead must be a Lead"):
            await anext(publitrac.v2.delayed_sync_many([lead]))


@pytest.mark.parametrize("condition", ["lastName like x", {"lastName": "x"}, field("lastName") == "x"])
async def test_only_field_makes_a_condition(condition: Any) -> None:
    async with opened(failing) as publitrac:
        with pytest.raises(TypeError, match=r'field\("lastName"\)\.like'):
            publitrac.v1.get_leads(condition)


@pytest.mark.parametrize("figures", [{"page": "2"}, {"page": 0}, {"page": 1.5}, {"read_ahead": "1"}])
async def test_figures_of_a_search_are_integers(figures: dict[str, Any]) -> None:
    async with opened(failing) as publitrac:
        with pytest.raises(ValidationError, match="page"):
            await publitrac.v1.get_leads(**figures)


async def test_a_closed_client_cannot_be_entered_again() -> None:
    async with opened(failing) as publitrac, publitrac.with_options(timeout=1):
        pass
    with pytest.raises(ClientStateError, match="open a new one"):
        async with publitrac:
            pass
