"""The inspector's views of a sandbox: the parts of its state that the page shows."""

from __future__ import annotations

import json
import time
from itertools import takewhile
from typing import Any, Final

from attrs import asdict

from publitrac_async.sandbox.core import SandboxCore
from publitrac_async.sandbox.journal import Arrival

MOST_ARRIVALS: Final = 500
MOST_RECORDS: Final = 200
MOST_WAITING: Final = 100


def state(core: SandboxCore, *, after: int) -> dict[str, Any]:
    """Return a summary of the state of a sandbox.

    Args:
        core: the sandbox.
        after: a sequence number: only later arrivals are included, and at most the latest 500.
    """
    with core.database.lock:
        account = core.publitrac
        account.queue.process_due()
        rejections = account.queue.rejections()
        arrivals = core.journal.arrivals
        return {
            "now": core.clock.text(),
            "offset": core.clock.offset,
            "generation": core.journal.generation,
            "revision": core.database.connection.total_changes,
            "arrivals": len(arrivals),
            "new": [arrival.facts() for arrival in arrivals[max(after, len(arrivals) - MOST_ARRIVALS, 0) :]],
            "last_second": _last_second(core),
            "rate_limit": core.settings.rate_limit,
            "leads": account.leads.count(),
            "pending": account.queue.pending(),
            "waiting": account.queue.waiting(MOST_WAITING),
            "rejections": rejections[: -MOST_WAITING - 1 : -1],
            "rejected": len(rejections),
            "faults": [asdict(fault) for fault in core.faults.faults],
        }


def arrival_details(core: SandboxCore, sequence: int) -> dict[str, Any]:
    """Return all details of an arrival: facts, content as text and as Python values, response.

    Raises:
        LookupError: there is no such arrival.
    """
    arrivals = core.journal.arrivals
    if not 1 <= sequence <= len(arrivals):
        raise LookupError(f"there is no arrival {sequence}")
    arrival: Arrival = arrivals[sequence - 1]
    content = arrival.content
    return {
        **arrival.facts(),
        "parameters": dict(content.parameters) if content else {},
        "document": arrival.document,
        "request": content.body.decode("utf-8", "replace") if content else None,
        "response": None if arrival.response is None else arrival.response.decode("utf-8", "replace"),
    }


def vendors(core: SandboxCore, base_url: str) -> dict[str, Any]:
    """Return name for people, kinds of records and environment of each vendor.

    Args:
        core: the sandbox.
        base_url: the URL of the sandbox, as the page sees it.
    """
    with core.database.lock:
        return {
            name: {
                "title": vendor.title,
                "kinds": [kind for kind, found in vendor.contents().items() if isinstance(found, list)],
                "environment": vendor.environment(base_url),
            }
            for name, vendor in core.vendors.items()
        }


def records(core: SandboxCore, *, vendor: str, kind: str, search: str) -> dict[str, Any]:
    """Return records of a vendor.

    Args:
        core: the sandbox.
        vendor: a name in `core.vendors`, such as `marketo`.
        kind: the name of the records, such as `leads`; an empty text means the first kind.
        search: a text that the records must contain, regardless of case.

    Returns:
        The `kind`, at most 200 `records`, the latest first, and their `total`.

    Raises:
        LookupError: there is no such vendor or kind.
    """
    with core.database.lock:
        if vendor == "publitrac" and kind in ("", "leads"):
            core.publitrac.queue.process_due()
            leads, total = core.publitrac.leads.search(search, MOST_RECORDS)
            return {"kind": "leads", "records": [lead.as_dict() for lead in leads], "total": total}
        contents = core.contents(vendor)
    kind = kind or next(iter(contents))
    text = search.casefold()
    found = [record for record in contents[kind] if not text or text in _text(record)]
    return {"kind": kind, "records": found[: -MOST_RECORDS - 1 : -1], "total": len(found)}


def _last_second(core: SandboxCore) -> int:
    """Return the number of arrivals in the second before now."""
    start = time.monotonic_ns() - 1_000_000_000
    latest = reversed(core.journal.arrivals)
    return sum(1 for _ in takewhile(lambda arrival: arrival.monotonic_ns > start, latest))


def _text(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False).casefold()
