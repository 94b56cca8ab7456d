"""A token that lives on with every use, fetched once for all who need it. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable

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
from publitrac_async.transport.auth import MemoryTokenStore, SlidingToken, Token
from publitrac_async.transport.secret import Secret
from publitrac_async.v2 import V2
from tests.support.clients import EAGER, lead, transport
from tests.support.clock import jump, now, virtual


class Issuer:
    """Logs in: counts, waits, fails as told."""

    def __init__(self, *, ttl: float = 900.0, takes: float = 0.1) -> None:
        self.token_requests = 0
        self.ttl = ttl
        self.takes = takes
        self.failure: PublitracError | None = None

    async def __call__(self) -> Token:
        self.token_requests += 1
        number = self.token_requests
        asked = now()
        await asyncio.sleep(self.takes)
        if self.failure is not None:
            raise copy.copy(self.failure)
        return Token(value=Secret(f"token-{number}"), ttl=self.ttl, expires_at=asked + self.ttl)


def sliding(issuer: Callable[[], Awaitable[Token]], store: MemoryTokenStore | None = None) -> SlidingToken:
    return SlidingToken(issuer, header="Token", store=store, clock=now)


async def value(token: SlidingToken) -> str:
    ((header, secret),) = (await token.authorize()).headers
    assert header == "Token"
    return secret.reveal()


@virtual
async def test_256_callers_request_token_once() -> None:
    issuer = Issuer()
    token = sliding(issuer)
    values = await asyncio.gather(*(value(token) for _ in range(256)))
    assert set(values) == {"token-1"}
    assert issuer.token_requests == 1


@virtual
@pytest.mark.fault("F18")
async def test_a_cancelled_leader_cancels_no_other_caller() -> None:
    issuer = Issuer(takes=10)
    token = sliding(issuer)
    callers = [asyncio.create_task(value(token)) for _ in range(50)]
    await asyncio.sleep(1)
    for caller in callers[:25]:
        caller.cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[:25])
    assert set(results[25:]) == {"token-1"}
    assert issuer.token_requests == 1


@virtual
async def test_all_cancelled_and_the_token_request_serves_who_comes_later() -> None:
    issuer = Issuer(takes=10)
    token = sliding(issuer)
    callers = [asyncio.create_task(value(token)) for _ in range(5)]
    await asyncio.sleep(1)
    for caller in callers:
        caller.cancel()
    await asyncio.sleep(1)
    assert await value(token) == "token-1"
    assert issuer.token_requests == 1


@virtual
async def test_a_failure_without_a_caller_that_waits() -> None:
    issuer = Issuer(takes=10)
    issuer.failure = ServerError("down")
    token = sliding(issuer)
    caller = asyncio.create_task(value(token))
    await asyncio.sleep(1)
    caller.cancel()
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    await asyncio.sleep(100)
    gc.collect()
    await asyncio.sleep(0)
    assert not unheard


@virtual
async def test_a_late_rejection_of_an_old_token_causes_no_second_token_request() -> None:
    issuer = Issuer()
    token = sliding(issuer)
    old = await token.authorize()
    await token.rejected(old)
    assert await value(token) == "token-2"
    for _ in range(10):
        await token.rejected(old)
        assert await value(token) == "token-2"
    assert issuer.token_requests == 2


@virtual
async def test_a_rejection_while_the_next_token_request_runs_causes_no_third() -> None:
    issuer = Issuer(takes=10)
    token = sliding(issuer)
    old = await token.authorize()
    await token.rejected(old)
    caller = asyncio.create_task(value(token))
    await asyncio.sleep(1)
    await token.rejected(old)
    assert await value(token) == await caller == "token-2"
    assert issuer.token_requests == 2


@virtual
async def test_a_token_that_another_process_has_fetched_meanwhile_is_taken() -> None:
    class Shared(MemoryTokenStore):
        async def load(self) -> Token | None:
            await asyncio.sleep(0.1)
            return await super().load()

    store, issuer = Shared(), Issuer()
    theirs = Token(value=Secret("theirs"), ttl=900, expires_at=now() + 900)
    caller = asyncio.create_task(value(sliding(issuer, store)))
    await asyncio.sleep(0.15)  # The first look found none, the token request has not begun.
    await store.save(theirs)
    assert await caller == "theirs"
    assert issuer.token_requests == 0


@virtual
async def test_life_slides_with_success_from_the_moment_the_request_left() -> None:
    issuer = Issuer()
    token = sliding(issuer)
    for _ in range(20):
        authorization = await token.authorize()
        sent_at = now()
        await asyncio.sleep(800)
        await token.accepted(authorization, sent_at + 750)
    assert issuer.token_requests == 1
    await asyncio.sleep(900)
    await token.authorize()
    assert issuer.token_requests == 2


@virtual
async def test_life_never_slides_back_and_not_with_an_old_token() -> None:
    store, issuer = MemoryTokenStore(), Issuer()
    token = sliding(issuer, store)
    first = await token.authorize()
    await token.accepted(first, now() + 100)
    late = await store.load()
    await token.accepted(first, now() - 500)
    assert await store.load() == late
    await token.rejected(first)
    await token.authorize()
    second = await store.load()
    await token.accepted(first, now() + 5000)
    assert await store.load() == second


@pytest.mark.parametrize(
    ("ttl", "idle", "token_requests"),
    [
        (900, 839, 1),
        (900, 841, 2),
        (900, 10_000, 2),
        (100, 89, 1),
        (100, 91, 2),
        (0.5, 0.44, 1),
        (0.5, 0.46, 2),
    ],
)
@virtual
async def test_a_token_is_renewed_shortly_before_its_end(
    ttl: float, idle: float, token_requests: int
) -> None:
    issuer = Issuer(ttl=ttl, takes=0)
    token = sliding(issuer)
    await token.authorize()
    await asyncio.sleep(idle)
    await token.authorize()
    assert issuer.token_requests == token_requests


@virtual
async def test_a_failed_early_renewal_keeps_the_token_that_still_lives() -> None:
    issuer = Issuer()
    token = sliding(issuer)
    await token.authorize()
    issuer.failure = ServerError("down")
    await asyncio.sleep(850)
    assert await asyncio.gather(*(value(token) for _ in range(10))) == ["token-1"] * 10
    assert issuer.token_requests == 2
    await asyncio.sleep(60)
    with pytest.raises(ServerError):
        await token.authorize()
    issuer.failure = None
    assert await value(token) == "token-4"


@virtual
async def test_all_waiters_get_an_error_of_their_own() -> None:
    issuer = Issuer()
    issuer.failure = NotSent("down", operation="getToken")
    token = sliding(issuer)
    errors = await asyncio.gather(*(value(token) for _ in range(20)), return_exceptions=True)
    assert all(type(error) is NotSent for error in errors)
    assert len({id(error) for error in errors}) == 20
    assert issuer.token_requests == 1
    assert all(error.operation == "getToken" for error in errors)  # type: ignore[union-attr]


@virtual
async def test_closing_during_a_token_request() -> None:
    issuer = Issuer(takes=1000)
    token = sliding(issuer)
    callers = [asyncio.create_task(value(token)) for _ in range(10)]
    await asyncio.sleep(1)
    callers[0].cancel()
    started = now()
    await token.aclose()
    await token.aclose()
    assert now() - started < 0.01
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(isinstance(result, ClientStateError) for result in results[1:])


@pytest.mark.parametrize("leap", [3600, 86400, 1200])
@virtual
@pytest.mark.fault("F20")
async def test_a_clock_that_leaps_costs_one_token_request(leap: float) -> None:
    issuer = Issuer()
    token = sliding(issuer)
    await token.authorize()
    jump(leap)
    await asyncio.gather(*(token.authorize() for _ in range(50)))
    assert issuer.token_requests == 2


# The whole of v2, with the service played by a function.


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
async def test_a_service_that_always_refuses_is_asked_twice_a_call() -> None:
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
async def test_while_the_machine_slept_the_token_died_and_401_says_so() -> None:
    service = Service()
    api = v2(service)
    await api.delayed_sync(lead())
    service.valid.clear()  # The monotonic clock stands still during a suspend: the client knows nothing.
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


@virtual
async def test_two_who_share_a_store_make_one_token_request() -> None:
    store, issuer = MemoryTokenStore(), Issuer(takes=10)
    values = await asyncio.gather(*(value(sliding(issuer, store)) for _ in range(4)))
    assert values == ["token-1"] * 4
    assert issuer.token_requests == 1


@virtual
async def test_the_same_token_that_another_has_revived_is_taken() -> None:
    """A service that is asked near the end of a token's life may hand out that token again."""
    store, issuer = MemoryTokenStore(), Issuer()
    token = sliding(issuer, store)
    await token.authorize()
    await asyncio.sleep(850)

    class Reviving(MemoryTokenStore):
        looks = 0

        async def load(self) -> Token | None:
            self.looks += 1
            current = await store.load()
            assert current is not None
            if self.looks == 1:
                return current
            return Token(value=current.value, ttl=900, expires_at=now() + 900)

    assert await value(sliding(issuer, Reviving())) == "token-1"
    assert issuer.token_requests == 1


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
