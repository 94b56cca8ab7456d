"""Orders for chunks of a run, and how a worker carries them out."""

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

from publitrac_async import AuthenticationError, PublitracError, ServerError, ValidationError
from publitrac_async.bulk import ColumnMapping, ErrorBudget, LedgerError, Stop, prepare_lead, read_leads
from publitrac_async.bulk.engines.chunks import ChunkOrder, ChunkWorker, digest_of
from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.bulk.planning import MAYBE_SENT
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.reading import stage
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sources import Chunk, reference_of

from .sinks import RecordingSink, rows

CALLS = 2
KEYS = [row["email"] for row in rows(6)]


# Orders.

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
orders = st.builds(
    ChunkOrder,
    job=texts,
    number=st.integers(0, 10**6),
    source=st.dictionaries(texts, texts | st.none()),
    chunk=st.builds(
        Chunk,
        number=st.integers(1, 10**7),
        line=st.integers(1, 10**7),
        position=st.none() | texts | st.integers(0, 10**12),
        count=st.integers(1, 10**4),
    ),
    left_out=st.lists(st.integers(1, 10**7)).map(tuple),
    digest=texts,
    destination=texts,
    mapping=st.none() | mappings.map(lambda mapping: evolve(mapping, constants={"city": "Lund", "score": 7})),
    budget=st.builds(ErrorBudget, failures=st.integers(0), share=st.floats(0, 1), in_a_row=st.integers(1)),
)


@given(orders)
def test_an_order_survives_its_way(order: ChunkOrder) -> None:
    assert ChunkOrder.from_json(order.to_json()) == order


def payload_of(mapping: ColumnMapping | None, fields: dict[str, Any]) -> bytes | None:
    """What would be sent, if anything."""
    try:
        return Preparer(prepare_lead, mapping)(fields).payload
    except ValidationError:
        return None


ORDER = ChunkOrder(
    job="job",
    number=0,
    source={},
    chunk=Chunk(number=1, line=2, position=None, count=1),
    left_out=(),
    digest="",
    destination="test",
    mapping=None,
    budget=ErrorBudget(share=1),
)


@given(mappings, st.dictionaries(texts, texts, max_size=4))
def test_a_mapping_means_the_same_on_its_way(mapping: ColumnMapping, cells: dict[str, str]) -> None:
    arrived = ChunkOrder.from_json(evolve(ORDER, mapping=mapping).to_json()).mapping
    fields = {**cells, "E-post": "ada@example.com"}
    payload = payload_of(mapping, fields)
    # Rows that are rejected are in no chunk.
    assert payload is None or payload_of(arrived, fields) == payload


@given(st.lists(st.none() | st.binary(min_size=16, max_size=16), max_size=6))
def test_a_digest_tells_rows_from_others(payloads: list[bytes | None]) -> None:
    digest = digest_of(payloads)
    assert digest == digest_of(iter(payloads))
    assert len(digest) == 32
    assert digest_of([*payloads, None]) != digest
    assert digest_of([*payloads, b"1" * 16]) != digest
    if len(set(payloads)) > 1:
        assert digest_of(sorted(payloads, key=repr)) == digest or payloads != sorted(payloads, key=repr)


def test_a_digest_depends_on_the_order() -> None:
    one, two = b"1" * 16, b"2" * 16
    assert (
        len({digest_of(each) for each in ([one, two], [two, one], [one, None, two], [one], [], [None])}) == 6
    )


# Workers.


