"""What an outage of Redis does to a run, and what its disk does for one."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

import pytest

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry
from publitrac_async.bulk.rows import State
from publitrac_async.redis import RedisLedger
from tests.support.canaries import Canaries, Told

from .ledgers import ADA, BEN, FIRST, OK, Ledgers, job, job_of, known, state
from .server import Server


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


async def test_leases_are_renewed_after_an_outage(keeping: Ledgers) -> None:
    opener = await keeping.opened(run="one", lease=0.6)
    chunk = await keeping(lease=0.6).take(job_of(opener), 1)
    assert chunk is not None

    async def ends() -> list[float]:
        (member,) = await keeping.server.ask("ZRANGE", keeping.key("running"), 0, -1)
        until = await keeping.server.ask("HGET", keeping.key("lease"), "until")
        return [float(until), float(await keeping.server.ask("ZSCORE", keeping.key("running"), member))]

    await asyncio.to_thread(keeping.server.stop)
    while opener._connection.outages == 0 or chunk._lease._task.done():
        await asyncio.sleep(0.01)
    await asyncio.to_thread(keeping.server.start)
    before = await ends()
    while any(now <= then for now, then in zip(await ends(), before, strict=True)):
        await asyncio.sleep(0.01)
    await chunk.aclose()


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
    stall = asyncio.create_task(server.stall(2.5))
    await asyncio.sleep(0.2)
    with pytest.raises(LedgerError, match="TimeoutError"):
        await ledger.recall([ADA])
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


async def test_a_durable_intent_does_not_pass_for_written_when_time_is_up(keeping: Ledgers) -> None:
    url = f"{keeping.server.url}?socket_timeout=1"
    ledger = RedisLedger(url, account="the-key", durable=True, patience=0.0)
    await ledger.open("here")
    await ledger.enter([(ADA, FIRST)])
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "no")
    with pytest.raises(LedgerError, match="NotOnDisk"):
        await ledger.intend([ADA])
    await ledger.aclose()


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
