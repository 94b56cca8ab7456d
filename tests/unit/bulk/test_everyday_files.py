"""Accidents of everyday files: titles above the header, errors of formulas, damaged cells, wrong suffixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from publitrac_async.bulk import RowTransform, SourceError, dry_run, read_leads
from publitrac_async.bulk.distributed.references import open_source, reference_of
from publitrac_async.converters import lead_to_wire


def write(folder: Path, content: str | bytes, name: str = "leads.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def checked(path: Path, **options: Any) -> tuple[list[Any], list[str], list[str]]:
    """Return the records that would be sent, the problems, and the warnings."""
    source, transform = read_leads(path, **options), RowTransform()
    rows = list(dry_run(source, transform, source))
    sent = [lead_to_wire(row.content, "sync") for row in rows if row.content is not None]
    problems = [f"{each.field}: {each.reason}" for row in rows for each in row.problems]
    return (
        [native | custom for native, custom in sent],
        problems,
        [f"{each.column}: {each.kind}" for each in transform.notes.warnings],
    )


def cell(folder: Path, column: str, text: str) -> tuple[Any, list[str], list[str]]:
    quoted = text.replace('"', '""')
    sent, problems, warnings = checked(write(folder, f'email,{column}\na@example.com,"{quoted}"\n'))
    return (sent[0].get(column) if sent else None), problems, warnings


@pytest.fixture
def sheet(tmp_path: Path) -> Any:
    """A function that writes a workbook of one sheet."""

    def write_sheet(*rows: list[object], merged: str | None = None) -> Path:
        path = tmp_path / "leads.xlsx"
        with xlsxwriter.Workbook(str(path)) as book:
            page = book.add_worksheet("Leads")
            for number, cells in enumerate(rows, 1 if merged else 0):
                page.write_row(number, 0, cells)
            if merged:
                page.merge_range("A1:C1", merged)
        return path

    return write_sheet


TITLE = "Contact list 2026,,\n"


def test_a_title_above_the_header_is_reported_with_the_line_of_the_header(tmp_path: Path, sheet: Any) -> None:
    table = "email,firstName,city\na@example.com,Ana,Lund\n"
    for path, line in (
        (write(tmp_path, TITLE + table), 2),
        (write(tmp_path, TITLE + ",,\n" + table, "b.csv"), 3),
        (write(tmp_path, TITLE + table.replace(",", ";"), "c.csv"), 2),
        (sheet(["email", "firstName", "city"], ["a@example.com", "Ana", "Lund"], merged="Contacts"), 2),
    ):
        with pytest.raises(SourceError, match=f"Line {line} looks like the header: try --header {line}"):
            checked(path)
        source = read_leads(path, header=line)
        (row,) = source
        assert (row.line, row.fields) == (
            line + 1,
            {"email": "a@example.com", "firstName": "Ana", "city": "Lund"},
        )
        assert list(open_source(reference_of(source))) == [row]  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="has no header"):
        read_leads("a.jsonl", header=2)


def test_a_file_without_a_header_is_reported_without_its_addresses(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="add a header above it") as raised:
        checked(write(tmp_path, "a@example.com,Ana\nb@example.com,Bo\n"))
    assert "a@example.com" not in str(raised.value)


def test_the_delimiter_that_makes_a_column_email_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "\n\nemail;city;company\na@example.com;Lund, Sweden;X\n")
    assert checked(path)[0] == [{"email": "a@example.com", "city": "Lund, Sweden", "company": "X"}]
    path = write(tmp_path, "email;phone,2;city\na@example.com;1;Lund\n")
    assert list(next(iter(read_leads(path))).fields) == ["email", "phone,2", "city"]
    with pytest.raises(SourceError, match="Check the delimiter"):
        checked(write(tmp_path, "email^city\na@example.com^Lund\n"))


OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"<html><table><tr><td>email", "it is a web page or XML"),
        (b"email,city\na@example.com,Lund\n", "it is text. Read it with --format csv"),
        (b"\0\1\2", "is not a readable workbook$"),
        (b"", "is not a readable workbook$"),
    ],
)
def test_a_file_that_is_no_workbook_is_named(tmp_path: Path, content: bytes, hint: str) -> None:
    for name in ("leads.xls", "leads.xlsx"):
        with pytest.raises(SourceError, match=hint):
            checked(write(tmp_path, content, name))
    with pytest.raises(SourceError, match="remove its password"):
        checked(write(tmp_path, OLD_WORKBOOK, "leads.xlsx"))
    with pytest.raises(SourceError, match=r"is not a readable workbook$"):
        checked(write(tmp_path, OLD_WORKBOOK, "LEADS.XLS"))


def test_errors_of_formulas_are_not_read_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "leads.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet("Other").write_formula("B2", "=1/0", None, "#DIV/0!")
        page = book.add_worksheet("Kunden & mehr")
        page.write_row("A1", ["email", "firstName", "score"])
        for number in range(1, 3000):
            page.write_row(number, 0, [f"u{number}@example.com", "Ana" * 9, 5])
        page.write_formula("B2", "=VLOOKUP(A1,B:C,2)", None, "#N/A")
        page.write_formula("C2900", "=A1/0", None, "#DIV/0!")
    sent, problems, warnings = checked(path, sheet="Kunden & mehr")
    assert len(sent) == 2998
    assert problems == ["score: not a number"]
    assert warnings == ["firstName: looks like a placeholder for a missing value"]


def test_numbers_of_workbooks_as_phones_and_postal_codes_are_watched(sheet: Any) -> None:
    path = sheet(["email", "postalCode", "phone"], ["a@example.com", 1000, 46701234567])
    sent, _, warnings = checked(path)
    assert (sent[0]["postalCode"], sent[0]["phone"]) == ("1000", "46701234567")
    assert [each.split(":")[0] for each in warnings] == ["postalCode"]


def test_a_mark_for_the_end_of_the_file_and_padding_are_no_rows(tmp_path: Path) -> None:
    for name, rest in (("a.csv", b"\x1a"), ("b.csv", b"\x1a\r\n"), ("c.csv", b"\0\0\0\0,\0")):
        sent, problems, _ = checked(write(tmp_path, b"email,city\na@example.com,Lund\n" + rest, name))
        assert (sent, problems) == ([{"email": "a@example.com", "city": "Lund"}], [])


@pytest.mark.parametrize(
    ("column", "text", "sent", "warning"),
    [
        ("firstName", "'Ana'", "'Ana'", "is in quotes"),
        ("firstName", "“Ana”", "“Ana”", "is in quotes"),
        ("firstName", "'", "'", None),
        ("firstName", "O'Neil", "O'Neil", None),
        ("company", "Smith &amp; Sons", "Smith &amp; Sons", "holds HTML such as &amp;"),
        ("company", "Zo&eacute;", "Zo&eacute;", "holds HTML such as &amp;"),
        ("company", "Smith & Sons", "Smith & Sons", None),
        ("phone", "tel:+1 514 555 0100", "+1 514 555 0100", None),
        ("phone", '="0151"', "0151", None),
        ("phone", "+1.514.555.0100", "+1.514.555.0100", None),
        ("dateOfBirth", "19801231", "1980-12-31", None),
        ("dateOfBirth", "00/00/0000", None, None),
        ("dateOfBirth", "0001-01-01T00:00:00", "0001-01-01 00:00:00", "not after 1900"),
        ("dateOfBirth", "1900-01-01", "1900-01-01", "not after 1900"),
    ],
)
def test_damage_of_a_cell_is_repaired_or_reported(
    tmp_path: Path, column: str, text: str, sent: str | None, warning: str | None
) -> None:
    value, problems, warnings = cell(tmp_path, column, text)
    assert (value, problems) == (sent, [])
    assert [each.partition(": ")[2].partition(":")[0] for each in warnings] == ([warning] if warning else [])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("29353", 'if it is a spreadsheet\'s day number, set "excel" in the table [dates]'),
        ("29353.5", 'set "excel" in the table [dates]'),
        ("1700000000", 'set "epoch" in the table [dates]'),
        ("1700000000000", 'set "epoch-ms" in the table [dates]'),
        ("31/12/1980", "set other formats in the table [dates] of a mapping"),
    ],
)
def test_an_error_about_a_date_names_the_format_that_would_read_it(
    tmp_path: Path, text: str, hint: str
) -> None:
    _, (problem,), _ = cell(tmp_path, "dateOfBirth", text)
    assert hint in problem


@pytest.mark.parametrize(
    ("text", "address", "warned"),
    [
        ("a\uff20example.com", "a@example.com", False),
        ("\uff41nna@example.com", "anna@example.com", False),
        ("\u0430nna@example.com", "\u0430nna@example.com", True),  # The first letter is Cyrillic.
        ("zoe\u0301@example.com", "zo\u00e9@example.com", True),
    ],
)
def test_look_alikes_in_addresses(tmp_path: Path, text: str, address: str, warned: bool) -> None:
    sent, problems, warnings = checked(write(tmp_path, f"email\n{text}\n"))
    assert (sent, problems, bool(warnings)) == ([{"email": address}], [], warned)


def test_an_object_in_a_field_is_refused_with_a_plain_message(tmp_path: Path) -> None:
    path = write(tmp_path, '{"email": "a@example.com", "address": {"city": "Lund"}}\n', "a.jsonl")
    assert checked(path)[1] == ["address: has a JSON object: give each of its parts a column"]


def test_two_columns_for_one_field_are_refused_in_rows_without_a_header(tmp_path: Path) -> None:
    lines = '{"email": "a@example.com", "firstName": "A", "first_name": "B"}\n'
    lines += '{"email": "b@example.com", "firstName": "B"}\n{"E-Mail": "c@example.com"}\n'
    sent, problems, _ = checked(write(tmp_path, lines, "a.jsonl"))
    assert problems == ["firstName: firstName and first_name both map to it"]
    assert [each["email"] for each in sent] == ["b@example.com", "c@example.com"]


@pytest.mark.parametrize(
    ("name", "field"), [("optOut", "unsubscribed"), ("prenom", "firstName"), ("zipcode", "postalCode")]
)
def test_usual_names_of_other_systems_are_pointed_out(tmp_path: Path, name: str, field: str) -> None:
    source, transform = read_leads(write(tmp_path, f"email,{name}\na@example.com,1\n")), RowTransform()
    list(dry_run(source, transform, source))
    (column,) = [each for each in transform.columns.resolved() if each.name == name]
    assert (column.kind, column.note) == ("custom", f"did you mean {field}?")


def test_long_ids_and_marks_of_text_in_workbooks(tmp_path: Path, sheet: Any) -> None:
    sent, _, warnings = checked(
        sheet(["email", "customerId", "phone"], ["a@example.com", 12345678901234567, "'0151"])
    )
    assert (sent[0]["phone"], warnings) == (
        "0151",
        ["customerId: more than 15 digits: spreadsheets round such numbers"],
    )


@pytest.mark.parametrize("email", [12345, None, True, ["a@example.com"], {"a": 1}])
def test_an_address_that_is_no_text_is_refused(email: object) -> None:
    (row,) = dry_run([{"email": email, "city": "Lund"}], RowTransform())
    assert row.content is None
