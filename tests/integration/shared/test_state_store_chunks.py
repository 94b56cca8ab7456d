"""The chunks of a job: who may write their outcomes, whatever happens to workers and to the run."""

from __future__ import annotations

import asyncio
import collections
import random

import pytest

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry
from publitrac_async.bulk.state.redis.entries import BATCH
from tests.support.redis_stores import (
    ADA,
    BEN,
    EVE,
    FIRST,
    OK,
    SECOND,
    Stores,
    job,
    job_of,
    known,
    renewals,
    state,
)


async def test_a_worker_carries_out_a_chunk(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN)
    worker = stores()
    chunk = await worker.claim(job_of(opener), 7)
    assert chunk is not None
    async with chunk:
        assert (chunk.job, chunk.number, chunk.attempt) == (opener.job, 7, 1)
        assert len(await opener.claimed()) == 1
        assert await known(chunk) == Entry(Outcome(State.PENDING), FIRST, None)
        assert await chunk.begin([ADA, BEN]) is True
        assert await state(chunk) is State.SENDING
        # The opener cannot tell whether a worker still has it.
        assert await state(opener) is State.PENDING
        assert await opener.unknown_rows() == []
        await chunk.complete([(ADA, OK), (BEN, Outcome(State.UNKNOWN, "Timeout", "lost"))])
        assert await chunk.end()
    assert await known(opener) == Entry(OK, FIRST, FIRST)
    assert [each.reason for each in await opener.unknown_rows()] == ["lost"]
    assert len(await opener.claimed()) == 0
    assert [(each.number, each.stopped) for each in await opener.results(0)] == [(7, None)]


async def test_what_is_not_written_yet_is_written_before_a_chunk_is_released(stores: Stores) -> None:
    opener = await job(stores, ADA)
    chunk = await stores().claim(job_of(opener), 7)
    assert chunk is not None
    async with chunk:
        await chunk.begin([ADA])
        recorded = [chunk.complete([(ADA, OK)] * BATCH) for _ in range(20)]
    assert all(each.done() for each in recorded)
    assert await known(opener) == Entry(OK, FIRST, FIRST)


async def test_ended_chunks_are_listed_from_any_position(stores: Stores) -> None:
    opener = await job(stores)
    for number, stopped in ((3, None), (1, "credentials were rejected"), (2, None)):
        chunk = await stores().claim(job_of(opener), number)
        assert chunk is not None
        async with chunk:
            assert await chunk.end(stopped)
    assert [each.number for each in await opener.results(0)] == [3, 1, 2]
    assert [(each.number, each.stopped) for each in await opener.results(1)] == [
        (1, "credentials were rejected"),
        (2, None),
    ]
    assert await opener.results(3) == []


async def test_a_worker_that_was_taken_for_dead_can_write_nothing(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN, EVE)
    zombie = await stores().claim(job_of(opener), 1)
    assert zombie is not None
    await zombie.begin([ADA])
    successor = await stores().claim(job_of(opener), 1)
    assert successor is not None
    assert successor.attempt == 2
    assert await zombie.begin([BEN]) is False
    assert await state(successor) is State.UNKNOWN
    with pytest.raises(StateStoreError, match="another worker has taken over this chunk") as caught:
        await zombie.complete([(ADA, OK)])
    assert not caught.value.retryable
    assert not await zombie.end()
    assert await state(successor) is State.UNKNOWN
    assert await state(opener) is State.UNKNOWN
    assert await successor.begin([BEN]) is True
    with pytest.raises(StateStoreError):
        await zombie.complete([(BEN, Outcome(State.REJECTED))])
    await successor.complete([(BEN, OK)])
    assert await state(opener, BEN) is State.OK
    assert await opener.results(0) == []
    await zombie.aclose()
    await successor.aclose()


