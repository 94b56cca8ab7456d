"""Parquet files, with the extra `parquet`. The only importer of duckdb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Row, without_reserved
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.values import plain

try:
    import duckdb
except ModuleNotFoundError:
    raise SourceError("reading .parquet needs the extra: pip install 'publitrac_async[parquet]'") from None

_ROWS: Final = 1000
_COUNTER: Final = "file_row_number"
#: This goes right to the row; with OFFSET, DuckDB 1.2 reads all rows in front of it.
_FROM_POSITION: Final = (
    f"SELECT * EXCLUDE {_COUNTER} FROM read_parquet(?, {_COUNTER} = true)"  # noqa: S608  (constant)
    f" WHERE {_COUNTER} >= ? AND {_COUNTER} < ?"
)


class ParquetFile(FileSource):
    """A Parquet file, read in portions. The position of a row is how many stand before it."""

    kind: ClassVar[str | None] = "parquet"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __iter__(self) -> Iterator[Row]:
        self._open().close()
        with _connect() as connection:
            yield from self._rows(connection, "SELECT * FROM read_parquet(?)", (), 0, 1)

    def rows_from(self, position: int, line: int, count: int) -> Iterator[Row]:
        """Read rows from a place in the file.

        Args:
            position: `Row.position` of the first.
            line: `Row.line` of the first.
            count: how many, unless the file ends before.

        Raises:
            SourceError: the file cannot be read.
        """
        self._open().close()
        # Opening an engine takes longer than reading some hundred rows: it is kept for the next.
        self._connection = self._connection or _connect()
        yield from self._rows(self._connection, _FROM_POSITION, (position, position + count), position, line)

    def _rows(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: str,
        parameters: tuple[int, ...],
        position: int,
        line: int,
    ) -> Iterator[Row]:
        try:
            with connection.cursor() as cursor:
                result = cursor.execute(query, [str(self.path), *parameters])
                columns = [column[0] for column in result.description or ()]
                # A file may have a column of that name: then its rows cannot be counted.
                counted = _COUNTER not in map(str.lower, columns)
                number = 0
                while rows := result.fetchmany(_ROWS):
                    for cells in rows:
                        pairs = zip(columns, map(plain, cells), strict=True)
                        yield Row(
                            line + number,
                            without_reserved(pairs),
                            None,
                            position + number if counted else None,
                        )
                        number += 1
        except duckdb.Error:
            raise SourceError(f"{self.name} is no Parquet file that can be read") from None


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1, "preserve_insertion_order": True})
