"""The documents' literal samples: requests are sent unchanged, responses are compared element by element."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from publitrac_async.sandbox import Sandbox


def fields_of(response: str) -> dict[str, str]:
    lead = ET.fromstring(response.encode()).find("leads/lead")
    assert lead is not None
    return {field.tag: field.text or "" for field in lead}


async def test_get_leads_responds_like_the_sample(sandbox, v1, sample, flat):
    expected = sample("get_leads_response.xml")
    sandbox.seed(leads=[fields_of(expected), {"email": "other@example.com", "firstName": "Johnny"}])

    response = await v1("getLeads", sample("get_leads_request.xml"))

    assert flat(response) == flat(ET.fromstring(expected.encode()))


async def test_the_response_has_the_layout_of_the_sample(sandbox, v1, sample):
    expected = sample("get_leads_response.xml")
    sandbox.seed(leads=[fields_of(expected)])

    response = await v1.send("getLeads", sample("get_leads_request.xml"))

    assert response.text == expected.rstrip()


async def test_empty_queries_find_all_leads(sandbox, v1, sample):
    sandbox.seed(leads=[{"email": f"{number}@example.com"} for number in range(3)])

    response = await v1("getLeads", sample("get_leads_all_request.xml"))

    assert [lead.findtext("email") for lead in response.iter("lead")] == [
        "0@example.com",
        "1@example.com",
        "2@example.com",
    ]
    assert response.findtext("paging/total") == "3"


async def test_get_lead_responds_like_the_sample(sandbox, http, sample, flat):
    expected = sample("get_lead_response.xml")
    sandbox.seed(leads=[fields_of(expected)])

    # The sample spells the key `apiKey`.
    response = await http.get(
        f"/api?method=getLead&apiKey={sandbox.api_key}&username={sandbox.username}"
        f"&password={sandbox.password}&email=johnsmith@publitrac.com"
    )

    assert flat(ET.fromstring(response.content)) == flat(ET.fromstring(expected.encode()))


async def test_get_lead_by_external_id(sandbox, v1, sample, flat):
    expected = ET.fromstring(sample("get_lead_by_external_id_response.xml").encode())
    sandbox.seed(leads=[fields_of(sample("get_lead_by_external_id_response.xml")) | {"crmLeadId": "123ABC"}])

    response = await v1("getLeadByExternalId", externalId="123ABC")

    # The sample shows the lead without the id by which it was found.
    found = response.find("leads/lead/crmLeadId")
    assert found is not None
    assert found.text == "123ABC"
    found.text = None
    assert flat(response) == flat(expected)


async def test_sync_lead_stores_the_sample(sandbox, v1, sample):
    request = sample("sync_lead_request.xml")

    response = await v1.send("syncLead", request)

    assert response.text == sample("sync_lead_response.xml").rstrip()
    sent = ET.fromstring(request.encode()).find("lead")
    assert sent is not None
    expected = {field.tag: field.text or "" for field in sent if field.tag != "customFields"}
    stored = sandbox.lead("johnsmith@mydomain.com")
    assert stored is not None
    assert {name: stored[name] for name in expected} == expected
    assert stored["originalSource"] == " New Production ABC"
    assert (stored["carColor"], stored["carMaker"]) == ("Red", "Infiniti")


async def test_what_is_stored_but_not_returned(v1, sample):
    await v1("syncLead", sample("sync_lead_request.xml"))

    response = await v1("getLead", email="johnsmith@mydomain.com")

    lead = response.find("leads/lead")
    assert lead is not None
    assert lead.find("leadSource") is None
    assert lead.find("unsubscribeReason") is None
    assert lead.find("customFields") is None
    assert [lead[-2].tag, lead[-1].tag] == ["carColor", "carMaker"]


async def test_delayed_sync_stores_the_sample(sandbox, v2, sample, http):
    token = await v2.token()

    response = await http.post(
        "/v2/lead/delayedSync",
        headers={"Token": token, "Accept": "application/json"},
        content=sample("delayed_sync_request.json"),
    )

    assert response.json() == {"status": "success", "code": 200}
    sandbox.process_now()
    lead = sandbox.lead("john.doe@provider.com")
    assert lead is not None
    assert lead["crmLeadId"] == "12387"
    assert lead["jobTitle"] == "Awesome Programmer"
    assert (lead["customField1"], lead["customField2"]) == ("Value", "Value2")


async def test_get_token_responds_like_the_sample(http, sandbox):
    response = await http.get(
        "/v2/auth/getToken", headers={"Authorization": sandbox.api_key, "Accept": "application/json"}
    )

    assert set(response.json()) == {"token", "ttl"}
    assert response.json()["ttl"] == "900"
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["get_leads_response.xml", "get_lead_response.xml"])
def test_samples_are_read_as_a_whole(sample, name):
    assert len(fields_of(sample(name))) == 44


async def test_get_view_responds_like_the_sample(sandbox, v1, sample):
    expected = sample("get_view_response.xml")
    sandbox.seed(
        leads=[fields_of(expected), {"email": "other@example.com"}],
        views=[
            {
                "name": "PromoABC_Email_Open",
                "queries": [{"field": "keyword", "operator": "like", "value": "marketing%"}],
            }
        ],
    )

    response = await v1.send("getView", viewName="PromoABC_Email_Open", page="1")

    assert response.text == expected.rstrip()


async def test_get_list_responds_like_the_sample(in_process, sample):
    expected = sample("get_list_response.xml")
    with Sandbox(get_list_unclosed=True) as sandbox:
        sandbox.seed(
            leads=[fields_of(expected + "</response>"), {"email": "other@example.com"}],
            lists=[{"name": "Imported2012", "leads": ["johnsmith@publipage.com"]}],
        )

        # The sample's address has `viewName`, its list of parameters `listName`.
        for parameter in ("viewName", "listName"):
            response = await in_process(sandbox).send("getList", **{parameter: "Imported2012"}, page="1")
            assert response.text == expected.rstrip()


async def test_add_leads_to_list(sandbox, v1, sample):
    sandbox.seed(leads=[{"email": "johnsmith@mydomain.com"}, {"email": "someone@example.com"}])

    response = await v1.send("addLeadsToList", sample("add_leads_to_list_request.xml"))

    assert response.text == sample("add_leads_to_list_response.xml").rstrip()
    assert sandbox.contents()["lists"] == [
        {"name": "maListe", "leads": ["johnsmith@mydomain.com", "someone@example.com"]}
    ]


async def test_add_leads_to_list_failed(v1, sample):
    request = (
        sample("add_leads_to_list_request.xml")
        .replace("someone@example.com", "someone1@gmail.com")
        .replace("johnsmith@mydomain.com", "someone2@gmail.com")
    )

    response = await v1.send("addLeadsToList", request)

    assert response.text == sample("add_leads_to_list_failed_response.xml").rstrip()


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("addWebVisitHistory", "add_web_visit_history"),
        ("addClickLinkHistory", "add_click_link_history"),
        ("addFillFormHistory", "add_fill_form_history"),
    ],
)
async def test_histories_store_the_samples(sandbox, v1, sample, flat, method, name):
    sandbox.seed(leads=[{"email": "johnsmith@mydomain.com"}], forms=["Infolettre"])
    request = sample(f"{name}_request.xml")

    response = await v1(method, request, email="johnsmith@mydomain.com")

    assert flat(response) == flat(ET.fromstring(sample(f"{name}_response.xml").encode()))
    (sent,) = ET.fromstring(request.encode())
    (entry,) = sandbox.contents()["history"]
    assert (entry["email"], entry["type"]) == ("johnsmith@mydomain.com", sent.tag)
    assert entry["fields"] == {field.tag: field.text or "" for field in sent}


async def test_get_campaigns_responds_like_the_sample(sandbox, v1, sample, flat):
    expected = ET.fromstring(sample("get_campaigns_response.xml").encode())
    sandbox.seed(
        campaigns=[
            {field.tag: field.text or "" for field in campaign} for campaign in expected.findall("campaign")
        ]
    )

    response = await v1("getCampaigns", page="1")

    assert flat(response) == flat(expected)
    assert [child.tag for child in response] == ["campaign", "campaign", "status", "message"]


async def test_get_opportunities_responds_like_the_sample(sandbox, v1, sample):
    expected = sample("get_opportunities_response.xml")
    (opportunity,) = ET.fromstring(expected.encode()).iter("opportunity")
    sandbox.seed(opportunities=[{field.tag: field.text or "" for field in opportunity}])

    response = await v1.send("getOpportunities", page="1")

    assert response.text == expected.rstrip()


@pytest.mark.parametrize(
    ("name", "crm_lead_id"),
    [
        ("sync_opportunity_request.xml", "ae555ecc-e998-85b9-4c9f-4c8d13581a9b"),
        ("sync_opportunity_annex_request.xml", "456zxy"),
    ],
)
async def test_sync_opportunity_stores_the_samples(sandbox, v1, sample, name, crm_lead_id):
    sandbox.seed(leads=[{"email": "a@example.com", "crmLeadId": crm_lead_id}])

    response = await v1.send("syncOpportunity", sample(name))

    assert response.text == sample("sync_opportunity_response.xml").rstrip()
    sent = ET.fromstring(sample(name).encode()).find("opportunity")
    assert sent is not None
    (stored,) = sandbox.contents()["opportunities"]
    assert stored["External_id"] == sent.findtext("id")
    assert stored["Name"] == sent.findtext("name")
    assert stored["Date_Closed"] == sent.findtext("dateClosed")
    assert stored["leads"] == [crm_lead_id]


async def test_execute_campaign_applies_the_sample(sandbox, v1, sample):
    sandbox.seed(
        leads=[{"email": "johnsmith@acme.com"}, {"email": "test@exemple.com"}],
        campaigns=["Trade Show May"],
    )

    response = await v1.send("executeCampaign", sample("execute_campaign_request.xml"))

    assert response.text == sample("execute_campaign_response.xml").rstrip()
    (campaign,) = sandbox.contents()["campaigns"]
    assert campaign["entries"] == ["test@exemple.com", "johnsmith@acme.com"]


async def test_add_email_campaign(sandbox, v1, sample, flat):
    request = sample("add_email_campaign_request.xml")

    response = await v1("addEmailCampaign", request)

    assert flat(response) == flat(ET.fromstring(sample("add_email_campaign_response.xml").encode()))
    contents = sandbox.contents()
    recipients = ["jsmith@acme.com", "jcarmack@example.com"]
    assert [lead["email"] for lead in contents["leads"]] == recipients
    assert [lead["GamePlayed"] for lead in contents["leads"]] == ["121", "23"]
    assert contents["lists"] == [{"name": "Promotion January 2014", "leads": recipients}]
    assert [campaign["Name"] for campaign in contents["campaigns"]] == ["Promotion January 2014"]
    (email,) = contents["emails"]
    message = ET.fromstring(request.encode()).find("email/message")
    assert message is not None
    assert (email["html"], email["text"]) == (message.findtext("html"), message.findtext("text"))
    assert (email["fromName"], email["fromEmail"]) == ("PUBLITRAC", "no-reply@publipage.com")
    assert (email["subject"], email["sendAsSalesRep"]) == ("January Promotion", "false")
    assert email["recipients"] == recipients


async def test_a_transaction_stores_the_sample(sandbox, http, sample):
    sandbox.seed(leads=[{"email": "yourleademail@service.com"}])

    response = await http.post(
        "/ecommerce/transaction",
        data={
            "transaction": sample("transaction.json"),
            "token": "accountToken",
            "email": "yourleademail@service.com",
        },
    )

    assert (response.status_code, response.content) == (200, b"")
    (transaction,) = sandbox.contents()["transactions"]
    expected = json.loads(sample("transaction.json"))
    assert {name: transaction[name] for name in expected if name != "token"} == {
        name: value for name, value in expected.items() if name != "token"
    }
