"""The chunks of a job: who may write in them, whatever happens to workers and to the run."""

from __future__ import annotations

import asyncio
import collections
import random
import time

import pytest

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.bulk.rows import State

from .ledgers import ADA, BEN, EVE, FIRST, OK, SECOND, Ledgers, job, job_of, known, state


async def test_a_worker_carries_out_a_chunk(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA, BEN)
    worker = ledgers()
    chunk = await worker.take(job_of(opener), 7)
    assert chunk is not None
    async with chunk:
        assert (chunk.job, chunk.number, chunk.attempt) == (opener.job, 7, 1)
        assert await opener.running() == 1
        assert await known(chunk) == Entry(Outcome(State.PENDING), FIRST, None)
        assert await chunk.intend([ADA, BEN]) is True
        assert await state(chunk) is State.SENDING
        # The opener cannot tell whether somebody still is at it.
        assert await state(opener) is State.PENDING
        assert await opener.unsettled() == []
        await chunk.settle([(ADA, OK), (BEN, Outcome(State.UNKNOWN, "Timeout", "lost"))])
        assert await chunk.end()
    assert await known(opener) == Entry(OK, FIRST, FIRST)
    assert [each.reason for each in await opener.unsettled()] == ["lost"]
    assert await opener.running() == 0
    assert [(each.number, each.stopped) for each in await opener.ended(0)] == [(7, None)]


async def test_ended_chunks_are_told_from_any_position(ledgers: Ledgers) -> None:
    opener = await job(ledgers)
    for number, stopped in ((3, None), (1, "credentials were rejected"), (2, None)):
        chunk = await ledgers().take(job_of(opener), number)
        assert chunk is not None
        async with chunk:
            assert await chunk.end(stopped)
    assert [each.number for each in await opener.ended(0)] == [3, 1, 2]
    assert [(each.number, each.stopped) for each in await opener.ended(1)] == [
        (1, "credentials were rejected"),
        (2, None),
    ]
    assert await opener.ended(3) == []


async def test_a_worker_that_was_taken_for_dead_can_write_nothing(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA, BEN, EVE)
    zombie = await ledgers().take(job_of(opener), 1)
    assert zombie is not None
    await zombie.intend([ADA])
    successor = await ledgers().take(job_of(opener), 1)
    assert successor is not None
    assert successor.attempt == 2
    assert await zombie.intend([BEN]) is False
    assert await state(successor) is State.UNKNOWN
    with pytest.raises(LedgerError, match="another worker has taken over this chunk") as caught:
        await zombie.settle([(ADA, OK)])
    assert not caught.value.retryable
    assert not await zombie.end()
    assert await state(successor) is State.UNKNOWN
    assert await state(opener) is State.UNKNOWN
    assert await successor.intend([BEN]) is True
    with pytest.raises(LedgerError):
        await zombie.settle([(BEN, Outcome(State.REJECTED))])
    await successor.settle([(BEN, OK)])
    assert await state(opener, BEN) is State.OK
    assert await opener.ended(0) == []
    await zombie.aclose()
    await successor.aclose()


async def test_a_lead_sent_again_by_the_next_worker_has_nothing_acknowledged_before(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA)
    await opener.intend([ADA])
    await opener.settle([(ADA, OK)])
    await opener.enter([(ADA, SECOND)])
    first = await ledgers().take(job_of(opener), 1)
    assert first is not None
    await first.intend([ADA])
    assert (await known(first)).acknowledged == FIRST
    second = await ledgers().take(job_of(opener), 1)
    assert second is not None
    await second.intend([ADA])
    await second.settle([(ADA, Outcome(State.REJECTED))])
    assert await known(opener) == Entry(Outcome(State.REJECTED), SECOND, None)
    await first.aclose()
    await second.aclose()


async def test_workers_have_each_their_own_chunks(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA, BEN)
    one, two = await ledgers().take(job_of(opener), 1), await ledgers().take(job_of(opener), 2)
    assert one is not None
    assert two is not None
    assert (one.attempt, two.attempt) == (1, 1)
    assert await asyncio.gather(one.intend([ADA]), two.intend([BEN])) == [True, True]
    await asyncio.gather(one.settle([(ADA, OK)]), two.settle([(BEN, OK)]))
    assert await opener.running() == 2
    await one.aclose()
    assert await opener.running() == 1
    await two.aclose()


async def test_a_stopped_job_begins_no_call_and_notes_those_that_ended(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA, BEN)
    chunk = await ledgers().take(job_of(opener), 1)
    assert chunk is not None
    await chunk.intend([ADA])
    assert await opener.stopped() is None
    assert await opener.stop("interrupted")
    assert await opener.stop("a second reason")
    assert await opener.stopped() == await ledgers().stopped() == "interrupted"
    assert await chunk.intend([BEN]) is False
    await chunk.settle([(ADA, OK)])
    assert await known(opener) == Entry(OK, FIRST, FIRST)
    assert await chunk.end("the job was stopped")
    assert await ledgers().take(job_of(opener), 2) is None
    assert await opener.intend([BEN]) is False
    await chunk.aclose()


