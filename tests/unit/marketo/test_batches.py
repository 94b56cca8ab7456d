"""Splitting by 300 records, 300 values and 1 MB; long GETs; refusals before a request."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import ServerError, ValidationError
from publitrac_async.marketo import LeadFieldUpdate, MarketoClient, NewLeadField
from publitrac_async.marketo import records as building
from tests.support.clock import virtual
from tests.support.marketo import Sent, refused, result, serving

Run = Callable[[MarketoClient], Awaitable[Any]]


def updated(sent: Sent) -> dict[str, Any]:
    """A response for the records of the request; their ids tell which they were."""
    return result(
        *(
            {"id": int(record["email"].partition("@")[0]), "status": "updated"}
            for record in sent.json["input"]
        )
    )


def leads(count: int, size: int = 0) -> list[dict[str, Any]]:
    return [{"email": f"{number}@x.com", "notes": "é" * size} for number in range(1, count + 1)]


@virtual
async def test_seven_hundred_records_are_three_calls_in_order() -> None:
    async with serving(updated) as (marketo, service):
        done = await marketo.sync_leads(leads(700), action="updateOnly")
    assert [len(sent.json["input"]) for sent in service.sent] == [300, 300, 100]
    assert [sent.json["action"] for sent in service.sent] == ["updateOnly"] * 3
    assert [each.id for each in done] == list(range(1, 701))


@virtual
async def test_a_megabyte_ends_a_batch_earlier() -> None:
    async with serving(updated) as (marketo, service):
        done = await marketo.sync_leads(leads(40, size=50_000))
    assert all(len(sent.body) <= 1_000_000 for sent in service.sent)
    assert [len(sent.json["input"]) for sent in service.sent] == [9, 9, 9, 9, 4]
    assert [each.id for each in done] == list(range(1, 41))


@given(
    sizes=st.lists(st.integers(1, 400_000), max_size=40),
    head=st.dictionaries(st.sampled_from(["action", "lookupField"]), st.text(max_size=20)),
)
def test_bodies_hold_every_record_once_in_order_within_the_limit(sizes: list[int], head: Any) -> None:
    records = [orjson.dumps({"n": place, "t": "x" * size}) for place, size in enumerate(sizes)]
    made = building.split(records, range(len(sizes)), head, "Sync Leads")
    documents = [orjson.loads(batch.content) for batch in made]
    assert [record["n"] for document in documents for record in document["input"]] == list(range(len(sizes)))
    assert [number for batch in made for number in batch.records] == list(range(len(sizes)))
    assert [len(batch.records) for batch in made] == [len(document["input"]) for document in documents]
    assert all(len(batch.content) <= 1_000_000 and 1 <= len(batch.records) <= 300 for batch in made)
    assert all({name: document[name] for name in head} == head for document in documents)
    # No two neighbours would have fitted into one.
    sizes_of = [(len(batch.content), len(batch.records)) for batch in made]
    assert all(
        one + other > 1_000_000 or few + many > 300
        for (one, few), (other, many) in itertools.pairwise(sizes_of)
    )


@virtual
async def test_a_record_of_more_than_a_megabyte_is_refused_before_anything_is_sent() -> None:
    async with serving(updated) as (marketo, service):
        with pytest.raises(ValidationError, match=r"input\[2\]: has more than \d+ bytes") as caught:
            await marketo.sync_leads([*leads(2), {"email": "3@x.com", "notes": "x" * 1_000_000}, *leads(1)])
    assert not service.sent
    assert caught.value.attempts == 0


@virtual
async def test_no_records_are_no_call() -> None:
    async with serving(updated) as (marketo, service):
        assert await marketo.sync_leads([]) == []
        assert await marketo.delete_leads([]) == []
    assert not service.sent
    assert not service.token_requests


@virtual
async def test_an_error_in_the_middle_has_the_results_before_it() -> None:
    async with serving(updated, refused("1003")) as (marketo, service):
        with pytest.raises(ValidationError) as caught:
            await marketo.sync_leads(leads(700))
    assert len(service.sent) == 2
    assert [each.id for each in caught.value.done] == list(range(1, 301))
    assert not caught.value.maybe_applied  # The error is about the second call; the first is in `done`.


@virtual
async def test_an_error_at_the_beginning_has_none() -> None:
    async with serving(refused("1003")) as (marketo, _):
        with pytest.raises(ValidationError) as caught:
            await marketo.sync_leads(leads(700))
    assert caught.value.done == ()
    assert not caught.value.maybe_applied


@virtual
async def test_too_few_results_cannot_be_told_apart() -> None:
    async with serving(result({"id": 1, "status": "updated"})) as (marketo, _):
        with pytest.raises(Exception, match="1 results for 2 records") as caught:
            await marketo.push_leads(leads(2), program_name="P")
    assert caught.value.maybe_applied


# Filters.


def found(sent: Sent) -> dict[str, Any]:
    values = dict(sent.query or list(sent.form.items()))["filterValues"].split(",")
    return result(*({"id": int(value)} for value in values))


@virtual
async def test_values_of_a_filter_are_requested_in_calls_of_300() -> None:
    async with serving(found) as (marketo, service):
        ids = [lead.id async for lead in marketo.get_leads_by_filter_type("id", [*range(1, 701), 5, "6"])]
    assert ids == list(range(1, 701))
    assert len(service.sent) == 3


@virtual
async def test_an_iteration_over_many_values_continues_from_any_token() -> None:
    def paged(sent: Sent) -> dict[str, Any]:
        query = dict(sent.query)
        values = query["filterValues"].split(",")
        start = int(query.get("nextPageToken", "0==").removesuffix("=="))
        part, end = values[start : start + 200], start + 200
        more = {"nextPageToken": f"{end}==", "moreResult": True} if end < len(values) else {}
        return result(*({"id": int(value)} for value in part), **more)

    values = range(1, 701)
    async with serving(paged) as (marketo, _):
        pages = [page async for page in marketo.get_leads_by_filter_type("id", values).pages()]
        assert [len(page.items) for page in pages] == [200, 100, 200, 100, 100]
        tokens = [page.next_page_token for page in pages]
        assert tokens[-1] is None
        for place, token in enumerate(tokens[:-1], start=1):
            pager = marketo.get_leads_by_filter_type("id", values, next_page_token=token)
            rest = [lead.id async for lead in pager]
            assert rest == [lead.id for page in pages[place:] for lead in page.items]


@pytest.mark.parametrize(("length", "verb"), [(20, "GET"), (40, "POST")])
def test_a_get_that_is_too_long_becomes_a_post(length: int, verb: str) -> None:
    values = [f"{'x' * length}{number:03}@x.com" for number in range(200)]

    @virtual
    async def main() -> None:
        async with serving(result({"id": 1})) as (marketo, service):
            page = await marketo.get_leads_by_filter_type("email", values, fields=["email"], batch_size=10)
        (sent,) = service.sent
        assert page.items[0].id == 1
        assert sent.verb == verb
        expected = {
            "filterType": "email",
            "filterValues": ",".join(values),
            "fields": "email",
            "batchSize": "10",
        }
        if verb == "GET":
            assert dict(sent.query) == expected
            assert len(sent.target) < 8000
        else:
            assert sent.target == "/rest/v1/leads.json?_method=GET"
            assert sent.headers["content-type"].startswith("application/x-www-form-urlencoded")
            assert sent.form == expected

    main()


@virtual
async def test_a_long_get_as_post_is_still_a_read() -> None:
    values = [f"{'x' * 60}{number:03}@x.com" for number in range(200)]
    async with serving(b"<html>Bad gateway</html>", result({"id": 1})) as (marketo, service):
        await marketo.get_leads_by_filter_type("email", values)
    assert [sent.verb for sent in service.sent] == ["POST", "POST"]


@virtual
async def test_a_long_token_makes_a_post_too() -> None:
    async with serving(result()) as (marketo, service):
        await marketo.get_leads_by_list_id(1, next_page_token="A" * 9000)
    assert service.sent[0].target == "/rest/v1/list/1/leads.json?_method=GET"
    assert service.sent[0].form == {"nextPageToken": "A" * 9000}


# Refused before a request.

FIELD = {"display_name": "Acme", "name": "acme", "data_type": "string"}

REFUSED: dict[str, tuple[Run, str]] = {
    "comma": (lambda m: m.get_leads_by_filter_type("company", ["Acme, Inc."]), "filterValues: has a comma"),
    "no values": (lambda m: m.get_leads_by_filter_type("id", []), "at least one value"),
    "empty value": (lambda m: m.get_leads_by_filter_type("id", [""]), "must not be empty"),
    "filter type": (lambda m: m.get_leads_by_filter_type("a,b", ["1"]), "not the REST name"),
    "fields": (lambda m: m.get_lead_by_id(1, fields=["a b"]), "not the REST name"),
    "page": (lambda m: m.get_lead_fields(batch_size=301), "between 1 and 300"),
    "page of none": (lambda m: m.get_leads_by_list_id(1, batch_size=0), "between 1 and 300"),
    "lead id": (lambda m: m.get_lead_by_id(0), "positive integer"),
    "flag as id": (lambda m: m.delete_leads([True]), "positive integer"),
    "text as id": (lambda m: m.delete_leads(["7"]), "positive integer"),  # type: ignore[list-item]
    "merge of 26": (lambda m: m.merge_leads(1, range(2, 28)), "must be from 1 to 25 leads"),
    "merge of none": (lambda m: m.merge_leads(1, []), "must be from 1 to 25 leads"),
    "merge with itself": (lambda m: m.merge_leads(1, [2, 1]), "must not contain the winner"),
    "cookie": (lambda m: m.associate_lead(1, " "), "_mkto_trk"),
    "id": (lambda m: m.sync_leads([{"id": 1}]), r"input\[0\]\.id: can only be given"),
    "action": (lambda m: m.sync_leads([], action="upsert"), "must be one of"),  # type: ignore[arg-type]
    "partition": (
        lambda m: m.sync_leads([], action="updateOnly", partition_name="Europe"),
        "partitionName: can only be given",
    ),
    "e-mail": (lambda m: m.sync_leads([{"email": "é@x.com"}]), r"input\[0\]\.email: .* must be ASCII"),
    "empty record": (lambda m: m.sync_leads([{"email": "a@x.com"}, {}]), r"input\[1\]: has no fields"),
    "nested": (lambda m: m.sync_leads([{"a": [1]}]), "cannot be written from list"),  # type: ignore[dict-item]
    "not a number": (lambda m: m.sync_leads([{"a": math.nan}]), "must be a finite number"),
    "surrogate": (lambda m: m.sync_leads([{"a": "\ud800"}]), "has lone surrogates"),
    "big number": (lambda m: m.sync_leads([{"a": 2**70}]), "within 64 bits"),
    "program": (lambda m: m.push_leads([{"email": "a@x.com"}], program_name=" "), "programName: is required"),
    "form without e-mail": (
        lambda m: m.submit_form(form_id=1, lead_form_fields={"firstName": "A"}),
        "e-mail address is required",
    ),
    "form with None": (
        lambda m: m.submit_form(form_id=1, lead_form_fields={"email": "a@x.com", "city": None}),
        "city: must not be None",
    ),
    "field name": (
        lambda m: m.create_lead_fields([NewLeadField(**FIELD | {"name": "1abc"})]),  # type: ignore[arg-type]
        "must begin with a letter",
    ),
    "field of 101": (
        lambda m: m.create_lead_fields([NewLeadField(**FIELD)] * 101),  # type: ignore[arg-type]
        "at most 100 fields",
    ),
    "field update": (
        lambda m: m.update_lead_field("acme", LeadFieldUpdate()),
        "must have at least one change",
    ),
    "field path": (lambda m: m.get_lead_field_by_name("../x"), "not the REST name"),
    "programs": (lambda m: m.get_programs_by_lead_id(1, program_ids=range(1, 302)), "at most 300 values"),
}


@pytest.mark.parametrize(("run", "message"), REFUSED.values(), ids=REFUSED)
def test_arguments_refused_before_a_request(run: Run, message: str) -> None:
    @virtual
    async def main() -> None:
        async with serving(result()) as (marketo, service):
            with pytest.raises(ValidationError, match=message) as caught:
                await run(marketo)
        assert not service.sent
        assert not service.token_requests
        assert caught.value.operation is not None
        assert caught.value.problems

    main()


def test_every_problem_of_every_record_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        building.write_records([{"a": [1]}, {"b": 1}, {"c": {}, "d": math.inf}], "Sync Leads")
    assert [problem.field for problem in caught.value.problems] == ["input[0].a", "input[2].c", "input[2].d"]


@virtual
async def test_errors_show_no_value() -> None:
    async with serving(ServerError("x")) as (marketo, _):
        for run in (
            lambda: marketo.sync_leads([{"email": "é-secret@x.com"}]),
            lambda: marketo.get_leads_by_filter_type("email", ["secret, value"]),
        ):
            with pytest.raises(ValidationError) as caught:
                await run()  # type: ignore[no-untyped-call]
            assert "secret" not in str(caught.value)
            assert "secret" not in repr(caught.value.problems)
