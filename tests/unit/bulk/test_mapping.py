from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publitrac_async import Lead
from publitrac_async.bulk import ColumnMapping, MappingError, RowTransform, dry_run, read_leads
from publitrac_async.bulk.columns import Columns
from tests.support.runs import run
from tests.support.sinks import RecordingSink

MAPPING = """
[fields]
email = "E-post"
first_name = "Förnamn"
isCustomer = "Kund"
date_of_birth = "Född"

[custom_fields]
carColor = "Bilfärg"

[constants]
lead_source = "CRM export"
campaign_number = 7

[values.is_customer]
ja = "1"
nej = "0"

[options]
dates = "%d.%m.%Y"
"""
TABLE = (
    "E-post;Förnamn;Kund;Född;Bilfärg;Annat\n"
    "a@example.com;Åsa;ja;24.12.1980;Röd;x\n"
    "b@example.com;;nej;;;\n"
    "c@example.com;Bo;kanske;1980-12-24;;\n"
    "fel;Bo;;;;\n"
)


@pytest.fixture
def mapping(tmp_path: Path) -> ColumnMapping:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING, encoding="utf-8")
    return ColumnMapping.load(path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    path.write_text(TABLE, encoding="cp1252")
    return path


async def test_columns_become_fields(mapping: ColumnMapping, table: Path) -> None:
    import datetime as dt

    sink = RecordingSink()
    source = read_leads(table, encoding="cp1252", delimiter=";")
    report = await run(source, sink, mapping=mapping, concurrency=1)
    assert (report.ok, report.rejected) == (2, 2)
    custom = {"campaign_number": 7}
    assert sink.arrived == [
        Lead(
            email="a@example.com",
            first_name="Åsa",
            is_customer=True,
            date_of_birth=dt.date(1980, 12, 24),
            lead_source="CRM export",
            custom_fields={"carColor": "Röd", **custom},
        ),
        Lead(email="b@example.com", is_customer=False, lead_source="CRM export", custom_fields=custom),
    ]


def test_a_dry_run_names_line_and_column(mapping: ColumnMapping, table: Path) -> None:
    source = read_leads(table, encoding="cp1252", delimiter=";")
    found = list(dry_run(source, RowTransform(mapping=mapping)))
    assert [(each.line, each.content is None) for each in found] == [
        (2, False),
        (3, False),
        (4, True),
        (5, True),
    ]
    problems = {each.line: [(one.field, one.reason) for one in each.problems] for each in found}
    assert problems[4] == [("Kund", "neither yes nor no: add the word to the table [values] of a mapping")]
    assert problems[5] == [("E-post", "not an e-mail address: it has no @")]


def test_a_dry_run_without_mapping_names_the_column_as_the_file_does(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text("email,is_customer,Nbr Employees\na@example.com,maybe,many\n")
    found = list(dry_run(read_leads(path), RowTransform()))
    assert [[one.field for one in each.problems] for each in found] == [["is_customer", "Nbr Employees"]]


def test_other_columns_can_become_custom_fields() -> None:
    cells = {"mail": "a@example.com", "carColor": "Red"}
    tables: dict[str, Any] = {"fields": {"email": "mail"}}
    assert Columns(ColumnMapping.from_dict(tables)).convert(cells) == {"email": "a@example.com"}
    tables["options"] = {"other_columns": "custom"}
    expected = {"email": "a@example.com", "carColor": "Red"}
    assert Columns(ColumnMapping.from_dict(tables)).convert(cells) == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "name the column of email"),
        ({"field": {}}, "no table field"),
        ({"fields": {"email": "mail", "carColor": "c"}}, "carColor is not a native field"),
        ({"fields": {"email": 1}}, "must be text"),
        ({"fields": {"email": "mail"}, "custom_fields": {"firstName": "f"}}, "native fields belong"),
        ({"fields": {"email": "mail"}, "options": {"date": "%d"}}, "no option date"),
        ({"fields": {"email": "mail"}, "options": {"other_columns": "drop"}}, "other_columns"),
        ({"fields": ["email"]}, "fields must be a table"),
        ({"fields": {"email": "mail"}, "options": {"dates": 7}}, "dates must be a format"),
        ({"fields": {"email": "mail"}, "values": {"city": "x"}}, "values.city must be a table"),
    ],
)
def test_an_invalid_mapping_is_refused(content: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MappingError, match=complaint):
        ColumnMapping.from_dict(content)


async def test_a_mapping_that_does_not_fit_the_table_sends_nothing(table: Path, tmp_path: Path) -> None:
    mapping = ColumnMapping.from_dict({"fields": {"email": "E-post", "city": "Ort", "phone": "Tel"}})
    sink = RecordingSink()
    with pytest.raises(MappingError, match="no column Ort, Tel"):
        await run(read_leads(table, encoding="cp1252", delimiter=";"), sink, mapping=mapping)
    assert sink.calls == []
    (tmp_path / "broken.toml").write_text("[fields\n")
    with pytest.raises(MappingError, match=r"broken\.toml is not TOML"):
        ColumnMapping.load(tmp_path / "broken.toml")
    with pytest.raises(MappingError, match="cannot read"):
        ColumnMapping.load(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "a number is too long"),
        ("[" + ".".join("a" * 3000) + "]\nb = 1", "there is no table a"),
    ],
    ids=["deep", "long", "dotted"],
)
def test_a_file_that_no_parser_takes_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(MappingError, match=reason):
        ColumnMapping.load(tmp_path / "odd.toml")


def test_a_path_that_no_system_takes_is_named() -> None:
    with pytest.raises(MappingError, match="cannot read"):
        ColumnMapping.load("a\0b")