async def test_anybody_can_stop_the_job_but_a_worker_of_an_older_one(ledgers: Ledgers) -> None:
    assert not await ledgers().stop("there is none")
    first = await job(ledgers, run="one")
    old = await ledgers().take(job_of(first), 1)
    assert old is not None
    await old.aclose()
    await first.aclose()
    second = await job(ledgers, run="two")
    assert not await old.stop("credentials were rejected")
    assert await second.stopped() is None
    new = await ledgers().take(job_of(second), 1)
    assert new is not None
    assert await new.stop("credentials were rejected")
    assert await second.stopped() == "credentials were rejected"
    await new.aclose()


async def test_a_run_begun_again_joins_its_job(ledgers: Ledgers) -> None:
    killed = await job(ledgers, ADA, BEN, EVE)
    chunk = await ledgers().take(job_of(killed), 1)
    assert chunk is not None
    await chunk.intend([ADA, BEN])
    await chunk.settle([(BEN, OK)])
    await chunk.settle([(EVE, Outcome(State.RETRY, "ServerError", "busy"))])
    await ledgers.let_lapse()

    joined = await ledgers.opened(run="one")
    assert joined.job == killed.job
    assert [await state(joined, key) for key in (ADA, BEN, EVE)] == [State.PENDING, State.OK, State.PENDING]
    await joined.enter([(ADA, FIRST), (EVE, FIRST)])
    assert await state(chunk) is State.SENDING
    assert await state(chunk, EVE) is State.RETRY
    with pytest.raises(LedgerError, match="a worker has it in hand"):
        await joined.settle([(ADA, Outcome(State.RETRY))])
    assert await joined.intend([ADA]) is False
    await chunk.settle([(ADA, OK)])
    assert await chunk.end()
    assert await known(joined) == Entry(OK, FIRST, FIRST)
    assert [each.number for each in await joined.ended(0)] == [1]
    await chunk.aclose()


@pytest.mark.parametrize("end", ["stopped", "finished", "another run", "no run"])
async def test_what_is_over_is_not_joined(ledgers: Ledgers, end: str) -> None:
    first = await job(ledgers, ADA)
    before = job_of(first)
    chunk = await ledgers().take(before, 1)
    assert chunk is not None
    async with chunk:
        await chunk.end()
    if end == "stopped":
        await first.stop("interrupted")
    elif end == "finished":
        await first.finish()
        assert await first.stopped() is None
    await first.aclose()
    second = await ledgers.opened(run={"another run": "two", "no run": ""}.get(end, "one"))
    assert job_of(second) != before
    assert await second.ended(0) == []
    assert await ledgers().take(before, 1) is None


async def test_a_new_job_waits_for_the_calls_of_the_old_one(ledgers: Ledgers) -> None:
    first = await job(ledgers, ADA, BEN)
    chunk = await ledgers().take(job_of(first), 1)
    assert chunk is not None
    await chunk.intend([ADA])
    await first.aclose()

    second = ledgers()
    opening = asyncio.create_task(second.open("here", run="two"))
    while await chunk.intend([BEN]):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert not opening.done()
    # The call that was under way when the job was replaced is noted, and nothing else.
    await chunk.settle([(ADA, OK)])
    with pytest.raises(LedgerError, match="another run has begun"):
        await chunk.settle([(EVE, OK)])
    assert not await chunk.end()
    await chunk.aclose()
    await opening
    assert await known(second) == Entry(OK, FIRST, FIRST)
    assert await second.running() == 0


async def test_a_new_job_does_not_wait_for_killed_workers_longer_than_their_lease(ledgers: Ledgers) -> None:
    first = await job(ledgers, ADA)
    killed = await ledgers(lease=0.3).take(job_of(first), 1)
    assert killed is not None
    await killed.intend([ADA])
    killed._lease._task.cancel()
    await first.aclose()
    second = await ledgers.opened(run="two")
    assert await known(second) == Entry(Outcome(State.UNKNOWN), FIRST, None)
    # Somebody has entered it anew, and sends it: what the old worker has to say does not count any more.
    await second.enter([(ADA, SECOND)])
    with pytest.raises(LedgerError, match="another run has begun"):
        await killed.settle([(ADA, OK)])
    chunk = await ledgers().take(job_of(second), 1)
    assert chunk is not None
    assert chunk.attempt == killed.attempt
    await chunk.intend([ADA])
    with pytest.raises(LedgerError, match="another run has begun"):
        await killed.settle([(ADA, OK)])
    assert await known(chunk) == Entry(Outcome(State.SENDING), SECOND, None)
    await chunk.aclose()


