"""Parquet files, with the extra `parquet`. The only importer of duckdb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Row, without_reserved
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.values import plain

try:
    import duckdb
except ModuleNotFoundError:
    raise SourceError("reading .parquet needs the extra: pip install 'publitrac_async[parquet]'") from None

_ROWS: Final = 1000


class ParquetFile(FileSource):
    """A Parquet file, read in portions."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)

    def __iter__(self) -> Iterator[Row]:
        self._open().close()
        with duckdb.connect(config={"threads": 1, "preserve_insertion_order": True}) as connection:
            try:
                result = connection.execute("SELECT * FROM read_parquet(?)", [str(self.path)])
                columns = [column[0] for column in result.description or ()]
                number = 0
                while rows := result.fetchmany(_ROWS):
                    for cells in rows:
                        number += 1
                        pairs = zip(columns, map(plain, cells), strict=True)
                        yield Row(number, without_reserved(pairs))
            except duckdb.Error:
                raise SourceError(f"{self.name} is no Parquet file that can be read") from None
