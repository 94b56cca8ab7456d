"""Read Parquet files (extra `parquet`). Only this module imports duckdb."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import RESERVED, Row, without_reserved
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.values import plain

try:
    import duckdb
except ModuleNotFoundError:
    raise SourceError("reading .parquet needs the extra: pip install 'publitrac_async[parquet]'") from None

_ROWS: Final = 1000
_COUNTER: Final = "file_row_number"
_ZONED: Final = "TIMESTAMP WITH TIME ZONE"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class ParquetFile(FileSource):
    """Parquet file, read in parts. The position of a row is the number of rows before it."""

    kind: ClassVar[str | None] = "parquet"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __iter__(self) -> Iterator[Row]:
        self._open().close()
        with _connect() as connection:
            yield from self._rows(connection, None, 0, 1)

    def rows_from(self, position: int, line: int, count: int) -> Iterator[Row]:
        """Read rows from a position; see `Seekable.rows_from`.

        Raises:
            SourceError: the file cannot be read.
        """
        self._open().close()
        # Opening DuckDB takes longer than reading some hundred rows, so it stays open.
        self._connection = self._connection or _connect()
        yield from self._rows(self._connection, count, position, line)

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, count: int | None, position: int, line: int
    ) -> Iterator[Row]:
        path = str(self.path)
        try:
            with connection.cursor() as cursor:
                query = f"SELECT {_columns(cursor, path)} FROM read_parquet(?)"  # noqa: S608  (names of columns)
                parameters: list[Any] = [path]
                if count is not None:
                    # This seeks to the row; with OFFSET, DuckDB 1.2 reads all rows before it.
                    query = f"{query[:-3]}(?, {_COUNTER} = true) WHERE {_COUNTER} >= ? AND {_COUNTER} < ?"
                    parameters += [position, position + count]
                zones = _zones(cursor, path)
                result = cursor.execute(query, parameters)
                columns = [column[0] for column in result.description or ()]
                self.columns: list[str] = [name for name in columns if not name.startswith(RESERVED)]
                convert = [zones.get(name, plain) for name in columns]
                # If the file itself has a column of that name, the position of its rows is unknown.
                counted = _COUNTER not in map(str.lower, columns)
                number = 0
                while rows := result.fetchmany(_ROWS):
                    for cells in rows:
                        values = (each(cell) for each, cell in zip(convert, cells, strict=True))
                        yield Row(
                            line + number,
                            without_reserved(zip(columns, values, strict=True)),
                            None,
                            position + number if counted else None,
                        )
                        number += 1
        except duckdb.Error:
            raise SourceError(f"{self.name} is not a readable Parquet file") from None


def _columns(cursor: duckdb.DuckDBPyConnection, path: str) -> str:
    """Return the SQL expressions for all columns.

    Times with a zone are read as microseconds, because all but the newest versions of DuckDB need pytz for
    them.
    """
    expressions = []
    for name, kind, *_ in cursor.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall():
        quoted = '"' + name.replace('"', '""') + '"'
        if kind == _ZONED:
            expressions.append(f"epoch_us({quoted}) AS {quoted}")
        elif "WITH TIME ZONE" in kind:
            expressions.append(f"CAST({quoted} AS VARCHAR) AS {quoted}")
        else:
            expressions.append(quoted)
    return ", ".join(expressions)


def _zones(cursor: duckdb.DuckDBPyConnection, path: str) -> dict[str, Callable[[Any], Any]]:
    """Return the converter from microseconds to times, by column.

    Parquet stores only the moment. The zone, which pandas writes into the metadata, determines the day.
    """
    described = cursor.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
    zoned = [name for name, kind, *_ in described if kind == _ZONED]
    if not zoned:
        return {}
    noted: dict[Any, str | None] = {}
    found = cursor.execute(
        "SELECT value FROM parquet_kv_metadata(?) WHERE key::VARCHAR = 'pandas'", [path]
    ).fetchone()
    if found is not None:
        for column in json.loads(found[0]).get("columns", ()):
            noted[column.get("name")] = (column.get("metadata") or {}).get("timezone")
    return {name: _time_in(noted.get(name)) for name in zoned}


def _time_in(zone_name: str | None) -> Callable[[int | None], dt.datetime | None]:
    try:
        zone: dt.tzinfo = zoneinfo.ZoneInfo(zone_name or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        zone = dt.UTC

    def convert(microseconds: int | None) -> dt.datetime | None:
        if microseconds is None:
            return None
        return (_EPOCH + dt.timedelta(microseconds=microseconds)).astimezone(zone)

    return convert


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1, "preserve_insertion_order": True})
