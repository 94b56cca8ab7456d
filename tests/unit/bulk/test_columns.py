from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import httpx
import pytest

from publitrac_async import PublitracClient
from publitrac_async.bulk import PublitracV2Sink, publitrac_record
from publitrac_async.bulk.columns import Column, Columns
from publitrac_async.bulk.errors import BulkError, MappingError, SourceError
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.sinks.publitrac import as_lead
from publitrac_async.errors import ValidationError


def columns_of(tables: dict[str, Any] | None = None) -> Columns:
    return Columns(None if tables is None else ColumnMapping.from_dict(tables))


def by_name(columns: list[Column]) -> dict[str, str | None]:
    return {column.name: column.field for column in columns}


@pytest.mark.parametrize(
    ("header", "field"),
    [
        *[("FirstName", "firstName"), ("first_name", "firstName"), ("FIRST NAME", "firstName")],
        *[("First-Name", "firstName"), ("\ufefffirstname ", "firstName"), ("Company", "company")],
        *[("CRM Lead ID", "crmLeadId"), ("carColor", "carColor"), ("phone2", "phone2")],
    ],
)
def test_a_header_finds_its_native_field_however_it_is_written(header: str, field: str) -> None:
    assert by_name(columns_of().check(["E-Mail", header], "leads.csv")) == {"E-Mail": "email", header: field}


def test_a_near_miss_is_a_custom_field_with_a_hint() -> None:
    _, column = columns_of().check(["email", "Compagny"], "leads.csv")
    assert (column.kind, column.note) == ("custom", "did you mean company?")


def test_two_columns_for_one_field_are_refused_by_name() -> None:
    with pytest.raises(SourceError, match="first_name and FirstName both map to firstName"):
        columns_of().check(["email", "first_name", "FirstName"], "leads.csv")


def test_an_unusable_custom_name_is_one_complaint_with_the_way_out() -> None:
    with pytest.raises(SourceError, match=r"'Né le'.*--suggest-mapping"):
        columns_of().check(["email", "Né le"], "leads.csv")


def test_columns_without_a_name_are_ignored() -> None:
    columns = columns_of().check(["", "email", "", ""], "leads.csv")
    assert [column.kind for column in columns] == ["ignored", "native", "ignored", "ignored"]


@pytest.mark.parametrize("names", [[], ["foo", "bar"], ["Courriel"], ["name;email"]])
def test_a_table_without_the_address_is_refused_with_its_columns(names: list[str]) -> None:
    with pytest.raises(SourceError, match=names[0] if names else "no columns"):
        columns_of().check(names, "leads.csv")


def test_a_mapping_finds_its_columns_without_regard_to_case_and_accents() -> None:
    columns = columns_of({"fields": {"email": "Adresse Courriel", "company": "Société"}})
    assert by_name(columns.check(["ADRESSE_COURRIEL", "societe", "x"], "leads.csv")) == {
        "ADRESSE_COURRIEL": "email",
        "societe": "company",
        "x": None,
    }


def test_a_column_that_the_mapping_names_must_be_there() -> None:
    with pytest.raises(MappingError, match="no column Ort; it has E-post"):
        columns_of({"fields": {"email": "E-post", "city": "Ort"}}).check(["E-post"], "leads.csv")


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\t", "\u200b", None, "0000-00-00", float("nan")])
def test_a_cell_without_a_value_leaves_its_field_unset(blank: object) -> None:
    cells = {
        "email": "a@example.com",
        "revenue": blank,
        "dateOfBirth": blank,
        "isCustomer": blank,
        "x": blank,
    }
    if blank == "0000-00-00":
        cells = {"email": "a@example.com", "dateOfBirth": blank}
    converted = columns_of().convert(cells)
    assert converted == {"email": "a@example.com"}
    assert not converted.cleared


def test_an_empty_cell_clears_a_field_on_request_only() -> None:
    tables = {"fields": {"email": "email", "company": "company", "phone": "phone"}}
    cells = {"email": "a@example.com", "company": " ", "phone": ""}
    assert not columns_of(tables).convert(cells).cleared
    assert columns_of(tables | {"empty": {"phone": "clear"}}).convert(cells).cleared == {"phone"}
    clear_all = columns_of(tables | {"options": {"empty": "clear"}, "empty": {"phone": "keep"}})
    assert clear_all.convert(cells).cleared == {"company"}
    assert clear_all.convert(cells | {"company": "ACME"})["company"] == "ACME"


@pytest.mark.parametrize("no", ["0", "no", "FAUX", False, 0])
def test_a_no_of_consent_is_withheld_unless_the_mapping_asks_for_it(no: object) -> None:
    cells = {"email": "a@example.com", "Unsubscribed": no, "doNotCall": "oui"}
    converted = columns_of().convert(cells)
    assert converted == {"email": "a@example.com", "doNotCall": True}
    assert converted.withheld == ("unsubscribed",)
    tables = {
        "fields": {"email": "email", "unsubscribed": "Unsubscribed"},
        "consent": {"unsubscribed": "both"},
    }
    assert columns_of(tables).convert(cells) == {"email": "a@example.com", "unsubscribed": False}


def test_words_of_a_mapping_are_found_in_any_case() -> None:
    tables = {
        "fields": {"email": "email", "is_customer": "kund"},
        "values": {"is_customer": {"Ja": "1", "NEJ": "0", "vet ej": ""}},
    }
    columns = columns_of(tables)
    values = [columns.convert({"email": "a@example.com", "kund": word}) for word in ("JA", " nej ", "Vet ej")]
    assert [fields.get("isCustomer") for fields in values] == [True, False, None]


