"""`get`: show one lead."""

from __future__ import annotations

import json
from typing import Any

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.clients import open_publitrac
from publitrac_async.cli.console import to_stdout
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.models import Lead


async def show_lead(email: str, *, as_json: bool) -> int:
    """Print the fields of a lead that have a value, by the vendor's names.

    Returns:
        The exit status.

    Raises:
        PublitracError: the lead does not exist, or the call failed.
    """
    async with open_publitrac() as publitrac:
        lead = await publitrac.v1.get_lead(email)
    fields = fields_of(lead)
    if as_json:
        to_stdout(json.dumps(fields, ensure_ascii=False, default=str))
        return ExitStatus.OK
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        text = str(value).replace("\n", "\n" + " " * (width + 2))
        to_stdout(f"{name:<{width}}  {text}")
    return ExitStatus.OK


def fields_of(lead: Lead) -> dict[str, Any]:
    """Return the filled fields of a lead, by the vendor's names, native fields first."""
    values = lead.set_fields()
    native = {name: values[attribute] for name, attribute in NATIVE_FIELDS.items() if attribute in values}
    fields = native | lead.custom_fields | dict(lead.unparsed)
    return {name: value for name, value in fields.items() if value is not None and value != ""}
