from __future__ import annotations

import csv
import datetime as dt
import decimal
import json
import sqlite3
import uuid
from pathlib import Path

import pytest

from publitrac_async.bulk import (
    BulkError,
    ColumnMapping,
    Row,
    SourceError,
    read_leads,
    read_sql,
    sync_leads,
)
from tests.support.sinks import RecordingSink

EXAMPLE = Path(__file__).parents[3] / "examples" / "leads.csv"

NOT_UTF_8 = "not utf-8: declare the file's encoding; a file from Excel may need --encoding cp1252"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Path, **options: str) -> list[Row]:
    return list(read_leads(path, **options))


def test_the_example_is_what_its_script_writes(tmp_path: Path) -> None:
    namespace: dict[str, object] = {"__name__": "example"}
    exec(
        compile((EXAMPLE.parent / "make_leads_csv.py").read_text("utf-8"), "make_leads_csv.py", "exec"),
        namespace,
    )
    namespace["write"](tmp_path / "leads.csv")
    assert (tmp_path / "leads.csv").read_bytes() == EXAMPLE.read_bytes()


def test_rows_know_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'email,notes\na@x.io,"one\ntwo\n\nthree"\n\nb@x.io,\n')
    assert read(path) == [
        Row(2, {"email": "a@x.io", "notes": "one\ntwo\n\nthree"}),
        Row(7, {"email": "b@x.io", "notes": ""}),
    ]


def test_the_example_agrees_with_its_own_lines() -> None:
    lines = EXAMPLE.read_text("utf-8").split("\n")
    rows = read(EXAMPLE)
    assert len(rows) == 1000
    for row in rows:
        assert lines[row.line - 1].startswith(row.fields["email"])


@pytest.mark.parametrize(
    ("name", "encoding", "options"),
    [
        ("a.csv", "utf-8", {}),
        ("a.csv", "utf-8-sig", {}),
        ("a.csv", "utf-8-sig", {"encoding": "utf-8-sig"}),
        ("a.csv", "cp1252", {"encoding": "cp1252"}),
        ("a.csv", "utf-16", {"encoding": "utf-16"}),
        ("a.CSV", "latin-1", {"encoding": "ISO-8859-1"}),
    ],
)
def test_declared_encodings_are_read(
    tmp_path: Path, name: str, encoding: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / name, "email,city\r\na@x.io,Göteborg\r\n", encoding)
    assert read(path, **options) == [Row(2, {"email": "a@x.io", "city": "Göteborg"})]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.tsv", "email\tcity\na@x.io\tÅ, b\n", {}),
        ("a.csv", "email;city\na@x.io;Å, b\n", {"delimiter": ";"}),
        ("a.txt", "email|city\na@x.io|Å, b\n", {"delimiter": "|"}),
        ("a.jsonl", '{"email": "a@x.io", "city": "Å, b"}\n', {}),
        ("a.jsonl", '\ufeff\n{"email": "a@x.io", "city": "Å, b"}', {}),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, text: str, options: dict[str, str]) -> None:
    (row,) = read(write(tmp_path / name, text), **options)
    assert row.fields == {"email": "a@x.io", "city": "Å, b"}
    assert row.problem is None


def test_columns_of_result_files_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "rejected.csv", "email,publitrac_line,publitrac_reason\na@x.io,7,bad\n")
    source = read_leads(path)
    assert [row.fields for row in source] == [{"email": "a@x.io"}]
    assert source.columns == ["email"]
    lines = write(tmp_path / "rejected.jsonl", '{"email": "a@x.io", "publitrac_line": 7}\n')
    assert [row.fields for row in read(lines)] == [{"email": "a@x.io"}]


def test_rows_that_do_not_fit_are_refused_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"email,city\nshort@x.io\nlong@x.io,b,c,d\nempty@x.io,b,,\nlatin@x.io,\xe5\nfine@x.io,b\n"
    )
    short, long, empty, latin, fine = read(path)
    assert (short.fields, short.problem) == ({"email": "short@x.io"}, None)
    assert long.problem == "4 cells for 2 columns"
    assert long.fields["publitrac_text"] == "c,d"
    assert (empty.fields, empty.problem) == ({"email": "empty@x.io", "city": "b"}, None)
    assert latin.problem == NOT_UTF_8
    assert fine == Row(6, {"email": "fine@x.io", "city": "b"})


def test_lines_that_are_no_json_object_are_refused_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"email": "a@x.io"}\n{"email": \n["email"]\n{"email": "\xe5@x.io"}\n\n{"email": "b@x.io"}\n'
    )
    problems = {row.line: row.problem for row in read(path)}
    assert problems == {
        1: None,
        2: "not JSON: expecting value",
        3: "not a JSON object",
        4: NOT_UTF_8,
        6: None,
    }


