"""Chunks, and a worker that sends them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import AuthenticationError, Lead, PublitracError, ServerError, ValidationError
from publitrac_async.bulk import (
    ColumnMapping,
    ErrorBudget,
    MappingError,
    Shutdown,
    StateStoreError,
    publitrac_record,
    read_leads,
)
from publitrac_async.bulk.distributed.chunk import Chunk, rows_hash
from publitrac_async.bulk.distributed.ranges import RowRange
from publitrac_async.bulk.distributed.references import reference_of
from publitrac_async.bulk.distributed.worker import ChunkWorker
from publitrac_async.bulk.planning import MAYBE_SENT
from publitrac_async.bulk.rows import Outcome, Row, State
from publitrac_async.bulk.state.base import Entry
from publitrac_async.bulk.state.progress import Failure
from publitrac_async.bulk.transform import RowTransform
from tests.support.sinks import RecordingSink, rows

CALLS = 2
KEYS = [row["email"] for row in rows(6)]


# Tasks.

texts = st.text(max_size=8)
constants = st.dictionaries(
    st.sampled_from(["city", "score", "isCustomer", "dateOfBirth", "carColor", "phone"]),
    texts
    | st.integers()
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.dates()
    | st.datetimes(timezones=st.sampled_from([None, dt.UTC]))
    | st.times(),
)
mappings = st.builds(
    ColumnMapping,
    columns=st.dictionaries(texts, texts, max_size=4).map(lambda columns: {**columns, "email": "E-post"}),
    constants=constants,
    values=st.dictionaries(texts, st.dictionaries(texts, texts | st.integers(), max_size=3), max_size=3),
    other_columns=st.sampled_from(["ignore", "custom"]),
    dates=st.none() | texts,
)
tasks = st.builds(
    Chunk,
    job=texts,
    number=st.integers(0, 10**6),
    source=st.dictionaries(texts, texts | st.none()),
    rows=st.builds(
        RowRange,
        number=st.integers(1, 10**7),
        line=st.integers(1, 10**7),
        position=st.none() | texts | st.integers(0, 10**12),
        count=st.integers(1, 10**4),
    ),
    left_out=st.lists(st.integers(1, 10**7)).map(tuple),
    rows_hash=texts,
    destination=texts,
    mapping=st.none() | mappings.map(lambda mapping: evolve(mapping, constants={"city": "Lund", "score": 7})),
    error_budget=st.builds(
        ErrorBudget, failures=st.integers(0), share=st.floats(0, 1), in_a_row=st.integers(1)
    ),
)


@given(tasks)
def test_a_task_survives_json(task: Chunk) -> None:
    assert Chunk.from_json(task.to_json()) == task


def hash_of(mapping: ColumnMapping | None, fields: dict[str, Any]) -> bytes | None:
    """The record that would be sent, if any."""
    try:
        return RowTransform(publitrac_record, mapping)(Row(1, fields))[0].content_hash
    except (ValidationError, MappingError):
        return None


TASK = Chunk(
    job="job",
    number=0,
    source={},
    rows=RowRange(number=1, line=2, position=None, count=1),
    left_out=(),
    rows_hash="",
    destination="test",
    mapping=None,
    error_budget=ErrorBudget(share=1),
)


@given(mappings, st.dictionaries(texts, texts, max_size=4))
def test_a_mapping_means_the_same_on_its_way(mapping: ColumnMapping, cells: dict[str, str]) -> None:
    arrived = Chunk.from_json(evolve(TASK, mapping=mapping).to_json()).mapping
    fields = {**cells, "E-post": "ada@example.com"}
    content_hash = hash_of(mapping, fields)
    # Rejected rows are in no chunk.
    assert content_hash is None or hash_of(arrived, fields) == content_hash


@given(st.lists(st.none() | st.binary(min_size=16, max_size=16), max_size=6))
def test_the_hash_of_rows_differs_from_that_of_others(hashes: list[bytes | None]) -> None:
    total = rows_hash(hashes)
    assert total == rows_hash(iter(hashes))
    assert len(total) == 32
    assert rows_hash([*hashes, None]) != total
    assert rows_hash([*hashes, b"1" * 16]) != total
    if len(set(hashes)) > 1:
        assert rows_hash(sorted(hashes, key=repr)) == total or hashes != sorted(hashes, key=repr)


def test_the_hash_of_rows_depends_on_their_order() -> None:
    one, two = b"1" * 16, b"2" * 16
    assert (
        len({rows_hash(each) for each in ([one, two], [two, one], [one, None, two], [one], [], [None])}) == 6
    )


# Workers.


class Claim:
    """A worker's claim of a chunk."""

    def __init__(self, known: dict[str, Entry] | None = None, *, attempt: int = 1) -> None:
        self.attempt = attempt
        self.known = known or {}
        self.begun: list[str] = []
        self.noted: dict[str, Outcome] = {}
        self.stopped: str | None = None
        self.ended: str | bool | None = False
        self.closed = False
        self.may_begin: Callable[[], bool] = lambda: True
        self.failure: StateStoreError | None = None

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        allowed = self.may_begin()
        if allowed:
            self.begun += keys
        return self._future(allowed)

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[Any]:
        if self.failure is None:
            self.noted |= dict(leads)
        return self._future(None)

    def _future(self, result: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        if self.failure is None:
            future.set_result(result)
        else:
            future.set_exception(self.failure)
            future.exception()
        return future

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        return [self.known.get(key) for key in keys]

    async def stop(self, reason: str) -> None:
        self.stopped = reason

    async def end(self, stopped: str | None = None, failures: Sequence[Failure] = ()) -> bool:
        self.ended = stopped
        self.failures = failures
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.closed = True


class OneChunk:
    """A state store that issues one chunk."""

    def __init__(self, claim: Claim | None) -> None:
        self._claim = claim
        self.reports = self
        self.messages: dict[int, str] = {}

    async def add_messages(self, job: str, chunk: int, messages: dict[int, str]) -> None:
        assert (job, chunk) == ("job", 0)
        assert self._claim is None or self._claim.ended is False
        self.messages |= messages

    async def claim(self, job: str, number: int) -> Claim | None:
        assert (job, number) == ("job", 0)
        return self._claim


@pytest.fixture
def task(tmp_path: Path) -> Chunk:
    """All rows of a file."""
    path = tmp_path / "leads.csv"
    path.write_text("\n".join(["email", *KEYS]) + "\n")
    source = read_leads(path)
    found = list(source)
    hashes = [RowTransform().stage(number, row).content_hash for number, row in enumerate(found, 1)]
    place = RowRange(number=1, line=2, position=found[0].position, count=len(found))
    return evolve(TASK, source=reference_of(source), rows=place, rows_hash=rows_hash(hashes))


async def execute(
    task: Chunk, claim: Claim | None, sink: Any, shutdown: Shutdown | None = None
) -> dict[int, str]:
    """Execute a task; return the messages that reached the state store."""
    store = OneChunk(claim)
    worker = ChunkWorker(sink, store, concurrency=CALLS, shutdown=shutdown or Shutdown())  # type: ignore[arg-type]
    try:
        await worker.execute(task)
    finally:
        await worker.aclose()
    assert claim is None or claim.closed
    return store.messages


def entry(state: State) -> Entry:
    return Entry(Outcome(state), b"", None)


async def test_all_rows_of_a_chunk_are_sent_and_noted(task: Chunk) -> None:
    claim, sink = Claim(), RecordingSink()
    await execute(task, claim, sink)
    assert sorted(sink.emails) == sorted(claim.begun) == KEYS
    assert claim.noted == dict.fromkeys(KEYS, Outcome(State.OK))
    assert (claim.stopped, claim.ended) == (None, None)


async def test_a_chunk_of_a_job_that_is_over_is_nothing_to_do(task: Chunk) -> None:
    sink = RecordingSink()
    await execute(evolve(task, source={}), None, sink)
    assert sink.calls == []


async def test_rows_with_an_outcome_are_left_out(task: Chunk) -> None:
    states = (State.ACCEPTED, State.REJECTED, State.RETRY, State.PENDING)
    claim, sink = Claim(dict(zip(KEYS, map(entry, states), strict=False))), RecordingSink()
    await execute(evolve(task, left_out=(6,)), claim, sink)
    assert sorted(sink.emails) == [KEYS[2], KEYS[3], KEYS[4]]


async def test_failed_rows_are_reported_with_those_of_a_worker_before(task: Chunk) -> None:
    def refuse(lead: Lead) -> ValidationError | None:
        wrong = lead.email in (KEYS[3], KEYS[4])
        return ValidationError("unusable", vendor_message=f"no {lead.email}") if wrong else None

    claim = Claim({KEYS[0]: entry(State.REJECTED), KEYS[1]: entry(State.OK)}, attempt=2)
    messages = await execute(evolve(task, left_out=(6,)), claim, RecordingSink(refuse))
    assert messages == {4: f"no {KEYS[3]}", 5: f"no {KEYS[4]}"}
    told = {each.outcome.kind: each.lines for each in claim.failures}
    assert told == {None: (2,), "ValidationError": (5, 6)}


@pytest.mark.parametrize("idempotent", [True, False])
async def test_rows_that_a_worker_before_may_have_sent(task: Chunk, idempotent: bool) -> None:
    claim, sink = Claim({KEYS[1]: entry(State.UNKNOWN)}), RecordingSink(idempotent=idempotent)
    await execute(task, claim, sink)
    assert (KEYS[1] in sink.emails) is idempotent
    assert claim.noted[KEYS[1]] == (Outcome(State.OK) if idempotent else MAYBE_SENT)


async def test_a_chunk_that_is_never_done_ends_the_run(task: Chunk) -> None:
    for attempt, sent in ((20, 6), (21, 0)):
        claim, sink = Claim(attempt=attempt), RecordingSink()
        await execute(task, claim, sink)
        assert len(sink.calls) == sent
        assert claim.stopped == claim.ended
        assert (claim.stopped is None) == (sent > 0)
    assert claim.stopped is not None
    assert "started 20 times and never ended" in claim.stopped


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"destination": "elsewhere"}, "a worker sends to test, not to elsewhere"),
        ({"rows_hash": "0" * 32}, "have changed since the start of the run"),
        ({"rows": RowRange(number=1, line=2, position=None, count=7)}, "SourceError: rows 1 to 7"),
        ({"mapping": ColumnMapping(columns={"email": "x"})}, "have changed since the start of the run"),
    ],
)
async def test_a_chunk_that_does_not_fit_ends_the_run(
    task: Chunk, change: dict[str, Any], reason: str
) -> None:
    claim, sink = Claim(), RecordingSink()
    await execute(evolve(task, **change), claim, sink)
    assert claim.stopped is not None
    assert reason in claim.stopped
    assert claim.ended == claim.stopped
    assert sink.calls == claim.begun == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AuthenticationError("refused"), "AuthenticationError: refused"),
        (ServerError("busy"), "2 calls in a row got no usable response: the service appears to be down"),
    ],
)
async def test_failures_of_the_service_end_the_run(task: Chunk, error: PublitracError, reason: str) -> None:
    claim, sink = Claim(), RecordingSink(lambda lead: error)
    await execute(evolve(task, error_budget=ErrorBudget(in_a_row=2)), claim, sink)
    assert claim.stopped == claim.ended == reason
    assert {each.state for each in claim.noted.values()} == {State.RETRY}
    assert len(sink.calls) <= 2 * CALLS


