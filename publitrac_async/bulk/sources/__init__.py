"""Where leads come from: files of several kinds, SQL, or any iterable of mappings or leads."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.sources.delimited import DelimitedFile
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.json_lines import JsonLinesFile
from publitrac_async.bulk.sources.named import NamedSource
from publitrac_async.bulk.sources.sql import read_sql

__all__ = [
    "FileSource",
    "NamedSource",
    "read_leads",
    "read_sql",
]

#: Formats that calamine reads.
_WORKBOOKS: Final = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
_DELIMITERS: Final = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}


def read_leads(
    path: str | Path,
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    sheet: str | None = None,
) -> FileSource:
    """A file of leads, to be handed to `sync_leads`. Nothing is read before that.

    The first line names the columns. Rows keep the line they begin on, so that reports can point at it.

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl`` (one JSON object a line), ``.xlsx`` (extra ``xlsx``) or
            ``.parquet`` (extra ``parquet``).
        encoding: of a text file, as Python names it: ``"utf-8"`` (with or without a byte order mark),
            ``"cp1252"``, ``"utf-16"``.
        delimiter: between the cells of a text file; by default a comma, and a tabulator in ``.tsv``. The
            vendor's own import also takes ``";"``.
        sheet: of a workbook; by default the first.

    Raises:
        SourceError: the file's kind is unknown, or an option does not fit it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if delimiter is not None and suffix not in _DELIMITERS:
        raise SourceError(f"a {suffix} file has no delimiter")
    if sheet is not None and suffix not in _WORKBOOKS:
        raise SourceError(f"a {suffix} file has no sheets")
    if suffix in _DELIMITERS:
        return DelimitedFile(path, encoding=encoding, delimiter=delimiter, default=_DELIMITERS[suffix])
    if suffix in (".jsonl", ".ndjson"):
        return JsonLinesFile(path, encoding=encoding)
    # These need a library of their own: they are imported when such a file is met.
    if suffix in _WORKBOOKS:
        from publitrac_async.bulk.sources.xlsx import XlsxFile  # noqa: PLC0415

        return XlsxFile(path, sheet=sheet)
    if suffix == ".parquet":
        from publitrac_async.bulk.sources.parquet import ParquetFile  # noqa: PLC0415

        return ParquetFile(path)
    raise SourceError(
        f"{suffix or 'a file without suffix'} is none of .csv, .tsv, .jsonl, .xlsx and .parquet; "
        "any iterable of mappings can be synchronized as well"
    )
