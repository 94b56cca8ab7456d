"""Any response gives a result of the right type, or a typed error that shows nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import PublitracError
from publitrac_async.marketo import (
    LeadAttribute,
    LeadField,
    ListMembership,
    ProgramMembership,
)
from publitrac_async.marketo import responses as reading
from publitrac_async.marketo.structuring import (
    structure,
    structure_field_result,
    structure_lead,
    structure_result,
)
from publitrac_async.transport.operation import ServiceResponse

CANARY = "canary@example.com"

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9), st.just(CANARY)
)
NAMES = st.sampled_from(
    [
        "id",
        "status",
        "reasons",
        "code",
        "message",
        "name",
        "listId",
        "rest",
        "membership",
        "createdAt",
        "fields",
    ]
) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = {
    "success": st.sampled_from([True, False, None, "true"]),
    "errors": JSON | st.lists(st.fixed_dictionaries({"code": JSON, "message": JSON}), max_size=3),
    "result": JSON | st.lists(JSON, max_size=3),
    "requestId": JSON,
    "nextPageToken": JSON,
    "moreResult": JSON,
    "access_token": JSON,
    "expires_in": JSON,
}
ENVELOPES = st.fixed_dictionaries({}, optional=MEMBERS) | JSON

PARSERS: dict[str, Callable[[ServiceResponse], Any]] = {
    "done": reading.done,
    "one lead": reading.one_lead,
    "leads": partial(reading.page, item=structure_lead, first=True),
    "lists": partial(reading.page, item=partial(structure, kind=ListMembership), first=False),
    "programs": partial(reading.page, item=partial(structure, kind=ProgramMembership), first=True),
    "fields": partial(reading.page, item=partial(structure, kind=LeadField), first=True),
    "any page": reading.raw_page,
    "describe": partial(reading.items, kind=LeadAttribute),
    "describe2": reading.schema,
    "one field": reading.one_field,
    "results": partial(reading.results, given=[{}], build=structure_result),
    "field results": partial(reading.results, given=[{}], build=structure_field_result),
    "token": reading.read_token,
}


@given(document=ENVELOPES, status=st.sampled_from([200, 200, 200, 400, 401, 413, 500, 503, 302, 599]))
def test_any_json_is_a_result_or_a_typed_error(document: Any, status: int) -> None:
    body = json.dumps(document).encode()
    for name, parse in PARSERS.items():
        failure = None
        try:
            parse(ServiceResponse(status, body))
        except PublitracError as error:
            failure = error
        shown = [str(failure), repr(failure), repr(getattr(failure, "problems", ()))]
        assert not any(CANARY in text for text in shown), name


@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_typed_error(body: bytes) -> None:
    for parse in PARSERS.values():
        with pytest.raises(PublitracError):
            parse(ServiceResponse(200, body))


@pytest.mark.parametrize("piece", ["field [", "a ", "'a',", "field 'a' ", "[", "a" * 50])
def test_a_long_message_takes_no_time(piece: str) -> None:
    errors = [{"code": "1006", "message": piece * (2_000_000 // len(piece))}]
    with pytest.raises(PublitracError) as caught:
        reading.read(ServiceResponse(200, json.dumps({"success": False, "errors": errors}).encode()))
    assert len(str(caught.value)) < 200


def test_the_message_lists_some_of_many_fields() -> None:
    errors = [{"code": "1006", "message": f"Field 'f{number}' not found"} for number in range(1000)]
    with pytest.raises(PublitracError, match=r"f19: .*; 980 more") as caught:
        reading.read(ServiceResponse(200, json.dumps({"success": False, "errors": errors}).encode()))
    assert len(caught.value.problems) == 1000


def test_json_that_is_nested_too_deep() -> None:
    with pytest.raises(PublitracError):
        reading.read(ServiceResponse(200, b'{"result":' * 5000))
