"""A filter that matches too many leads is split into parts, and continues from any token."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async import ValidationError
from publitrac_async.marketo.paging import ValuePart
from tests.support.clock import run_virtual, virtual
from tests.support.marketo import Sent, refused, result, serving

TOO_MANY = refused("1003", message="Too many results match the filter")


def crowd(weights: dict[str, int], *, page: int = 300) -> Any:
    """A service in which each value matches some leads, and a call at most 1,000."""

    def respond(sent: Sent) -> Any:
        query = dict(sent.query) or sent.form
        values = query["filterValues"].split(",")
        leads = [int(value) * 10_000 + each for value in values for each in range(weights[value])]
        if len(leads) > 1000:
            return TOO_MANY
        start = int(query.get("nextPageToken", "0=").rstrip("="))
        more = {"nextPageToken": f"{start + page}=", "moreResult": True} if start + page < len(leads) else {}
        return result(*({"id": lead} for lead in leads[start : start + page]), **more)

    return respond


@virtual
async def test_values_are_halved_until_their_leads_fit() -> None:
    weights = {str(value): 10 for value in range(1, 301)}
    async with serving(crowd(weights)) as (marketo, service):
        found = [lead.id async for lead in marketo.get_leads_by_filter_type("id", list(weights))]
    assert Counter(lead // 10_000 for lead in found) == Counter(dict.fromkeys(range(1, 301), 10))
    assert len(set(found)) == 3000
    assert len(service.sent) < 40


@virtual
async def test_one_value_that_matches_too_many_is_an_error_with_the_place() -> None:
    weights = {"1": 5, "2": 1001, "3": 5}
    async with serving(crowd(weights)) as (marketo, _):
        leads = aiter(marketo.get_leads_by_filter_type("id", ["1", "2", "3"]))
        seen = [(await anext(leads)).id for _ in range(5)]
        with pytest.raises(ValidationError) as caught:
            await anext(leads)
    assert seen == [10_000, 10_001, 10_002, 10_003, 10_004]
    assert caught.value.code == "1003"
    assert caught.value.next_page_token is not None


@virtual
async def test_another_1003_is_not_taken_for_too_many() -> None:
    async with serving(refused("1003", message="Invalid fields [x]")) as (marketo, service):
        with pytest.raises(ValidationError):
            await marketo.get_leads_by_filter_type("id", [1, 2, 3, 4])
    assert len(service.sent) == 1


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_the_walk_is_the_same_from_every_token(numbers: list[int], cut: int) -> None:
    weights = {str(place): number for place, number in enumerate(numbers, 1)}

    async def main() -> None:
        async with serving(crowd(weights)) as (marketo, _):
            pages = [page async for page in marketo.get_leads_by_filter_type("id", list(weights)).pages()]
            whole = [lead.id for page in pages for lead in page.items]
            assert len(whole) == len(set(whole)) == sum(numbers)
            place = cut % len(pages)
            token = pages[place].next_page_token
            if token is None:
                assert place == len(pages) - 1
                return
            rest = marketo.get_leads_by_filter_type("id", list(weights), next_page_token=token)
            seen = [lead.id for page in pages[: place + 1] for lead in page.items]
            assert seen + [lead.id async for lead in rest] == whole

    run_virtual(main())


def test_tokens_of_marketo_are_never_taken_for_parts() -> None:
    for token in ("PS5VL5WD4UOWGOUCJR6VY7JQO2===", "12345", "1+2", None):
        assert ValuePart.read(token, 5) == ValuePart(0, 5, token)
    assert ValuePart.read("3+2:AB=", 5) == ValuePart(3, 2, "AB=")
    assert ValuePart.read("3+0:", 5) == ValuePart(3, 1, None)