class Held:
    """A chunk in the hands of a worker."""

    def __init__(self, known: dict[str, Entry] | None = None, *, attempt: int = 1) -> None:
        self.attempt = attempt
        self.known = known or {}
        self.begun: list[str] = []
        self.noted: dict[str, Outcome] = {}
        self.stopped: str | None = None
        self.ended: str | bool | None = False
        self.closed = False
        self.may_begin: Callable[[], bool] = lambda: True
        self.failure: LedgerError | None = None

    def intend(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        allowed = self.may_begin()
        if allowed:
            self.begun += keys
        return self._future(allowed)

    def settle(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[Any]:
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

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        return [self.known.get(key) for key in keys]

    async def stop(self, reason: str) -> None:
        self.stopped = reason

    async def end(self, stopped: str | None = None) -> bool:
        self.ended = stopped
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.closed = True


class Books:
    """A ledger that hands out one chunk."""

    def __init__(self, held: Held | None) -> None:
        self._held = held

    async def take(self, job: str, number: int) -> Held | None:
        assert (job, number) == ("job", 0)
        return self._held


@pytest.fixture
def order(tmp_path: Path) -> ChunkOrder:
    """All rows of a file."""
    path = tmp_path / "leads.csv"
    path.write_text("\n".join(["email", *KEYS]) + "\n")
    source = read_leads(path)
    found = list(source)
    payloads = [stage(number, row, Preparer()).payload for number, row in enumerate(found, 1)]
    chunk = Chunk(number=1, line=2, position=found[0].position, count=len(found))
    return evolve(ORDER, source=reference_of(source), chunk=chunk, digest=digest_of(payloads))


async def carry_out(order: ChunkOrder, held: Held | None, sink: Any, stop: Stop | None = None) -> None:
    worker = ChunkWorker(sink, Books(held), workers=CALLS, stop=stop or Stop())  # type: ignore[arg-type]
    try:
        await worker.carry_out(order)
    finally:
        await worker.aclose()
    assert held is None or held.closed


def entry(state: State) -> Entry:
    return Entry(Outcome(state), b"", None)


async def test_all_rows_of_a_chunk_are_sent_and_noted(order: ChunkOrder) -> None:
    held, sink = Held(), RecordingSink()
    await carry_out(order, held, sink)
    assert sorted(sink.emails) == sorted(held.begun) == KEYS
    assert held.noted == dict.fromkeys(KEYS, Outcome(State.OK))
    assert (held.stopped, held.ended) == (None, None)


async def test_a_chunk_of_a_job_that_is_over_is_nothing_to_do(order: ChunkOrder) -> None:
    sink = RecordingSink()
    await carry_out(evolve(order, source={}), None, sink)
    assert sink.calls == []


async def test_rows_with_an_outcome_are_left_out(order: ChunkOrder) -> None:
    states = (State.ACCEPTED, State.REJECTED, State.RETRY, State.PENDING)
    held, sink = Held(dict(zip(KEYS, map(entry, states), strict=False))), RecordingSink()
    await carry_out(evolve(order, left_out=(6,)), held, sink)
    assert sorted(sink.emails) == [KEYS[2], KEYS[3], KEYS[4]]


@pytest.mark.parametrize("repeatable", [True, False])
async def test_rows_that_a_worker_before_may_have_sent(order: ChunkOrder, repeatable: bool) -> None:
    held, sink = Held({KEYS[1]: entry(State.UNKNOWN)}), RecordingSink(repeatable=repeatable)
    await carry_out(order, held, sink)
    assert (KEYS[1] in sink.emails) is repeatable
    assert held.noted[KEYS[1]] == (Outcome(State.OK) if repeatable else MAYBE_SENT)


async def test_a_chunk_that_is_never_done_ends_the_run(order: ChunkOrder) -> None:
    for attempt, sent in ((20, 6), (21, 0)):
        held, sink = Held(attempt=attempt), RecordingSink()
        await carry_out(order, held, sink)
        assert len(sink.calls) == sent
        assert held.stopped == held.ended
        assert (held.stopped is None) == (sent > 0)
    assert held.stopped is not None
    assert "begun 20 times and never done" in held.stopped


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"destination": "elsewhere"}, "a worker sends to test, not to elsewhere"),
        ({"digest": "0" * 32}, "are not what they were when the run began"),
        ({"chunk": Chunk(number=1, line=2, position=None, count=7)}, "SourceError: rows 1 to 7"),
        ({"source": {"kind": "named", "name": "crm"}}, "SourceError: this process knows no source named crm"),
        ({"mapping": ColumnMapping(columns={"email": "x"})}, "are not what they were when the run began"),
    ],
)
async def test_a_chunk_that_does_not_fit_ends_the_run(
    order: ChunkOrder, change: dict[str, Any], reason: str
) -> None:
    held, sink = Held(), RecordingSink()
    await carry_out(evolve(order, **change), held, sink)
    assert held.stopped is not None
    assert reason in held.stopped
    assert held.ended == held.stopped
    assert sink.calls == held.begun == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (AuthenticationError("refused"), "AuthenticationError: refused"),
        (ServerError("busy"), "2 rows in a row got no usable answer: the service seems to be away"),
    ],
)
async def test_failures_of_the_service_end_the_run(
    order: ChunkOrder, answer: PublitracError, reason: str
) -> None:
    held, sink = Held(), RecordingSink(lambda lead: answer)
    await carry_out(evolve(order, budget=ErrorBudget(in_a_row=2)), held, sink)
    assert held.stopped == held.ended == reason
    assert {each.state for each in held.noted.values()} == {State.RETRY}
    assert len(sink.calls) <= 2 * CALLS


async def test_a_fault_of_the_sink_ends_the_run_and_shows_no_lead(
    order: ChunkOrder, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(lead: Any) -> None:
        raise KeyError(lead.email)

    held = Held()
    await carry_out(order, held, RecordingSink(answer))
    assert held.stopped == held.ended == "KeyError in chunk 0: see the logs of the workers"
    assert "KeyError in chunk 0" in caplog.text
    assert "in answer" in caplog.text
    assert not any(key in caplog.text for key in KEYS)
    assert {each.state for each in held.noted.values()} == {State.UNKNOWN}


async def test_a_ledger_that_does_not_answer_brings_the_chunk_back(order: ChunkOrder) -> None:
    held = Held()
    held.failure = LedgerError("Redis does not answer", retryable=True)
    with pytest.raises(LedgerError, match="does not answer"):
        await carry_out(order, held, RecordingSink())
    assert (held.stopped, held.ended) == (None, False)


async def test_a_chunk_that_was_taken_over_is_left_to_the_other_worker(
    order: ChunkOrder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    held = Held()
    held.failure = LedgerError("another worker has taken over")
    await carry_out(order, held, RecordingSink())
    assert (held.stopped, held.ended) == (None, False)
    assert "another worker has taken over" in caplog.text


async def test_a_chunk_whose_calls_may_not_begin_does_not_end_the_run(order: ChunkOrder) -> None:
    held, sink = Held(), RecordingSink()
    held.may_begin = lambda: len(held.begun) < 3
    await carry_out(order, held, sink)
    assert len(sink.calls) == 3
    assert held.stopped is None
    assert held.ended == "stopped by another process"


async def test_a_worker_that_is_asked_to_end_leaves_its_chunk_to_others(order: ChunkOrder) -> None:
    stop = Stop()
    held, sink = Held(), RecordingSink(lambda lead: None if stop.requested else stop.request())
    with pytest.raises(asyncio.CancelledError):
        await carry_out(order, held, sink, stop)
    # Calls that had begun came to their end.
    assert 0 < len(sink.calls) <= CALLS
    assert len(held.noted) == len(sink.calls)
    assert (held.stopped, held.ended) == (None, False)


def test_nothing_personal_is_in_an_order(order: ChunkOrder) -> None:
    text = order.to_json()
    assert "@" not in text
    assert json.loads(text)["source"]["path"].endswith("leads.csv")
