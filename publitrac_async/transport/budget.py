"""One budget for whatever a response holds: no response costs more than 48 MiB of memory or 0.5 s of CPU.

Bodies, gzip, XML and JSON take their figures from here. What a document would cost is found before or
while a parser sees it, never when its tree is there.
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
        ratio: of these two, checked past `ratio_free` bytes.
        ratio_free: bytes that may unfold in any ratio.
        depth: nesting of XML. JSON has a limit in its parser, 1,024.
        text: characters of one text or attribute.
        elements: elements of XML in all; a page of 200 leads has 9,400.
        attributes: attributes of XML in all; the vendors use none.
        name: characters of a name.
        record: bytes of XML read ahead of the first element that is whole.
        values: values of JSON in all; 300 leads of Marketo with 500 fields have 150,000.
        containers: lists and objects of JSON in all.
    """

    body: int = 8 * 1024 * 1024
    ratio: int = 100
    ratio_free: int = 1024 * 1024
    depth: int = 64
    text: int = 1024 * 1024
    elements: int = 75_000
    attributes: int = 50_000
    name: int = 256
    record: int = 2 * 1024 * 1024
    values: int = 200_000
    containers: int = 50_000


BUDGET: Final = Budget()
#: Bytes of a response that is a token, an id or an acknowledgement.
SHORT_BODY: Final = 64 * 1024


class OverBudget(Exception):
    """A document would cost too much. The text quotes nothing of it."""


def load_json(body: bytes) -> Any:
    """Read JSON within the budget.

    Brackets, commas and colons inside of texts are counted too: a page of records is far from the bounds.

    Raises:
        OverBudget: it has too many values.
        orjson.JSONDecodeError: it is not JSON.
    """
    # A container takes two bytes, a value with its comma as well. Counting is the fastest way to look.
    if len(body) > 2 * BUDGET.containers and body.count(b"[") + body.count(b"{") > BUDGET.containers:
        raise OverBudget(f"it has more than {BUDGET.containers} lists and objects")
    if len(body) > 2 * BUDGET.values and body.count(b",") > BUDGET.values:
        raise OverBudget(f"it has more than {BUDGET.values} values")
    return orjson.loads(body)
