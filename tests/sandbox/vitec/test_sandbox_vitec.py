"""The emulated Vitec Express Connect, called without the client."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from publitrac_async.sandbox import Sandbox

SAMPLES = Path(__file__).parents[2] / "samples" / "vitec"
CUSTOMER = "M30011"
PERSON = {"firstName": "Anna", "lastName": "Åström", "email": {"emailAddress": "anna@example.com"}}
LEAD: dict[str, Any] = {"person": PERSON, "leadSource": {"leadType": "AcceptObjectFlow", "name": "Valuation"}}
CREATED = "{http://schemas.microsoft.com/2003/10/Serialization/}string"


class Caller:
    """Calls the only operation."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def post(
        self,
        body: object,
        *,
        customer: str = CUSTOMER,
        password: str | None = None,
        user: str = "marketplace",
        scheme: str = "Basic",
        content_type: str = "application/json",
        accept: str | None = None,
    ) -> httpx.Response:
        secret = f"password-of-{customer}" if password is None else password
        pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
        headers = {"authorization": f"{scheme} {pair}", "content-type": content_type}
        headers["accept"] = "*/*" if accept is None else accept
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        path = f"/PublicAdvertising/{customer}/Contact/Person/Lead"
        return await self.http.post(path, content=content, headers=headers)

    async def xml(self, body: str | bytes) -> httpx.Response:
        return await self.post(body, content_type="application/xml; charset=utf-8", accept="application/xml")

    @property
    def contents(self) -> dict[str, Any]:
        return self.sandbox.contents("vitec")


@pytest.fixture
async def vitec() -> AsyncIterator[Caller]:
    async with (
        Sandbox() as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http,
    ):
        yield Caller(sandbox, http)


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def one_receiver(document: dict[str, Any]) -> dict[str, Any]:
    """The sample shows all three receivers, of which a request has one."""
    for name in ("userGroup", "office"):
        del document["receiver"][name]
    return document


def fields(response: httpx.Response) -> dict[str, list[str]]:
    assert response.status_code == 400
    return response.json()["modelState"]


async def test_json_and_xml_samples_are_the_same_lead(vitec: Caller) -> None:
    as_json = await vitec.post(one_receiver(json.loads(sample("person_lead_request.json"))))
    text = sample("person_lead_request.xml")
    text = re.sub(r"  </Agent>.*</Receiver>", "  </Agent></Receiver>", text, flags=re.DOTALL)
    as_xml = await vitec.xml(text)

    assert (as_json.status_code, as_xml.status_code) == (200, 200), as_json.text + as_xml.text
    first, second = vitec.contents["leads"]
    for lead in (first, second):
        del lead["id"], lead["sentAt"]
    assert first == second
    assert first["message"] == "sample string 1"
    assert first["marketing"]["utmTags"] == [{"name": "sample string 1", "value": "sample string 2"}] * 2
    (contact,) = vitec.contents["contacts"]
    assert contact["telephone"] == {
        "home": "sample string 1",
        "work": "sample string 2",
        "cell": "sample string 3",
        "other": "sample string 4",
    }


async def test_responses_have_the_layout_of_the_samples(vitec: Caller) -> None:
    as_json = await vitec.post(LEAD)
    assert as_json.headers["content-type"] == "application/json; charset=utf-8"
    assert re.sub(r"L\d+", "sample string 1", as_json.text) == sample("response.json").strip()
    as_xml = await vitec.post(LEAD, accept="text/html, application/xml")
    assert re.sub(r"L\d+", "sample string 1", as_xml.text) == sample("response.xml").strip()
    assert ET.fromstring(as_xml.text).tag == CREATED


async def test_the_code_sample_lacks_a_way_of_contact(vitec: Caller) -> None:
    response = await vitec.post(one_receiver(json.loads(sample("person_lead_code_sample.json"))))
    assert list(fields(response)) == ["application.Person"]


