"""Sources of leads: files of several kinds, SQL, or any iterable of mappings or leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

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
    "Format",
    "NamedSource",
    "class_of",
    "read_leads",
    "read_sql",
]


@frozen
class Format:
    """Format of files.

    Attributes:
        kind: kind of file, see `class_of`.
        options: options of `read_leads` that this kind takes; text has an encoding.
        arguments: further arguments of its class.
    """

    kind: str
    options: frozenset[str] = frozenset()
    arguments: Mapping[str, Any] = field(factory=dict)


_TABLE: Final = frozenset({"encoding", "delimiter", "header"})
_JSON: Final = Format("json lines", frozenset({"encoding"}))
_WORKBOOK: Final = Format("workbook", frozenset({"sheet", "header"}))
#: Formats by suffix, which is also the value of `format`.
FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format("delimited", _TABLE, {"default": ","}),
    "txt": Format("delimited", _TABLE, {"default": ","}),
    "tsv": Format("delimited", _TABLE, {"default": "\t"}),
    "tab": Format("delimited", _TABLE, {"default": "\t"}),
    "json": _JSON,
    "jsonl": _JSON,
    "ndjson": _JSON,
    "ods": _WORKBOOK,
    "xls": _WORKBOOK,
    "xlsb": _WORKBOOK,
    "xlsm": _WORKBOOK,
    "xlsx": _WORKBOOK,
    "parquet": Format("parquet"),
}
#: Suffixes of packed files that cannot be read.
_PACKED: Final = frozenset({".zip", ".zst", ".bz2", ".xz", ".7z", ".rar", ".tar", ".tgz"})


def class_of(kind: str) -> Callable[..., FileSource]:
    """Return the class for a kind of file, its `FileSource.kind`.

    Raises:
        SourceError: the library for this kind is missing.
        TypeError: the kind is unknown.
    """
    match kind:
        case DelimitedFile.kind:
            return DelimitedFile
        case JsonLinesFile.kind:
            return JsonLinesFile
        # Each of these needs a library: they are imported on demand.
        case "workbook":
            from publitrac_async.bulk.sources.xlsx import XlsxFile  # noqa: PLC0415

            return XlsxFile
        case "parquet":
            from publitrac_async.bulk.sources.parquet import ParquetFile  # noqa: PLC0415

            return ParquetFile
        case _:
            raise TypeError(kind)


def read_leads(
    path: str | Path | Iterable[str | Path],
    *,
    encoding: str | None = None,
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
        encoding: Python's name of the encoding of a text file without a byte order mark, such as
            ``"cp1252"``; by default UTF-8.
        delimiter: delimiter of a text file; by default that of a line ``sep=;``, or of the header.
        sheet: sheet of a workbook; by default the first visible one.
        format: format to use instead of the suffix, such as ``"csv"``; required for standard input.
        header: number of the header line in a text file or workbook; by default the first that is not blank.

    Raises:
        SourceError: the format is unknown, an option does not fit it, or a file is named twice.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    options = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet, "header": header}
    return files_source([_file(Path(each), format, options) for each in paths])


def _file(path: Path, declared: str | None, options: Mapping[str, Any]) -> FileSource:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    name = declared or suffix.removeprefix(".")
    if path == STANDARD_INPUT and declared is None:
        raise SourceError("standard input has no suffix: name its format")
    found = FORMATS.get(name)
    if packed and (found is None or "encoding" not in found.options):
        raise SourceError(f"{path.name}: only text and JSON are read from gzip files")
    if found is None:
        raise _unknown(suffix)
    for option, value in options.items():
        if option not in found.options and value is not None:
            raise SourceError(f"a file of the format {name} has no {option}: leave it out")
    taken = {option: options[option] for option in found.options}
    if "encoding" in taken:
        taken["encoding"] = taken["encoding"] or "utf-8"
    return class_of(found.kind)(path, **taken, **found.arguments)


def _unknown(suffix: str) -> SourceError:
    advice = "name the format, or pass the rows as an iterable of mappings"
    if suffix in _PACKED:
        advice = "unpack the file first, or pack it with gzip (.csv.gz)"
    known = ", ".join(f".{name}" for name in FORMATS)
    return SourceError(f"{suffix or 'a file without suffix'} is not one of {known}: {advice}")
