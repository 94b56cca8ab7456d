"""The raw call, for operations without a method."""

from __future__ import annotations

import httpx
import pytest

from publitrac_async import (
    AuthenticationError,
    Lead,
    LeadNotFound,
    OutcomeUnknown,
    RetryPolicy,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from tests.support.v1 import DONE, response, sample, v1


async def test_the_content_is_nested_dicts_with_lists_if_several_are_possible():
    async with v1(sample("v1/get_leads_response.xml"), sample("v1/get_campaigns_response.xml"), DONE) as (
        client,
        service,
    ):
        content = await client.call("getLeads", xml="<request><queries></queries></request>")
        assert content["leads"]["lead"][0]["firstName"] == "John"
        assert content["paging"] == {"page": "1", "items": "1", "offset": "100", "total": "1"}
        assert (content["status"], content["message"]) == ("2001", "Get leads success.")
        campaigns = await client.call("getCampaigns", {"page": 2})
        assert [campaign["id"] for campaign in campaigns["campaign"]] == ["2071", "2211"]
        assert await client.call("deleteEverything") == {"status": "2000", "message": "Done."}
    assert service.sent[1].parameters == {"page": "2"}


async def test_one_of_many_is_a_list_too():
    responses = [
        response("<campaign><id>1</id></campaign>"),
        response("<opportunities><opportunity>x</opportunity></opportunities>"),
    ]
    async with v1(*responses) as (client, _):
        assert (await client.call("a"))["campaign"] == [{"id": "1"}]
        assert (await client.call("a"))["opportunities"]["opportunity"] == ["x"]


@pytest.mark.parametrize(
    ("method", "params", "xml", "verb", "sent"),
    [
        ("getLead", {"email": "a"}, None, None, "GET"),
        ("newMethod", {"email": "a"}, None, None, "GET"),
        ("newMethod", {}, "<request/>", None, "POST"),
        ("removeLeadFromList", {"email": "a"}, None, None, "POST"),
        ("newMethod", {"email": "a"}, None, "POST", "POST"),
        ("addEmailCampaign", {}, "<request/>", "GET", "GET"),
    ],
)
async def test_the_verb_follows_method_and_document(method, params, xml, verb, sent):
    async with v1() as (client, service):
        await client.call(method, params, xml, verb=verb)
    assert service.last.verb == sent
    where = service.last.form if sent == "POST" else service.last.query
    assert params.items() <= where.items()
    assert xml is None or where["query"] == xml


@pytest.mark.parametrize(
    ("method", "options", "repeated"),
    [
        ("getLead", {}, True),
        ("getSomethingNew", {}, True),
        ("deleteLead", {}, True),
        ("addLead", {"xml": "<request/>"}, False),
        ("addLead", {"params": {"query": "<request/>"}, "verb": "GET"}, False),
        ("newMethod", {}, False),
        ("newMethod", {"idempotent": True}, True),
        ("addLead", {"idempotent": True}, True),
    ],
)
async def test_only_idempotent_calls_are_retried_after_a_lost_response(method, options, repeated):
    requests = []

    def lose(request):
        requests.append(request)
        if len(requests) == 1:
            raise httpx.ReadError("gone")
        return httpx.Response(200, content=DONE)

    async with v1(transport=httpx.MockTransport(lose), retry=RetryPolicy(base=0)) as (client, _):
        if repeated:
            await client.call(method, **options)
        else:
            with pytest.raises(OutcomeUnknown):
                await client.call(method, **options)
    assert len(requests) == (2 if repeated else 1)


async def test_failures_are_typed():
    async with v1(response(status=9015, errors=["9005 - lead not found"]), b"<html>") as (client, _):
        with pytest.raises(LeadNotFound) as caught:
            await client.call("getLead", {"email": "a@example.com"})
        assert caught.value.operation == "getLead"
        with pytest.raises(UnexpectedContent):
            await client.call("getLead", {"email": "a@example.com"})


async def test_a_response_without_its_last_tag_is_read():
    async with v1(sample("v1/get_list_response.xml")) as (client, _):
        content = await client.call("getList", {"listName": "x"})
    assert content["leads"]["lead"][0]["id"] == "470"


@pytest.mark.fault("F11")
async def test_a_response_in_another_encoding_is_read():
    body = "<?xml version='1.0' encoding='iso-8859-1'?><response><a>é</a><status>2001</status></response>"
    async with v1(body.encode("latin-1"), ("\ufeff" + body).encode("utf-16-le")) as (client, _):
        assert (await client.call("a"))["a"] == "é"
        assert (await client.call("a"))["a"] == "é"


@pytest.mark.parametrize("method", ["", "get lead", "getLead&method=deleteLead", "getLeäd", "a/b", "x\n"])
async def test_only_letters_and_digits_are_a_method(method):
    async with v1() as (client, service):
        with pytest.raises(ValidationError):
            await client.call(method)
    assert service.sent == []


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"a": None}},
        {"params": {"a": ["b"]}},
        {"params": {"a": "\x00"}},
        {"params": {"a": "\ud800"}},
        {"xml": "<a>\x01</a>"},
    ],
)
async def test_unsendable_arguments_are_refused(options):
    async with v1() as (client, service):
        with pytest.raises(ValidationError):
            await client.call("getLead", **options)
    assert service.sent == []


