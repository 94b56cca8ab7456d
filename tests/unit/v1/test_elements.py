"""Leads read directly from elements equal those read through dicts; large pages are read in turns."""

from __future__ import annotations

import asyncio
import itertools
from xml.sax.saxutils import escape

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from publitrac_async import Lead, UnexpectedContent
from publitrac_async.converters import NATIVE_FIELDS, lead_from_wire
from publitrac_async.transport.budget import BUDGET
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1 import leads as module
from publitrac_async.v1.elements import LeadReader
from publitrac_async.v1.leads import _page_of_leads
from publitrac_async.v1.reading import children, read_response
from tests.support.v1 import response, v1

NAMES = st.sampled_from([*NATIVE_FIELDS, "carColor", "Email", "custom_fields", "unparsed", "customFields"])
VALUES = st.one_of(
    st.sampled_from(
        ["", " ", "0", "1", "true", "x", "-12", "1_000", "\u00a0 1", "Zoë & Söhne", "\n two\nlines "]
    ).map(escape),
    st.sampled_from(
        ["2014-01-28 02:04:01", "2014-01-28T02:04:01+02:00", "0000-00-00 00:00:00", "2014-02-30"]
    ),
    st.sampled_from(["<b>bold</b>", "<![CDATA[<1>]]>", "1<!-- c -->2", "<lead><email>a</email></lead>"]),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def page(*leads: list[tuple[str, str]]) -> bytes:
    found = "".join(
        f"<lead>{''.join(f'<{name}>{value}</{name}>' for name, value in lead)}</lead>\n" for lead in leads
    )
    return response(f"<leads>{found}</leads>")


def read(body: bytes) -> tuple[Lead, ...]:
    return run_steps(_page_of_leads(ServiceResponse(200, body), page=1)).items


def by_content(body: bytes) -> tuple[Lead, ...]:
    """The same through dicts."""
    return tuple(
        lead_from_wire(fields)
        for container in children(run_steps(read_response(ServiceResponse(200, body))).children, "leads")
        for fields in children(container, "lead")
        if isinstance(fields, dict)
    )


@given(leads=st.lists(FIELDS, max_size=3))
@example(leads=[[("score", "x"), ("email", "a")], [], [("email", "a"), ("email", "b")]])
@example(leads=[[("notes", "<b>bold</b>")], [("customFields", "<carColor>Red</carColor>")]])
def test_the_way_by_elements_is_the_way_by_content(leads: list[list[tuple[str, str]]]) -> None:
    body = page(*leads)
    straight, long_way = read(body), by_content(body)
    assert straight == long_way
    assert [lead.unparsed for lead in straight] == [lead.unparsed for lead in long_way]
    kinds = [[type(value) for value in lead.set_fields().values()] for lead in straight]
    assert kinds == [[type(value) for value in lead.set_fields().values()] for lead in long_way]


def test_plain_leads_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """... which the test above cannot tell."""

    def never(fields: object) -> Lead:
        raise AssertionError(fields)

    monkeypatch.setattr(module, "lead_from_wire", never)
    (lead,) = read(page([("email", "a@example.com"), ("score", "x"), ("carColor", " Red ")]))
    assert (lead.email, lead.score, lead.custom_fields) == ("a@example.com", None, {"carColor": "Red"})
    assert lead.unparsed == {"score": "x"}


def test_the_constructor_does_nothing_that_leads_of_elements_would_miss() -> None:
    assert not any(attribute.validator or attribute.converter for attribute in attrs.fields(Lead))
    assert not hasattr(Lead, "__attrs_post_init__")
    assert not hasattr(Lead, "__attrs_pre_init__")
    (lead,) = read(page([("id", "1")]))
    assert {attribute.name: getattr(lead, attribute.name) for attribute in attrs.fields(Lead)} == {
        attribute.name: getattr(Lead(id=1), attribute.name) for attribute in attrs.fields(Lead)
    }


def test_leads_with_other_fields_than_the_one_before_have_their_own() -> None:
    first, second = [("email", "a"), ("score", "1"), ("x", "y")], [("score", "2"), ("y", "")]
    nested = [("email", "<score>3</score>"), ("x", "z")]
    leads = read(page(first, second, first, nested, first))
    assert leads[0] == leads[2] == leads[4] == Lead(email="a", score=1, custom_fields={"x": "y"})
    assert leads[1] == Lead(score=2, custom_fields={"y": ""})
    assert leads[3].email == "<score>3</score>"


def test_leads_of_several_containers_keep_their_order() -> None:
    one, two = "<lead><id>1</id></lead>", "<lead><id>2</id></lead><lead><id>3</id></lead>"
    body = response(f"<lead><id>8</id></lead><leads>{one}</leads><other>{one}</other><leads>{two}</leads>")
    assert [lead.id for lead in read(body)] == [1, 2, 3]


@pytest.mark.parametrize(
    "field",
    [
        f"<{'n' * (BUDGET.name + 1)}/>",
        f"<notes>{'x' * (BUDGET.text + 1)}</notes>",
        f"<notes a='{'x' * (BUDGET.text + 1)}'/>",
    ],
    ids=["name", "text", "attribute"],
)
@pytest.mark.parametrize("before", [0, 200])
def test_the_caps_hold_for_leads(field: str, before: int) -> None:
    lead = "<lead><email>a@example.com</email></lead>"
    body = response(f"<leads>{lead * before}<lead><id>1</id>{field}</lead>{lead}</leads>")
    with pytest.raises(UnexpectedContent, match="longer than"):
        read(body)


def large_page(leads: int) -> bytes:
    fields = [(name, "1") for name in NATIVE_FIELDS]
    return page(*([("id", str(number)), *fields[1:]] for number in range(leads)))


def test_few_leads_are_made_between_two_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    original = LeadReader.read

    def counting(*arguments: object) -> Lead | None:
        nonlocal made
        made += 1
        return original(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(LeadReader, "read", counting)
    body = large_page(1000)
    totals = [made for _ in _page_of_leads(ServiceResponse(200, body), page=1)] + [made]
    per_step = [after - before for before, after in itertools.pairwise([0, *totals])]
    assert made == 1000
    # 64 KiB hold so many leads; one may be left over from the step before.
    assert max(per_step) <= 65_536 // (len(body) // 1000) + 2


async def turns_while(reading: asyncio.Task[object]) -> int:
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


@pytest.mark.fault("F40")
async def test_other_tasks_have_turns_while_a_large_page_is_read() -> None:
    async with v1(large_page(1), large_page(1), large_page(1000)) as (client, _):
        await client.get_leads()  # Everything that is done once.
        few = await turns_while(asyncio.ensure_future(client.get_leads()._fetch(1)))
        many = await turns_while(asyncio.ensure_future(client.get_leads()._fetch(1)))
    assert many - few >= len(large_page(1000)) // 65_536


async def test_raw_calls_and_records_have_turns_as_well() -> None:
    opportunities = "<opportunity><Name>x</Name></opportunity>" * 5000
    async with v1(response(f"<opportunities>{opportunities}</opportunities>")) as (client, _):
        assert await turns_while(asyncio.ensure_future(client.get_opportunities()._fetch(1))) >= 3
        reading = asyncio.ensure_future(client.call("getOpportunities"))
        assert await turns_while(reading) >= 3
        assert len((await reading)["opportunities"]["opportunity"]) == 5000


async def test_reading_can_be_cancelled_between_two_steps() -> None:
    async with v1(large_page(1000)) as (client, _):
        reading = asyncio.ensure_future(client.get_leads()._fetch(1))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not reading.done()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
