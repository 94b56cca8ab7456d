"""Reading a page of 100 leads with 46 fields each, from bytes to records, beside the parsers alone."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from statistics import median
from typing import Any

import lxml.etree
import xmltodict

from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.transport.operation import Answer
from publitrac_async.v1.leads import _page_of_leads

VALUES = {
    "id": "470",
    "firstName": "Zoé",
    "lastName": "Smith & Söhne",
    "email": "zoe@example.com",
    "score": "12",
    "doNotCall": "0",
    "isCustomer": "1",
    "createdDate": "2015-08-23 01:35:13",
    "lastUpdated": "2015-10-25 02:20:06",
    "notes": "two lines\nof notes",
}


def page(leads: int) -> bytes:
    fields = [*NATIVE_FIELDS, "carColor"]
    lead = "".join(
        f"\n            <{name}>{VALUES.get(name, '').replace('&', '&amp;')}</{name}>" for name in fields
    )
    body = "".join(
        f"\n        <lead>{lead.replace('>470<', f'>{number}<')}\n        </lead>" for number in range(leads)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<response>\n    <leads>{body}\n    </leads>\n    <paging>'
        f"<page>1</page><items>{leads}</items><offset>100</offset><total>{leads}</total></paging>"
        "<status>2001</status><message>Get leads success.</message></response>"
    ).encode()


def with_publitrac(document: bytes) -> Any:
    return _page_of_leads(Answer(200, document), page=1)


def with_lxml(document: bytes) -> Any:
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = lxml.etree.fromstring(document, parser)
    return [{child.tag: child.text for child in lead} for lead in root.iter("lead")]


def with_elementtree(document: bytes) -> Any:
    return [{child.tag: child.text for child in lead} for lead in ET.fromstring(document).iter("lead")]


def with_xmltodict(document: bytes) -> Any:
    return xmltodict.parse(document, force_list=("lead",))["response"]["leads"]["lead"]


READERS: dict[str, Callable[[bytes], Any]] = {
    "lxml to dicts": with_lxml,
    "ElementTree to dicts": with_elementtree,
    "xmltodict to dicts": with_xmltodict,
    "publitrac_async to leads": with_publitrac,
}


def run(*, rounds: int) -> dict[str, Any]:
    """Median CPU milliseconds for a page of 100, and the longest piece for one of 1,000."""
    document, large = page(100), page(1000)
    times: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(rounds):
        for name, read in READERS.items():
            started = time.process_time()
            for _ in range(5):
                read(document)
            times[name].append((time.process_time() - started) / 5 * 1e3)
    started = time.process_time()
    with_publitrac(large)
    block = (time.process_time() - started) * 1e3
    return {
        "bytes": len(document),
        "rows": [
            {"reader": name, "cpu_ms": median(times[name]), "min": min(times[name])} for name in READERS
        ],
        "page_of_1000_ms": block,
    }


if __name__ == "__main__":
    print(run(rounds=9))