async def test_a_value_cannot_become_a_parameter():
    async with v1() as (client, service):
        await client.call("getLead", {"email": "a&password=x"})
    assert service.last.query["password"] == "the-password"
    assert service.last.query["email"] == "a&password=x"


async def test_the_body_can_be_had_as_it_arrived():
    body = b"<response><leads><lead><notes>a < b \x0b</notes></lead></leads>"
    async with v1(body, body, httpx.Response(500, content=body)) as (client, _):
        with pytest.raises(UnexpectedContent):
            await client.call("getLeads", {"page": 3})
        assert await client.call("getLeads", {"page": 3}, raw=True) == body
        with pytest.raises(ServerError):
            await client.call("getLeads", raw=True)


async def test_a_response_is_repaired_unless_the_client_disables_it(caplog):
    body = response("<leads><lead><notes>A\x0bB</notes></lead></leads>", status=2001)
    async with v1(body) as (client, _):
        page = await client.get_leads()
        assert (page.items[0].notes, page.repaired) == ("AB", {"characters": 1})
        assert (await client.call("getLeads"))["leads"]["lead"][0]["notes"] == "AB"
    assert "repaired" in caplog.text
    async with v1(body, repair=False) as (client, _):
        with pytest.raises(UnexpectedContent):
            await client.get_leads()
        with pytest.raises(UnexpectedContent):
            await client.call("getLeads")


async def test_a_service_that_quotes_the_credentials_does_not_put_them_into_the_error():
    body = response(
        status=401,
        message="the-user may not use THE-KEY",
        errors=["Invalid password: the-password", "Invalid key the-key"],
    )
    async with v1(body) as (client, _):
        with pytest.raises(AuthenticationError) as caught:
            await client.call("getLead")
    error = caught.value
    assert error.vendor_message.startswith("********** may not use **********; Invalid password: *****")
    assert "the-" not in error.vendor_message + "".join(problem.text for problem in error.problems)


async def test_credentials_are_masked_in_the_refused_value_of_a_problem():
    body = response(status=9000, message="failed", errors=["9002 - invalid email (the-password)"])
    async with v1(body) as (client, _):
        with pytest.raises(ValidationError) as caught:
            await client.call("getLead")
    [problem] = caught.value.problems
    assert (problem.field, problem.value) == ("email", "**********")


async def test_an_append_is_retried_after_a_503_that_is_declared_to_mean_throttled():
    busy = httpx.Response(503, content=b"<html><title>503 Service Temporarily Unavailable</title></html>")
    retry = RetryPolicy(attempts=3, throttle_base=0, throttled=(503,))
    async with v1(busy, busy, DONE, retry=retry) as (client, service):
        await client.add_lead(Lead(email="ada@example.com"))
    assert len(service.sent) == 3
    async with v1(busy, DONE, retry=RetryPolicy(attempts=3, base=0)) as (client, service):
        with pytest.raises(ServerError) as caught:
            await client.add_lead(Lead(email="ada@example.com"))
    assert caught.value.maybe_applied
    assert len(service.sent) == 1