async def test_of_the_workers_of_a_replaced_job_the_last_one_of_a_chunk_counts(ledgers: Ledgers) -> None:
    first = await job(ledgers, ADA)
    zombie = await ledgers().take(job_of(first), 1)
    successor = await ledgers().take(job_of(first), 1)
    assert zombie is not None
    assert successor is not None
    await successor.intend([ADA])
    await ledgers.let_lapse()
    await ledgers.opened(run="two")
    with pytest.raises(LedgerError, match="another worker has taken over"):
        await zombie.settle([(ADA, OK)])
    await successor.settle([(ADA, Outcome(State.REJECTED))])
    assert await state(successor) is State.REJECTED
    await zombie.aclose()
    await successor.aclose()


async def test_a_running_chunk_is_renewed(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA)
    chunk = await ledgers(lease=0.6).take(job_of(opener), 1)
    assert chunk is not None
    async with chunk:
        give_up_at = time.monotonic() + 1.5
        while time.monotonic() < give_up_at:
            assert await opener.running() == 1
            await asyncio.sleep(0.1)
    assert await opener.running() == 0


async def test_settling_by_hand_leaves_the_job_alone(ledgers: Ledgers) -> None:
    killed = await job(ledgers, ADA, BEN)
    chunk = await ledgers().take(job_of(killed), 1)
    assert chunk is not None
    await chunk.intend([ADA, BEN])
    await chunk.settle([(BEN, Outcome(State.UNKNOWN, "Timeout", "lost"))])
    await ledgers.let_lapse()
    by_hand = await ledgers.opened(None)
    assert [each.reason for each in await by_hand.unsettled()] == ["lost"]
    await by_hand.settle([(BEN, OK)])
    assert await by_hand.unsettled() == []
    await by_hand.aclose()
    await chunk.settle([(ADA, OK)])
    joined = await ledgers.opened(run="one")
    assert joined.job == killed.job
    assert [await state(joined), await state(joined, BEN)] == [State.OK, State.OK]
    await chunk.aclose()


async def test_a_chunk_ends_when_all_its_outcomes_are_noted(ledgers: Ledgers) -> None:
    keys = [f"{number}@example.test" for number in range(300)]
    opener = await job(ledgers, *keys)
    async with await ledgers().take(job_of(opener), 1) as chunk:  # type: ignore[union-attr]
        outcomes = [chunk.settle([(key, OK) for key in keys]) for _ in range(20)]
        await chunk.end()
        assert all(each.done() for each in outcomes)


async def test_nothing_is_left_running_when_all_is_closed(ledgers: Ledgers) -> None:
    opener = await job(ledgers, ADA)
    chunk = await ledgers().take(job_of(opener), 1)
    assert chunk is not None
    async with chunk:
        intent = chunk.intend([ADA])
    assert intent.done()
    await ledgers.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_chunk_tells_what_it_is(ledgers: Ledgers) -> None:
    opener = await job(ledgers)
    assert repr(opener) == "RedisLedger(default)"
    async with await ledgers().take(job_of(opener), 3) as chunk:  # type: ignore[union-attr]
        assert repr(chunk) == f"Chunk({opener.job}, 3, attempt 1)"


@pytest.mark.parametrize("seed", range(10))
async def test_nothing_is_sent_twice_and_nothing_is_lost_whatever_happens_to_workers(
    ledgers: Ledgers, seed: int
) -> None:
    """Workers are killed, or taken for dead and go on; chunks are handed out twice; the run begins again."""
    chance = random.Random(seed)
    chunks = [[f"{number}.{each}@example.test" for each in range(8)] for number in range(4)]
    keys = [key for chunk in chunks for key in chunk]
    sent: collections.Counter[str] = collections.Counter()
    workers = [ledgers() for _ in range(3)]

    async def carry_out(job_id: str, number: int) -> None:
        chunk = await chance.choice(workers).take(job_id, number)
        assert chunk is not None
        entries = await chunk.recall(chunks[number])
        for key, entry in zip(chunks[number], entries, strict=True):
            assert entry is not None
            if entry.outcome.state is not State.PENDING:
                continue
            if not await chunk.intend([key]):
                break
            sent[key] += 1
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.01)))
            if chance.random() < 0.05:
                break  # Killed: nothing is ended, nothing is told.
            try:
                await chunk.settle([(key, OK)])
            except LedgerError:
                break
        else:
            await chunk.end()
        await chunk.aclose()

    ledger = await ledgers.opened(run="one")
    await ledger.enter([(key, FIRST) for key in keys])
    done: set[int] = set()
    while done != {0, 1, 2, 3}:
        handed_out = [number for number in range(4) for _ in range(2) if number not in done]
        chance.shuffle(handed_out)
        await asyncio.gather(*(carry_out(job_of(ledger), number) for number in handed_out))
        if chance.random() < 0.3:
            await ledgers.let_lapse()
            ledger = await ledgers.opened(run="one")
            await ledger.enter([(key, FIRST) for key in keys if await state(ledger, key) is State.PENDING])
        done = {each.number for each in await ledger.ended(0)}
    assert sent == dict.fromkeys(keys, 1)
    states = {key: await state(ledger, key) for key in keys}
    assert set(states.values()) <= {State.OK, State.UNKNOWN}
    assert len(await ledger.unsettled()) == sum(each is State.UNKNOWN for each in states.values())