async def test_a_lead_sent_again_by_the_next_worker_has_nothing_acknowledged_before(stores: Stores) -> None:
    opener = await job(stores, ADA)
    await opener.begin([ADA])
    await opener.complete([(ADA, OK)])
    await opener.plan([(ADA, SECOND)])
    first = await stores().claim(job_of(opener), 1)
    assert first is not None
    await first.begin([ADA])
    assert (await known(first)).acked_hash == FIRST
    second = await stores().claim(job_of(opener), 1)
    assert second is not None
    await second.begin([ADA])
    await second.complete([(ADA, Outcome(State.REJECTED))])
    assert await known(opener) == Entry(Outcome(State.REJECTED), SECOND, None)
    await first.aclose()
    await second.aclose()


async def test_workers_have_each_their_own_chunks(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN)
    one, two = await stores().claim(job_of(opener), 1), await stores().claim(job_of(opener), 2)
    assert one is not None
    assert two is not None
    assert (one.attempt, two.attempt) == (1, 1)
    assert await asyncio.gather(one.begin([ADA]), two.begin([BEN])) == [True, True]
    await asyncio.gather(one.complete([(ADA, OK)]), two.complete([(BEN, OK)]))
    assert len(await opener.claimed()) == 2
    await one.aclose()
    assert len(await opener.claimed()) == 1
    await two.aclose()


async def test_a_stopped_job_begins_no_call_and_notes_those_that_ended(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN)
    chunk = await stores().claim(job_of(opener), 1)
    assert chunk is not None
    await chunk.begin([ADA])
    assert await opener.stopped() is None
    assert await opener.stop("interrupted")
    assert await opener.stop("a second reason")
    assert await opener.stopped() == await stores().stopped() == "interrupted"
    assert await chunk.begin([BEN]) is False
    await chunk.complete([(ADA, OK)])
    assert await known(opener) == Entry(OK, FIRST, FIRST)
    assert await chunk.end("the job was stopped")
    assert await stores().claim(job_of(opener), 2) is None
    assert await opener.begin([BEN]) is False
    await chunk.aclose()


async def test_anybody_can_stop_the_job_but_a_worker_of_an_older_one(stores: Stores) -> None:
    assert not await stores().stop("there is none")
    first = await job(stores, run="one")
    old = await stores().claim(job_of(first), 1)
    assert old is not None
    await old.aclose()
    await first.aclose()
    second = await job(stores, run="two")
    assert not await old.stop("credentials were rejected")
    assert await second.stopped() is None
    new = await stores().claim(job_of(second), 1)
    assert new is not None
    assert await new.stop("credentials were rejected")
    assert await second.stopped() == "credentials were rejected"
    await new.aclose()


async def test_a_run_begun_again_joins_its_job(stores: Stores) -> None:
    killed = await job(stores, ADA, BEN, EVE)
    chunk = await stores().claim(job_of(killed), 1)
    assert chunk is not None
    await chunk.begin([ADA, BEN])
    await chunk.complete([(BEN, OK)])
    await chunk.complete([(EVE, Outcome(State.RETRY, "ServerError", "busy"))])
    await stores.let_lapse()

    joined = await stores.opened(run="one")
    assert joined.job == killed.job
    assert [await state(joined, key) for key in (ADA, BEN, EVE)] == [State.PENDING, State.OK, State.PENDING]
    await joined.plan([(ADA, FIRST), (EVE, FIRST)])
    assert await state(chunk) is State.SENDING
    assert await state(chunk, EVE) is State.RETRY
    with pytest.raises(StateStoreError, match="a worker has claimed it"):
        await joined.complete([(ADA, Outcome(State.RETRY))])
    assert await joined.begin([ADA]) is False
    await chunk.complete([(ADA, OK)])
    assert await chunk.end()
    assert await known(joined) == Entry(OK, FIRST, FIRST)
    assert [each.number for each in await joined.results(0)] == [1]
    await chunk.aclose()


