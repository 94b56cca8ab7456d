"""Packed files, pipes, standard input, several files, JSON arrays, and Parquet with time zones."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import random
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.bulk import SourceError, dry_run, read_leads, sync_leads
from publitrac_async.bulk.distributed.ranges import RangeReader
from publitrac_async.bulk.distributed.references import open_source, reference_of
from publitrac_async.bulk.sources import spool
from publitrac_async.bulk.transform import RowTransform
from tests.support.runs import run
from tests.support.sinks import RecordingSink

from .test_source_references import cut, through_json

TABLE = b"email,city\na@example.com,Lund\nb@example.com,\xc3\x85re\n"
ROWS = [{"email": "a@example.com", "city": "Lund"}, {"email": "b@example.com", "city": "Åre"}]


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fields_of(source: Any, **options: Any) -> list[Any]:
    return [row.fields for row in read_leads(source, **options)]


def test_gzip_files_are_read_whatever_their_name(tmp_path: Path) -> None:
    assert fields_of(write(tmp_path / "a.csv.gz", gzip.compress(TABLE))) == ROWS
    assert fields_of(write(tmp_path / "a.csv", gzip.compress(TABLE))) == ROWS
    lines = "\n".join(map(json.dumps, ROWS)).encode()
    assert fields_of(write(tmp_path / "a.jsonl.gz", gzip.compress(lines))) == ROWS
    wide = gzip.compress(TABLE.decode().encode("utf-16"))
    assert fields_of(write(tmp_path / "wide.csv.gz", wide)) == ROWS
    twice = gzip.compress(TABLE) + gzip.compress(b"c@example.com,Ume\n")
    assert len(fields_of(write(tmp_path / "twice.csv.gz", twice))) == 3
    with pytest.raises(SourceError, match="only text and JSON"):
        read_leads(tmp_path / "a.xlsx.gz")


async def test_chunks_of_a_gzip_file_are_read_by_another_process(tmp_path: Path) -> None:
    source = read_leads(write(tmp_path / "a.csv.gz", gzip.compress(TABLE)))
    rows = list(source)
    reader = RangeReader(open_source(through_json(reference_of(source))))
    assert [row for chunk in cut(rows, 1)[::-1] for row in await reader.read(chunk)] == rows[::-1]


@pytest.mark.parametrize(
    "content",
    [gzip.compress(TABLE)[:-9], gzip.compress(TABLE)[:20] + b"x" * 40],
    ids=["cut", "damaged"],  # the bytes contain the time
)
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"a\.csv\.gz is a damaged gzip file"):
        fields_of(write(tmp_path / "a.csv.gz", content))


def test_a_gzip_file_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_SMALL", 1024)
    path = write(tmp_path / "a.csv.gz", gzip.compress(b"email\n" + b"\n" * 2_000_000))
    with pytest.raises(SourceError, match="unpacks to over 200 times its size"):
        fields_of(path)


def test_a_large_gzip_file_that_packs_as_text_does_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_SMALL", 1024)
    monkeypatch.setattr(spool, "_MAX_RATIO", 4)
    notes = random.Random(1).randbytes(500_000).hex()
    lines = [f"a{at}@example.com,{notes[at : at + 100]}\n" for at in range(0, len(notes), 100)]
    path = write(tmp_path / "a.csv.gz", gzip.compress(("email,notes\n" + "".join(lines)).encode()))
    assert len(fields_of(path)) == 10_000


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("publitrac_async.bulk.sources.lines._LONGEST_LINE", 100_000)
    for codec in ("utf-8", "utf-16"):
        path = write(tmp_path / "a.csv", ("email\n" + "x" * 200_000).encode(codec))
        with pytest.raises(SourceError, match="not a file of leads"):
            fields_of(path)


def test_standard_input_needs_a_format_and_is_read_from_any_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="standard input has no suffix"):
        read_leads("-")
    for content in (TABLE, gzip.compress(TABLE)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        source: Any = read_leads("-", format="csv")
        rows = list(source)
        assert ([row.fields for row in rows], source.name) == (ROWS, "standard input")
        assert list(source.rows_from(rows[1].position, rows[1].line, 5)) == rows[1:]
        assert len(source.source_hash()) == 32
        with pytest.raises(SourceError, match="standard input"):
            reference_of(source)
    with pytest.raises(SourceError, match="only text can be read"):
        fields_of("-", format="parquet")


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(TABLE,))
    writer.start()
    source = read_leads(path, format="csv")
    assert [row.fields for row in source] == [row.fields for row in source] == ROWS
    writer.join()


def test_a_format_takes_the_place_of_the_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "export.dat", TABLE)
    assert fields_of(path, format="csv") == ROWS
    with pytest.raises(SourceError, match="name the format"):
        read_leads(path)


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "a workbook or ZIP"), (b"\xd0\xcf\x11\xe0", "an old workbook"), (b"%PDF-1", "a PDF")],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, start: bytes, kind: str) -> None:
    for name in ("a.csv", "a.jsonl"):
        with pytest.raises(SourceError, match=f"{name} is {kind}.*, not text"):
            fields_of(write(tmp_path / name, start + b"\0" * 90))


async def test_several_files_are_one_run_and_each_row_names_its_file(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", TABLE)
    two = write(tmp_path / "two.csv", "company;E-mail\nNavy;c@example.com\nX;no address\nX;B@example.com\n")
    three = write(tmp_path / "three.jsonl", '{"email": "d@example.com", "unsubscribed": 1}\n')
    sink = RecordingSink()
    report = await run(read_leads([one, two, three]), sink, results_dir=tmp_path / "results")
    assert report.source == "3 files (one.csv, two.csv, three.jsonl)"
    assert sink.emails == ["a@example.com", "c@example.com", "B@example.com", "d@example.com"]
    assert [each.line for each in report.rejections] == ["two.csv:3"]
    assert [(each.line, each.superseded_by) for each in report.superseded] == [("one.csv:3", "two.csv:4")]
    assert [each.lines for each in report.reasons] == [("two.csv:3",)]
    assert report.as_dict()["rejections"][0]["line"] == "two.csv:3"


async def test_tables_with_other_columns_go_into_one_result_file(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", TABLE)
    two = write(tmp_path / "two.csv", "company;email\nNavy;c@example.com\n")
    await run(read_leads([one, two]), RecordingSink(), results_dir=tmp_path / "results")
    assert fields_of(tmp_path / "results" / "latest" / "done.csv") == [
        {**ROWS[0], "company": ""},
        {**ROWS[1], "company": ""},
        {"email": "c@example.com", "city": "", "company": "Navy"},
    ]


async def test_every_file_of_several_is_checked(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", TABLE)
    for content, complaint in (
        ("foo\nx\n", r"two\.csv has no column email"),
        ("foo\n", r"two\.csv has no column email"),
        ("", r"two\.csv is empty"),
        ("email\n", r"two\.csv: no rows"),
    ):
        two = write(tmp_path / "two.csv", content)
        sink = RecordingSink()
        with pytest.raises(SourceError, match=complaint):
            await run(read_leads([one, two]), sink)
        assert sink.calls == []
    assert (await run(read_leads([one, two]), RecordingSink(), min_rows=0)).rows == 2
    with pytest.raises(SourceError, match="the same file is given twice"):
        read_leads([one, one])


async def test_chunks_of_several_files_are_read_by_another_process(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [
        write(tmp_path / "one.csv", TABLE),
        write(tmp_path / "b" / "one.csv", "email\n" + "".join(f"u{n}@example.com\n" for n in range(5))),
        write(tmp_path / "array.json", json.dumps(ROWS)),
    ]
    source = read_leads(paths)
    rows = list(source)
    assert [row.line for row in rows[1:3]] == [f"{paths[0]}:3", f"{paths[1]}:2"]
    reader = RangeReader(open_source(through_json(reference_of(source))))
    read = [row for chunk in cut(rows, 2) for row in await reader.read(chunk)]
    assert [(row.line, row.fields) for row in read] == [(row.line, row.fields) for row in rows]
    assert source.source_hash() == open_source(reference_of(source)).source_hash()  # type: ignore[union-attr]
    # Of two rows with the same address the last counts, so another order is another content.
    assert source.source_hash() != read_leads(paths[::-1]).source_hash()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz"])
def test_json_arrays_are_read_element_by_element(tmp_path: Path, indent: int | None, name: str) -> None:
    rows = [{"email": f"u{n}@example.com", "notes": "Å]},[" * 9, "n": n} for n in range(3000)]
    content = json.dumps([*rows, 12, None], indent=indent, ensure_ascii=False).encode("utf-8-sig")
    read = list(read_leads(write(tmp_path / name, gzip.compress(content) if "gz" in name else content)))
    assert [row.fields for row in read[:3000]] == rows
    assert [(row.line, row.problem) for row in read[2999:]] == [
        (3000, None),
        (3001, "not a JSON object"),
        (3002, "not a JSON object"),
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[{"email": "a@example.com"}', "element 2: it ends early"),
        ('[{"email": "a@example.com"},]', "element 2: not JSON"),
        ('[{"email": "a@example.com"} {}]', "element 2: , is missing"),
        ('[{"email": "a@exa', "element 1: not JSON"),
        ("[{" * 100_000, "element 1: not JSON"),
        ('{"leads": [{"email": "a@example.com"}]}', "extract the array leads"),
        ('{\n "email": "a@example.com"\n}', "neither an array of objects"),
    ],
)
def test_a_malformed_array_is_refused_with_its_place(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        fields_of(write(tmp_path / "a.json", content))


def test_an_empty_array_has_no_rows_and_wrong_characters_cost_their_row(tmp_path: Path) -> None:
    assert fields_of(write(tmp_path / "a.json", " [ ]\n")) == []
    content = b'[{"email": "a@example.com", "city": "\xc5re"}, {"email": "b@example.com"}]'
    rows = list(read_leads(write(tmp_path / "a.json", content)))
    assert [row.problem is None for row in rows] == [False, True]


async def test_a_parquet_file_without_rows_has_columns_all_the_same(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra parquet")
    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT '' AS email WHERE false) TO '{path}' (FORMAT parquet)")
    with pytest.raises(SourceError, match=r"a\.parquet has 0 rows"):
        await sync_leads(read_leads(path), RecordingSink())


def test_times_with_a_zone_of_parquet_keep_the_day_that_was_meant(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra parquet")
    path = tmp_path / "a.parquet"
    noted = '{"columns": [{"name": "birth", "metadata": {"timezone": "Europe/Stockholm"}}, {"name": null}]}'
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'a@example.com' AS email, TIMESTAMPTZ '1980-05-12 00:00:00+02' AS birth,"
            " TIMESTAMPTZ '2020-01-31 10:00:00+00' AS seen, NULL::TIMESTAMPTZ AS never)"
            f" TO '{path}' (FORMAT parquet, KV_METADATA {{pandas: '{noted}'}})"
        )
    (row,) = read_leads(path)
    assert isinstance(row.fields, dict)
    assert row.fields["birth"].isoformat() == "1980-05-12T00:00:00+02:00"
    assert row.fields["never"] is None
    (checked,) = dry_run([{**row.fields, "dateOfBirth": row.fields["birth"]}], RowTransform())
    assert checked.content.date_of_birth == dt.date(1980, 5, 12)
