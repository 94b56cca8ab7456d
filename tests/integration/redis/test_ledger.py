"""A ledger in a real server: who holds it, and what Redis gets to see."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from publitrac_async import ConfigurationError
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.redis import RedisLedger
from tests.support.canaries import Canaries, Told, everything, find

from .ledgers import ADA, BEN, FIRST, OK, SECOND, Ledgers, job_of, known, state
from .server import Server


async def test_a_second_process_is_told_how_long_a_killed_one_holds_it(ledgers: Ledgers) -> None:
    await ledgers.opened()
    with pytest.raises(
        LedgerError, match=r"if it was killed, the ledger is free in (29|30) s at most"
    ) as caught:
        await ledgers.opened()
    assert caught.value.retryable


async def test_the_lease_is_renewed_as_long_as_the_process_lives(ledgers: Ledgers) -> None:
    await ledgers.opened(lease=0.6)
    give_up_at = time.monotonic() + 1.5
    while time.monotonic() < give_up_at:
        with pytest.raises(LedgerError, match="another process is using the ledger"):
            await ledgers.opened()
        await asyncio.sleep(0.1)


async def test_the_lease_of_a_killed_process_lapses(ledgers: Ledgers) -> None:
    killed = await ledgers.opened(lease=0.3)
    assert killed._lease is not None
    killed._lease._task.cancel()
    give_up_at = time.monotonic() + 20
    while True:
        try:
            await ledgers.opened()
        except LedgerError:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.05)
        else:
            return


async def test_a_process_that_lost_the_ledger_writes_nothing_more(ledgers: Ledgers) -> None:
    suspended = await ledgers.opened(run="one")
    await suspended.enter([(ADA, FIRST)])
    await ledgers.let_lapse()
    now = await ledgers.opened(run="one")
    for write in (
        suspended.enter([(ADA, SECOND)]),
        suspended.intend([ADA]),
        suspended.settle([(ADA, OK)]),
        suspended.note_source("leads.csv", "one"),
        suspended.finish(),
    ):
        with pytest.raises(LedgerError, match="does not hold the ledger any more"):
            await write
    await suspended.aclose()
    assert await known(now) == Entry(Outcome(State.PENDING), FIRST, None)
    with pytest.raises(LedgerError, match="another process"):
        await ledgers.opened()


async def test_a_process_that_was_suspended_goes_on_if_nobody_took_the_ledger(ledgers: Ledgers) -> None:
    ledger = await ledgers.opened()
    await ledger.enter([(ADA, FIRST)])
    await ledgers.let_lapse()
    assert await ledger.intend([ADA]) is True


async def test_opening_it_twice_is_refused_and_after_closing_it_opens_again(ledgers: Ledgers) -> None:
    ledger = await ledgers.opened()
    with pytest.raises(LedgerError, match="open already"):
        await ledger.open("here")
    await ledger.aclose()
    await ledger.open("here")


async def test_a_failed_opening_leaves_it_free(ledgers: Ledgers) -> None:
    first = await ledgers.opened("here", run="one")
    chunk = await ledgers().take(job_of(first), 1)
    assert chunk is not None
    await first.aclose()
    second = ledgers()
    opening = asyncio.create_task(second.open("here", run="another"))
    await asyncio.sleep(0.05)
    opening.cancel()
    await asyncio.wait([opening])
    await chunk.aclose()
    await ledgers.opened("here", run="a third")


async def test_ledgers_of_other_names_and_accounts_are_others(ledgers: Ledgers, server: Server) -> None:
    ledger = await ledgers.opened()
    await ledger.enter([(ADA, FIRST)])
    other = await ledgers.opened("there", name="other")
    stranger = RedisLedger(server.url, account="another-key")
    await stranger.open("there")
    assert await other.recall([ADA]) == await stranger.recall([ADA]) == [None]
    await stranger.aclose()


async def test_what_a_call_of_the_same_job_was_sending_is_unknown_after_a_crash(ledgers: Ledgers) -> None:
    crashed = await ledgers.opened(run="one")
    await crashed.enter([(ADA, FIRST), (BEN, FIRST)])
    await crashed.intend([ADA])
    await ledgers.let_lapse()
    now = await ledgers.opened(run="one")
    assert job_of(now) == job_of(crashed)
    assert [await state(now), await state(now, BEN)] == [State.UNKNOWN, State.PENDING]


async def test_a_run_without_a_name_is_never_joined(ledgers: Ledgers) -> None:
    first = await ledgers.opened()
    job = job_of(first)
    await first.aclose()
    assert job_of(await ledgers.opened()) != job


async def test_an_intent_may_be_noted_twice(ledgers: Ledgers) -> None:
    """Its answer may be lost, and it is repeated."""
    ledger = await ledgers.opened()
    await ledger.enter([(ADA, FIRST)])
    await ledger.settle([(ADA, OK)])
    await ledger.enter([(ADA, SECOND)])
    assert await ledger.intend([ADA]) is await ledger.intend([ADA]) is True
    assert await known(ledger) == Entry(Outcome(State.SENDING), SECOND, FIRST)


@pytest.mark.parametrize(("leads", "notes", "most", "least"), [(1, 300, 3, 1), (300, 10, 12, 10)])
async def test_notes_that_come_together_are_written_together_but_never_too_many(
    ledgers: Ledgers, server: Server, leads: int, notes: int, most: int, least: int
) -> None:
    ledger = await ledgers.opened()
    keys = [f"{number}@example.test" for number in range(leads)]
    await ledger.enter([(key, FIRST) for key in keys])
    await ledger.intend(keys)
    await server.ask("CONFIG", "RESETSTAT")
    await asyncio.gather(*(ledger.intend(keys) for _ in range(notes)))
    calls = (await server.ask("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]
    assert least <= calls <= most


async def test_many_leads_in_doubt_are_listed_page_by_page(ledgers: Ledgers) -> None:
    ledger = await ledgers.opened()
    keys = [f"{number}@example.test" for number in range(1700)]
    await ledger.enter([(key, FIRST) for key in keys])
    await ledger.settle([(key, Outcome(State.UNKNOWN, reason=key)) for key in keys])
    assert {each.reason for each in await ledger.unsettled()} == set(keys)


async def test_a_lease_has_a_length() -> None:
    with pytest.raises(ConfigurationError, match="lease must be more than 0 s"):
        RedisLedger("redis://localhost", account="the-key", lease=0)


async def test_only_what_is_in_doubt_is_listed_as_such(ledgers: Ledgers, server: Server) -> None:
    ledger = await ledgers.opened()
    await ledger.enter([(ADA, FIRST)])
    await ledger.intend([ADA])
    assert ledgers.key("doubtful") in await server.keys()
    await ledger.settle([(ADA, Outcome(State.UNKNOWN))])
    assert ledgers.key("doubtful") in await server.keys()
    await ledger.enter([(ADA, FIRST)])
    assert ledgers.key("doubtful") not in await server.keys()


async def test_reset_gives_the_memory_back_and_joins_nothing(ledgers: Ledgers, server: Server) -> None:
    ledger = await ledgers.opened(run="one")
    before = job_of(ledger)
    await ledger.enter([(f"{number}@example.test", FIRST) for number in range(3000)])
    await ledger.aclose()
    await ledger.open("here", run="one", reset=True)
    assert ledgers.key("leads") not in await server.keys()
    assert job_of(ledger) != before


async def test_options_of_the_url_do_not_garble_digests(server: Server) -> None:
    ledger = RedisLedger(f"{server.url}?decode_responses=true&protocol=2", account="the-key")
    await ledger.open("here")
    await ledger.enter([(ADA, SECOND)])
    await ledger.settle([(ADA, Outcome(State.UNKNOWN, reason="é"))])
    assert await known(ledger) == Entry(Outcome(State.UNKNOWN, reason="é"), SECOND, None)
    assert [each.reason for each in await ledger.unsettled()] == ["é"]
    await ledger.aclose()


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://localhost?socket_timeout=soon"]
)
def test_no_redis_url_no_ledger(url: str) -> None:
    canaries, told = Canaries(), Told()
    with pytest.raises(ConfigurationError, match="url must be redis://") as caught:
        RedisLedger(url.replace("localhost", f":{canaries.token}@localhost"), account=canaries.api_key)
    told.hear_error(caught.value)
    told.check(canaries)


async def test_neither_addresses_nor_the_key_reach_redis(server: Server) -> None:
    canaries = Canaries()
    key = canaries.email.casefold()
    async with server.client() as client, client.monitor() as monitor:
        ledger = RedisLedger(server.url, account=canaries.api_key)
        await ledger.open("here", run=f"{canaries.email} {canaries.api_key}")
        await ledger.note_source(canaries.email, "fingerprint")
        await ledger.enter([(key, FIRST)])
        chunk = await ledger.take(job_of(ledger), 1)
        assert chunk is not None
        async with chunk:
            await chunk.intend([key])
            await chunk.settle([(key, Outcome(State.UNKNOWN, "Timeout", "lost"))])
            await chunk.end()
            assert [len(each.key) for each in await ledger.unsettled()] == [32]
            keys = await server.keys()
            assert [each.rpartition(":")[2] for each in keys] == sorted(
                ["leads", "doubtful", "job", "lease", "fences", "running", "ended", "facts"]
            )
            told = [*keys, *everything([await contents(client, each) for each in keys])]
        await ledger.aclose()
        await client.echo("the end")
        while "the end" not in told[-1]:
            told.append((await monitor.next_command())["command"])
    assert any("first digest" in each for each in told)
    find([canaries.api_key, canaries.email, key], told)
    find([canaries.api_key.casefold(), key], [each.casefold() for each in told])


async def contents(client: Any, key: str) -> Any:
    kind = (await client.type(key)).decode()
    return await {
        "hash": lambda: client.hgetall(key),
        "set": lambda: client.smembers(key),
        "zset": lambda: client.zrange(key, 0, -1),
        "list": lambda: client.lrange(key, 0, -1),
    }[kind]()


async def test_a_lead_takes_little_memory(ledgers: Ledgers, server: Server) -> None:
    ledger = await ledgers.opened()
    keys = [f"{number}@example.test" for number in range(5000)]
    for start in range(0, 5000, 500):
        some = keys[start : start + 500]
        await ledger.enter([(key, FIRST) for key in some])
        await ledger.intend(some)
        await ledger.settle([(key, OK) for key in some])
    used = await server.ask("MEMORY", "USAGE", ledgers.key("leads"), "SAMPLES", 0)
    assert 50 < used / 5000 < 150
    assert ledgers.key("doubtful") not in await server.keys()