async def test_a_fault_of_the_sink_ends_the_run_and_shows_no_lead(
    task: Chunk, caplog: pytest.LogCaptureFixture
) -> None:
    def respond(lead: Any) -> None:
        raise KeyError(lead.email)

    claim = Claim()
    await execute(task, claim, RecordingSink(respond))
    assert claim.stopped == claim.ended == "KeyError in chunk 0: see the logs of the workers"
    assert "KeyError in chunk 0" in caplog.text
    assert "in respond" in caplog.text
    assert not any(key in caplog.text for key in KEYS)
    assert {each.state for each in claim.noted.values()} == {State.UNKNOWN}


async def test_a_state_store_that_does_not_respond_brings_the_chunk_back(task: Chunk) -> None:
    claim = Claim()
    claim.failure = StateStoreError("Redis does not respond", retryable=True)
    with pytest.raises(StateStoreError, match="does not respond"):
        await execute(task, claim, RecordingSink())
    assert (claim.stopped, claim.ended) == (None, False)


async def test_a_chunk_that_was_taken_over_is_left_to_the_other_worker(
    task: Chunk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    claim = Claim()
    claim.failure = StateStoreError("another worker has taken over")
    await execute(task, claim, RecordingSink())
    assert (claim.stopped, claim.ended) == (None, False)
    assert "another worker has taken over" in caplog.text


async def test_a_chunk_whose_calls_may_not_begin_does_not_end_the_run(task: Chunk) -> None:
    claim, sink = Claim(), RecordingSink()
    claim.may_begin = lambda: len(claim.begun) < 3
    await execute(task, claim, sink)
    assert len(sink.calls) == 3
    assert claim.stopped is None
    assert claim.ended == "stopped by another process"


async def test_a_worker_that_is_asked_to_end_leaves_its_chunk_to_others(task: Chunk) -> None:
    shutdown = Shutdown()
    claim, sink = Claim(), RecordingSink(lambda lead: None if shutdown.requested else shutdown.request())
    await execute(task, claim, sink, shutdown)
    # Calls that had begun were completed.
    assert 0 < len(sink.calls) <= CALLS
    assert len(claim.noted) == len(sink.calls)
    assert (claim.stopped, claim.ended) == (None, False)


def test_nothing_personal_is_in_a_task(task: Chunk) -> None:
    text = task.to_json()
    assert "@" not in text
    assert json.loads(text)["source"]["path"].endswith("leads.csv")
