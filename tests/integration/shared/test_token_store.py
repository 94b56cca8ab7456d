"""One token for all processes, in a real server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publitrac_async import Secret
from publitrac_async.shared.redis.connection import Connection
from publitrac_async.shared.redis.tokens import RedisTokenStore
from publitrac_async.transport.auth import SlidingToken, Token
from tests.support.redis_server import Server


def token(value: str = "first", life: float = 100.0) -> Token:
    return Token(value=Secret(value), ttl=900.0, expires_at=time.monotonic() + life)


class Stores:
    """Token stores as several processes have them: each with its own connections."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connections: list[Connection] = []

    def __call__(self, *, ahead: float = 0.0, account: str = "the-key") -> RedisTokenStore:
        """A store, whose host's monotonic clock is ahead of this one's."""
        connection = Connection(self._url, account)
        self._connections.append(connection)
        return RedisTokenStore(connection, clock=lambda: time.monotonic() + ahead)

    async def aclose(self) -> None:
        for connection in self._connections:
            await connection.aclose()


@pytest.fixture
async def stores(server: Server) -> AsyncIterator[Stores]:
    stores = Stores(server.url)
    yield stores
    await stores.aclose()


async def life(server: Server) -> float:
    (key,) = [key for key in await server.keys() if key.endswith(":token")]
    return int(await server.ask("PTTL", key)) / 1000


async def test_a_token_saved_by_one_process_is_loaded_by_others(stores: Stores) -> None:
    ours, theirs = stores(), stores()
    assert await theirs.load() is None
    saved = token()
    await ours.save(saved)
    loaded = await theirs.load()
    assert loaded is not None
    assert (loaded.value, loaded.ttl) == (saved.value, saved.ttl)
    assert abs(loaded.expires_at - saved.expires_at) < 5
    assert await stores(account="another").load() is None


async def test_no_two_clocks_have_to_agree(stores: Stores) -> None:
    await stores().save(token(life=100))
    loaded = await stores(ahead=1e6).load()
    assert loaded is not None
    assert 95 < loaded.expires_at - (time.monotonic() + 1e6) <= 100


async def test_use_slides_the_life_of_the_current_token_and_never_back(
    server: Server, stores: Stores
) -> None:
    ours, theirs = stores(), stores()
    await ours.save(token(life=100))
    await theirs.touch(token(), time.monotonic() + 500)
    assert 495 < await life(server) <= 500
    await ours.touch(token(), time.monotonic() + 50)
    assert await life(server) > 490
    await ours.touch(token("older"), time.monotonic() + 900)
    assert await life(server) <= 500
    await ours.touch(token(), time.monotonic() - 1)
    assert await life(server) > 490


async def test_only_the_current_token_is_discarded(stores: Stores) -> None:
    ours, theirs = stores(), stores()
    await ours.save(token("first"))
    await ours.save(token("second"))
    await theirs.discard(token("first"))
    loaded = await theirs.load()
    assert loaded is not None
    assert loaded.value.reveal() == "second"
    await theirs.discard(loaded)
    assert await ours.load() is None


async def test_a_token_ends_with_its_key(stores: Stores) -> None:
    ours = stores()
    await ours.save(token(life=0.05))
    await asyncio.sleep(0.1)
    assert await ours.load() is None
    await ours.save(token(life=-1))
    assert await ours.load() is None


async def test_all_make_one_token_request(stores: Stores) -> None:
    token_requests = 0

    async def request_token() -> Token:
        nonlocal token_requests
        token_requests += 1
        await asyncio.sleep(0.2)
        return token(f"token-{token_requests}")

    processes = [SlidingToken(request_token, header="Token", store=stores()) for _ in range(4)]
    first = await asyncio.gather(*(process.token() for process in processes for _ in range(10)))
    assert {value.value.reveal() for value in first} == {"token-1"}
    assert token_requests == 1


@pytest.mark.parametrize("often", [2, 3, 7])
async def test_late_responses_of_a_slow_redis_cause_no_second_token_request(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, often: int
) -> None:
    monkeypatch.setattr("publitrac_async.shared.redis.connection.RETRY_AFTER", 0.02)
    monkeypatch.setattr("publitrac_async.shared.redis.tokens._POLL", 0.01)
    token_requests = 0

    def slow(connection: Connection) -> None:
        """Let some responses arrive too late, though the server has executed the command."""
        attempt, attempts = connection._attempt, 0

        async def attempt_slowly(request: Any) -> Any:
            async def late_response() -> Any:
                nonlocal attempts
                attempts += 1
                late = attempts % often == 0
                response = await request()
                if late:
                    raise TimeoutError
                return response

            return await attempt(late_response)

        monkeypatch.setattr(connection, "_attempt", attempt_slowly)

    async def request_token() -> Token:
        nonlocal token_requests
        token_requests += 1
        await asyncio.sleep(0.2)
        return token(f"token-{token_requests}")

    made = [stores() for _ in range(8)]
    for store in made:
        slow(store._connection)
    processes = [SlidingToken(request_token, header="Token", store=store) for store in made]
    found = await asyncio.gather(*(process.token() for process in processes))
    assert {each.value.reveal() for each in found} == {"token-1"}
    assert token_requests == 1


