"""Reading from the position of a row gives the same rows as reading from the start."""

from __future__ import annotations

import codecs
import contextlib
import csv
import encodings
import io
import itertools
import json
import pkgutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async.bulk import Row, SourceError, read_leads, read_sql
from publitrac_async.bulk.sources import lines

#: A quarter of them in quotes, a few with bytes that are invalid in UTF-8 (0x81 is invalid in cp1252, too).
CELLS = [
    b"a",
    b"",
    b"g\xc3\xb6teborg",
    b"G\xf6teborg",
    b"\x81",
    b"'=1+1",
    b"it's",
    b"  b ",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbfx",
]
QUOTED = [b'"x,y"', b'"two\nlines"', b'"two\r\nlines"', b'"a\rb"', b'"say ""hi"""', b'"\'=1"', b'"\n\n"']
BREAKS = [b"\n", b"\r\n", b"\r"]
cells = st.sampled_from(CELLS) | st.sampled_from(CELLS) | st.sampled_from(QUOTED)
records = st.lists(cells, max_size=4).map(b",".join)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A file with the columns h, i and j, of which some rows have too few or too many, and empty lines."""
    header = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + b'h,"i",j'
    text = b"".join(
        record + draw(st.sampled_from(BREAKS)) for record in (header, *draw(st.lists(records, max_size=30)))
    )
    return text + draw(records)


def everything(row: Row) -> tuple[Any, ...]:
    return row.line, row.fields, row.problem, row.position


def assert_chunks_are_the_whole(source: Any, size: int) -> list[Row]:
    """Read `source` at once and in chunks of `size`.

    Returns:
        Its rows.
    """
    rows = list(source)
    pieces = [
        [everything(row) for row in source.rows_from(rows[at].position, rows[at].line, size)]
        for at in range(0, len(rows), size)
    ]
    assert list(itertools.chain(*pieces)) == [everything(row) for row in rows]
    assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
    return rows


def reference_reading(data: bytes, encoding: str) -> list[tuple[int, list[str]]]:
    """Lines and cells as the standard library reads them from one stream of text."""
    stream = io.TextIOWrapper(io.BytesIO(data), encoding, errors="surrogateescape", newline="")
    reader = csv.reader(stream, strict=True)
    line, found = 1, []
    for record in reader:
        start, line = line, reader.line_num + 1
        if any(cell.strip() for cell in record):
            found.append((start, record))
    return found[1:]


@settings(max_examples=300)
@given(
    data=tables(),
    size=st.integers(1, 7),
    encoding=st.sampled_from(["utf-8", "cp1252", "iso-8859-1", "ascii"]),
    block=st.sampled_from([1, 2, 3, 7, 64, 16_384]),
)
def test_a_table_in_chunks_is_the_table(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int, encoding: str, block: int
) -> None:
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_BLOCK", block)
        rows = assert_chunks_are_the_whole(read_leads(path, encoding=encoding), size)
    if data.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8"  # a byte order mark decides
    expected = reference_reading(data, "utf-8-sig" if encoding == "utf-8" else encoding)
    assert [row.line for row in rows] == [line for line, _ in expected]
    for row, (_, record) in zip(rows, expected, strict=True):
        escaped = any("\udc80" <= character <= "\udcff" for character in "".join(record))
        assert row.problem == (
            not_in(encoding) if escaped else f"{len(record)} cells for 3 columns" if any(record[3:]) else None
        )
        got = [value for name, value in row.fields.items() if not name.startswith("publitrac_")]
        assert got == [cell.removeprefix("'") for cell in record[:3]]
        assert data[row.position :].lstrip(b"\r\n") != b""


def not_in(encoding: str) -> str:
    name = {"iso-8859-1": "iso8859-1"}.get(encoding, encoding)
    hint = "; a file from Excel may need --encoding cp1252" if name == "utf-8" else ""
    return f"not {name}: declare the file's encoding{hint}"


@settings(max_examples=200)
@given(
    content=st.lists(
        st.sampled_from(
            [
                b"",
                b"  ",
                b'{"email": "a@x.io", "publitrac_line": 3}',
                b'{"n": [1, 2], "o": {"p": "\xc3\xa5"}}',
                b'{"\\u0070ublitrac_line": 1, "a": "publitrac_"}',
                b'{"city": "G\xf6teborg"}',
                b"\xc2\xa0",
                b"[1]",
                b'{"open": ',
                b"\xef\xbb\xbf{}",
            ]
        ),
        max_size=20,
    ),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    end=st.sampled_from(BREAKS),
    size=st.integers(1, 5),
    encoding=st.sampled_from(["utf-8", "cp1252"]),
)
def test_json_lines_in_chunks_are_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    content: list[bytes],
    mark: bytes,
    end: bytes,
    size: int,
    encoding: str,
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes(mark + end.join(content))
    rows = assert_chunks_are_the_whole(read_leads(path, encoding=encoding), size)
    # A byte order mark decides.
    codec = "utf-8-sig" if encoding == "utf-8" or path.read_bytes().startswith(codecs.BOM_UTF8) else encoding
    with path.open(encoding=codec, errors="surrogateescape", newline="") as stream:
        expected = [(line, text) for line, text in enumerate(stream, 1) if text.strip()]
    assert [row.line for row in rows] == [line for line, _ in expected]
    for row, (_, text) in zip(rows, expected, strict=True):
        if row.problem is None:
            object_ = json.loads(text)
            assert row.fields == {k: v for k, v in object_.items() if not k.startswith("publitrac_")}
        else:
            assert row.fields == {"publitrac_text": text.rstrip("\r\n")}


def test_positions_are_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffemail,city\r\na@x.io,"Gö\nteborg"\r\n\r\nb@x.io,Å\r\n'.encode())
    first, second = read_leads(path)
    data = path.read_bytes()
    assert data[first.position :].startswith(b"a@x.io")
    # The empty line before it may belong to it: it is skipped.
    assert data[second.position :] == "b@x.io,Å\r\n".encode()
    (again,) = read_leads(path).rows_from(second.position, second.line, 5)
    assert (again, again.line) == (second, 5)
    assert first == Row(2, {"email": "a@x.io", "city": "Gö\nteborg"}), "where it stands is no part of a row"


def test_a_table_with_ends_of_lines_of_old_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"email\r" + b"a@x.io\r" * 20_000)
    with path.open("rb") as file:
        assert max(map(len, lines.blocks(file))) < 40_000
    assert sum(1 for _ in read_leads(path)) == 20_000


def test_a_line_longer_than_many_blocks_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"notes": "x" * 300_000}) + "\n" + json.dumps({"notes": "y"}))
    long, short = assert_chunks_are_the_whole(read_leads(path), 1)
    assert len(long.fields["notes"]) == 300_000
    assert short.line == 2


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-32", "utf-7", "shift_jis", "gb18030", "iso2022_jp", "cp500"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_encodings_whose_lines_are_not_found_as_bytes_have_no_positions(
    tmp_path: Path, encoding: str, name: str
) -> None:
    path = tmp_path / name
    text = "email,city\na@x.io,b+c\n" if name == "a.csv" else '{"email": "a@x.io", "city": "b+c"}'
    path.write_bytes(text.encode(encoding))
    (row,) = read_leads(path, encoding=encoding)
    assert row.fields == {"email": "a@x.io", "city": "b+c"}
    assert row.position is None


def test_encodings_whose_lines_are_found_as_bytes_have_one_byte_a_character() -> None:
    names = set()
    for module in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(LookupError):  # some are not encodings
            names.add(codecs.lookup(module.name).name)
    found = {name for name in names if lines.has_byte_lines(name)}
    assert found > {"ascii", "cp1252", "cp437", "iso8859-1", "iso8859-15", "koi8-r", "mac-roman", "utf-8"}
    escapes = b"\x1b$B0!\x1b(B\\u0041~{!!~}+AGE-"
    for name in found - {"utf-8", "utf-8-sig"}:
        text = (bytes(range(256)) + escapes).decode(name, "surrogateescape")
        assert len(text) == 256 + len(escapes)
        assert [text.index(each) for each in "\n\r'\""] == [10, 13, 39, 34]
        assert not set("\n\r'\"") & set(text[128:256])


def test_a_wrong_position_or_a_changed_file_gives_other_rows_or_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('email,notes\na@x.io,"one\ntwo"\nb@x.io,three\nc@x.io,four\n')
    source = read_leads(path)
    rows = list(source)
    for position in range(rows[0].position + 1, rows[1].position):
        with contextlib.suppress(SourceError):  # the second half of a cell has a quote too many
            found = list(source.rows_from(position, 2, 3))
            assert [row.fields for row in found] != [row.fields for row in rows]
    assert list(source.rows_from(10_000, 2, 3)) == []
    path.write_text("email,title\na@x.io,b\n")
    assert list(source.rows_from(rows[1].position, 4, 3)) == []
    path.write_text("")
    assert list(source.rows_from(rows[1].position, 4, 3)) == []
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        list(source.rows_from(rows[1].position, 4, 3))


def test_parquet_begins_at_any_row(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra parquet")
    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'a' || i || '@x.io' AS email, i % 7 AS n FROM range(3500) t(i)) "
            f"TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)"
        )
    rows = assert_chunks_are_the_whole(read_leads(path), 333)
    assert [(row.line, row.position) for row in rows[:2]] == [(1, 0), (2, 1)]
    assert rows[2999].fields == {"email": "a2999@x.io", "n": 2999 % 7}
    source = read_leads(path)
    assert list(source.rows_from(3500, 3501, 10)) == []
    other = tmp_path / "b.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'a' AS \"File_Row_Number\") TO '{other}' (FORMAT parquet)")
    assert [(row.fields, row.position) for row in read_leads(other)] == [({"File_Row_Number": "a"}, None)]
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        list(source.rows_from(0, 1, 10))


def connection_of(rows: Sequence[tuple[Any, str]]) -> Any:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE customers (id PRIMARY KEY, email)")
        connection.executemany("INSERT INTO customers VALUES (?, ?)", rows)
        return connection

    return connect


QUERY = "SELECT id, email FROM customers WHERE id > :after ORDER BY id LIMIT :limit"


@pytest.mark.parametrize("size", [1, 9, 10, 11, 40])
async def test_sql_begins_behind_any_key(size: int) -> None:
    connect = connection_of([(n * 3, f"lead{n}@x.io") for n in range(1, 36)])
    source = read_sql(connect, QUERY, key="id", page_size=10)
    rows = [row async for row in source]
    assert [row.position for row in rows] == [n * 3 for n in range(35)]
    found: list[Row] = []
    for at in range(0, len(rows), size):
        found += [row async for row in source.rows_from(rows[at].position, rows[at].line, size)]
        assert len(found) == min(at + size, len(rows))
    assert [everything(row) for row in found] == [everything(row) for row in rows]


async def test_keys_that_may_be_personal_data_are_no_positions() -> None:
    connect = connection_of([(f"lead{n}@x.io", f"lead{n}@x.io") for n in range(5)])
    rows = [row async for row in read_sql(connect, QUERY, key="id", start="", page_size=2)]
    assert len(rows) == 5
    assert {row.position for row in rows} == {None}


async def test_whole_numbers_of_any_type_are_positions() -> None:
    connect = connection_of([(float(n), "a@x.io") for n in (1, 2)] + [(2.5, "a@x.io"), (3, "a@x.io")])
    rows = [row async for row in read_sql(connect, QUERY, key="id", start=-sys.maxsize)]
    assert [row.position for row in rows] == [-sys.maxsize, 1, 2, None]
