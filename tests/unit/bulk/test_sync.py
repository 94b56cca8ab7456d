"""A run: rows, outcomes, progress."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import (
    ConfigurationError,
    Conflict,
    Lead,
    NotSent,
    OutcomeUnknown,
    PublitracError,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.bulk import (
    LocalExecutor,
    Monitor,
    Phase,
    Progress,
    Record,
    Resend,
    SourceError,
    State,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.sinks.base import OwnColumns
from tests.support.runs import run
from tests.support.sinks import RaisingSink, RecordingSink, rows


async def test_every_row_is_sent_once() -> None:
    sink = RecordingSink(turns=3)
    report = await run(rows(1000), sink, concurrency=8)
    assert report.ok == 1000
    assert sorted(sink.emails) == sorted(f"lead{number}@example.com" for number in range(1000))
    assert 1 < sink.most_in_flight <= 8
    assert report.exit_code == 0


async def test_any_iterable_of_mappings_and_leads_will_do() -> None:
    async def leads() -> AsyncIterator[Any]:
        for number in range(3):
            yield Lead(email=f"lead{number}@example.com", first_name=None)
        yield {"email": "row@example.com", "carColor": "Red", "is_customer": "1"}

    class Table:
        def __iter__(self) -> Iterator[dict[str, Any]]:
            return iter(rows(3))

    for source, count in [(leads(), 4), (Table(), 3), (iter(rows(3)), 3), (tuple(rows(3)), 3), ([], 0)]:
        sink = RecordingSink()
        report = await run(source, sink)
        assert report.ok == count
    sink = RecordingSink()
    await run(leads(), sink)
    assert [lead for lead in sink.arrived if lead.email == "row@example.com"] == [
        Lead(email="row@example.com", is_customer=True, custom_fields={"carColor": "Red"})
    ]
    # None is not UNSET: it is sent, so it has to survive the staging.
    assert [lead.first_name for lead in sink.arrived if lead.email == "lead0@example.com"] == [None]


async def test_something_else_is_no_source() -> None:
    with pytest.raises(TypeError, match="item 1 of the source is a str"):
        await sync_leads(["lead@example.com"], RecordingSink())
    with pytest.raises(ConfigurationError):
        await sync_leads([], RecordingSink(), concurrency=0)


@pytest.mark.fault("F27")
async def test_the_last_of_duplicates_wins_and_all_are_reported() -> None:
    source = [
        {"email": "a@example.com", "city": "1"},
        {"email": "b@example.com"},
        {"email": "A@Example.com", "city": "3"},
        {"email": "a@example.com", "city": "4"},
        {"email": "a@example.com", "score": "not a number"},
    ]
    sink = RecordingSink()
    report = await run(source, sink)
    assert {lead.email: lead.city for lead in sink.arrived}["a@example.com"] == "4"
    assert len(sink.arrived) == 2
    assert (report.ok, report.skipped, report.duplicates, report.rejected) == (2, 2, 2, 1)
    assert [(each.line, each.superseded_by) for each in report.superseded] == [(1, 4), (3, 4)]


async def test_keys_that_a_state_store_could_take_for_one_are_rejected() -> None:
    class OwnKeys(RecordingSink):
        own_columns = OwnColumns(frozenset({"name"}), {})

        def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[Lead]:
            assert not isinstance(fields, Lead)
            key = fields["name"]
            return Record(key, key.encode(errors="replace"), Lead(email=f"lead{ord(key[-1])}@example.com"))

    sink = OwnKeys()
    keys = ["a", "a\0b", "a\0c", "\ud800", "ø"]
    report = await sync_leads([{"name": key} for key in keys], sink)
    assert [rejection.line for rejection in report.rejections] == [2, 3, 4]
    assert len(sink.arrived) == 2


async def test_rows_that_cannot_be_accepted_are_reported_with_line_code_and_reason() -> None:
    source = [
        {"email": "a@example.com"},
        {"email": "not-an-address"},
        {"email": "c@example.com", "score": "x"},
    ]
    report = await run(source, RecordingSink())
    assert [(each.line, each.code) for each in report.rejections] == [(2, "9002"), (3, "9006")]
    assert report.rejections[0].reason == "email: not an e-mail address: it has no @ (code 9002)"
    assert "not-an-address" not in json.dumps(report.as_dict())
    assert report.exit_code == 3


@pytest.mark.parametrize("kind", [RecordingSink, RaisingSink])
@pytest.mark.parametrize(
    ("error", "state", "store_state"),
    [
        (ValidationError("no"), State.REJECTED, State.REJECTED),
        (Conflict("several"), State.REJECTED, State.REJECTED),
        (OutcomeUnknown("lost"), State.UNKNOWN, State.UNKNOWN),
        (UnexpectedContent("a web page"), State.UNKNOWN, State.UNKNOWN),
        (ServerError("broken", maybe_applied=True), State.UNKNOWN, State.UNKNOWN),
        (NotSent("refused"), State.PENDING, State.RETRY),
        (ServerError("busy"), State.PENDING, State.RETRY),
        (PublitracError("of another kind"), State.UNKNOWN, State.UNKNOWN),
    ],
)
async def test_each_failure_has_its_state(
    kind: type[RecordingSink], error: PublitracError, state: State, store_state: State, tmp_path: Path
) -> None:
    import sqlite3

    sink = kind(lambda lead: error if lead.email == "lead3@example.com" else None)
    report = await run(rows(10), sink, state=tmp_path / "state.sqlite")
    assert report.counts[state] == 1
    assert report.ok == 9
    assert report.errors == {type(error).__name__: 1}
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        found = connection.execute(
            "SELECT state, error FROM leads WHERE key = 'lead3@example.com'"
        ).fetchall()
    connection.close()
    assert found == [(store_state, error.message)]


async def test_options_that_contradict_each_other_are_refused() -> None:
    for options, words in (
        ({"concurrency": 2, "executor": LocalExecutor()}, "concurrency belongs to the executor"),
        ({"reset": True}, "need a state store"),
        ({"resend": Resend(rejected=True)}, "need a state store"),
    ):
        sink = RecordingSink()
        with pytest.raises(ConfigurationError, match=words):
            await sync_leads(rows(1), sink, **options)
        assert sink.calls == []


async def test_batches_are_filled_and_have_an_outcome_for_each_row() -> None:
    sink = RecordingSink(
        lambda lead: Conflict("several") if lead.email == "lead5@example.com" else None, batch_size=300
    )
    report = await run([*rows(1000), *rows(3)], sink, concurrency=2)
    assert (report.ok, report.rejected, report.duplicates) == (999, 1, 3)
    assert sorted(map(len, sink.calls)) == [100, 300, 300, 300]


@pytest.mark.parametrize("count", [1, 100, 450, 500, 950])
async def test_progress_of_reading_is_the_number_of_rows(count: int) -> None:
    seen: list[Progress] = []
    await run(rows(count), RecordingSink(), monitor=Monitor(seen.append))
    read = [progress for progress in seen if progress.phase == Phase.READING]
    assert (read[-1].done, read[-1].total) == (count, count)


async def test_progress_tells_every_phase_and_adds_up() -> None:
    seen: list[Progress] = []
    report = await run([*rows(20), {"email": "x"}], RecordingSink(), monitor=Monitor(seen.append))
    assert [each.phase for each in seen if each.done == 0] == ["reading", "sending"]
    assert seen[-1].phase == "finished"
    assert seen[-1].counts == report.counts
    sending = [each for each in seen if each.phase == "sending"]
    assert sending[0].total == 20
    assert sending[-1].done == 20


async def test_a_table_without_email_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("E-post%Förnamn\na@example.com%Ada\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"no column email; it has E-post%Förnamn.*delimiter"):
        await sync_leads(read_leads(path), RecordingSink())
    path.write_text("name\nAda\n", encoding="utf-8")
    with pytest.raises(SourceError, match="no column email"):
        await sync_leads(read_leads(path), RecordingSink())


async def test_a_slow_loop_gets_its_turn_while_rows_are_read() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    await run(rows(2000), RecordingSink(), concurrency=1)
    task.cancel()
    assert turns > 2000
