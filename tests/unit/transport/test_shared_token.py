"""A token that use does not prolong, and a path and time limits of a single call."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from attrs import evolve

from publitrac_async import ClientStateError, DeadlineExceeded, Timeout
from publitrac_async.transport.auth import SharedToken, Token
from publitrac_async.transport.secret import Secret
from tests.support.clients import READ, call, transport
from tests.support.clock import now, virtual


class TokenRequest:
    """Issues a token that lasts 100 seconds; asked early, the same one with its remaining time."""

    def __init__(self) -> None:
        self.calls = 0
        self.number = 0
        self.end = 0.0

    async def __call__(self) -> Token:
        self.calls += 1
        await asyncio.sleep(0)
        if now() >= self.end:
            self.number += 1
            self.end = now() + 100
        return Token(value=Secret(f"token-{self.number}"), ttl=self.end - now(), expires_at=self.end)


@virtual
async def test_the_token_is_kept_to_its_end_and_use_does_not_prolong_it() -> None:
    request_token = TokenRequest()
    token = SharedToken(request_token, header="Authorization", scheme="Bearer", clock=now)
    for _ in range(99):
        authorization = await token.authorize()
        assert authorization.headers[0][1].reveal() == "Bearer token-1"
        await token.accepted(authorization, now())
        await asyncio.sleep(1)
    assert request_token.calls == 1
    await asyncio.sleep(2)
    assert (await token.token()).value.reveal() == "token-2"
    assert request_token.calls == 2


@virtual
async def test_a_token_with_a_second_left_is_used_for_that_second() -> None:
    request_token = TokenRequest()
    request_token.number, request_token.end = 1, now() + 1
    token = SharedToken(request_token, header="Authorization", clock=now)
    for _ in range(50):
        assert (await token.token()).value.reveal() == "token-1"
    assert request_token.calls == 1


@virtual
async def test_many_waiters_share_one_token_request() -> None:
    request_token = TokenRequest()
    token = SharedToken(request_token, header="Authorization", clock=now)
    tokens = await asyncio.gather(*(token.token() for _ in range(50)))
    assert len({each.value for each in tokens}) == 1
    assert request_token.calls == 1


@virtual
async def test_the_path_of_a_call_replaces_the_operations() -> None:
    seen = []

    async def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, content=b"")

    operation = evolve(READ, path="/leads/{leadId}.json")
    await transport(handler).send(call(operation, path="/leads/7.json", query=(("fields", "a b"),)))
    assert seen == ["https://vendor.test/leads/7.json?fields=a%20b"]


@virtual
async def test_the_time_of_a_call_replaces_the_clients() -> None:
    timeouts = []

    async def handler(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"]["read"])
        await asyncio.sleep(50)
        return httpx.Response(200, content=b"")

    client = transport(handler, timeout=Timeout(total=10))
    started = now()
    await client.send(call(READ, timeout=Timeout(total=60, read=55)))
    assert now() - started == pytest.approx(50)
    with pytest.raises(DeadlineExceeded, match=r"10\.0 s|10 s"):
        await client.send(call(READ))
    assert timeouts == [55, 20]


async def test_closing_ends_those_who_wait_for_a_token() -> None:
    started = asyncio.Event()

    async def request() -> Token:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    shared = SharedToken(request, header="Token")
    waiting = [asyncio.create_task(shared.authorize()) for _ in range(3)]
    await started.wait()
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert waiting[0].cancelled()
    # Cancelled by the program in the same turn: not reported as a closed client.
    waiting[1].cancel()
    await shared.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]
    with pytest.raises(ClientStateError, match=r"^the client was closed during the token request$"):
        await waiting[2]