def test_two_values_of_one_name_are_refused_and_kept_for_correction(tmp_path: Path) -> None:
    text = '{"email": "a@x.io", "city": "Lund", "city": "Ystad"}'
    for name, content in (("a.jsonl", text), ("a.json", f"[{text}]")):
        path = tmp_path / name
        path.write_text(content)
        (row,) = read(path)
        assert row.problem == "two values are named city"
        assert "Ystad" in str(row.fields)
        if name == "a.jsonl":
            assert row.fields == {"publitrac_text": text}


@pytest.mark.parametrize(
    "text",
    [
        '{"email": "a@x.io", "city": "says \\"x\\":1"}',
        '{"email" : "a@x.io", "city"\t:"b"}',
        '{"email": "a@x.io", "tags": [{"a": 1}]}',
        '{"email": "a@x.io", "score": NaN}',
        '{"email": "a@x.io", "big": 123456789012345678901234567890}',
    ],
)
def test_lines_that_are_read_with_care_are_read_as_they_are(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    (row,) = read(path)
    assert row.problem is None
    assert repr(row.fields) == repr(json.loads(text))


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ("ada@example.com,Ada,Lovelace", False),
        ("Ada,Lovelace,+46 70 123 45 67", False),
        ("Lovelace,1815-12-10,Ada", False),
        ("name,phone 2,address 12345", True),
    ],
)
async def test_a_first_row_is_not_quoted_as_a_header(tmp_path: Path, first: str, shown: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\n{first}\n")
    mapping = ColumnMapping.from_dict({"fields": {"email": "E-post"}})
    for each in (None, mapping):
        with pytest.raises(BulkError) as caught:
            await sync_leads(read_leads(path), RecordingSink(), mapping=each)
        assert (first.split(",", maxsplit=1)[0] in caught.value.message) is shown
        assert ("add a header above it" in caught.value.message) is not shown


def test_a_cell_that_is_too_long_is_not_called_a_quote(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("email,city\na@x.io," + "x" * 1_100_000 + "\nb@x.io,c\n")
    long, other = read(path)
    assert long.problem == "a cell is longer than 1,048,576 characters"
    assert other.fields == {"email": "b@x.io", "city": "c"}


@pytest.mark.parametrize("suffix", [".zip", ".zst", ".bz2"])
def test_a_packed_file_that_is_not_read_has_to_be_unpacked(suffix: str) -> None:
    with pytest.raises(SourceError, match="unpack the file first"):
        read_leads(f"leads.csv{suffix}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('email,city\na@x.io,"open\nb@x.io,c\n', "line 2: unexpected end of data"),
        ('email,city\na@x.io,"b" c"\n', "line 2: ',' expected after '\"'"),
        ("email,city,email\n", "two columns are named email"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_as_a_whole(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        read(write(tmp_path / "a.csv", text))


def test_an_undecodable_header_and_a_wrong_wide_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("email,vÿlle\n".encode("cp1252"))
    with pytest.raises(SourceError, match="line 1: not utf-8: declare"):
        read(path)
    path.write_bytes(b"email,city\na\n")
    with pytest.raises(SourceError, match="not utf-16: declare"):
        read(path, encoding="utf-16")


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for name, options in [
        ("a.doc", {}),
        ("a", {}),
        ("a.csv", {"delimiter": ";;"}),
        ("a.csv", {"delimiter": '"'}),
        ("a.csv", {"encoding": "utf-99"}),
        ("a.csv", {"sheet": "One"}),
        ("a.jsonl", {"delimiter": ";"}),
    ]:
        with pytest.raises(SourceError):
            read_leads(tmp_path / name, **options)
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        read(tmp_path / "missing.csv")


def test_the_fingerprint_changes_with_size_start_and_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    seen = set()
    for text in ("a" * 200_000, "b" + "a" * 199_999, "a" * 199_999 + "b", "a" * 200_001):
        path.write_text(text)
        seen.add(read_leads(path).source_hash())
    assert len(seen) == 4


def test_workbooks_have_whole_numbers_dates_and_the_lines_of_excel(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine", reason="needs the extra xlsx")
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook())
    assert read(path) == [
        Row(3, {"email": "å@x.io", "phone": 4631123, "revenue": 1.5, "birth": "", "isCustomer": True}),
        Row(5, {"email": "b@x.io", "phone": "", "revenue": "", "birth": "", "isCustomer": ""}),
    ]
    assert read(path, sheet="Two")[0].fields == {"email": "two@x.io"}
    with pytest.raises(SourceError, match="no sheet Three"):
        read(path, sheet="Three")
    path.write_bytes(b"PK not a workbook")
    with pytest.raises(SourceError, match="not a readable workbook"):
        read(path)


def test_parquet_comes_in_plain_values(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra parquet")
    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'a' || i || '@x.io' AS email, CAST(12.50 AS DECIMAL(9, 2)) AS price, "
            "DATE '2020-01-02' AS birth, CAST(i AS BIGINT) AS revenue FROM range(2500) t(i)) "
            f"TO '{path}' (FORMAT parquet)"
        )
    rows = read(path)
    assert len(rows) == 2500
    assert rows[2499] == Row(
        2500,
        {"email": "a2499@x.io", "price": "12.50", "birth": dt.date(2020, 1, 2), "revenue": 2499},
    )
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(path)


def test_values_of_databases_become_plain() -> None:
    from publitrac_async.bulk.sources.values import plain

    assert [plain(value) for value in (2.0, 2.5, decimal.Decimal(2), decimal.Decimal("2.50"), None, "x")] == [
        *(2, 2.5, 2, "2.50", None, "x")
    ]
    assert plain(uuid.UUID(int=1)) == "00000000-0000-0000-0000-000000000001"


def database(path: Path, count: int) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT)")
        connection.executemany(
            "INSERT INTO customers VALUES (?, ?)", [(n * 2, f"lead{n}@x.io") for n in range(1, count + 1)]
        )
    connection.close()
    return path


@pytest.mark.parametrize("count", [0, 9, 10, 11, 35])
async def test_sql_comes_in_keyset_pages(tmp_path: Path, count: int) -> None:
    path = database(tmp_path / "crm.sqlite", count)
    query = "SELECT id, email FROM customers WHERE id > :after ORDER BY id LIMIT :limit"
    source = read_sql(lambda: sqlite3.connect(path), query, key="id", page_size=10)
    rows = [row async for row in source]
    assert rows == [Row(n, {"id": n * 2, "email": f"lead{n}@x.io"}) for n in range(1, count + 1)]


async def test_sql_pages_that_stand_still_are_refused(tmp_path: Path) -> None:
    path = database(tmp_path / "crm.sqlite", 20)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path)

    query = "SELECT id, email FROM customers WHERE :after = :after ORDER BY id LIMIT :limit"
    with pytest.raises(SourceError, match="does not grow"):
        [row async for row in read_sql(connect, query, key="id", page_size=10)]
    with pytest.raises(SourceError, match="does not select the column number"):
        [row async for row in read_sql(connect, query, key="number")]
    with pytest.raises(SourceError):
        read_sql(connect, query, key="id", page_size=0)


def workbook() -> bytes:
    """A small workbook, written by hand: two sheets, the first with empty rows before and between."""
    import io
    import zipfile

    def cell(reference: str, value: object) -> str:
        if isinstance(value, bool):
            return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
        if isinstance(value, float | int):
            return f'<c r="{reference}"><v>{value}</v></c>'
        return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'

    def sheet(rows: dict[int, list[object]]) -> str:
        body = "".join(
            f'<row r="{line}">'
            + "".join(cell(f"{'ABCDE'[at]}{line}", value) for at, value in enumerate(cells) if value != "")
            + "</row>"
            for line, cells in rows.items()
        )
        return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{TYPES}</Types>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r0" Target="xl/workbook.xml" '
            f'Type="{OFFICE}/officeDocument"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="One" sheetId="1" r:id="r1"/>'
            '<sheet name="Two" sheetId="2" r:id="r2"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            + "".join(
                f'<Relationship Id="r{n}" Target="worksheets/sheet{n}.xml" Type="{OFFICE}/worksheet"/>'
                for n in (1, 2)
            )
            + "</Relationships>",
        )
        first = {
            2: ["email", "phone", "revenue", "birth", "isCustomer"],
            3: ["å@x.io", 4631123.0, 1.5, "", True],
            5: ["b@x.io"],
        }
        archive.writestr("xl/worksheets/sheet1.xml", sheet(first))
        archive.writestr("xl/worksheets/sheet2.xml", sheet({1: ["email"], 2: ["two@x.io"]}))
    return file.getvalue()


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = (
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument'
    '.spreadsheetml.sheet.main+xml"/>'
)
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def test_the_example_is_as_awkward_as_promised() -> None:
    with EXAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = EXAMPLE.read_text("utf-8")
    assert len(rows) == 1000
    assert '""' in text
    assert any("\n" in value for row in rows for value in row.values())
    assert {row["phone"][:3] for row in rows} == {"+1 ", "+46"}
    assert not text.isascii()
    assert "carColor" in rows[0]
    assert "number_of_participants" in rows[0]
    assert any(value == "" for row in rows for value in row.values())
    assert len({row["email"].casefold() for row in rows}) == 998