@pytest.mark.parametrize("end", ["stopped", "finished", "another run", "no run"])
async def test_a_run_that_has_ended_is_not_joined(stores: Stores, end: str) -> None:
    first = await job(stores, ADA)
    before = job_of(first)
    chunk = await stores().claim(before, 1)
    assert chunk is not None
    async with chunk:
        await chunk.end()
    if end == "stopped":
        await first.stop("interrupted")
    elif end == "finished":
        await first.finish()
        assert await first.stopped() is None
    await first.aclose()
    second = await stores.opened(run={"another run": "two", "no run": ""}.get(end, "one"))
    assert job_of(second) != before
    assert await second.results(0) == []
    assert await stores().claim(before, 1) is None


async def test_a_new_job_waits_for_the_calls_of_the_old_one(stores: Stores) -> None:
    first = await job(stores, ADA, BEN)
    chunk = await stores().claim(job_of(first), 1)
    assert chunk is not None
    await chunk.begin([ADA])
    await first.aclose()

    second = stores()
    opening = asyncio.create_task(second.open("here", run="two"))
    while await chunk.begin([BEN]):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert not opening.done()
    # The call in flight when the job was replaced is recorded, and nothing else.
    await chunk.complete([(ADA, OK)])
    with pytest.raises(StateStoreError, match="another run has started"):
        await chunk.complete([(EVE, OK)])
    assert not await chunk.end()
    await chunk.aclose()
    await opening
    assert await known(second) == Entry(OK, FIRST, FIRST)
    assert len(await second.claimed()) == 0


async def test_a_new_job_does_not_wait_for_killed_workers_longer_than_their_lease(stores: Stores) -> None:
    first = await job(stores, ADA)
    killed = await stores(lease=0.3).claim(job_of(first), 1)
    assert killed is not None
    await killed.begin([ADA])
    killed._lease._task.cancel()
    await first.aclose()
    second = await stores.opened(run="two")
    assert await known(second) == Entry(Outcome(State.UNKNOWN), FIRST, None)
    # Another process has entered it again and sends it: outcomes of the old worker no longer count.
    await second.plan([(ADA, SECOND)])
    with pytest.raises(StateStoreError, match="another run has started"):
        await killed.complete([(ADA, OK)])
    chunk = await stores().claim(job_of(second), 1)
    assert chunk is not None
    assert chunk.attempt == killed.attempt
    await chunk.begin([ADA])
    with pytest.raises(StateStoreError, match="another run has started"):
        await killed.complete([(ADA, OK)])
    assert await known(chunk) == Entry(Outcome(State.SENDING), SECOND, None)
    await chunk.aclose()


async def test_of_the_workers_of_a_replaced_job_the_last_one_of_a_chunk_counts(stores: Stores) -> None:
    first = await job(stores, ADA)
    zombie = await stores().claim(job_of(first), 1)
    successor = await stores().claim(job_of(first), 1)
    assert zombie is not None
    assert successor is not None
    await successor.begin([ADA])
    await stores.let_lapse()
    await stores.opened(run="two")
    with pytest.raises(StateStoreError, match="another worker has taken over"):
        await zombie.complete([(ADA, OK)])
    await successor.complete([(ADA, Outcome(State.REJECTED))])
    assert await state(successor) is State.REJECTED
    await zombie.aclose()
    await successor.aclose()


async def test_a_running_chunk_is_renewed(stores: Stores) -> None:
    opener = await job(stores, ADA)
    chunk = await stores(lease=1.5).claim(job_of(opener), 1)
    assert chunk is not None
    renewed = renewals(chunk._lease)
    async with chunk:
        while len(renewed) < 4:  # The fourth is later than the end of the first lease.
            assert len(await opener.claimed()) == 1
            await asyncio.sleep(0.1)
    assert len(await opener.claimed()) == 0


