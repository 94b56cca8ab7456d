"""Sources of leads: files of several kinds, SQL, or any iterable of mappings or leads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.sources.delimited import DelimitedFile
from publitrac_async.bulk.sources.file import STANDARD_INPUT, FileSource
from publitrac_async.bulk.sources.files import files_source
from publitrac_async.bulk.sources.json_lines import JsonLinesFile
from publitrac_async.bulk.sources.named import NamedSource
from publitrac_async.bulk.sources.sql import read_sql

__all__ = [
    "FORMATS",
    "FileSource",
    "NamedSource",
    "read_leads",
    "read_sql",
]

#: Default delimiter of text files by suffix. The suffixes are also values of `format`.
_TEXTS: Final = {"csv": ",", "txt": ",", "tsv": "\t", "tab": "\t"}
_JSON: Final = frozenset({"json", "jsonl", "ndjson"})
#: Formats that calamine reads.
_WORKBOOKS: Final = frozenset({"xlsx", "xlsm", "xlsb", "xls", "ods"})
#: Suffixes of packed files that cannot be read.
_PACKED: Final = frozenset({".zip", ".zst", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz"})
#: Values of `format`.
FORMATS: Final = (*_TEXTS, *sorted(_JSON), *sorted(_WORKBOOKS), "parquet")


def read_leads(
    path: str | Path | Iterable[str | Path],
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    sheet: str | None = None,
    format: str | None = None,  # noqa: A002  (the name of the option)
    header: int | None = None,
) -> FileSource:
    """Return one or several files of leads as a source for `sync_leads`, which reads them.

    The first row that is not blank is the header. Each row has the line on which it begins; with several
    files that is ``FILE:LINE``.

    Args:
        path: path, or paths, of ``.csv``, ``.txt``, ``.tsv``, ``.jsonl`` (one JSON object per line),
            ``.json`` (an array of objects), ``.xlsx``, ``.xls``, ``.ods`` (extra ``xlsx``) or ``.parquet``
            (extra ``parquet``). Text may be packed by gzip (``.csv.gz``), or come from a pipe or standard
            input (``"-"``); it is then unpacked into a temporary file.
        encoding: Python's name of the encoding of a text file without a byte order mark: ``"utf-8"``,
            ``"cp1252"``.
        delimiter: delimiter of a text file; by default that of a line ``sep=;``, or of the header.
        sheet: sheet of a workbook; by default the first visible one.
        format: format to use instead of the suffix, such as ``"csv"``; required for standard input.
        header: number of the header line in a text file or workbook; by default the first that is not blank.

    Raises:
        SourceError: the format is unknown, an option does not fit it, or a file is named twice.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    open_file = partial(_file, encoding=encoding, delimiter=delimiter, sheet=sheet, header=header)
    return files_source([open_file(Path(each), format) for each in paths])


def _file(
    path: Path,
    declared: str | None,
    *,
    encoding: str,
    delimiter: str | None,
    sheet: str | None,
    header: int | None,
) -> FileSource:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    kind = declared or suffix.removeprefix(".")
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if path == STANDARD_INPUT and declared is None:
        raise SourceError("standard input has no suffix: name its format")
    if packed and kind not in _TEXTS and kind not in _JSON:
        raise SourceError(f"{path.name}: only text and JSON are read from gzip files")
    if delimiter is not None and kind not in _TEXTS:
        raise SourceError(f"a file of the format {kind} has no delimiter")
    if sheet is not None and kind not in _WORKBOOKS:
        raise SourceError(f"a file of the format {kind} has no sheets")
    if header is not None and kind not in _TEXTS and kind not in _WORKBOOKS:
        raise SourceError(f"a file of the format {kind} has no header")
    if kind in _TEXTS:
        default = _TEXTS[kind]
        return DelimitedFile(path, encoding=encoding, delimiter=delimiter, default=default, header=header)
    if kind in _JSON:
        return JsonLinesFile(path, encoding=encoding)
    # Each of these needs a library: they are imported on demand.
    if kind in _WORKBOOKS:
        from publitrac_async.bulk.sources.xlsx import XlsxFile  # noqa: PLC0415

        return XlsxFile(path, sheet=sheet, header=header)
    if kind == "parquet":
        from publitrac_async.bulk.sources.parquet import ParquetFile  # noqa: PLC0415

        return ParquetFile(path)
    raise _unknown(suffix)


def _unknown(suffix: str) -> SourceError:
    advice = "name the format, or pass the rows as an iterable of mappings"
    if suffix in _PACKED:
        advice = "unpack the file first, or pack it with gzip (.csv.gz)"
    return SourceError(
        f"{suffix or 'a file without suffix'} is not one of .csv, .tsv, .jsonl, .json, .xlsx and .parquet: "
        f"{advice}"
    )
