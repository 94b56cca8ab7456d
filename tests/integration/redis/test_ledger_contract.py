"""What every ledger does: the one in a file, and the one in Redis."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.file_ledger import FileLedger
from publitrac_async.bulk.ledger import Entry, Ledger, Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.redis import RedisLedger

from .ledgers import ADA, BEN, EVE, FIRST, OK, SECOND, known
from .server import Server

Ledgers: TypeAlias = Callable[[], Ledger]

LOST = Outcome(State.UNKNOWN, "OutcomeUnknown", "the answer was lost")


@pytest.fixture(params=["file", "redis"])
async def ledgers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledgers]:
    """The same ledger, as one process after the other has it."""
    made: list[Any] = []
    url = ""
    if request.param == "redis":
        server: Server = request.getfixturevalue("one_server")
        server.start()
        await server.ask("FLUSHALL")
        url = server.url

    def make() -> Ledger:
        made.append(RedisLedger(url, account="the-key") if url else FileLedger(tmp_path / "run.sqlite"))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def opened(ledgers: Ledgers, destination: str | None = "here", **options: Any) -> Ledger:
    ledger = ledgers()
    await ledger.open(destination, **options)
    return ledger


async def send(ledger: Ledger, key: str, outcome: Outcome, payload: bytes = FIRST) -> None:
    await ledger.enter([(key, payload)])
    assert await ledger.intend([key]) is True
    await ledger.settle([(key, outcome)])


async def test_a_lead_goes_from_pending_to_its_outcome(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    assert await ledger.recall([ADA]) == [None]
    await ledger.enter([(ADA, FIRST)])
    assert await known(ledger) == Entry(Outcome(State.PENDING), FIRST, None)
    assert await ledger.intend([ADA]) is True
    assert await known(ledger) == Entry(Outcome(State.SENDING), FIRST, None)
    assert await ledger.settle([(ADA, OK)]) in (None, True)
    assert await known(ledger) == Entry(OK, FIRST, FIRST)


@pytest.mark.parametrize(
    ("outcome", "acknowledged"),
    [
        (OK, SECOND),
        (Outcome(State.ACCEPTED), SECOND),
        (Outcome(State.REJECTED, "ValidationError", "no such country: é", "610"), FIRST),
        (Outcome(State.RETRY, "ServerError", "busy"), FIRST),
        (LOST, FIRST),
    ],
)
async def test_only_what_was_taken_is_acknowledged(
    ledgers: Ledgers, outcome: Outcome, acknowledged: bytes
) -> None:
    ledger = await opened(ledgers)
    await send(ledger, ADA, OK, FIRST)
    await send(ledger, ADA, outcome, SECOND)
    assert await known(ledger) == Entry(outcome, SECOND, acknowledged)


async def test_entering_again_forgets_what_was_wrong_and_keeps_what_was_taken(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    await send(ledger, ADA, OK)
    await send(ledger, ADA, Outcome(State.REJECTED, "ValidationError", "wrong", "9"), SECOND)
    await ledger.aclose()
    ledger = await opened(ledgers)
    await ledger.enter([(ADA, b"third")])
    assert await known(ledger) == Entry(Outcome(State.PENDING), b"third", FIRST)


async def test_after_an_unknown_outcome_nothing_counts_as_taken(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    await send(ledger, ADA, OK)
    await send(ledger, ADA, LOST, SECOND)
    await ledger.enter([(ADA, FIRST)])
    assert (await known(ledger)).acknowledged is None
    await ledger.intend([ADA])
    await ledger.settle([(ADA, Outcome(State.REJECTED))])
    assert (await known(ledger)).acknowledged is None


async def test_what_was_being_sent_when_the_run_ended_is_unknown(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    await send(ledger, ADA, OK)
    await ledger.enter([(ADA, SECOND), (BEN, FIRST)])
    await ledger.intend([ADA])
    await ledger.aclose()

    ledger = await opened(ledgers)
    assert (await known(ledger)).outcome == Outcome(State.UNKNOWN)
    assert (await known(ledger, BEN)).outcome == Outcome(State.PENDING)
    (unsettled,) = await ledger.unsettled()
    assert unsettled.reason is None
    since = dt.datetime.fromisoformat(unsettled.since)
    assert abs(dt.datetime.now(dt.UTC) - since) < dt.timedelta(minutes=5)
    await ledger.enter([(ADA, SECOND)])
    assert await known(ledger) == Entry(Outcome(State.PENDING), SECOND, None)
    assert await ledger.unsettled() == []


async def test_the_same_run_begun_again_knows_what_was_being_sent(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers, run="the same")
    await ledger.enter([(ADA, FIRST), (BEN, FIRST), (EVE, FIRST)])
    await ledger.intend([ADA, BEN])
    await ledger.settle([(BEN, OK)])
    await ledger.aclose()

    ledger = await opened(ledgers, run="the same")
    states = [entry and entry.outcome.state for entry in await ledger.recall([ADA, BEN, EVE])]
    assert states == [State.UNKNOWN, State.OK, State.PENDING]
    await ledger.enter([(EVE, FIRST)])
    await ledger.intend([EVE])
    await ledger.settle([(EVE, OK)])
    assert await known(ledger, EVE) == Entry(OK, FIRST, FIRST)


async def test_unknown_outcomes_are_listed_until_they_are_settled_by_hand(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    for key in (ADA, BEN, EVE):
        await send(ledger, key, LOST)
    await ledger.aclose()

    ledger = await opened(ledgers, None)
    assert [each.reason for each in await ledger.unsettled()] == ["the answer was lost"] * 3
    await ledger.settle([(ADA, OK), (BEN, Outcome(State.RETRY))])
    assert len(await ledger.unsettled()) == 1
    await ledger.aclose()

    ledger = await opened(ledgers)
    assert await known(ledger, ADA) == Entry(OK, FIRST, FIRST)
    assert (await known(ledger, BEN)).outcome == Outcome(State.RETRY)
    assert (await known(ledger, EVE)).outcome == LOST


async def test_recall_keeps_the_order_of_many(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    keys = [f"{number}@example.test" for number in range(1203)]
    await ledger.enter([(key, key.encode()) for key in keys])
    entries = await ledger.recall([*keys, ADA])
    assert [entry and entry.payload for entry in entries] == [*(key.encode() for key in keys), None]


async def test_order_holds_though_nobody_waits(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    keys = [f"{number}@example.test" for number in range(300)]
    await ledger.enter([(key, FIRST) for key in keys])
    for key in keys:
        ledger.intend([key])
        ledger.settle([(key, OK)])
    await ledger.aclose()
    ledger = await opened(ledgers)
    assert [entry and entry.outcome for entry in await ledger.recall(keys)] == [OK] * 300


async def test_a_note_is_written_though_its_waiter_is_cancelled(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    await ledger.enter([(ADA, FIRST), (BEN, FIRST)])

    async def call(key: str) -> None:
        await ledger.intend([key])
        await ledger.settle([(key, OK)])

    # Cancelled at its first wait, the intent, and at its second, the outcome.
    before, after = asyncio.create_task(call(ADA)), asyncio.create_task(call(BEN))
    await asyncio.sleep(0)
    before.cancel()
    while (await known(ledger, BEN)).outcome.state is State.PENDING:
        await asyncio.sleep(0)
    after.cancel()
    await asyncio.wait([before, after])
    assert before.cancelled()
    await ledger.aclose()
    ledger = await opened(ledgers)
    assert (await known(ledger, ADA)).outcome == Outcome(State.UNKNOWN)


async def test_it_is_for_one_process_at_a_time(ledgers: Ledgers) -> None:
    first = await opened(ledgers)
    with pytest.raises(LedgerError, match="another process is using the ledger: wait until its run ends"):
        await opened(ledgers)
    with pytest.raises(LedgerError, match="another process is using the ledger"):
        await opened(ledgers, None)
    await first.aclose()
    await opened(ledgers)


async def test_it_belongs_to_one_destination(ledgers: Ledgers) -> None:
    await (await opened(ledgers, "here")).aclose()
    with pytest.raises(LedgerError, match="the ledger belongs to here, not to there: name another"):
        await opened(ledgers, "there")
    await (await opened(ledgers, None)).aclose()
    await (await opened(ledgers, "there", reset=True)).aclose()
    with pytest.raises(LedgerError, match="the ledger belongs to there, not to here"):
        await opened(ledgers, "here")


async def test_reset_forgets_everything(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers, run="the same")
    await send(ledger, ADA, OK)
    await send(ledger, BEN, LOST)
    await ledger.note_source("leads.csv", "one")
    await ledger.aclose()
    ledger = await opened(ledgers, run="the same", reset=True)
    assert await ledger.recall([ADA, BEN]) == [None, None]
    assert await ledger.unsettled() == []
    assert await ledger.note_source("leads.csv", "two") is None


async def test_it_tells_another_source(ledgers: Ledgers) -> None:
    ledger = await opened(ledgers)
    assert await ledger.note_source("leads.csv", "one") is None
    assert await ledger.note_source("copy.csv", "one") is False
    assert await ledger.note_source("copy.csv", "two") is True
    assert await ledger.note_source("rows", None) is None
    assert await ledger.note_source("copy.csv", "two") is None
