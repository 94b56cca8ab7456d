"""The emulated token, rate, concurrency and quota; the journal; the control side."""

from __future__ import annotations

import asyncio

import pytest

from publitrac_async.sandbox import Fault, Sandbox


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_token_request_returns_a_token_for_an_hour(rest, verb):
    response = await rest.request_token(verb)
    document = response.json()
    assert set(document) == {"access_token", "token_type", "expires_in", "scope"}
    assert document["token_type"] == "bearer"
    assert 3598 <= document["expires_in"] <= 3600


async def test_asked_early_the_token_is_the_same_with_what_is_left(sandbox, rest):
    first = (await rest.request_token()).json()
    sandbox.advance(3000)
    second = (await rest.request_token()).json()
    assert second["access_token"] == first["access_token"]
    assert 597 <= second["expires_in"] <= 600
    sandbox.advance(700)
    third = (await rest.request_token()).json()
    assert third["access_token"] != first["access_token"]


async def test_wrong_credentials_get_no_token(rest):
    for changes in ({"client_id": "x"}, {"client_secret": "x"}):
        response = await rest.request_token(**changes)
        assert (response.status_code, response.json()["error"]) == (401, "unauthorized")
    assert (await rest.request_token(grant_type="password")).status_code == 400


async def test_a_token_that_ended_is_expired_once_and_then_unknown(sandbox, rest):
    await rest.get("leads/describe2.json")
    sandbox.advance(3601)
    assert await rest.code("leads/describe2.json") == "602"
    assert await rest.code("leads/describe2.json") == "601"
    rest.token = ""
    await rest.get("leads/describe2.json")
    sandbox.revoke_tokens()
    assert await rest.code("leads/describe2.json") == "601"


async def test_only_the_header_counts(rest):
    token = (await rest.request_token()).json()["access_token"]
    response = await rest.http.get("/rest/v1/leads/describe2.json", params={"access_token": token})
    assert response.json()["errors"][0]["code"] == "600"


async def test_the_rate_is_refused_with_http_200(by_hand):
    async with Sandbox(marketo_rate_limit=5) as sandbox, by_hand(sandbox) as rest:
        for _ in range(5):
            await rest.get("leads/describe2.json")
        assert await rest.code("leads/describe2.json") == "606"
        await rest.request_token()
        flags = [arrival.over_limit for arrival in sandbox.journal.arrivals if arrival.api == "marketo"]
        assert flags == [False] * 5 + [True]


async def test_calls_over_the_limit_can_be_counted_only(by_hand):
    async with Sandbox(marketo_rate_limit=1, over_limit="count") as sandbox, by_hand(sandbox) as rest:
        for _ in range(3):
            await rest.get("leads/describe2.json")
        flags = [arrival.over_limit for arrival in sandbox.journal.arrivals if arrival.api == "marketo"]
        assert flags == [False, True, True]


async def test_calls_at_once(by_hand):
    async with Sandbox(marketo_concurrency=2) as sandbox, by_hand(sandbox) as rest:
        await rest.get("leads/describe2.json")
        sandbox.inject(Fault("delay", match="marketo", times=None, seconds=0.2))
        responses = await asyncio.gather(*(rest.send("GET", "leads/describe2.json") for _ in range(4)))
        codes = sorted(response.json().get("errors", [{"code": ""}])[0]["code"] for response in responses)
        assert codes == ["", "", "615", "615"]
        sandbox.clear_faults()
        await rest.get("leads/describe2.json")


async def test_the_quota_of_the_day(by_hand):
    async with Sandbox(marketo_daily_quota=2) as sandbox, by_hand(sandbox) as rest:
        for _ in range(2):
            await rest.get("leads/describe2.json")
        assert await rest.code("leads/describe2.json") == "607"
        sandbox.advance(24 * 3600)
        rest.token = ""
        await rest.get("leads/describe2.json")


async def test_the_journal_names_operations_and_keys(sandbox, rest):
    await rest.post("leads.json", {"input": [{"email": "a@x.com"}, {"email": "b@x.com"}]})
    await rest.get("lead/1.json")
    await rest.get("leads.json", filterType="id", filterValues="1,2")
    await rest.post("leads/delete.json", {"input": [{"id": 1}]})
    rows = [(each.api, each.method, each.key, each.applied) for each in sandbox.journal.arrivals]
    assert rows == [
        ("marketo-identity", "getToken", None, False),
        ("marketo", "syncLead", "a@x.com,b@x.com", True),
        ("marketo", "getLeadById", "1", False),
        ("marketo", "getLeadsByFilter", "1,2", False),
        ("marketo", "deleteLeads", "1", True),
    ]


async def test_faults_strike_by_the_names_of_api_and_operation(sandbox, rest):
    body = '{"requestId": "1#2", "success": false, "errors": [{"code": "611", "message": "System error"}]}'
    fault = Fault(
        "status", match="marketo.getLeadById", status=200, body=body, content_type="application/json"
    )
    sandbox.inject(fault)
    await rest.get("leads/describe2.json")
    response = await rest.send("GET", "lead/1.json")
    assert response.json()["errors"][0]["code"] == "611"


async def test_seeding_and_contents_over_http(rest):
    seeded = await rest.http.post(
        "/_sandbox/seed", params={"vendor": "marketo"}, json={"leads": [{"email": "a@x.com"}]}
    )
    assert seeded.status_code == 200
    contents = (await rest.http.get("/_sandbox/contents", params={"vendor": "marketo"})).json()
    assert [lead["email"] for lead in contents["leads"]] == ["a@x.com"]
    await rest.http.post("/_sandbox/reset")
    contents = (await rest.http.get("/_sandbox/contents", params={"vendor": "marketo"})).json()
    assert contents == {"leads": [], "activities": [], "fields": []}


@pytest.mark.parametrize(
    "document",
    [
        {"contacts": []},
        {"lists": [{"id": 1, "leads": [9]}]},
        {"fields": [{"name": "1"}]},
        {"leads": [{"id": 1}, {"id": 1}]},
    ],
)
async def test_records_that_cannot_be_seeded(sandbox, document):
    with pytest.raises(ValueError, match=r"Nothing|no lead|field|exists"):
        sandbox.marketo.seed(document)
    assert sandbox.contents("marketo")["leads"] == []


async def test_leads_outlive_a_restart(tmp_path):
    path = str(tmp_path / "sandbox.sqlite")
    with Sandbox(database=path) as sandbox:
        sandbox.marketo.seed({"leads": [{"email": "a@x.com"}]})
    with Sandbox(database=path) as sandbox:
        assert [lead["email"] for lead in sandbox.contents("marketo")["leads"]] == ["a@x.com"]
