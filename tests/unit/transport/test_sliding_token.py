"""A token that every use prolongs, fetched once for all calls that need it. In virtual time."""

from __future__ import annotations

import asyncio
import copy
import gc
from collections.abc import Awaitable, Callable

import pytest

from publitrac_async import ClientStateError, NotSent, PublitracError, ServerError
from publitrac_async.transport.auth import MemoryTokenStore, SlidingToken, Token
from publitrac_async.transport.secret import Secret
from tests.support.clock import jump, now, virtual


class Issuer:
    """Issues tokens: counts, waits, fails as configured."""

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
async def test_all_cancelled_and_the_token_request_serves_later_calls() -> None:
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
async def test_a_failed_early_renewal_keeps_the_token_that_is_still_valid() -> None:
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


@virtual
async def test_two_who_share_a_store_make_one_token_request() -> None:
    store, issuer = MemoryTokenStore(), Issuer(takes=10)
    values = await asyncio.gather(*(value(sliding(issuer, store)) for _ in range(4)))
    assert values == ["token-1"] * 4
    assert issuer.token_requests == 1


@virtual
async def test_the_same_token_that_another_has_revived_is_taken() -> None:
    """A service that is asked shortly before a token expires may issue that token again."""
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