@pytest.mark.parametrize(
    ("late", "lost"),
    [
        ("LeadSource", "leadSource"),
        ("Marketing", "marketing"),
        ("Message", "message"),
        ("Other", "other"),
        ("Cell", "cell"),
        ("City", "city"),
        ("EmailAddress", "emailAddress"),
        ("FirstName", "firstName"),
        ("Referrer", "referrer"),
    ],
)
async def test_an_element_in_the_wrong_order_is_ignored(vitec: Caller, late: str, lost: str) -> None:
    root = ET.fromstring(sample("person_lead_request.xml"))
    receiver = next(element for element in root if element.tag.endswith("}Receiver"))
    root.remove(receiver)
    parent, child = next(
        (parent, child) for parent in root.iter() for child in parent if child.tag.endswith(f"}}{late}")
    )
    parent.remove(child)
    parent.append(child)

    response = await vitec.xml(ET.tostring(root))

    if late in ("LeadSource", "FirstName"):
        assert response.status_code == 400
        names = [element.tag for element in ET.fromstring(response.text).iter()]
        assert any(late in name for name in names), response.text
        return
    assert response.status_code == 200
    kept = json.dumps([vitec.contents["contacts"], vitec.contents["leads"]])
    # A member that the reader leaves out is null or absent in the stored lead.
    assert f'"{lost}": "' not in kept
    assert f'"{lost}": {{' not in kept


async def test_wrong_namespaces_are_ignored_or_refused(vitec: Caller) -> None:
    text = sample("person_lead_request.xml")
    refused = await vitec.xml(text.replace("PublicAdvertisementLead", "PublicAdvertisingLead"))
    assert refused.status_code == 400
    text = re.sub(r"  <Receiver>.*</Receiver>", "", text, flags=re.DOTALL)
    moved = await vitec.xml(text.replace('2004/07/Express.Connect.Api.Models"', '2004/07/Other"'))
    assert moved.status_code == 200
    assert vitec.contents["contacts"][0]["telephone"] == {}


async def test_nil_and_flags(vitec: Caller) -> None:
    text = re.sub(
        r"  <Receiver>.*</Receiver>",
        '<Receiver i:nil="true"/>',
        sample("person_lead_request.xml"),
        flags=re.DOTALL,
    )
    assert (await vitec.xml(text)).status_code == 200
    assert vitec.contents["contacts"][0]["isForeignSocialSecurityNumber"] is True
    assert (await vitec.xml(text.replace(">true<", ">True<"))).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        "<a>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><PublicAdvertisingPersonLead/>",
        "",
        "<a/>",
        "<a>" * 40 + "</a>" * 40,
    ],
)
async def test_unreadable_xml_is_refused(vitec: Caller, body: str) -> None:
    response = await vitec.xml(body)
    assert response.status_code == 400
    assert ET.fromstring(response.text).findtext("ModelState/application")
    assert vitec.contents["leads"] == []


@pytest.mark.parametrize("body", ["{", "null", "", "[]", '"Anna"', '{"person": 1}', b"\xff"])
async def test_unreadable_json_is_refused(vitec: Caller, body: str | bytes) -> None:
    assert fields(await vitec.post(body))
    assert vitec.contents["leads"] == []


@pytest.mark.parametrize("lead_type", ["AcceptObjectFlow", "acceptobjectflow", 0, "0"])
async def test_lead_type_is_a_name_or_its_number(vitec: Caller, lead_type: object) -> None:
    response = await vitec.post({**LEAD, "leadSource": {"leadType": lead_type, "name": "Valuation"}})
    assert response.status_code == 200
    assert vitec.contents["leadSources"][0]["leadType"] == "AcceptObjectFlow"


@pytest.mark.parametrize("lead_type", ["NoSuchFlow", 1, True, {}])
async def test_other_lead_types_are_refused(vitec: Caller, lead_type: object) -> None:
    response = await vitec.post({**LEAD, "leadSource": {"leadType": lead_type, "name": "Valuation"}})
    assert list(fields(response)) == ["application.leadSource.leadType"]


async def test_json_names_in_any_case(vitec: Caller) -> None:
    assert (
        await vitec.post({"Person": PERSON, "LEADSOURCE": LEAD["leadSource"], "new": 1})
    ).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"person": None}, "application.Person"),
        ({"leadSource": None}, "application.LeadSource"),
        ({"leadSource": {"name": ""}}, "application.LeadSource.Name"),
        ({"receiver": {}}, "application.Receiver"),
        ({"receiver": {"userGroup": {"id": "1"}, "office": {"id": "2"}}}, "application.Receiver"),
        ({"person": {**PERSON, "firstName": " "}}, "application.Person.FirstName"),
        ({"person": {**PERSON, "lastName": None}}, "application.Person.LastName"),
        ({"person": {**PERSON, "email": None}}, "application.Person"),
        ({"person": {**PERSON, "email": None, "telephone": {"other": "1"}}}, "application.Person"),
        ({"person": {**PERSON, "firstName": "x" * 41}}, "application.Person.FirstName"),
        ({"person": {**PERSON, "address": {"city": "x" * 26}}}, "application.Person.Address.City"),
    ],
)
async def test_missing_and_too_long_values_are_refused(vitec: Caller, change: dict, field: str) -> None:
    state = fields(await vitec.post({**LEAD, **change}))
    assert list(state) == [field]
    assert vitec.contents["leads"] == []


