"""Progress of a run as an observer sees it: each row is counted once, whatever happens to workers."""

from __future__ import annotations

import pytest

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.progress import Failure, RunProgress, failures_of
from publitrac_async.bulk.state.redis import progress as redis_progress
from tests.support.redis_stores import ADA, BEN, EVE, OK, Stores, job, job_of

REJECTED = Outcome(State.REJECTED, "ValidationError", "email: is unusable", "1004")
RETRY = Outcome(State.RETRY, "ServerError", "HTTP 503")
LOST = Outcome(State.UNKNOWN, "OutcomeUnknown", "the response was lost")


async def seen(stores: Stores) -> RunProgress:
    found = await stores().progress()
    assert found is not None
    return found


async def test_a_state_store_without_a_run_has_no_progress(stores: Stores) -> None:
    assert await stores().progress() is None
    assert await stores().names() == []


async def test_rows_are_queued_then_in_flight_then_have_an_outcome(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN, EVE)
    assert (await seen(stores)).phase == "reading"
    await opener.note_rows(3, [Failure(REJECTED, (7, 9))])
    found = await seen(stores)
    assert (found.run, found.phase, found.starter_alive) == (opener.job, "sending", True)
    assert (found.rows, found.queued, found.in_flight, found.refused, found.failed) == (3, 3, 0, 2, 2)
    chunk = await stores().claim(job_of(opener), 0)
    assert chunk is not None
    async with chunk:
        await chunk.begin([ADA, BEN])
        found = await seen(stores)
        assert (found.queued, found.in_flight, found.claimed_chunks) == (1, 2, 1)
        await chunk.complete([(ADA, OK), (BEN, RETRY)])
        found = await seen(stores)
        assert (found.in_flight, found.counts) == (0, {State.OK: 1, State.RETRY: 1})
        await chunk.begin([BEN])
        await chunk.complete([(BEN, REJECTED)])
        # The response to a script may be lost: the script runs once more.
        await chunk.complete([(BEN, REJECTED)])
        assert (await seen(stores)).counts == {State.OK: 1, State.REJECTED: 1}
        await chunk.end(failures=[Failure(REJECTED, (3,))])
    failures = [each async for each in stores().failures()]
    assert sorted(each.lines for each in failures) == [(3,), (7, 9)]
    assert {each.outcome for each in failures} == {REJECTED}


async def test_rows_of_a_killed_worker_are_unknown_until_another_sends_them(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN)
    await opener.note_rows(2, [])
    killed = await stores().claim(job_of(opener), 0)
    assert killed is not None
    await killed.begin([ADA])
    chunk = await stores().claim(job_of(opener), 0)
    assert chunk is not None
    async with chunk:
        await chunk.lookup([ADA, BEN])
        found = await seen(stores)
        assert (found.in_flight, found.counts) == (0, {State.UNKNOWN: 1})
        await chunk.begin([ADA, BEN])
        await chunk.complete([(ADA, OK), (BEN, OK)])
        await chunk.end()
    found = await seen(stores)
    assert (found.counts, found.queued, found.in_flight, found.failed) == ({State.OK: 2}, 0, 0, 0)
    await killed.aclose()


async def test_the_last_run_is_there_until_the_next_one_begins(stores: Stores) -> None:
    opener = await job(stores, ADA)
    await opener.note_rows(1, [Failure(REJECTED, (2,))])
    first = opener.job
    await opener.finish()
    await opener.aclose()
    found = await seen(stores)
    assert (found.run, found.phase, found.ended is None, found.failed) == (first, "ended", False, 1)
    opener = await job(stores, ADA)
    found = await seen(stores)
    assert (found.run, found.phase, found.failed) == (opener.job, "reading", 0)
    assert [each async for each in stores().failures()] == []


async def test_failed_rows_of_a_chunk_are_those_of_its_last_worker(stores: Stores) -> None:
    opener = await job(stores, ADA)
    for failures in ([Failure(RETRY, (2,))], []):
        chunk = await stores().claim(job_of(opener), 0)
        assert chunk is not None
        async with chunk:
            assert await chunk.end(failures=failures)
        assert [each async for each in stores().failures()] == failures


def test_only_failures_are_listed_as_failed_rows() -> None:
    skipped, pending = Outcome(State.SKIPPED), Outcome(State.PENDING)
    rows = [*enumerate([OK, skipped, pending, REJECTED, LOST, REJECTED], 2)]
    assert failures_of(rows) == [Failure(REJECTED, (5, 7)), Failure(LOST, (6,))]


async def test_a_stopped_run_has_a_reason_and_a_run_without_its_process_is_left(stores: Stores) -> None:
    opener = await job(stores, ADA)
    await opener.note_rows(1, [])
    await opener.aclose()
    assert (await seen(stores)).phase == "abandoned"
    chunk = await stores().claim((await seen(stores)).run, 0)
    assert chunk is not None
    async with chunk:
        found = await seen(stores)
        assert (found.phase, found.starter_alive) == ("sending", False)
        await chunk.stop("credentials were rejected")
    found = await seen(stores)
    assert (found.phase, found.stopped) == ("stopped", "credentials were rejected")


async def test_a_run_of_one_process_is_counted_too(stores: Stores) -> None:
    opener = await job(stores, ADA, BEN)
    await opener.begin([ADA])
    await opener.complete([(ADA, LOST)])
    found = await seen(stores)
    assert (found.rows, found.queued, found.phase) == (None, None, "sending")
    assert found.counts == {State.UNKNOWN: 1}
    await opener.aclose()
    assert (await seen(stores)).phase == "ended"


@pytest.mark.parametrize(
    ("now", "rate"), [(1005.0, 50 / 5), (1012.0, 50 / 12), (1021.0, 0.0), (1019.9, 50 / 19.9)]
)
def test_the_rate_is_that_of_the_last_seconds(now: float, rate: float) -> None:
    found = {"begun": "900", "sending_since": "1000", "slice": "100", "slice_rows": "50", "rows_before": "0"}
    assert redis_progress._rate(found, now) == pytest.approx(rate)


def test_the_rate_spans_two_slices() -> None:
    found = {"begun": "900", "sending_since": "950", "slice": "100", "slice_rows": "50", "rows_before": "300"}
    assert redis_progress._rate(found, 1004.0) == pytest.approx(350 / 14)


@pytest.mark.parametrize(("key", "field"), [("progress", "rows"), ("failures", "0")])
async def test_a_damaged_value_is_an_error_with_a_name(stores: Stores, key: str, field: str) -> None:
    await job(stores, ADA)
    await stores.server.ask("HSET", stores.key(key), field, "{nonsense")

    async def look() -> None:
        await stores().progress()
        assert [_ async for _ in stores().failures()]

    with pytest.raises(StateStoreError):
        await look()
