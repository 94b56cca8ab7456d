"""A ledger in a real server: who may write in it, and what an outage does to a run."""

from __future__ import annotations

import asyncio
import collections
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from publitrac_async import ConfigurationError
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.redis import RedisLedger
from publitrac_async.redis.connection import Connection
from tests.support.canaries import Canaries, Told, everything, find

from .server import Server

ADA, BEN, EVE = "ada@example.test", "ben@example.test", "eve@example.test"
FIRST, SECOND = b"first digest....", b"\x00\xff second ......"
OK = Outcome(State.OK)


class Ledgers:
    """Ledgers as several processes have them: each with connections of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._made: list[RedisLedger] = []

    def __call__(self, **options: Any) -> RedisLedger:
        self._made.append(RedisLedger(self.server.url, account="the-key", **options))
        return self._made[-1]

    async def opened(self, destination: str | None = "here", *, run: str = "", **options: Any) -> RedisLedger:
        ledger = self(**options)
        await ledger.open(destination, run=run)
        return ledger

    async def let_lapse(self) -> None:
        """As if nobody had renewed anything for as long as it lives."""
        await self.server.ask("HSET", self.key("lease"), "until", 1)
        for member in await self.server.ask("ZRANGE", self.key("running"), 0, -1):
            await self.server.ask("ZADD", self.key("running"), 1, member)

    def key(self, name: str) -> str:
        return Connection(self.server.url, "the-key").key(f"ledger:default:{name}")

    async def aclose(self) -> None:
        for each in self._made:
            await each.aclose()


@pytest.fixture
async def ledgers(server: Server) -> AsyncIterator[Ledgers]:
    ledgers = Ledgers(server)
    yield ledgers
    await ledgers.aclose()


@pytest.fixture(scope="module")
def keeping_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps what it knows when it is restarted."""
    server = Server(tmp_path_factory.mktemp("keeping"), appendonly="yes", appendfsync="always")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def keeping(keeping_server: Server) -> AsyncIterator[Ledgers]:
    keeping_server.start()
    await keeping_server.ask("CONFIG", "SET", "appendonly", "yes", "appendfsync", "always")
    await keeping_server.ask("FLUSHALL")
    ledgers = Ledgers(keeping_server)
    yield ledgers
    await ledgers.aclose()


async def known(ledger: Any, key: str = ADA) -> Entry:
    (entry,) = await ledger.recall([key])
    assert entry is not None
    return entry


async def state(ledger: Any, key: str = ADA) -> State:
    return (await known(ledger, key)).outcome.state


def job_of(ledger: RedisLedger) -> str:
    assert ledger.job is not None
    return ledger.job


# --- the process that opens it ---


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


async def test_reset_gives_the_memory_back(ledgers: Ledgers, server: Server) -> None:
    ledger = await ledgers.opened()
    await ledger.enter([(f"{number}@example.test", FIRST) for number in range(3000)])
    await ledger.aclose()
    await ledger.open("here", reset=True)
    assert ledgers.key("leads") not in await server.keys()


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://localhost?socket_timeout=soon"]
)
def test_no_redis_url_no_ledger(url: str) -> None:
    canaries, told = Canaries(), Told()
    with pytest.raises(ConfigurationError, match="url must be redis://") as caught:
        RedisLedger(url.replace("localhost", f":{canaries.token}@localhost"), account=canaries.api_key)
    told.hear_error(caught.value)
    told.check(canaries)


# --- chunks ---


async def job(ledgers: Ledgers, *keys: str, run: str = "one") -> RedisLedger:
    ledger = await ledgers.opened(run=run)
    await ledger.enter([(key, FIRST) for key in keys])
    return ledger


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
    with pytest.raises(LedgerError, match="another worker has taken over this chunk"):
        await zombie.settle([(ADA, OK)])
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
    # Somebody has entered it anew: what the old worker has to say does not count any more.
    await second.enter([(ADA, SECOND)])
    with pytest.raises(LedgerError):
        await killed.settle([(ADA, OK)])
    assert await known(second) == Entry(Outcome(State.PENDING), SECOND, None)


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


# --- without Redis ---