def test_dates_have_formats_by_field_and_for_all() -> None:
    columns = columns_of(
        {
            "fields": {"email": "email", "date_of_birth": "born"},
            "custom_fields": {"memberSince": "since", "seen": "seen", "size": "size"},
            "dates": {"seen": ["excel", "%Y.%m.%d"]},
            "options": {"dates": ["%d.%m.%Y", "%d/%m/%Y"]},
        }
    )
    cells = {
        "email": "a@example.com",
        "born": "20/08/1980",
        "since": "01.02.2020",
        "seen": "29453",
        "size": "12/13/14",
    }
    assert columns.convert(cells) == {
        "email": "a@example.com",
        "dateOfBirth": dt.date(1980, 8, 20),
        "memberSince": dt.date(2020, 2, 1),
        "seen": dt.date(1980, 8, 20),
        "size": "12/13/14",
    }


def test_numbers_of_typed_sources_are_checked_like_text() -> None:
    assert columns_of().convert({"email": "a@example.com", "revenue": 1234.0})["revenue"] == 1234
    with pytest.raises(ValidationError, match="revenue: has decimals"):
        columns_of().convert({"email": "a@example.com", "revenue": 4.5})


def test_all_cells_of_a_row_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        columns_of().convert({"email": "a; b@x.com c@x.com", "revenue": "many", "isCustomer": "perhaps"})
    assert {problem.field: problem.code for problem in caught.value.problems} == {
        "email": 9002,
        "revenue": 9006,
        "isCustomer": 9007,
    }
    assert "many" not in str(caught.value)


def test_damaged_cells_are_noted_with_their_column() -> None:
    converted = columns_of().convert({"email": "a@example.com", "First name": "ZoÃ©", "Phone": "1.5E+10"})
    assert [column for column, _ in converted.notes] == ["First name", "Phone"]


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ({"constants": {"is_customer": "maybe"}}, "constants.isCustomer: neither yes nor no"),
        ({"constants": {"leed_source": "x"}}, "did you mean leadSource"),
        ({"constants": {"não": "x"}}, "unaccented"),
        ({"values": {"iscustomer": {"ja": "1"}}}, "no column is mapped to iscustomer"),
        ({"custom_fields": {"Né le": "x"}}, "unaccented"),
        ({"options": {"dates": "dd/mm/yyyy"}}, "no % directive"),
        ({"options": {"dates": 5}}, "must be a format"),
        ({"dates": {"email": "%H:%M"}}, "day, month and year"),
        ({"options": {"empty": "wipe"}}, "'keep' or 'clear'"),
        ({"options": {"decimals": 2}}, "'refuse' or 'round'"),
        ({"empty": {"email": True}}, "'keep' or 'clear'"),
        ({"consent": {"is_customer": "both"}}, "is not one of"),
        ({"consent": {"unsubscribed": "no"}}, "'one-way' or 'both'"),
        ({"fields": {"email": "email", "emial": "x"}}, "did you mean email"),
    ],
)
def test_a_mapping_is_checked_when_it_is_loaded(tables: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BulkError, match=complaint):
        columns_of({"fields": {"email": "email"}} | tables)


def test_a_mapping_file_may_begin_with_a_byte_order_mark(tmp_path: Any) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(b"\xef\xbb\xbf[fields]\nemail = 'E-mail'\n")
    assert ColumnMapping.load(path).columns == {"email": "E-mail"}


@pytest.mark.parametrize(
    "content", [b"\xff\xfe[", b"[" * 100_000, b"a = ", b"fields = 3", b"[fields]\nemail = 1"]
)
def test_an_unreadable_mapping_is_one_typed_error(tmp_path: Any, content: bytes) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(content)
    with pytest.raises(MappingError) as caught:
        ColumnMapping.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "cells",
    [
        {"score": "9", "Colour": "Röd & blå", "unsubscribed": "1", "dateOfBirth": "1990-01-31", "id": "7"},
        {"score": 9, "Size": Decimal("1.50"), "isCustomer": True, "createdDate": "2026-01-01", "empty": ""},
        {"Parts": ["a", "b"], "Seen": dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), "doNotCall": "0"},
    ],
)
async def test_a_row_is_written_like_its_lead(cells: dict[str, Any]) -> None:
    async with PublitracClient(api_key="key") as publitrac:
        fields = columns_of().convert({"email": "Ada@Example.com"} | cells)
        assert fields.checked
        record = PublitracV2Sink(publitrac.v2).to_record(fields)
        assert record.content == publitrac.v2.prepare(as_lead(fields)).body
        assert record.key == "ada@example.com"


async def test_a_row_that_cannot_be_written_names_its_fields() -> None:
    async with PublitracClient(api_key="key") as publitrac:
        fields = columns_of().convert({"email": "ada@example.com", "Size": object(), "Part": {"a": 1}})
        with pytest.raises(ValidationError, match=r"Size: .*; Part: "):
            PublitracV2Sink(publitrac.v2).to_record(fields)


async def test_a_record_made_without_a_client_is_sent_like_one_of_the_sink() -> None:
    bodies: list[bytes] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"token": "djs4fdn4dJTer489!", "ttl": "900"})
        bodies.append(request.content)
        return httpx.Response(200, json={"status": "success", "code": 200})

    async with PublitracClient(api_key="key", transport=httpx.MockTransport(respond)) as publitrac:
        sink = PublitracV2Sink(publitrac.v2)
        row = {"email": "Ada@Example.com", "firstName": "Zoé"}
        for record in (publitrac_record(row), sink.to_record(row)):
            assert await sink.send([record.content]) == [None]
    assert bodies[0] == bodies[1]
