"""Every engine reads every source."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.bulk import ColumnMapping, NamedSource, read_leads, read_sql
from tests.support.executor_setups import Setup, write_workbook
from tests.support.sinks import RecordingSink, rows


async def test_the_mapping_maps_columns_to_fields(setup: Setup) -> None:
    mapping = ColumnMapping.from_dict(
        {
            "fields": {"email": "E-post", "date_of_birth": "Född", "is_customer": "Kund"},
            "custom_fields": {"carColor": "Färg"},
            "constants": {"lead_source": "CRM", "score": 7},
            "values": {"is_customer": {"ja": "1"}},
            "options": {"dates": "%d.%m.%Y"},
        }
    )
    source = [
        {"E-post": f"lead{n}@example.com", "Född": "24.12.1990", "Kund": "ja", "Färg": "röd", "X": "-"}
        for n in range(25)
    ]
    sink = RecordingSink()
    report = await setup.sync(setup.table(source), sink, mapping=mapping)
    assert report.ok == 25
    lead = next(lead for lead in sink.arrived if lead.email == "lead24@example.com")
    assert lead.set_fields()["date_of_birth"].isoformat() == "1990-12-24"
    assert (lead.is_customer, lead.lead_source, lead.score) == (True, "CRM", 7)
    assert lead.custom_fields == {"carColor": "röd"}


def _csv(folder: Path) -> Any:
    text = "\n".join(["email;city", *(f"lead{n}@example.com;Malmö" for n in range(25))])
    (folder / "leads.txt").write_bytes(text.encode("cp1252"))
    return read_leads(folder / "leads.txt", delimiter=";", encoding="cp1252")


def _jsonl(folder: Path) -> Any:
    path = folder / "leads.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(25, city="Malmö")))
    return read_leads(path)


def _utf_16(folder: Path) -> Any:
    path = folder / "leads.csv"
    path.write_text("\n".join(["email,city", *(f"lead{n}@example.com,Malmö" for n in range(25))]), "utf-16")
    return read_leads(path, encoding="utf-16")


def _xlsx(folder: Path) -> Any:
    write_workbook(folder / "leads.xlsx", rows(25, city="Malmö"))
    return read_leads(folder / "leads.xlsx")


def _parquet(folder: Path) -> Any:
    duckdb = pytest.importorskip("duckdb", reason="needs the extra parquet")
    path = folder / "leads.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'lead' || range || '@example.com' AS email, 'Malmö' AS city FROM range(25))"
            f" TO '{path}' (FORMAT parquet)"
        )
    return read_leads(path)


def _named_list(folder: Path) -> Any:
    return NamedSource("crm", lambda: rows(25, city="Malmö"))


def _named_sql(folder: Path) -> Any:
    path = folder / "crm.sqlite"
    cells = [tuple(row.values()) for row in rows(25, city="Malmö")]
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE IF EXISTS leads")
        connection.execute("CREATE TABLE leads (id INTEGER PRIMARY KEY, email, city)")
        connection.executemany("INSERT INTO leads (email, city) VALUES (?, ?)", cells)
    connection.close()
    query = "SELECT id, email, city FROM leads WHERE id > :after ORDER BY id LIMIT :limit"
    mapping = read_sql(lambda: sqlite3.connect(path), query, key="id", page_size=7)
    return NamedSource("crm", lambda: mapping)


@pytest.mark.parametrize("make", [_csv, _jsonl, _utf_16, _xlsx, _parquet, _named_list, _named_sql])
async def test_rows_come_from_every_source(setup: Setup, make: Callable[[Path], Any]) -> None:
    source = make(setup.folder)
    sources = {source.name: source.open} if isinstance(source, NamedSource) else None
    sink = RecordingSink()
    report = await setup.sync(source, sink, sources=sources)
    assert (report.ok, report.stopped) == (25, None)
    assert sorted(sink.emails) == sorted(row["email"] for row in rows(25))
    assert {lead.city for lead in sink.arrived} == {"Malmö"}
    report = await setup.sync(make(setup.folder), sink, sources=sources)
    assert (report.skipped, len(sink.calls)) == (25, 25)
