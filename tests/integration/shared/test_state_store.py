"""A state store in a real server: its lock, and the data that Redis sees."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from publitrac_async import ConfigurationError
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry
from publitrac_async.bulk.state.progress import Failure
from publitrac_async.bulk.state.redis.scripts import KEYS
from publitrac_async.shared import SharedRedis
from tests.support.canaries import Canaries, Transcript, everything, find
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState
from tests.support.redis_stores import ADA, BEN, FIRST, OK, SECOND, Stores, job_of, known, renewals, state


async def test_a_second_process_learns_how_long_a_killed_one_holds_it(stores: Stores) -> None:
    await stores.opened()
    with pytest.raises(
        StateStoreError, match=r"if it was killed, the state store is free in (29|30) s at most"
    ) as caught:
        await stores.opened()
    assert caught.value.retryable


async def test_the_lease_is_renewed_as_long_as_the_process_lives(stores: Stores) -> None:
    renewed = renewals((await stores.opened(lease=1.5))._lease)
    while len(renewed) < 4:  # The fourth is later than the end of the first lease.
        with pytest.raises(StateStoreError, match="another process is using the state store"):
            await stores.opened()
        await asyncio.sleep(0.1)


async def test_the_lease_of_a_killed_process_lapses(stores: Stores) -> None:
    killed = await stores.opened(lease=0.3)
    assert killed._lease is not None
    killed._lease._task.cancel()
    give_up_at = time.monotonic() + 20
    while True:
        try:
            await stores.opened()
        except StateStoreError:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.05)
        else:
            return


async def test_a_process_that_lost_the_state_store_writes_nothing_more(stores: Stores) -> None:
    suspended = await stores.opened(run="one")
    await suspended.plan([(ADA, FIRST)])
    await stores.let_lapse()
    now = await stores.opened(run="one")
    for write in (
        suspended.plan([(ADA, SECOND)]),
        suspended.begin([ADA]),
        suspended.complete([(ADA, OK)]),
        suspended.note_source("leads.csv", "one"),
        suspended.finish(),
    ):
        with pytest.raises(StateStoreError, match="has lost the state store"):
            await write
    await suspended.aclose()
    assert await known(now) == Entry(Outcome(State.PENDING), FIRST, None)
    with pytest.raises(StateStoreError, match="another process"):
        await stores.opened()


async def test_a_suspended_process_continues_unless_another_took_the_state_store(stores: Stores) -> None:
    store = await stores.opened()
    await store.plan([(ADA, FIRST)])
    await stores.let_lapse()
    assert await store.begin([ADA]) is True


async def test_opening_it_twice_is_refused_and_after_closing_it_opens_again(stores: Stores) -> None:
    store = await stores.opened()
    with pytest.raises(StateStoreError, match="open already"):
        await store.open("here")
    await store.aclose()
    await store.open("here")


async def test_a_failed_opening_leaves_it_free(stores: Stores) -> None:
    first = await stores.opened("here", run="one")
    chunk = await stores().claim(job_of(first), 1)
    assert chunk is not None
    await first.aclose()
    second = stores()
    opening = asyncio.create_task(second.open("here", run="another"))
    await asyncio.sleep(0.05)
    opening.cancel()
    await asyncio.wait([opening])
    await chunk.aclose()
    await stores.opened("here", run="a third")


async def test_stores_of_other_names_and_accounts_are_others(stores: Stores, server: Server) -> None:
    store = await stores.opened()
    await store.plan([(ADA, FIRST)])
    other = await stores.opened("there", name="other")
    stranger = OwnRedisState(server.url, account="another-key")
    await stranger.open("there")
    assert await other.lookup([ADA]) == await stranger.lookup([ADA]) == [None]
    await stranger.aclose()


async def test_rows_in_flight_of_the_same_job_are_unknown_after_a_crash(stores: Stores) -> None:
    crashed = await stores.opened(run="one")
    await crashed.plan([(ADA, FIRST), (BEN, FIRST)])
    await crashed.begin([ADA])
    await stores.let_lapse()
    now = await stores.opened(run="one")
    assert job_of(now) == job_of(crashed)
    assert [await state(now), await state(now, BEN)] == [State.UNKNOWN, State.PENDING]


async def test_a_run_without_a_name_is_never_joined(stores: Stores) -> None:
    first = await stores.opened()
    job = job_of(first)
    await first.aclose()
    assert job_of(await stores.opened()) != job


async def test_an_intent_may_be_noted_twice(stores: Stores) -> None:
    """Its response may be lost, and it is repeated."""
    store = await stores.opened()
    await store.plan([(ADA, FIRST)])
    await store.complete([(ADA, OK)])
    await store.plan([(ADA, SECOND)])
    assert await store.begin([ADA]) is await store.begin([ADA]) is True
    assert await known(store) == Entry(Outcome(State.SENDING), SECOND, FIRST)


@pytest.mark.parametrize(("leads", "notes", "most", "least"), [(1, 300, 3, 1), (300, 10, 12, 10)])
async def test_records_made_together_are_written_together_but_never_too_many(
    stores: Stores, server: Server, leads: int, notes: int, most: int, least: int
) -> None:
    store = await stores.opened()
    keys = [f"{number}@example.test" for number in range(leads)]
    await store.plan([(key, FIRST) for key in keys])
    await store.begin(keys)
    await server.ask("CONFIG", "RESETSTAT")
    await asyncio.gather(*(store.begin(keys) for _ in range(notes)))
    calls = (await server.ask("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]
    assert least <= calls <= most


async def test_many_leads_in_doubt_are_listed_page_by_page(stores: Stores) -> None:
    store = await stores.opened()
    keys = [f"{number}@example.test" for number in range(1700)]
    await store.plan([(key, FIRST) for key in keys])
    await store.complete([(key, Outcome(State.UNKNOWN, reason=key)) for key in keys])
    assert {each.reason for each in await store.unknown_rows()} == set(keys)


async def test_a_lease_has_a_length() -> None:
    with pytest.raises(ConfigurationError, match="lease must be above 0 s"):
        OwnRedisState("redis://localhost", account="the-key", lease=0)


async def test_only_doubtful_rows_are_listed_as_such(stores: Stores, server: Server) -> None:
    store = await stores.opened()
    await store.plan([(ADA, FIRST)])
    await store.begin([ADA])
    assert stores.key("unresolved") in await server.keys()
    await store.complete([(ADA, Outcome(State.UNKNOWN))])
    assert stores.key("unresolved") in await server.keys()
    await store.plan([(ADA, FIRST)])
    assert stores.key("unresolved") not in await server.keys()


async def test_reset_gives_the_memory_back_and_joins_nothing(stores: Stores, server: Server) -> None:
    store = await stores.opened(run="one")
    before = job_of(store)
    await store.plan([(f"{number}@example.test", FIRST) for number in range(3000)])
    await store.aclose()
    await store.open("here", run="one", reset=True)
    assert stores.key("leads") not in await server.keys()
    assert job_of(store) != before


async def test_options_of_the_url_do_not_garble_digests(server: Server) -> None:
    store = OwnRedisState(f"{server.url}?decode_responses=true&protocol=2", account="the-key")
    await store.open("here")
    await store.plan([(ADA, SECOND)])
    await store.complete([(ADA, Outcome(State.UNKNOWN, reason="é"))])
    assert await known(store) == Entry(Outcome(State.UNKNOWN, reason="é"), SECOND, None)
    assert [each.reason for each in await store.unknown_rows()] == ["é"]
    await store.aclose()


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://localhost?socket_timeout=soon"]
)
def test_no_redis_url_no_state_store(url: str) -> None:
    canaries, transcript = Canaries(), Transcript()
    with pytest.raises(ConfigurationError, match="url must be redis://") as caught:
        SharedRedis(url.replace("localhost", f":{canaries.token}@localhost"), canaries.api_key)
    transcript.add_error(caught.value)
    transcript.check(canaries)


async def test_neither_addresses_nor_the_key_reach_redis(server: Server) -> None:
    canaries = Canaries()
    key = canaries.email.casefold()
    async with server.client() as client, client.monitor() as monitor:
        store = OwnRedisState(server.url, account=canaries.api_key)
        await store.open("here", run=f"{canaries.email} {canaries.api_key}")
        await store.note_source(canaries.email, "fingerprint")
        await store.plan([(key, FIRST)])
        chunk = await store.claim(job_of(store), 1)
        assert chunk is not None
        async with chunk:
            await chunk.begin([key])
            lost = Outcome(State.UNKNOWN, "Timeout", "lost")
            await chunk.complete([(key, lost)])
            await chunk.end(failures=[Failure(lost, (2,))])
            assert [len(each.key) for each in await store.unknown_rows()] == [32]
            keys = await server.keys()
            assert [each.rpartition(":")[2] for each in keys] == ["state-names", *sorted(KEYS)]
            transcript = [*keys, *everything([await contents(client, each) for each in keys])]
        await store.aclose()
        await client.echo("the end")
        while "the end" not in transcript[-1]:
            transcript.append((await monitor.next_command())["command"])
    assert any("first digest" in each for each in transcript)
    find([canaries.api_key, canaries.email, key], transcript)
    find([canaries.api_key.casefold(), key], [each.casefold() for each in transcript])


async def contents(client: Any, key: str) -> Any:
    kind = (await client.type(key)).decode()
    return await {
        "hash": lambda: client.hgetall(key),
        "set": lambda: client.smembers(key),
        "zset": lambda: client.zrange(key, 0, -1),
        "list": lambda: client.lrange(key, 0, -1),
    }[kind]()


async def test_a_lead_takes_little_memory(stores: Stores, server: Server) -> None:
    store = await stores.opened()
    keys = [f"{number}@example.test" for number in range(5000)]
    for start in range(0, 5000, 500):
        some = keys[start : start + 500]
        await store.plan([(key, FIRST) for key in some])
        await store.begin(some)
        await store.complete([(key, OK) for key in some])
    used = await server.ask("MEMORY", "USAGE", stores.key("leads"), "SAMPLES", 0)
    assert 50 < used / 5000 < 150
    assert stores.key("unresolved") not in await server.keys()
