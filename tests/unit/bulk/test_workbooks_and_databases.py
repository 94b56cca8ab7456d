"""Sources that are not text: workbooks, Parquet, SQL."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
import uuid
from pathlib import Path

import pytest

from publitrac_async.bulk import Row, SourceError, read_sql
from tests.support.sources import read, workbook


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


def test_parquet_is_read_as_plain_values(tmp_path: Path) -> None:
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
    # A program that takes text would not read 1E-7.
    assert plain(decimal.Decimal("1E-7")) == "0.0000001"
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
async def test_sql_is_read_in_keyset_pages(tmp_path: Path, count: int) -> None:
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
