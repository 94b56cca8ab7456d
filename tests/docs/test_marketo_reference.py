"""The reference of Marketo: a section with an example for every method, and a table that fits the code."""

from __future__ import annotations

import inspect
import re

from publitrac_async.marketo import MarketoClient
from publitrac_async.marketo import operations as table
from publitrac_async.marketo.codes import CODES
from publitrac_async.transport.base import BaseClient
from publitrac_async.transport.operation import Operation
from tests.support.snippets import ROOT

PAGE = (ROOT / "docs" / "reference" / "marketo.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guides" / "marketo.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| \[`(\w+)`\]\(#\1\) \| ([\w ]+) \| `(\w+) (\S+)` \| ([\w, ]+) \| (\d+) s \|$", re.MULTILINE
)


def methods() -> set[str]:
    functions = inspect.getmembers(MarketoClient, inspect.isfunction)
    return {name for name, _ in functions if not name.startswith("_")} - set(dir(BaseClient))


def test_every_method_has_a_section_with_an_example() -> None:
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
    assert set(sections) == methods()
    for name, section in sections.items():
        assert f".. automethod:: publitrac_async.marketo.MarketoClient.{name}\n" in section
        assert f"marketo.{name}(" in section.partition("```python")[2]


def test_the_table_fits_the_operations() -> None:
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(#\1\) \| ([\w ]+) \| `(\w+) (\S+)` \| ([\w, ]+) \| (\d+) s \|$", PAGE, re.MULTILINE
    )
    assert {row[0] for row in rows} == methods() - {"call"}
    operations = {
        row.name: row
        for row in vars(table).values()
        if isinstance(row, Operation) and row not in (table.GET_TOKEN, table.SYNC_NEW_LEADS)
    }
    assert len(rows) == len(operations) == 20
    for _, name, verb, path, kind, seconds in rows:
        row = operations[name]
        assert (row.verb, row.path) == (verb, path)
        assert kind.startswith(row.operation_class.value)
        assert int(seconds) == table.SERVER_SECONDS.get(name, 30)


def test_the_guides_table_of_codes_names_their_classes() -> None:
    rows = re.findall(r"^\| (\d[^|]*) \| `(\w+)` \|", GUIDE, re.MULTILINE)
    named = {code: kind for codes, kind in rows for code in re.findall(r"\d{3,4}", codes)}
    assert len(named) > 12
    assert {code: CODES[code].kind.__name__ for code in named} == named
