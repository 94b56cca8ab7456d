"""The token of v2, with a function as the service. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from publitrac_async import (
    AuthenticationError,
    ClientStateError,
    NotSent,
    PublitracError,
    ServerError,
    UnexpectedContent,
)
from publitrac_async.transport.auth import MemoryTokenStore, Token
from publitrac_async.transport.secret import Secret
from publitrac_async.v2 import V2
from tests.support.clients import EAGER, lead, transport
from tests.support.clock import now, virtual


class Service:
    """getToken and delayedSync; `valid` holds the tokens that are good."""

    def __init__(self, ttl: object = "900", takes: float = 0.1) -> None:
        self.ttl = ttl
        self.takes = takes
        self.valid: set[str] = set()
        self.token_requests = 0
        self.refused = 0
        self.synced: list[str] = []
        self.token_response: httpx.Response | Exception | None = None
        self.tokens_of: dict[str, list[str]] = {}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.takes)
        if request.url.path == "/v2/auth/getToken":
            assert request.headers["Authorization"] == "the-key"
            self.token_requests += 1
            if isinstance(self.token_response, Exception):
                raise self.token_response
            if self.token_response is not None:
                return httpx.Response(self.token_response.status_code, content=self.token_response.content)
            token = f"token-{self.token_requests}"
            self.valid.add(token)
            return httpx.Response(200, json={"token": token, "ttl": self.ttl})
        email = json.loads(request.content)["leadInfo"]["email"]
        self.tokens_of.setdefault(email, []).append(request.headers["Token"])
        if request.headers["Token"] not in self.valid:
            self.refused += 1
            return httpx.Response(401, json={"status": "error", "code": 401})
        self.synced.append(email)
        return httpx.Response(200, json={"status": "success", "code": 201})


def v2(service: Service, **options: object) -> V2:
    return V2(transport(service, retry=EAGER, **options), Secret("the-key"), clock=now)


@virtual
async def test_the_life_of_a_token_begins_with_its_request() -> None:
    asked = now()
    token = await v2(Service(takes=10)).get_token()
    assert token.expires_at == pytest.approx(asked + 900)


@virtual
async def test_expiry_of_all_tokens_with_256_in_flight_costs_one_token_request() -> None:
    service = Service(takes=1)
    api = v2(service, concurrency=256)
    await api.delayed_sync(lead())
    calls = [asyncio.create_task(api.delayed_sync(lead(number))) for number in range(256)]
    await asyncio.sleep(0.5)
    service.valid.clear()
    await asyncio.gather(*calls)
    assert service.token_requests == 2
    assert service.refused == 256
    assert len(service.synced) == 257
    assert all(len(tokens) <= 2 for tokens in list(service.tokens_of.values())[1:])


@pytest.mark.parametrize("concurrency", [1, 7, 64])
@virtual
async def test_expiry_behind_a_gate_costs_one_token_request(concurrency: int) -> None:
    service = Service(takes=0.1)
    api = v2(service, concurrency=concurrency)
    await api.delayed_sync(lead())
    service.valid.clear()
    await asyncio.gather(*(api.delayed_sync(lead(number)) for number in range(64)))
    assert service.token_requests == 2
    assert service.refused <= concurrency


@virtual
@pytest.mark.fault("F17")
async def test_many_expiries_cost_a_token_request_each_and_lose_nothing() -> None:
    service = Service(takes=0.05)
    api = v2(service)

    async def expire() -> None:
        for _ in range(20):
            await asyncio.sleep(0.5)
            service.valid.clear()

    async def work(number: int) -> None:
        for step in range(40):
            await api.delayed_sync(lead(1000 * number + step))

    expiring = asyncio.create_task(expire())
    await asyncio.gather(*(work(number) for number in range(20)))
    expiring.cancel()
    assert len(service.synced) == len(set(service.synced)) == 800
    assert service.token_requests <= 21


@virtual
@pytest.mark.fault("F19")
async def test_a_service_that_always_refuses_gets_two_requests_per_call() -> None:
    service = Service()
    service.valid = set[str]()
    api = v2(service)
    service.valid = Frozen()
    for number in range(3):
        with pytest.raises(AuthenticationError) as caught:
            await api.delayed_sync(lead(number))
        assert caught.value.attempts == 2
        assert caught.value.operation == "delayedSync"
    assert service.refused == 6
    assert service.token_requests == 4  # The token that was refused last is tried once more by the next call.


class Frozen(set[str]):
    def add(self, element: str) -> None:
        """No token ever becomes valid."""


@pytest.mark.parametrize(
    ("ttl", "lives"),
    [
        ("900", 900),
        (900, 900),
        ("60", 60),
        (0, 900),
        (-1, 900),
        ("0", 900),
        ("soon", 900),
        (None, 900),
        ("nan", 900),
    ],
)
@virtual
async def test_times_to_live_that_the_service_may_send(ttl: object, lives: float) -> None:
    service = Service(ttl=ttl)
    token = await v2(service).get_token()
    assert token.ttl == lives
    assert "token-1" not in repr(token)


@pytest.mark.parametrize("ttl", [10**9, "99999999999999999999", 0.001, "1e-9"])
@virtual
async def test_a_huge_or_tiny_lifetime_is_harmless(ttl: object) -> None:
    service = Service(ttl=ttl)
    api = v2(service)
    await asyncio.gather(*(api.delayed_sync(lead(number)) for number in range(20)))
    service.valid.clear()
    await api.delayed_sync(lead())
    assert len(service.synced) == 21
    assert service.token_requests <= 42


@virtual
@pytest.mark.fault("F20")
async def test_a_token_that_expired_during_a_suspend_is_replaced_after_401() -> None:
    service = Service()
    api = v2(service)
    await api.delayed_sync(lead())
    service.valid.clear()  # The monotonic clock stops during a suspend: the client does not notice.
    await api.delayed_sync(lead())
    assert (service.token_requests, service.refused) == (2, 1)


@pytest.mark.parametrize(
    ("response", "kind", "token_requests"),
    [
        (httpx.Response(401, json={"status": "error", "code": 401}), AuthenticationError, 1),
        (httpx.Response(403), PublitracError, 1),
        (httpx.Response(503), ServerError, 4),
        (httpx.ConnectError("x"), NotSent, 4),
        (httpx.Response(200, content=b"<html>"), UnexpectedContent, 1),
        (httpx.Response(200, content=b"{"), UnexpectedContent, 4),
        (httpx.Response(200, json={"token": ""}), UnexpectedContent, 4),
        (httpx.Response(200, json={"token": "a\nb"}), UnexpectedContent, 4),
        (httpx.Response(200, json={"token": None}), UnexpectedContent, 4),
        (httpx.Response(200, json={"token": ["x"]}), UnexpectedContent, 4),
        (httpx.Response(200, json=[]), UnexpectedContent, 1),
    ],
    ids=repr,
)
@virtual
@pytest.mark.fault("F18")
async def test_a_failed_token_request_is_one_error_for_all_who_wait(
    response: httpx.Response | Exception, kind: type[PublitracError], token_requests: int
) -> None:
    service = Service()
    service.token_response = response
    api = v2(service)
    results = await asyncio.gather(*(api.delayed_sync(lead(n)) for n in range(16)), return_exceptions=True)
    assert all(isinstance(result, kind) for result in results)
    assert all(result.operation == "getToken" for result in results)  # type: ignore[union-attr]
    assert all(result.maybe_applied is False for result in results)  # type: ignore[union-attr]
    assert service.token_requests == token_requests
    assert service.synced == []
    service.token_response = None
    await api.delayed_sync(lead())
    assert service.synced == ["lead0@example.com"]


@virtual
async def test_a_stalled_token_request_does_not_outlive_the_client() -> None:
    service = Service(takes=1000)
    api = v2(service)
    calls = [asyncio.create_task(api.delayed_sync(lead(number))) for number in range(5)]
    await asyncio.sleep(1)
    await api.aclose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, ClientStateError) for result in results)
    assert all(result.maybe_applied is False for result in results)  # type: ignore[union-attr]


class _OvertakenStore(MemoryTokenStore):
    """A store whose first lease is lost, while another process stores a token."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service
        self.confirmed = 0

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[_OvertakenStore]:  # type: ignore[override]  # as stores outside memory
        yield self

    async def confirm(self) -> bool:
        self.confirmed += 1
        self._service.valid.add("theirs")
        await self.save(Token(value=Secret("theirs"), ttl=900.0, expires_at=now() + 900))
        return False


@virtual
async def test_a_token_request_that_another_process_has_overtaken_is_not_sent() -> None:
    service = Service()
    store = _OvertakenStore(service)
    api = V2(transport(service, retry=EAGER), Secret("the-key"), token_store=store, clock=now)
    await asyncio.gather(*(api.delayed_sync(lead(number)) for number in range(8)))
    assert store.confirmed == 1
    assert service.token_requests == service.refused == 0
    assert len(service.synced) == 8