async def test_both_cases_of_an_error() -> None:
    async with (
        Sandbox(vitec_error_names="pascal") as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http,
    ):
        response = await Caller(sandbox, http).post({})
        assert response.json() == json.loads(sample("error_pascal.json"))
        as_xml = await Caller(sandbox, http).post({}, accept="application/xml")
        assert as_xml.text == sample("error.xml").strip()


async def test_an_error_in_small_letters(vitec: Caller) -> None:
    assert (await vitec.post({})).json() == json.loads(sample("error_camel.json"))


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 200),
        ({"scheme": "basic"}, 200),
        ({"scheme": "Bearer"}, 401),
        ({"user": "somebody"}, 401),
        ({"password": "wrong"}, 401),
        ({"password": ""}, 401),
        ({"password": "password-of-M30012"}, 403),
        ({"password": "crm-password-of-M30011"}, 403),
        ({"customer": "M99999", "password": "password-of-M30011"}, 403),
    ],
)
async def test_a_password_for_each_customer_and_function_group(
    vitec: Caller, options: dict, status: int
) -> None:
    response = await vitec.post(LEAD, **options)
    assert response.status_code == status
    assert len(vitec.contents["leads"]) == (status == 200)
    if status != 200:
        assert response.json()["message"]


async def test_a_call_without_credentials_gets_401(vitec: Caller) -> None:
    response = await vitec.http.post(f"/PublicAdvertising/{CUSTOMER}/Contact/Person/Lead", json=LEAD)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Basic"


async def test_other_paths_verbs_and_types(vitec: Caller) -> None:
    assert (await vitec.http.post("/PublicAdvertising/M1/Contact/Company/Lead")).status_code == 404
    assert (await vitec.http.get(f"/PublicAdvertising/{CUSTOMER}/Contact/Person/Lead")).status_code == 405
    assert (await vitec.post(LEAD, content_type="text/plain")).status_code == 415


async def test_the_person_is_found_again_but_the_lead_is_new(vitec: Caller) -> None:
    by_number = {**PERSON, "socialSecurityNumber": "19121212-1212"}
    first = await vitec.post({**LEAD, "person": by_number})
    moved = {**by_number, "email": {"emailAddress": "new@example.com"}}
    second = await vitec.post({**LEAD, "person": moved})
    third = await vitec.post({**LEAD, "person": {**PERSON, "email": {"emailAddress": "ANNA@example.com"}}})
    other = await vitec.post({**LEAD, "person": {**PERSON, "email": {"emailAddress": "b@example.com"}}})

    assert len({response.json() for response in (first, second, third, other)}) == 4
    contacts = [lead["contactId"] for lead in vitec.contents["leads"]]
    assert contacts == ["C1", "C1", "C1", "C2"]


async def test_two_people_can_share_a_telephone(vitec: Caller) -> None:
    for name in ("Anna", "Bo", "Anna"):
        person = {"firstName": name, "lastName": "Ek", "telephone": {"cell": "070-000 00 00"}}
        await vitec.post({**LEAD, "person": person})
    assert [lead["contactId"] for lead in vitec.contents["leads"]] == ["C1", "C2", "C1"]


def test_the_person_is_found_again_by_the_next_sandbox(tmp_path: Path) -> None:
    for leads in (1, 2):
        with Sandbox(database=str(tmp_path / "kept.sqlite")) as sandbox:
            sandbox.vitec.create_lead(CUSTOMER, LEAD)
            assert [lead["contactId"] for lead in sandbox.contents("vitec")["leads"]] == ["C1"] * leads


def test_a_forgotten_person_is_another_one() -> None:
    with Sandbox() as sandbox:
        for _ in range(2):
            sandbox.vitec.create_lead(CUSTOMER, LEAD)
            assert len(sandbox.contents("vitec")["contacts"]) == 1
            sandbox.reset()


