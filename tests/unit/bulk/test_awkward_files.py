"""Files in the forms that spreadsheets, databases and other programs write."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from publitrac_async.bulk import SourceError, read_leads
from tests.support.runs import run
from tests.support.sinks import RecordingSink

HEADER = "email,firstName,company\n"


def write(folder: Path, content: str | bytes, name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fields_of(path: Path, **options: Any) -> list[Any]:
    return [row.fields for row in read_leads(path, **options)]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_of_a_header_without_comma_is_found(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, f"email{delimiter}city\na@example.com{delimiter}Lund, Sweden\n")
    assert fields_of(path) == [{"email": "a@example.com", "city": "Lund, Sweden"}]


def test_a_comma_in_the_header_wins_and_a_declared_delimiter_wins_over_all(tmp_path: Path) -> None:
    path = write(tmp_path, "email,a;b;c\na@example.com,x\n")
    assert fields_of(path) == [{"email": "a@example.com", "a;b;c": "x"}]
    assert list(fields_of(path, delimiter=";")[0]) == ["email,a"]


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
def test_a_separator_line_decides(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, f"{line}\r\nemail;city\r\na@example.com;Lund\r\n")
    (row,) = read_leads(path)
    assert (row.line, row.fields) == (3, {"email": "a@example.com", "city": "Lund"})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_and_marks_are_recognized(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "email\tfirstName\na@example.com\tZoé\n".encode(encoding), "leads.txt")
    assert fields_of(path) == [{"email": "a@example.com", "firstName": "Zoé"}]


def test_a_byte_order_mark_wins_over_a_declared_encoding(tmp_path: Path) -> None:
    path = write(tmp_path, "email,firstName\na@example.com,Zoé\n".encode("utf-8-sig"))
    assert fields_of(path, encoding="cp1252") == [{"email": "a@example.com", "firstName": "Zoé"}]


def test_columns_without_a_name_and_rows_without_a_cell_are_left_out(tmp_path: Path) -> None:
    header, blank = ",email,firstName,,\n", ",,,,\n , ,\u00a0,,\n"
    good = "0,a@example.com,Ana,,\n" + blank + "1,b@example.com,Bo,,\n"
    path = write(tmp_path, header + good + "2,c@example.com,C,,x\n")
    rows = list(read_leads(path))
    assert [(row.line, row.fields) for row in rows[:2]] == [
        (2, {"email": "a@example.com", "firstName": "Ana"}),
        (5, {"email": "b@example.com", "firstName": "Bo"}),
    ]
    assert [row.problem for row in rows] == [None, None, "5 cells for 3 columns"]


def test_every_broken_quote_costs_its_row_only(tmp_path: Path) -> None:
    good = [f"u{number}@example.com,Name,ok\n" for number in range(3000)]
    lines = [
        *good[:1],
        'bo@example.com,Bo,"ACME" Inc\n',
        *good[1:2000],
        'cy@example.com,Cy,"Big" Ltd\n',
        *good[2000:],
    ]
    rows = list(read_leads(write(tmp_path, HEADER + "".join(lines))))
    broken = [row for row in rows if row.problem is not None]
    assert [row.line for row in broken] == [3, 2003]
    assert [row.fields["publitrac_text"] for row in broken] == [
        'bo@example.com,Bo,"ACME" Inc',
        'cy@example.com,Cy,"Big" Ltd',
    ]
    assert len(rows) == 3002
    assert [row.line for row in rows] == list(range(2, 3004))


def test_rows_behind_a_quote_that_stays_open_are_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + 'a@example.com,Ana,"open\nb@example.com,Bo,x\n')
    with pytest.raises(SourceError, match=r"line 2.*cannot be read"):
        list(read_leads(path))
    path = write(tmp_path, HEADER + 'a@example.com,"A" na,"two\nb@example.com,Bo,"x"\n')
    with pytest.raises(SourceError, match="line 2"):
        list(read_leads(path))


def test_rows_are_read_from_any_place_also_behind_a_broken_quote(tmp_path: Path) -> None:
    lines = [
        'a@example.com,"A" B,x\n',
        "b@example.com,Bo,x\n",
        'c@example.com,"C" D,x\n',
        "d@example.com,Di,x\n",
    ]
    source = read_leads(write(tmp_path, HEADER + "".join(lines)))
    rows: list[Any] = list(source)
    for start, row in enumerate(rows):
        again = list(source.rows_from(row.position, row.line, 10))  # type: ignore[attr-defined]
        assert [(each.line, each.fields, each.position) for each in again] == [
            (each.line, each.fields, each.position) for each in rows[start:]
        ]


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    text = "x" * 300_000
    assert fields_of(write(tmp_path, f"email,notes\na@example.com,{text}\n"))[0]["notes"] == text


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"foo,bar\n", b"foo,bar\n1,2\n"])
async def test_a_file_without_the_right_columns_sends_nothing(tmp_path: Path, content: bytes) -> None:
    sink = RecordingSink()
    with pytest.raises(SourceError, match=r"is empty|no column email"):
        await run(read_leads(write(tmp_path, content)), sink, min_rows=0)
    assert sink.calls == []


async def test_a_table_without_rows_is_refused_unless_that_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path, "email\n")
    with pytest.raises(SourceError, match="0 rows, fewer than min_rows=1"):
        await run(read_leads(path), RecordingSink())
    assert (await run(read_leads(path), RecordingSink(), min_rows=0)).rows == 0
    with pytest.raises(SourceError, match="1 rows, fewer than min_rows=5"):
        await run(read_leads(write(tmp_path, "email\na@example.com\n")), RecordingSink(), min_rows=5)


async def test_a_limit_takes_the_first_rows(tmp_path: Path) -> None:
    source = read_leads(write(tmp_path, "email\n" + "".join(f"u{n}@example.com\n" for n in range(9))))
    source.limit = 4
    sink = RecordingSink()
    await run(source, sink)
    assert sink.emails == [f"u{n}@example.com" for n in range(4)]


def workbook(folder: Path, *sheets: tuple[str, list[list[object]], bool]) -> Path:
    path = folder / "leads.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        for name, rows, hidden in sheets:
            sheet = book.add_worksheet(name)
            for number, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    sheet.write(number, column, cell)
            if hidden:
                sheet.hide()
    return path


def test_a_workbook_is_read_as_strictly_as_text(tmp_path: Path) -> None:
    twice = workbook(tmp_path, ("Leads", [["email", "phone", "phone"], ["a@example.com", "1", ""]], False))
    with pytest.raises(SourceError, match="sheet Leads: two columns are named phone"):
        list(read_leads(twice))
    wide = workbook(tmp_path, ("Leads", [["email"], ["a@example.com", "stray"], [" ", " "]], False))
    (row,) = read_leads(wide)
    assert row.problem == "2 cells for 1 columns"


def test_the_first_visible_sheet_of_a_workbook_counts(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        ("Old", [["email"], ["old@example.com"]], False),
        ("Notes", [["x"]], False),
    )
    assert fields_of(path) == [{"email": "old@example.com"}]
    assert fields_of(path, sheet="Notes") == []
    with pytest.raises(SourceError, match="no sheet Leads; it has Old, Notes"):
        fields_of(path, sheet="Leads")


@pytest.mark.parametrize("empty", [b"", b"<v></v>", b"<v />"])
def test_a_formula_without_a_result_rejects_its_row(tmp_path: Path, empty: bytes) -> None:
    """openpyxl and others write formulas without calculating them."""
    written, path = tmp_path / "written.xlsx", tmp_path / "leads.xlsx"
    workbook = xlsxwriter.Workbook(written)
    sheet = workbook.add_worksheet()
    sheet.write_row("A1", ["email", "city", "firstName"])
    sheet.write_column("A2", ["a@x.io", "b@x.io", "c@x.io"])
    sheet.write("B4", "Lund")
    sheet.write_formula("B2", "=UPPER(A2)", value=2468)
    sheet.write_formula("B3", "=UPPER(A3)", value=2468)
    sheet.write_formula("C4", "=UPPER(A4)", value="ADA")
    sheet.write_formula("C3", '=""', value="")
    workbook.close()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name).replace(b"<v>2468</v></c></row>", empty + b"</c></row>")
            # Excel gives this type to a result that is an empty text.
            new.writestr(name, content.replace(b'<c r="C3">', b'<c r="C3" t="str">'))
    rows = list(read_leads(path))
    assert [(row.line, row.problem is None, row.fields["city"]) for row in rows] == [
        (2, False, ""),
        (3, True, 2468),
        (4, True, "Lund"),
    ]
    assert rows[0].problem is not None
    assert "save it" in rows[0].problem
    assert (rows[1].fields["firstName"], rows[2].fields["firstName"]) == ("", "ADA")