async def test_late_refusals_of_one_token_cause_one_token_request(stores: Stores) -> None:
    token_requests = 0

    async def request_token() -> Token:
        nonlocal token_requests
        token_requests += 1
        return token(f"token-{token_requests}")

    processes = [SlidingToken(request_token, header="Token", store=stores()) for _ in range(4)]
    authorizations = [await process.authorize() for process in processes]
    for process, authorization in zip(processes, authorizations, strict=True):
        await process.rejected(authorization)
        assert (await process.token()).value.reveal() == "token-2"
    assert token_requests == 2


async def test_the_lock_of_a_process_that_died_opens(
    server: Server, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publitrac_async.shared.redis.tokens._LOCK_MILLISECONDS", 300)
    await stores().lock().__aenter__()
    entered = False
    async with stores().lock():
        entered = True
    assert entered


async def test_processes_that_wait_for_a_token_do_not_take_turns_once_it_is_there(stores: Stores) -> None:
    ours, theirs = stores(), stores()
    await theirs.save(token())
    assert await theirs.load() is not None
    async with ours.lock():
        await ours.save(token("second"))
        # The lock is still held.
        async with theirs.lock():
            loaded = await theirs.load()
    assert loaded is not None
    assert loaded.value.reveal() == "second"


async def test_a_process_waits_for_the_lock_while_the_token_is_the_one_that_it_renews(stores: Stores) -> None:
    ours, theirs = stores(), stores()
    await ours.save(token())
    assert await theirs.load() is not None

    async def wait() -> None:
        async with theirs.lock():
            pass

    async with ours.lock():
        waiting = asyncio.create_task(wait())
        for _ in range(5):
            # Redis has responded to a later request of the same process.
            await theirs.load()
        assert not waiting.done()
    await waiting


async def test_a_lock_that_is_held_too_long_is_not_taken_from_the_next(
    server: Server, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publitrac_async.shared.redis.tokens._LOCK_MILLISECONDS", 100)
    late = stores().lock()
    await late.__aenter__()
    await asyncio.sleep(0.15)
    monkeypatch.setattr("publitrac_async.shared.redis.tokens._LOCK_MILLISECONDS", 10_000)
    async with stores().lock():
        await late.__aexit__(None, None, None)
        assert [key for key in await server.keys() if key.endswith(":token-request")]
    assert not await server.keys()


async def test_without_redis_a_process_continues_with_the_token_it_knows(
    server: Server, stores: Stores, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publitrac_async.shared.redis.tokens._OUTAGE_WAIT", 0.0)
    ours, new = stores(), stores()
    await ours.save(token())
    server.stop()
    with caplog.at_level(logging.INFO, "publitrac_async"):
        loaded = await ours.load()
        assert loaded is not None
        assert loaded.value.reveal() == "first"
        await ours.touch(loaded, time.monotonic() + 200)
        async with ours.lock():
            pass
    assert [record.message for record in caplog.records] == ["Redis does not respond (ConnectionError)"]
    assert await new.load() is None


async def test_a_token_discarded_without_redis_is_not_taken_up_again(stores: Stores) -> None:
    ours = stores()
    await ours.save(token())
    ours._connection._retry_at = time.monotonic() + 0.2  # As if it had just failed.
    await ours.discard(token())
    assert await ours.load() is None
    await asyncio.sleep(0.25)
    assert await ours.load() is None
    assert await stores().load() is None


async def test_redis_that_lost_the_token_gets_it_back_from_the_first_process_that_notices(
    server: Server, stores: Stores
) -> None:
    ours, theirs, idle, new = (stores() for _ in range(4))
    await ours.save(token("first"))
    assert await idle.load() is not None
    await theirs.save(token("second"))
    await ours.load()
    await server.restart()
    assert await new.load() is None
    for store in (ours, idle, new):  # The idle process has an older token.
        loaded = await store.load()
        assert loaded is not None
        assert loaded.value.reveal() == "second"
        assert loaded.expires_at <= token().expires_at
    assert 90 < await life(server) <= 100


async def test_a_rejected_token_stays_rejected_for_processes_that_still_know_it(stores: Stores) -> None:
    ours, theirs = stores(), stores()
    await ours.save(token())
    assert await theirs.load() is not None
    await ours.discard(token())
    assert await theirs.load() is None
    await ours.save(token())  # The service returned the same one.
    assert await theirs.load() is not None


async def test_a_token_request_is_confirmed_by_the_first_that_is_about_to_leave(stores: Stores) -> None:
    ours, theirs = stores(), stores()
    async with ours.lock() as first:
        # As if the lock had expired while the first one waited for the limiter.
        await ours._connection.command("DEL", ours._connection.key("token-request"))
        async with theirs.lock() as second:
            assert await first.confirm()
            assert not await second.confirm()
            assert await first.confirm()  # A retry.
            await ours.save(token())
    async with theirs.lock() as lease:
        assert await lease.confirm()  # That token ends soon, or was rejected by the service.
        await ours.save(token("second"))
        assert not await lease.confirm()


async def test_a_url_may_ask_for_decoded_responses(server: Server) -> None:
    connection = Connection(f"{server.url}?decode_responses=True", "the-key")
    store = RedisTokenStore(connection)
    await store.save(token())
    loaded = await store.load()
    await connection.aclose()
    assert loaded is not None
    assert loaded.value.reveal() == "first"
