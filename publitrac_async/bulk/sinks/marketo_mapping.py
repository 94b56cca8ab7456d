"""Mapping files from the fields of a lead to the fields of Marketo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from publitrac_async.bulk.errors import MappingError
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.sinks.marketo_records import NAME
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.marketo import CONSENT_FIELDS


def load_marketo_mapping(path: str | Path, *, lookup_field: str = "email") -> dict[str, Any]:
    """Read a mapping from the fields of a lead to the fields of Marketo.

    The file has the tables ``fields`` and ``custom_fields`` of a `ColumnMapping`, with REST names of Marketo
    instead of columns. Other fields are not sent. A table ``consent`` may set a field to ``"both"``: then a
    "no" is sent as well.

    Args:
        path: path of the TOML file.
        lookup_field: REST name of the field that identifies a lead.

    Returns:
        Settings of a `MarketoSink`: `fields` and `opt_in`.

    Raises:
        MappingError: the file is unreadable or invalid, or lacks the field that identifies a lead.
    """
    mapping = ColumnMapping.load(path)
    columns, consent = mapping.columns, mapping.consent
    if mapping != ColumnMapping(columns=columns, consent=consent):
        raise MappingError(
            "a mapping to Marketo's fields has the tables fields, custom_fields and consent only"
        )
    targets = list(columns.values())
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise MappingError(f"{', '.join(twice)}: a field of Marketo can be mapped from one field only")
    if not all(NAME.fullmatch(target) for target in targets):
        raise MappingError("the name of a field of Marketo is empty or invalid")
    if lookup_field == "email" and columns["email"] != "email":
        raise MappingError('the table fields must have email = "email": leads are looked up by it')
    if lookup_field not in targets:
        raise MappingError(f"no field is mapped to {lookup_field}: leads are looked up by it")
    return {
        "fields": {NATIVE_FIELDS.get(name, name): target for name, target in columns.items()},
        "opt_in": _opt_in(consent, columns),
    }


def _opt_in(consent: Mapping[str, str], columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the REST names of the consent fields that are sent for "no" as well as for "yes".

    Raises:
        MappingError: a field of the table is not mapped to a consent field.
    """
    unknown = sorted(name for name in consent if columns.get(name) not in CONSENT_FIELDS)
    if unknown:
        raise MappingError(f"consent: {', '.join(unknown)} is not mapped to a consent field of Marketo")
    return tuple(columns[name] for name, way in consent.items() if way == "both")