async def test_customers_share_nothing(vitec: Caller) -> None:
    await vitec.post(LEAD)
    await vitec.post(LEAD, customer="M30012")
    assert [contact["customerId"] for contact in vitec.contents["contacts"]] == ["M30011", "M30012"]
    assert [source["customerId"] for source in vitec.contents["leadSources"]] == ["M30011", "M30012"]


async def test_lead_sources_are_used_again_by_workflow_and_name(vitec: Caller) -> None:
    vitec.sandbox.vitec.seed({"leadSources": [{"customerId": CUSTOMER, "name": "Web"}]})
    for name in ("Valuation", "Web", "Valuation", "Marketplace Valuation"):
        await vitec.post({**LEAD, "leadSource": {"name": name}})
    assert [source["name"] for source in vitec.contents["leadSources"]] == ["Web", "Marketplace Valuation"]
    assert [lead["leadSourceId"] for lead in vitec.contents["leads"]] == ["S2", "S1", "S2", "S2"]


OFFICES = [
    {"id": "north", "customerId": CUSTOMER, "focusAreas": ["11", "Uppsala"]},
    {"id": "south", "customerId": "M30012", "focusAreas": ["12", "Malmö"], "redistributor": "agent-7"},
    {"id": "wide", "customerId": "M30013", "focusAreas": ["123", "13"]},
]
SHARKTANK = {"place": "Sharktank"}


@pytest.mark.parametrize(
    ("address", "receiver", "assigned"),
    [
        ({"zipCode": "111 22"}, None, {"office": {"id": "north"}, **SHARKTANK}),
        ({"city": "malmö"}, None, {"office": {"id": "south"}, "redistributor": "agent-7"}),
        ({"zipCode": "13000"}, None, {"office": {"id": "wide"}, **SHARKTANK}),
        ({"zipCode": "12345"}, None, {"office": {"id": "north"}, **SHARKTANK}),  # two offices
        ({"zipCode": "99999"}, None, {"office": {"id": "north"}, **SHARKTANK}),  # none
        (None, None, {"office": {"id": "north"}, **SHARKTANK}),
        ({"zipCode": "13000"}, {"agent": {"id": "a"}}, {"agent": {"id": "a"}}),
        ({"zipCode": "13000"}, {"userGroup": {"id": "g"}}, {"userGroup": {"id": "g"}}),
        (None, {"office": {"id": "south"}}, {"office": {"id": "south"}, "redistributor": "agent-7"}),
    ],
)
async def test_a_lead_goes_to_the_office_of_its_area(
    vitec: Caller, address: Any, receiver: Any, assigned: dict
) -> None:
    vitec.sandbox.vitec.seed({"offices": OFFICES})
    lead = copy.deepcopy(LEAD)
    lead["person"]["address"] = address
    lead["receiver"] = receiver
    assert (await vitec.post(lead)).status_code == 200
    assert vitec.contents["leads"][0]["assignedTo"] == assigned


async def test_a_customer_without_offices_gets_the_lead_itself(vitec: Caller) -> None:
    await vitec.post(LEAD)
    assert vitec.contents["leads"][0]["assignedTo"] == {"office": {"id": CUSTOMER}, **SHARKTANK}


async def test_journal_control_and_reset(vitec: Caller) -> None:
    await vitec.post(LEAD)
    seeded = await vitec.http.post("/_sandbox/seed?vendor=vitec", json={"offices": OFFICES})
    contents = (await vitec.http.get("/_sandbox/contents?vendor=vitec")).json()
    assert seeded.status_code == 200
    assert [office["id"] for office in contents["offices"]] == ["north", "south", "wide"]
    (arrival,) = [arrival for arrival in vitec.sandbox.journal.arrivals if arrival.api == "vitec"]
    assert (arrival.method, arrival.key, arrival.applied) == ("Contact/Person/Lead", "anna@example.com", True)
    vitec.sandbox.reset()
    assert not any(vitec.contents.values())


@pytest.mark.parametrize("document", [{"agents": []}, {"offices": [{"id": "1"}]}, {"leadSources": [{}]}])
def test_seeding_of_unusable_records(document: dict) -> None:
    with Sandbox() as sandbox, pytest.raises(ValueError):
        sandbox.vitec.seed(document)
