"""Sources that other processes open again, and the chunks that they read of them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict

from publitrac_async.bulk import NamedSource, Row, SourceError, read_leads, read_sql
from publitrac_async.bulk.distributed.ranges import RangeReader, RowRange
from publitrac_async.bulk.distributed.references import open_source, reference_of
from publitrac_async.bulk.rows import as_row
from publitrac_async.bulk.sources import FORMATS
from publitrac_async.models import Lead
from tests.support.sources import workbook


def through_json(value: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(value))


async def rows_of(source: Any) -> list[Row]:
    items = [item async for item in source] if hasattr(source, "__aiter__") else list(source)
    return [as_row(item, number) for number, item in enumerate(items, 1)]


def cut(rows: list[Row], size: int) -> list[RowRange]:
    return [
        RowRange(
            **through_json(
                asdict(
                    RowRange(
                        number=at + 1,
                        line=rows[at].line,
                        position=rows[at].position,
                        count=len(rows[at : at + size]),
                    )
                )
            )
        )
        for at in range(0, len(rows), size)
    ]


def write_parquet(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra parquet")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i AS n FROM range(7) t(i)) TO '{path}' (FORMAT parquet)")


def write_workbook(path: Path) -> None:
    pytest.importorskip("python_calamine", reason="needs the extra xlsx")
    path.write_bytes(workbook())


LINES = "".join(f"lead{n}@x.io;G\u00f6teborg\n" for n in range(7))
FILES = [
    ("a.csv", {"delimiter": ";"}, lambda p: p.write_text("email;city\n" + LINES, "utf-8")),
    (
        "a.tsv",
        {"encoding": "cp1252"},
        lambda p: p.write_bytes(b"email\tcity\n" + b"a@x.io\tG\xf6teborg\n" * 3),
    ),
    (
        "a.txt",
        {"encoding": "utf-16", "delimiter": ";"},
        lambda p: p.write_text("email;city\n" + LINES, "utf-16"),
    ),
    ("a.jsonl", {}, lambda p: p.write_text('{"email": "a@x.io"}\n\n' * 5)),
    ("a.xlsx", {}, write_workbook),
    ("a.xlsx", {"sheet": "Two"}, write_workbook),
    ("a.parquet", {}, write_parquet),
]


def test_every_kind_of_file_is_among_them() -> None:
    tested = {FORMATS[name.partition(".")[2]].kind for name, _, _ in FILES}
    assert tested == {each.kind for each in FORMATS.values()}


@pytest.mark.parametrize(("name", "options", "make"), FILES)
@pytest.mark.parametrize("backwards", [False, True])
async def test_files_are_opened_again_by_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: Any, make: Any, backwards: bool
) -> None:
    make(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    here = read_leads(name, **options)
    reference = through_json(reference_of(here))
    assert reference["path"] == str(tmp_path / name)
    rows = list(here)
    chunks = cut(rows, 2)[:: -1 if backwards else 1]
    monkeypatch.chdir("/")
    there = open_source(reference)
    assert type(there) is type(here)
    reader = RangeReader(there)
    read = {chunk.number: await reader.read(chunk) for chunk in chunks}
    await reader.aclose()
    assert [row for number in sorted(read) for row in read[number]] == rows
    assert len(read) == len(chunks) > 0


async def test_another_process_reads_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("email,notes\n" + 'a@x.io,"\u00e5\n\n"\n' * 5, "utf-8")
    source = read_leads(path)
    rows = list(source)
    chunk = cut(rows, 3)[1]
    program = """
        import asyncio, json, sys
        from publitrac_async.bulk.distributed.ranges import RangeReader, RowRange
        from publitrac_async.bulk.distributed.references import open_source
        reference, chunk = json.loads(sys.argv[1])
        rows = asyncio.run(RangeReader(open_source(reference)).read(RowRange(**chunk)))
        print(json.dumps([[row.line, row.fields] for row in rows]))
    """
    arguments = json.dumps([reference_of(source), asdict(chunk)])
    response = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), arguments],
        capture_output=True,
        check=True,
        cwd=Path.cwd(),
    )
    assert json.loads(response.stdout) == [[row.line, row.fields] for row in rows[3:]]


def test_the_error_about_other_sources_names_those_that_can_be_reopened(tmp_path: Path) -> None:
    async def awaited() -> AsyncIterator[dict[str, str]]:
        yield {}

    for source in (
        [{"email": "a@x.io"}],
        iter([]),
        awaited(),
        sys.stdin,
        read_sql(lambda: None, "", key="id"),
    ):
        with pytest.raises(
            SourceError, match=f"cannot open a {type(source).__name__}: use read_leads .*NamedSource"
        ):
            reference_of(source)
    with pytest.raises(SourceError, match=r"a\.csv is not a file"):
        reference_of(read_leads(tmp_path / "a.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SourceError, match=r"folder\.csv is not a file"):
        reference_of(read_leads(tmp_path / "folder.csv"))


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"kind": "named", "name": 3},
        {"kind": "tape", "path": "/a.tape"},
        {"kind": "delimited", "path": "/a.csv"},
        {"kind": "delimited", "path": "/a.csv", "encoding": 5, "delimiter": ","},
        {"kind": "parquet", "path": "/a.parquet", "columns": 5},
    ],
)
def test_references_that_are_not_understood_are_refused(reference: dict[str, Any]) -> None:
    if reference.get("kind") == "parquet":
        pytest.importorskip("duckdb", reason="needs the extra parquet")
    with pytest.raises(SourceError, match="is invalid"):
        open_source(reference)


def test_a_name_that_a_process_does_not_know() -> None:
    reference = through_json(reference_of(NamedSource("crm", list)))
    assert reference == {"kind": "named", "name": "crm"}
    with pytest.raises(SourceError, match="has no source named crm: start the worker with it"):
        open_source(reference, {"shop": list})
    with pytest.raises(ValueError, match="Length of 'name'"):
        NamedSource("", list)


class Source:
    """Counts the reads from its start, and their lengths."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.begun = self.read = self.ended = 0

    def plain(self) -> Iterator[Any]:
        self.begun += 1
        for number in range(1, self.count + 1):
            self.read += 1
            yield Lead(email=f"lead{number}@x.io") if number % 2 else {"email": f"lead{number}@x.io"}

    async def awaited(self) -> AsyncIterator[Any]:
        try:
            for item in self.plain():
                yield item
        finally:
            self.ended += 1


