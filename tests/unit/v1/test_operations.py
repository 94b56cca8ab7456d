"""The table agrees with the vendor's page, and decides on lost responses."""

from __future__ import annotations

import inspect

import httpx
import pytest
from attrs import evolve

from publitrac_async import OutcomeUnknown, RetryPolicy
from publitrac_async.models import vendor_name
from publitrac_async.v1 import V1, Transaction
from publitrac_async.v1.operations import METHODS
from tests.support.v1 import CALLS as V1_CALLS
from tests.support.v1 import DONE, EMAIL, response, v1

#: Name, verb, class, page size, limits: from the page (or, for annex and constant, inferred).
PAGE = [
    ("getLeads", "GET", "read", "page", 100, {}),
    ("getLead", "GET", "read", "page", None, {}),
    ("getLeadByExternalId", "GET", "read", "page", None, {}),
    ("getLeadByTokenId", "GET", "read", "annex", None, {}),
    ("addLead", "POST", "append", "annex", None, {}),
    ("updateLead", "POST", "upsert", "annex", None, {}),
    ("deleteLead", "POST", "upsert", "constant", None, {}),
    ("syncLead", "POST", "upsert", "page", None, {}),
    ("getView", "GET", "read", "page", 100, {}),
    ("getList", "GET", "read", "page", 100, {}),
    ("addLeadToList", "POST", "upsert", "annex", None, {"listName": 49}),
    ("addLeadsToList", "POST", "upsert", "page", None, {"listName": 49}),
    ("removeLeadFromList", "POST", "upsert", "annex", None, {}),
    ("addWebVisitHistory", "POST", "append", "page", None, {"email": 49}),
    ("addClickLinkHistory", "POST", "append", "page", None, {"email": 49}),
    ("addFillFormHistory", "POST", "append", "page", None, {"email": 49}),
    ("getCampaigns", "GET", "read", "page", None, {}),
    ("executeCampaign", "POST", "append", "page", None, {}),
    ("addEmailCampaign", "POST", "append", "page", None, {"name": 49, "leads": 50}),
    ("getOpportunities", "GET", "read", "page", 200, {}),
    ("syncOpportunity", "POST", "upsert", "page", None, {}),
]


def test_the_table_equals_the_page():
    rows = [
        (row.name, row.verb, row.operation_class.value, row.source, row.page_size, dict(row.limits))
        for row in METHODS.values()
    ]
    assert sorted(rows) == sorted(PAGE)
    assert all(row.path == f"/api?method={name}" for name, row in METHODS.items())


def test_every_method_has_a_function_with_a_docstring():
    functions = {
        name: function
        for name, function in inspect.getmembers(V1, inspect.isfunction)
        if not name.startswith("_")
    }
    vendor_names = {"".join(part.title() for part in name.split("_")).lower() for name in functions}
    assert vendor_names - {"call", "addtransaction", "syncleadmany"} == {name.lower() for name in METHODS}
    assert all(function.__doc__ for function in functions.values())


CALLS = {vendor_name(name): call for name, call in V1_CALLS.items()} | {
    "transaction": lambda c: c.add_transaction(
        Transaction(id="1"), url="https://shop.example/t", token="t", email=EMAIL
    )
}
APPENDS = [row[0] for row in PAGE if row[2] == "append"] + ["transaction"]
LEAD_RESPONSE = response(f"<leads><lead><email>{EMAIL}</email></lead></leads><campaigns/><opportunities/>")


class Lost(httpx.AsyncBaseTransport):
    """Loses the response to the first request, after the service has received it."""

    def __init__(self) -> None:
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests == 1:
            raise httpx.ReadError("gone")
        reads = b"method=get" in request.url.query
        return httpx.Response(200, content=LEAD_RESPONSE if reads else DONE)


def test_all_methods_are_called_below():
    assert set(CALLS) == set(METHODS) | {"transaction"}


@pytest.mark.parametrize("name", CALLS)
async def test_appends_are_not_retried_after_a_lost_response(name):
    transport = Lost()
    async with v1(transport=transport, retry=RetryPolicy(base=0)) as (client, _):
        if name in APPENDS:
            with pytest.raises(OutcomeUnknown) as caught:
                await CALLS[name](client)
            assert caught.value.maybe_applied
            assert caught.value.operation == name
        else:
            await CALLS[name](client)
    assert transport.requests == (1 if name in APPENDS else 2)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "transaction"])
@pytest.mark.parametrize("credentials_in", ["query", "body"])
async def test_parameters_and_credentials_are_where_they_belong(name, credentials_in):
    async with v1(LEAD_RESPONSE, credentials_in=credentials_in) as (client, service):
        await CALLS[name](client)
    sent = service.last
    credentials = {"apikey": "the-key", "username": "the-user", "password": "the-password"}
    assert sent.verb == METHODS[name].verb
    assert sent.query["method"] == name
    if sent.verb != "POST":
        assert sent.form == {}
        assert credentials.items() <= sent.query.items()
    else:
        place, other = (sent.form, sent.query) if credentials_in == "body" else (sent.query, sent.form)
        assert credentials.items() <= place.items()
        assert not credentials.keys() & other.keys()
        assert set(sent.query) <= {"method", *credentials}


@pytest.mark.parametrize("name", [name for name in CALLS if name != "transaction"])
async def test_the_key_can_be_spelt_in_both_ways_and_never_in_both_at_once(name):
    async with v1(LEAD_RESPONSE, api_key_parameter="apiKey") as (client, service):
        await CALLS[name](client)
    assert service.last.query["apiKey"] == "the-key"
    assert "apikey" not in service.last.query


async def test_the_path_of_a_base_url_is_kept():
    async with v1(LEAD_RESPONSE, base_url="https://gateway.example/publitrac/") as (client, service):
        await client.get_lead(EMAIL)
    assert (service.last.host, service.last.path) == ("gateway.example", "/publitrac/api")


def test_rows_are_values():
    row = METHODS["getLead"]
    assert evolve(row, verb="POST") != row
