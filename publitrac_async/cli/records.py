"""`campaigns` and `opportunities`: show a table, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.clients import open_publitrac
from publitrac_async.cli.console import to_stderr, to_stdout
from publitrac_async.models import UNSET, vendor_name
from publitrac_async.pagination import Pager

#: Attribute by heading. `--json` writes all attributes.
_CAMPAIGN: Final = {
    "ID": "id",
    "NAME": "name",
    "TYPE": "type",
    "KIND": "campaign_type",
    "TOKEN": "token",
    "CREATED": "created_date",
}
_OPPORTUNITY: Final = {
    "ID": "id",
    "EXTERNAL ID": "external_id",
    "NAME": "name",
    "ACCOUNT": "account_name",
    "STAGE": "sales_stage",
    "AMOUNT": "amount",
    "PROBABILITY": "probability",
    "CLOSED": "date_closed",
}
_GAP: Final = "  "


async def show_campaigns(*, as_json: bool) -> int:
    """Print all follow-up campaigns."""
    async with open_publitrac() as publitrac:
        return await _show(publitrac.v1.get_campaigns(), _CAMPAIGN, as_json=as_json)


async def show_opportunities(*, as_json: bool) -> int:
    """Print all opportunities."""
    async with open_publitrac() as publitrac:
        return await _show(publitrac.v1.get_opportunities(), _OPPORTUNITY, as_json=as_json)


async def _show(records: Pager[Any], columns: Mapping[str, str], *, as_json: bool) -> int:
    widths: list[int] = []
    async for page in records.pages():
        if as_json:
            for record in page.items:
                to_stdout(json.dumps(fields_of(record), ensure_ascii=False, default=str))
            continue
        rows = [[_text(getattr(record, name)) for name in columns.values()] for record in page.items]
        if rows and not widths:
            # The first page sets the widths, so that tables of any length can be shown page by page.
            rows.insert(0, list(columns))
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            to_stdout(_line(row, widths))
    if not (widths or as_json):
        to_stderr("No records.")
    return ExitStatus.OK


def fields_of(record: Any) -> dict[str, Any]:
    """Return the filled fields of a record, by the vendor's names, known fields first."""
    values = attrs.asdict(record, recurse=False)
    other, unparsed = values.pop("other_fields"), values.pop("unparsed")
    fields = {vendor_name(name): value for name, value in values.items()} | dict(other) | dict(unparsed)
    return {name: value for name, value in fields.items() if value not in (None, "", UNSET)}


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text(value: Any) -> str:
    text = "" if value is None or value is UNSET else str(value)
    # A name with control characters could manipulate the terminal.
    return "".join(character if character.isprintable() else " " for character in text)
