"""Write requests of API v2, in JSON."""

from __future__ import annotations

from typing import Any

import orjson

from publitrac_async.checks import check_lead
from publitrac_async.converters import lead_to_wire
from publitrac_async.models import Lead
from publitrac_async.v2.operations import DELAYED_SYNC


def lead_body(lead: Lead) -> bytes:
    """Return the body of delayedSync, which does not depend on the order of custom fields.

    Raises:
        ValidationError: the e-mail address or another value is missing or cannot be written.
    """
    name = DELAYED_SYNC.name
    check_lead(lead, name)
    return write_body(*lead_to_wire(lead, name))


def write_body(native: dict[str, Any], custom: dict[str, Any]) -> bytes:
    """Return the body of delayedSync.

    Args:
        native: native fields as text, by vendor name.
        custom: custom fields as text, by name.
    """
    body: dict[str, Any] = {"leadInfo": native}
    if custom:
        body["leadCustomField"] = custom
    # A copy: orjson's object occupies four kilobytes for as long as the call waits for the limit.
    return bytes(memoryview(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)))
