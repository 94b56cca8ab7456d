"""The documents' literal samples: requests as they stand there, answers compared element by element."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest


def fields_of(answer: str) -> dict[str, str]:
    lead = ET.fromstring(answer.encode()).find("leads/lead")
    assert lead is not None
    return {field.tag: field.text or "" for field in lead}


async def test_get_leads(sandbox, v1, sample, flat):
    expected = sample("get_leads_answer.xml")
    sandbox.seed(leads=[fields_of(expected), {"email": "other@example.com", "firstName": "Johnny"}])

    answer = await v1("getLeads", sample("get_leads_request.xml"))

    assert flat(answer) == flat(ET.fromstring(expected.encode()))


async def test_the_answer_has_the_layout_of_the_sample(sandbox, v1, sample):
    expected = sample("get_leads_answer.xml")
    sandbox.seed(leads=[fields_of(expected)])

    response = await v1.send("getLeads", sample("get_leads_request.xml"))

    assert response.text == expected.rstrip()


async def test_empty_queries_find_all_leads(sandbox, v1, sample):
    sandbox.seed(leads=[{"email": f"{number}@example.com"} for number in range(3)])

    answer = await v1("getLeads", sample("get_leads_all_request.xml"))

    assert [lead.findtext("email") for lead in answer.iter("lead")] == [
        "0@example.com",
        "1@example.com",
        "2@example.com",
    ]
    assert answer.findtext("paging/total") == "3"


async def test_get_lead(sandbox, http, sample, flat):
    expected = sample("get_lead_answer.xml")
    sandbox.seed(leads=[fields_of(expected)])

    # The sample spells the key `apiKey`.
    response = await http.get(
        f"/api?method=getLead&apiKey={sandbox.api_key}&username={sandbox.username}"
        f"&password={sandbox.password}&email=johnsmith@publitrac.com"
    )

    assert flat(ET.fromstring(response.content)) == flat(ET.fromstring(expected.encode()))


async def test_get_lead_by_external_id(sandbox, v1, sample, flat):
    expected = ET.fromstring(sample("get_lead_by_external_id_answer.xml").encode())
    sandbox.seed(leads=[fields_of(sample("get_lead_by_external_id_answer.xml")) | {"crmLeadId": "123ABC"}])

    answer = await v1("getLeadByExternalId", externalId="123ABC")

    # The sample shows the lead without the very id it was found by.
    found = answer.find("leads/lead/crmLeadId")
    assert found is not None
    assert found.text == "123ABC"
    found.text = None
    assert flat(answer) == flat(expected)


async def test_sync_lead(sandbox, v1, sample):
    request = sample("sync_lead_request.xml")

    response = await v1.send("syncLead", request)

    assert response.text == sample("sync_lead_answer.xml").rstrip()
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

    answer = await v1("getLead", email="johnsmith@mydomain.com")

    lead = answer.find("leads/lead")
    assert lead is not None
    assert lead.find("leadSource") is None
    assert lead.find("unsubscribeReason") is None
    assert lead.find("customFields") is None
    assert [lead[-2].tag, lead[-1].tag] == ["carColor", "carMaker"]


async def test_delayed_sync(sandbox, v2, sample, http):
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


async def test_get_token(http, sandbox):
    response = await http.get(
        "/v2/auth/getToken", headers={"Authorization": sandbox.api_key, "Accept": "application/json"}
    )

    assert set(response.json()) == {"token", "ttl"}
    assert response.json()["ttl"] == "900"
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["get_leads_answer.xml", "get_lead_answer.xml"])
def test_samples_are_read_as_a_whole(sample, name):
    assert len(fields_of(sample(name))) == 44