@pytest.mark.parametrize("kind", ["plain", "awaited"])
async def test_sources_without_positions_are_read_once_if_chunks_ascend(kind: str) -> None:
    counts = Source(250)
    open_ = getattr(counts, kind)
    rows = await rows_of(NamedSource("crm", open_))
    assert [row.line for row in rows] == [*range(1, 251)]
    chunks = cut(rows, 30)
    reader = RangeReader(open_source(reference_of(NamedSource("crm", open_)), {"crm": open_}))
    counts.begun = counts.read = counts.ended = 0
    assert await reader.read(chunks[1]) == rows[30:60]
    assert await reader.read(chunks[2]) == rows[60:90]
    assert await reader.read(chunks[7]) == rows[210:240]
    assert (counts.begun, counts.read) == (1, 240)
    assert await reader.read(chunks[0]) == rows[:30]
    assert (counts.begun, counts.read) == (2, 270)
    await reader.aclose()
    assert counts.ended == (2 if kind == "awaited" else 0)


async def test_sources_that_are_named_and_seekable_are_read_from_positions(tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT)")
        connection.executemany(
            "INSERT INTO customers VALUES (?, ?)", [(n * 5, f"{n}@x.io") for n in range(1, 41)]
        )
    connection.close()
    statements: list[str] = []

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.set_trace_callback(statements.append)
        return connection

    def crm() -> Any:
        query = "SELECT id, email FROM customers WHERE id > :after ORDER BY id LIMIT :limit"
        return read_sql(connect, query, key="id", page_size=10)

    source = NamedSource("crm", crm)
    rows = await rows_of(source)
    assert len(rows) == 40
    chunks = cut(rows, 7)
    statements.clear()
    reader = RangeReader(open_source(reference_of(source), {"crm": crm}))
    assert await reader.read(chunks[3]) == rows[21:28]
    assert await reader.read(chunks[1]) == rows[7:14]
    assert [each.partition(" WHERE ")[2] for each in statements] == [
        "id > 105 ORDER BY id LIMIT 7",
        "id > 35 ORDER BY id LIMIT 7",
    ]


async def test_rows_that_are_not_where_they_were_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("email\n" + "a@x.io\n" * 6)
    first, second = cut(list(read_leads(path)), 3)
    reader = RangeReader(open_source(reference_of(read_leads(path))))
    path.write_text("email\n" + "a@x.io\n" * 5)
    assert len(await reader.read(first)) == 3
    with pytest.raises(SourceError, match="rows 4 to 6 have moved"):
        await reader.read(second)
    path.write_text("email\n" + "a@x.io\n" * 3 + "\n\n" + "a@x.io\n" * 3)
    with pytest.raises(SourceError, match="rows 4 to 6 have moved"):
        await reader.read(second)
    items: list[dict[str, str]] = [{"email": "a@x.io"}] * 4
    unplaced = RangeReader(NamedSource("crm", lambda: items))
    assert len(await unplaced.read(RowRange(number=1, line=1, position=None, count=3))) == 3
    for _ in range(2):
        with pytest.raises(SourceError, match="rows 4 to 6"):
            await unplaced.read(RowRange(number=4, line=4, position=None, count=3))


async def test_a_reading_that_failed_is_begun_again() -> None:
    broken = [True]

    async def flaky() -> AsyncIterator[dict[str, str]]:
        for number in range(1, 5):
            if number == 3 and broken:
                broken.pop()
                raise SourceError("the connection is gone")
            yield {"email": f"lead{number}@x.io"}

    reader = RangeReader(NamedSource("crm", flaky))
    chunk = RowRange(number=3, line=3, position=None, count=2)
    with pytest.raises(SourceError, match="connection is gone"):
        await reader.read(chunk)
    assert [row.fields["email"] for row in await reader.read(chunk)] == ["lead3@x.io", "lead4@x.io"]


async def test_positions_of_another_source_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """A named source that chains files yields their rows, with the positions in the files."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("email\n" + f"{name}@x.io\n" * 3)

    def both() -> Iterator[Row]:
        yield from read_leads(tmp_path / "a.csv")
        yield from read_leads(tmp_path / "b.csv")

    rows = await rows_of(NamedSource("both", both))
    reader = RangeReader(NamedSource("both", both))
    for chunk, expected in zip(cut(rows, 2), (rows[:2], rows[2:4], rows[4:]), strict=True):
        assert chunk.position is not None
        assert await reader.read(chunk) == expected
