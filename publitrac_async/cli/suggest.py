"""`sync --suggest-mapping`: write a mapping file for the columns of a source."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from publitrac_async.bulk import SourceError
from publitrac_async.bulk.cells import normalized
from publitrac_async.bulk.mapping import BY_NORMALIZED
from publitrac_async.bulk.rows import as_row
from publitrac_async.bulk.sources import FileSource
from publitrac_async.bulk.sources.files import Files
from publitrac_async.bulk.synonyms import BY_SYNONYM
from publitrac_async.cli.console import to_stdout


def suggest_mapping(source: FileSource) -> None:
    """Print a mapping file for a source.

    Raises:
        SourceError: the source is unreadable or empty.
    """
    each = source.files if isinstance(source, Files) else [source]
    names = list(dict.fromkeys(name for file in each for name in _names(file)))
    if not names:
        raise SourceError(f"{source.name} is empty: it has no header")
    for line in _lines(source.name, names):
        to_stdout(line)


def _names(source: FileSource) -> Sequence[str]:
    first = next(iter(source), None)
    names = list(source.columns)
    if not names and first is not None:
        fields = as_row(first, 1).fields
        names = list(fields) if isinstance(fields, Mapping) else []
    return names


def _lines(source: str, names: Sequence[str]) -> Iterator[str]:
    native: dict[str, str] = {}
    custom: dict[str, str] = {}
    for name in names:
        field = BY_NORMALIZED.get(normalized(name)) or BY_SYNONYM.get(normalized(name))
        if field is not None and field not in native:
            native[field] = name
        else:
            custom[_usable(name, custom)] = name
    yield f"# Suggested for {source}. Check every line; delete columns that shall not be sent."
    yield "[fields]"
    if "email" not in native:
        yield '# email = "the column of the e-mail address"'
    yield from (f"{field} = {json.dumps(name, ensure_ascii=False)}" for field, name in native.items())
    yield ""
    yield "# Custom fields have to exist in the account."
    yield "[custom_fields]"
    yield from (f"# {field} = {json.dumps(name, ensure_ascii=False)}" for field, name in custom.items())


def _usable(name: str, taken: Mapping[str, str]) -> str:
    """Return a valid name for a custom field."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words: list[str] = re.findall(r"[A-Za-z0-9]+", ascii_name) or ["field"]
    usable = words[0][:1].lower() + words[0][1:] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    if usable[0].isdigit():
        usable = f"_{usable}"
    number = 1
    while usable in taken or usable in BY_NORMALIZED.values():
        number += 1
        usable = f"{usable.rstrip('0123456789')}{number}"
    return usable
