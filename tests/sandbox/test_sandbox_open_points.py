"""One setting for every point that the vendor's documents leave open."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import httpx
import pytest

from publitrac_async.sandbox import Sandbox
from publitrac_async.sandbox.settings import SandboxSettings

LEAD = "<request><lead><email>a@example.com</email></lead></request>"


def caller(sandbox, address="127.0.0.1"):
    transport = httpx.ASGITransport(app=sandbox.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://sandbox")


async def status_of(v1, method="getLead", **parameters):
    return ET.fromstring((await v1.send(method, **parameters)).content).findtext("status")


@pytest.mark.parametrize("spelling", ["apikey", "apiKey"])
@pytest.mark.parametrize("sent", ["apikey", "apiKey"])
async def test_one_spelling_of_the_key(in_process, spelling, sent):
    with Sandbox(api_key_parameter=spelling) as sandbox:
        v1 = in_process(sandbox)
        credentials = {sent: sandbox.api_key, "username": sandbox.username, "password": sandbox.password}
        response = await v1.http.get("/api", params={"method": "getLead", **credentials})

        assert response.status_code == (200 if sent == spelling else 401)


@pytest.mark.parametrize("place", ["query", "body"])
@pytest.mark.parametrize("sent", ["query", "body"])
async def test_place_of_the_credentials(in_process, place, sent):
    with Sandbox(credentials_in=place) as sandbox:
        v1 = in_process(sandbox)
        here, there = (v1.credentials, {}) if sent == "query" else ({}, v1.credentials)
        response = await v1.http.post(
            "/api", params={"method": "syncLead", **here}, data={"query": LEAD, **there}
        )
        read = await v1.http.get("/api", params={"method": "getLead", **v1.credentials})

        assert response.status_code == (200 if sent == place else 401)
        assert read.status_code == 200


@pytest.mark.parametrize("status", ["200", "400", "404"])
async def test_unknown_methods_get_the_chosen_status(in_process, status):
    with Sandbox(unknown_method_response=status) as sandbox:
        assert (await in_process(sandbox).send("noSuchMethod")).status_code == int(status)


@pytest.mark.parametrize("status", ["429", "503", "403", "200"])
async def test_calls_over_the_limit(in_process, v2, status):
    with Sandbox(rate_limit=1, over_limit_response=status) as sandbox:
        v1 = in_process(sandbox)
        await v1.send("getLead")
        by_v1 = await v1.send("getLead")
        by_v2 = await v1.http.get("/v2/auth/getToken", headers={"Authorization": sandbox.api_key})

        assert by_v1.status_code == by_v2.status_code == int(status)
        if status == "200":
            assert ET.fromstring(by_v1.content).findtext("status") == "9000"
            assert by_v2.json()["code"] == 429


async def test_a_limit_for_each_address():
    with Sandbox(rate_limit=1, limit_counts="address") as sandbox:
        statuses = []
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
            async with caller(sandbox, address) as http:
                statuses.append((await http.get("/api")).status_code)

        assert statuses == [401, 401, 429]


@pytest.mark.parametrize(("limit", "statuses"), [("shared", [429, 429]), (2, [200, 200]), (None, [200, 200])])
async def test_the_limit_of_v2(in_process, limit, statuses):
    with Sandbox(rate_limit=1, v2_rate_limit=limit) as sandbox:
        v1 = in_process(sandbox)
        await v1.send("getLead")
        headers = {"Authorization": sandbox.api_key}
        seen = [(await v1.http.get("/v2/auth/getToken", headers=headers)).status_code for _ in range(2)]

        assert seen == statuses


@pytest.mark.parametrize(("status", "code"), [("401", 401), ("403", 403), ("200", 4711)])
async def test_expired_tokens_get_the_chosen_status_and_code(in_process, status, code):
    with Sandbox(expired_token_response=status, expired_token_code=code) as sandbox:
        response = await in_process(sandbox).http.post(
            "/v2/lead/delayedSync", json={"leadInfo": {}}, headers={"Token": "old"}
        )

        assert (response.status_code, response.json()["code"]) == (int(status), code)


@pytest.mark.parametrize("status", ["401", "403", "200"])
async def test_wrong_keys_get_the_chosen_status(in_process, status):
    with Sandbox(bad_key_response=status) as sandbox:
        response = await in_process(sandbox).http.get("/v2/auth/getToken", headers={"Authorization": "x"})

        assert response.status_code == int(status)
        assert "token" not in response.json()


async def test_an_environment_without_v2(in_process):
    with Sandbox(v2_enabled=False) as sandbox:
        response = await in_process(sandbox).http.get("/v2/auth/getToken")

        assert response.status_code == 404


KEYS = {
    "text": "crmLeadId,firstName",
    "children": "<key>crmLeadId</key><key>firstName</key>",
    "names": "<crmLeadId/><firstName/>",
}


@pytest.mark.parametrize("shape", ["any", *KEYS])
@pytest.mark.parametrize("sent", KEYS)
async def test_shapes_of_unicity_keys(in_process, shape, sent):
    with Sandbox(unicity_keys_shape=shape) as sandbox:
        sandbox.seed(leads=[{"email": "old@example.com", "crmLeadId": "1", "firstName": "Ada"}])
        await in_process(sandbox).send(
            "syncLead",
            f"<request><customUnicityKeys>{KEYS[sent]}</customUnicityKeys><lead><email>new@example.com</email>"
            "<crmLeadId>1</crmLeadId><firstName>Ada</firstName></lead></request>",
        )

        assert len(sandbox.leads()) == (1 if shape in ("any", sent) else 2)


@pytest.mark.parametrize("place", ["any", "before", "after", "inside"])
@pytest.mark.parametrize("sent", ["before", "after", "inside"])
async def test_places_of_options(in_process, place, sent):
    option = "<useToken>1</useToken>"
    before, inside, after = (option if sent == name else "" for name in ("before", "inside", "after"))
    with Sandbox(options_place=place) as sandbox:
        sandbox.seed(leads=[{"email": "old@example.com", "token": "T"}])
        await in_process(sandbox).send(
            "syncLead",
            f"<request>{before}<lead>{inside}<email>new@example.com</email><token>T</token></lead>{after}</request>",
        )

        assert len(sandbox.leads()) == (1 if place in ("any", sent) else 2)


@pytest.mark.parametrize(
    ("effect", "status", "company"),
    [("clears", "2006", ""), ("ignored", "2006", "A"), ("refused", "9018", "A")],
)
async def test_empty_elements_have_the_chosen_effect(in_process, effect, status, company):
    with Sandbox(empty_element=effect) as sandbox:
        sandbox.seed(leads=[{"email": "a@example.com", "company": "A"}])
        xml = "<request><lead><email>a@example.com</email><company></company></lead></request>"
        response = await in_process(sandbox).send("syncLead", xml)

        assert ET.fromstring(response.content).findtext("status") == status
        assert sandbox.lead("a@example.com")["company"] == company


@pytest.mark.parametrize(
    ("form", "expected"),
    [("pair", b"<company></company>"), ("self_closing", b"<company/>"), ("absent", None)],
)
async def test_the_form_of_empty_elements(in_process, form, expected):
    with Sandbox(empty_form=form) as sandbox:
        sandbox.seed(leads=[{"email": "a@example.com"}])
        body = (await in_process(sandbox).send("getLead", email="a@example.com")).content

        assert expected in body if expected else b"company" not in body
        assert ET.fromstring(body).findtext("leads/lead/email") == "a@example.com"


def query(*conditions):
    parts = "".join(
        f"<query><field>{name}</field><operator>{operator}</operator><value>{value}</value></query>"
        for name, operator, value in conditions
    )
    return f"<request><queries>{parts}</queries></request>"


async def test_operators_outside_the_setting_are_refused(in_process):
    with Sandbox(operators={"like"}) as sandbox:
        v1 = in_process(sandbox)

        assert await status_of(v1, "getLeads", query=query(("email", "like", "a%"))) == "2001"
        assert await status_of(v1, "getLeads", query=query(("email", "=", "a"))) == "9000"


@pytest.mark.parametrize(("combine", "found"), [("and", 1), ("or", 3)])
async def test_how_conditions_combine(in_process, combine, found):
    with Sandbox(conditions_combine=combine) as sandbox:
        names = [("Ada", "Lovelace"), ("Ada", "Byron"), ("Grace", "Lovelace"), ("John", "Smith")]
        sandbox.seed(
            leads=[{"email": f"{n}@x.org", "firstName": a, "lastName": b} for n, (a, b) in enumerate(names)]
        )
        conditions = query(("firstName", "like", "Ada"), ("lastName", "like", "Lovelace"))
        response = await in_process(sandbox).send("getLeads", query=conditions)

        assert ET.fromstring(response.content).findtext("paging/total") == str(found)


@pytest.mark.parametrize(
    ("form", "http_status", "status", "leads"),
    [
        ("9015", 200, "9015", 0),
        ("9005", 200, "9005", 0),
        ("404", 404, "9015", 0),
        ("empty", 200, "2002", 0),
        ("blank", 200, "2002", 1),
    ],
)
async def test_missing_leads_get_the_chosen_response(in_process, form, http_status, status, leads):
    with Sandbox(missing_lead_response=form) as sandbox:
        response = await in_process(sandbox).send("getLead", email="a@example.com")
        root = ET.fromstring(response.content)

        assert (response.status_code, root.findtext("status")) == (http_status, status)
        assert len(root.findall("leads/lead")) == leads
        assert not root.findtext("leads/lead/id")


@pytest.mark.parametrize(
    ("past_end", "status", "page", "items"),
    [
        ("empty", "2001", "9", "0"),
        ("last", "2001", "2", "1"),
        ("first", "2001", "1", "2"),
        ("error", "9000", None, None),
    ],
)
async def test_pages_behind_the_last_one(in_process, past_end, status, page, items):
    with Sandbox(page_past_end=past_end, page_size=2) as sandbox:
        sandbox.seed(leads=[{"email": f"{n}@example.com"} for n in range(3)])
        response = await in_process(sandbox).send("getLeads", query=query(), page="9")
        root = ET.fromstring(response.content)

        found = [root.findtext(name) for name in ("status", "paging/page", "paging/items")]
        assert found == [status, page, items]


@pytest.mark.parametrize(("status", "http_status"), [("405", 405), ("200", 200)])
async def test_wrong_verbs_get_the_chosen_status(in_process, status, http_status):
    with Sandbox(wrong_verb_response=status, annex_verb="POST") as sandbox:
        v1 = in_process(sandbox)
        sandbox.seed(leads=[{"email": "a@example.com"}])
        refused = await v1.send("deleteLead", email="a@example.com")
        assert refused.status_code == http_status
        assert ET.fromstring(refused.content).findtext("status") == "9000"
        assert len(sandbox.leads()) == 1

        accepted = await v1.send("deleteLead", "<request/>", email="a@example.com")
        assert ET.fromstring(accepted.content).findtext("status") == "2005"


@pytest.mark.parametrize("place", ["either", "parameters", "xml"])
@pytest.mark.parametrize("sent", ["parameters", "xml"])
async def test_places_of_the_annex(in_process, place, sent):
    with Sandbox(annex_place=place, email_parameters={"mail"}, list_name_parameters={"list"}) as sandbox:
        sandbox.seed(leads=[{"email": "a@example.com"}], lists=[{"name": "L"}])
        v1 = in_process(sandbox)
        xml = "<request><list><name>L</name></list><lead><email>a@example.com</email></lead></request>"
        if sent == "xml":
            await v1.send("addLeadToList", xml)
        else:
            await v1.send("addLeadToList", mail="a@example.com", list="L")

        (found,) = sandbox.contents()["lists"]
        assert len(found["leads"]) == (1 if place in ("either", sent) else 0)


async def test_the_name_of_the_token_parameter(in_process):
    token = "_nl-example.com-1282527313351-84730"
    with Sandbox(token_id_parameters={"cookie"}) as sandbox:
        sandbox.seed(leads=[{"token": token}])
        v1 = in_process(sandbox)

        assert await status_of(v1, "getLeadByTokenId", cookie=token) == "2002"
        assert await status_of(v1, "getLeadByTokenId", tokenId=token) == "9015"


async def test_dates_in_another_time_zone():
    with Sandbox() as utc, Sandbox(time_zone="America/Montreal") as montreal:
        for sandbox in (utc, montreal):
            sandbox.seed(leads=[{"email": "a@example.com"}])
        utc_hour, local_hour = (
            int(sandbox.lead("a@example.com")["createdDate"][11:13]) for sandbox in (utc, montreal)
        )
        assert (utc_hour - local_hour) % 24 in (4, 5)


async def test_latency_comes_before_the_response(in_process, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append((seconds, sandbox.journal.arrivals[-1].status))

    with Sandbox(latency=3) as sandbox:
        v1 = in_process(sandbox)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await v1.send("getLead")

        assert waited == [(3, None)]


@pytest.mark.parametrize(
    "options",
    [
        {"api_key_parameter": "key"},
        {"credentials_in": "header"},
        {"v2_rate_limit": 0},
        {"v2_rate_limit": "own"},
        {"operators": {"~"}},
        {"operators": "like"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"transaction_path": "ecommerce"},
        {"page_past_end": "next"},
    ],
)
def test_unusable_settings_of_open_points_are_refused(options):
    with pytest.raises((ValueError, TypeError)):
        SandboxSettings(**options)