async def test_a_run_outlives_a_restart_of_redis(keeping: Ledgers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    opener = await job(keeping, *(f"{number}@example.test" for number in range(200)))
    chunk = await keeping().take(job_of(opener), 1)
    assert chunk is not None
    settled = 0

    async def send(worker: int) -> None:
        nonlocal settled
        for number in range(worker, 200, 8):
            key = f"{number}@example.test"
            assert await chunk.intend([key]) is True
            await asyncio.sleep(0.01)
            await chunk.settle([(key, OK)])
            settled += 1

    async with chunk:
        sending = [asyncio.create_task(send(worker)) for worker in range(8)]
        while settled < 50:
            await asyncio.sleep(0.01)
        await keeping.server.restart()
        await asyncio.gather(*sending)
        assert await chunk.end()
    entries = await opener.recall([f"{number}@example.test" for number in range(200)])
    assert {entry and entry.outcome for entry in entries} == {OK}
    assert [each.number for each in await opener.ended(0)] == [1]
    assert str(keeping.server.port) not in caplog.text
    assert "example.test" not in caplog.text


async def test_an_outcome_waits_for_redis_and_its_waiter_need_not(keeping: Ledgers) -> None:
    ledger = await job(keeping, ADA)
    await ledger.intend([ADA])
    await asyncio.to_thread(keeping.server.stop)
    outcome = ledger.settle([(ADA, OK)])
    waiter = asyncio.create_task(asyncio.wait_for(outcome, 0.05))
    with pytest.raises(TimeoutError):
        await waiter
    await asyncio.to_thread(keeping.server.start)
    await ledger.aclose()
    assert await known(await keeping.opened(run="one")) == Entry(OK, FIRST, FIRST)


async def test_without_redis_a_run_ends_with_what_to_do(server: Server) -> None:
    canaries = Canaries()
    ledger = RedisLedger(server.url, account=canaries.api_key, patience=0.3)
    key = canaries.email.casefold()
    await ledger.open("here")
    with Told().listening() as told:
        await ledger.enter([(key, FIRST)])
        await asyncio.to_thread(server.stop)
        notes = ledger.intend([key]), ledger.settle([(key, OK)])
        for question in (*notes, ledger.recall([key]), ledger.unsettled(), ledger.take("job", 1)):
            with pytest.raises(LedgerError, match="check its URL, and that Redis runs") as caught:
                await question
            assert caught.value.retryable
            told.hear_error(caught.value)
        await ledger.aclose()
        with pytest.raises(LedgerError, match="check its URL, and that Redis runs"):
            await RedisLedger(server.url, account="the-key", patience=3600).open("here")
    told.check(canaries)
    assert str(server.port) not in "".join(told.credentials)


async def test_a_redis_that_refuses_the_password_is_not_waited_for_at_the_start(server: Server) -> None:
    canaries, told = Canaries(), Told()

    def make() -> RedisLedger:
        user, password = quote(canaries.username, safe=""), quote(canaries.password, safe="")
        return RedisLedger(server.url.replace("//", f"//{user}:{password}@"), account=canaries.api_key)

    ledger = make()
    with pytest.raises(LedgerError, match=r"does not answer \(AuthenticationError\)") as caught:
        await ledger.open("here")
    told.hear_error(caught.value)
    told.check(canaries)
    await ledger.aclose()


async def test_a_stalled_redis_is_not_waited_for_longer_than_its_answer_may_take(
    ledgers: Ledgers, server: Server
) -> None:
    ledger = await ledgers.opened(patience=0.0)
    stall = asyncio.create_task(server.stall(4))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    with pytest.raises(LedgerError, match="TimeoutError"):
        await ledger.recall([ADA])
    assert time.monotonic() - begun < 3
    await stall


async def test_lost_scripts_are_loaded_again(ledgers: Ledgers, server: Server) -> None:
    ledger = await ledgers.opened()
    await ledger.enter([(ADA, FIRST)])
    await server.forget_scripts()
    assert await ledger.intend([ADA]) is True
    await server.forget_scripts()
    await server.cut_connections()
    await ledger.settle([(ADA, OK)])
    assert await state(ledger) is State.OK


async def test_a_redis_that_forgot_everything_ends_the_run(ledgers: Ledgers, server: Server) -> None:
    opener = await job(ledgers, ADA)
    chunk = await ledgers().take(job_of(opener), 1)
    assert chunk is not None
    await server.restart()
    with pytest.raises(LedgerError, match="Redis lost its data"):
        await opener.intend([ADA])
    assert await chunk.intend([ADA]) is False
    with pytest.raises(LedgerError, match="Redis lost its data"):
        await chunk.settle([(ADA, OK)])
    await chunk.aclose()


# --- on the disk ---


async def test_durable_is_refused_where_redis_is_not(ledgers: Ledgers) -> None:
    for use in (ledgers(durable=True).open("here"), ledgers(durable=True).take("job", 1)):
        with pytest.raises(LedgerError, match="it needs appendonly yes"):
            await use


async def test_a_durable_intent_waits_for_the_disk(keeping: Ledgers) -> None:
    ledger = await keeping.opened(durable=True)
    await ledger.enter([(ADA, FIRST), (BEN, FIRST)])
    assert await ledger.intend([ADA]) is True
    # A server that never writes to its disk of itself never says that it did.
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "no")
    # Neither do writes of other connections count as those of one that has just been opened.
    await keeping.server.cut_connections()
    intent = ledger.intend([BEN])
    while await state(ledger, BEN) is not State.SENDING:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert not intent.done()
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "always")
    assert await intent is True
    await ledger.settle([(ADA, OK), (BEN, OK)])


async def test_what_was_not_asked_to_be_durable_does_not_wait(keeping: Ledgers) -> None:
    ledger = await keeping.opened()
    await ledger.enter([(ADA, FIRST)])
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "no")
    assert await asyncio.wait_for(ledger.intend([ADA]), 3) is True


async def test_a_durable_ledger_whose_disk_fails_ends_the_run(keeping: Ledgers) -> None:
    ledger = await keeping.opened(durable=True, patience=0.0)
    await ledger.enter([(ADA, FIRST)])
    await keeping.server.ask("CONFIG", "SET", "appendonly", "no")
    with pytest.raises(LedgerError, match="memory and disk"):
        await ledger.intend([ADA])


# --- what Redis gets to see ---


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
