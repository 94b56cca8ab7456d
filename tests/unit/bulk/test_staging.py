"""Staging: rows are kept in blocks, and found again one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from publitrac_async.bulk.rows import Block, Outcome, StagedRow, State
from publitrac_async.bulk.staging import BLOCK, PAGE, Staging

COUNT = 2 * PAGE + 250


def staged(number: int, key: str | None = None) -> StagedRow:
    return StagedRow(
        number=number,
        line=f"a.csv:{number + 1}",
        position=number * 10,
        fields={"number": number},
        key=key or f"lead{number}@example.com",
        content_hash=b"%016d" % number,
        content=b"%d" % number,
    )


def block(rows: Sequence[StagedRow]) -> Block:
    return Block(
        first=rows[0].number,
        lines=[row.line for row in rows],
        positions=[row.position for row in rows],
        fields=[row.fields for row in rows],
        keys=[row.key for row in rows],
        content_hashes=[row.content_hash for row in rows],
        contents=[row.content for row in rows],
        rejected=[(row.number, row.outcome) for row in rows if row.outcome.state is State.REJECTED],
    )


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    staging = Staging()
    await staging.open()
    rows = [staged(number) for number in range(1, COUNT + 1)]
    rows[3] = staged(4, rows[COUNT - 1].key)
    rows[6].outcome = Outcome(State.REJECTED, "ValidationError", "no address")
    rows[6].key = None
    blocks = [block(rows[start : start + BLOCK]) for start in range(0, COUNT, BLOCK)]
    await staging.add(blocks[:7])
    await staging.add(blocks[7:])
    yield staging
    await staging.aclose()


async def sent(staging: Staging) -> list[StagedRow]:
    rows: list[StagedRow] = []
    while page := await staging.pending(rows[-1].number if rows else 0):
        rows += page
    return rows


async def test_each_row_has_its_own_content(staging: Staging) -> None:
    await staging.skip_superseded()
    rows = await sent(staging)
    assert [row.number for row in rows] == [each for each in range(1, COUNT + 1) if each not in (4, 7)]
    assert all(row.content == b"%d" % row.number for row in rows)
    planned = [each async for page in staging.pending_keys() for each in page]
    assert planned == [(row.number, row.key, b"%016d" % row.number) for row in rows]


async def test_rows_far_apart(staging: Staging) -> None:
    wanted = {2, 3, PAGE, PAGE + 1, COUNT}
    done = Outcome(State.OK)
    staging.set_outcomes((number, done) for number in range(1, COUNT + 1) if number not in wanted)
    assert {(row.number, row.content) for row in await sent(staging)} == {(n, b"%d" % n) for n in wanted}
    left = [row async for page in staging.in_states(State.PENDING) for row in page]
    assert [(row.number, row.line, row.fields) for row in left] == [
        (number, f"a.csv:{number + 1}", {"number": number}) for number in sorted(wanted)
    ]


async def test_a_replaced_row(staging: Staging) -> None:
    again = staged(PAGE + 5)
    again.content, again.content_hash, again.opt_outs = b"new", b"n" * 16, ("unsubscribed",)
    await staging.replace(again)
    assert {row.content for row in await sent(staging) if row.number == PAGE + 5} == {b"new"}
    (row,) = await staging.between(PAGE + 5, PAGE + 5)
    assert (row.content_hash, row.opt_outs, row.position) == (b"n" * 16, ("unsubscribed",), PAGE * 10 + 50)


async def test_the_last_outcome_of_a_row_counts(staging: Staging) -> None:
    unknown = Outcome(State.UNKNOWN)
    staging.set_outcomes([(1, unknown), (2, Outcome(State.OK))])
    staging.set_outcomes([(2, unknown)])
    assert (await staging.counts())[State.UNKNOWN] == 2


async def test_lines_in_reports(staging: Staging) -> None:
    await staging.skip_superseded()
    count, (row,) = await staging.superseded(10)
    assert (count, row.line, row.outcome.reason) == (
        1,
        "a.csv:5",
        f"superseded by line a.csv:{COUNT + 1}",
    )
    assert await staging.reasons(10) == [(State.REJECTED, "no address", 1, ("a.csv:8",))]