async def test_settling_by_hand_leaves_the_job_alone(stores: Stores) -> None:
    killed = await job(stores, ADA, BEN)
    chunk = await stores().claim(job_of(killed), 1)
    assert chunk is not None
    await chunk.begin([ADA, BEN])
    await chunk.complete([(BEN, Outcome(State.UNKNOWN, "Timeout", "lost"))])
    await stores.let_lapse()
    by_hand = await stores.opened(None)
    assert [each.reason for each in await by_hand.unknown_rows()] == ["lost"]
    await by_hand.complete([(BEN, OK)])
    assert await by_hand.unknown_rows() == []
    await by_hand.aclose()
    await chunk.complete([(ADA, OK)])
    joined = await stores.opened(run="one")
    assert joined.job == killed.job
    assert [await state(joined), await state(joined, BEN)] == [State.OK, State.OK]
    await chunk.aclose()


async def test_a_chunk_ends_when_all_its_outcomes_are_recorded(stores: Stores) -> None:
    keys = [f"{number}@example.test" for number in range(300)]
    opener = await job(stores, *keys)
    async with await stores().claim(job_of(opener), 1) as chunk:  # type: ignore[union-attr]
        outcomes = [chunk.complete([(key, OK) for key in keys]) for _ in range(20)]
        await chunk.end()
        assert all(each.done() for each in outcomes)


async def test_nothing_is_left_running_when_all_is_closed(stores: Stores) -> None:
    opener = await job(stores, ADA)
    chunk = await stores().claim(job_of(opener), 1)
    assert chunk is not None
    async with chunk:
        intent = chunk.begin([ADA])
    assert intent.done()
    await stores.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_reprs_name_the_state_store_and_the_chunk(stores: Stores) -> None:
    opener = await job(stores)
    assert repr(opener) == "RedisStateStore(default)"
    async with await stores().claim(job_of(opener), 3) as chunk:  # type: ignore[union-attr]
        assert repr(chunk) == f"RedisChunkClaim({opener.job}, 3, attempt 1)"


@pytest.mark.parametrize("seed", range(10))
async def test_nothing_is_sent_twice_and_nothing_is_lost_whatever_happens_to_workers(
    stores: Stores, seed: int
) -> None:
    """Workers are killed, or taken for dead and continue; chunks are issued twice; the run starts again."""
    chance = random.Random(seed)
    chunks = [[f"{number}.{each}@example.test" for each in range(8)] for number in range(4)]
    keys = [key for chunk in chunks for key in chunk]
    sent: collections.Counter[str] = collections.Counter()
    workers = [stores() for _ in range(3)]

    async def carry_out(job_id: str, number: int) -> None:
        chunk = await chance.choice(workers).claim(job_id, number)
        assert chunk is not None
        entries = await chunk.lookup(chunks[number])
        for key, entry in zip(chunks[number], entries, strict=True):
            assert entry is not None
            if entry.outcome.state is not State.PENDING:
                continue
            if not await chunk.begin([key]):
                break
            sent[key] += 1
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.01)))
            if chance.random() < 0.05:
                break  # Killed: it ends nothing and reports nothing.
            try:
                await chunk.complete([(key, OK)])
            except StateStoreError:
                break
        else:
            await chunk.end()
        await chunk.aclose()

    store = await stores.opened(run="one")
    await store.plan([(key, FIRST) for key in keys])
    done: set[int] = set()
    while done != {0, 1, 2, 3}:
        handed_out = [number for number in range(4) for _ in range(2) if number not in done]
        chance.shuffle(handed_out)
        await asyncio.gather(*(carry_out(job_of(store), number) for number in handed_out))
        if chance.random() < 0.3:
            await stores.let_lapse()
            store = await stores.opened(run="one")
            await store.plan([(key, FIRST) for key in keys if await state(store, key) is State.PENDING])
        done = {each.number for each in await store.results(0)}
    assert sent == dict.fromkeys(keys, 1)
    states = {key: await state(store, key) for key in keys}
    assert set(states.values()) <= {State.OK, State.UNKNOWN}
    assert len(await store.unknown_rows()) == sum(each is State.UNKNOWN for each in states.values())
