"""Budget of one response: at most 48 MiB of memory and 0.5 s of CPU.

The readers of bodies, gzip, XML and JSON take their limits from here. They determine the cost of a document
before or during parsing, not from its finished tree.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from attrs import frozen


@frozen(kw_only=True)
class Budget:
    """Bounds on one response.

    Attributes:
        body: bytes on the wire, and after decompression.
        ratio: decompressed to compressed bytes, checked above `ratio_free` bytes.
        ratio_free: decompressed bytes allowed at any ratio.
        depth: nesting of XML. The JSON parser has its limit, 1,024.
        text: characters of one text or attribute.
        elements: XML elements in total; a page of 200 leads has 9,400.
        attributes: XML attributes in total; the vendors use none.
        name: characters of a name.
        names: different XML names in a document of more than `text` bytes.
        recoded: bytes of XML in another encoding than UTF-8, in which the document may be three times larger.
        record: bytes of XML before the first complete element.
        values: JSON values in total; 300 leads of Marketo with 500 fields have 150,000.
        containers: JSON lists and objects in total.
    """

    body: int = 8 * 1024 * 1024
    ratio: int = 100
    ratio_free: int = 1024 * 1024
    depth: int = 64
    text: int = 1024 * 1024
    elements: int = 75_000
    attributes: int = 50_000
    name: int = 256
    names: int = 10_000
    recoded: int = 4 * 1024 * 1024
    record: int = 2 * 1024 * 1024
    values: int = 200_000
    containers: int = 50_000


BUDGET: Final = Budget()
#: Limit in bytes for a response that is a token, an id or an acknowledgement.
SHORT_BODY: Final = 64 * 1024


class OverBudget(Exception):
    """The document exceeds the budget. The message does not quote the document."""


def load_json(body: bytes) -> Any:
    """Read JSON within the budget.

    Brackets, commas and colons inside strings count, too: a page of records is far below the limits.

    Raises:
        OverBudget: it has too many values.
        orjson.JSONDecodeError: it is not JSON.
    """
    # A container takes two bytes, a value with its comma as well. Counting is the fastest check.
    if len(body) > 2 * BUDGET.containers and body.count(b"[") + body.count(b"{") > BUDGET.containers:
        raise OverBudget(f"it has more than {BUDGET.containers} lists and objects")
    if len(body) > 2 * BUDGET.values and body.count(b",") > BUDGET.values:
        raise OverBudget(f"it has more than {BUDGET.values} values")
    return orjson.loads(body)
